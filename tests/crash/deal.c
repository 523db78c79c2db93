/* SPDX-License-Identifier: MIT */
/*
 * Nobody may use what a dead process has lent. The tracer therefore tells before it kills
 * (closing), while the victim is stopped at its last instruction: the walker forgets what it has
 * borrowed. What it has freed of it may still wait to be flushed. Takes need no such care: they go
 * on all the time, while the victim dies and while it is reclaimed.
 */
#include "tests/crash/deal.h"

#include "client_lib/flush.h"
#include "client_lib/thread.h"
#include "tests/crash/names.h"
#include "tests/support/process.h"

/* Sizes that a victim gets: some of each path of its frees. From 1000 on the slabs have tags. */
static uint64_t lent_size(unsigned at)
{
	static const uint64_t sizes[HAKT_PARCELS] = {48,   48,	  200,	 1000,
						     5000, 30000, 70000, 2200000};

	return sizes[at];
}

/* Parcels of ours: lends what is missing, takes back what was returned. */
static void lend(struct hakt_stock *w)
{
	for (unsigned i = 0; i < HAKT_PARCELS; i++) {
		struct hakt_parcel *parcel = &w->state->to_victim[i];

		switch ((enum hakt_parcel_state)hakt_get(&parcel->state)) {
		case HAKT_EMPTY:
			if (!hakt_stock_make(w, lent_size(i), &parcel->thing))
				break;
			w->is_freed[i] = false;
			if (lent_size(i) >= 1000 && lent_size(i) != 70000)
				HAKT_EXPECT(hakmem_ref(hakmem_ptr(parcel->thing.name)));
			hakt_set(&parcel->state, HAKT_GIVEN);
			break;
		case HAKT_RETURNED:
			hakt_stock_refill(w, hakt_stock_look(&parcel->thing), &parcel->thing);
			hakt_add(&w->state->n_hops, 1);
			hakt_set(&parcel->state, HAKT_GIVEN);
			break;
		default:
			break;
		}
	}
}

/* The victim's parcels. */
static void borrow(struct hakt_stock *w)
{
	for (unsigned i = 0; i < HAKT_PARCELS; i++) {
		struct hakt_parcel *parcel = &w->state->from_victim[i];
		void *block;

		if (hakt_get(&parcel->state) != HAKT_GIVEN)
			continue;
		block = hakt_stock_look(&parcel->thing);
		hakt_add(&w->state->n_hops, 1);
		if (parcel->wish == HAKT_FREE_AT_ONCE) {
			hakmem_free(block);
			hakc_flush_outgoing(hakc_self);
			hakt_set(&parcel->state, HAKT_FREED);
			continue;
		}
		hakt_stock_refill(w, block, &parcel->thing);
		hakt_set(&parcel->state, HAKT_RETURNED);
	}
}

/* Sizes of gifts: a block of each kind. */
static uint64_t given_size(unsigned at)
{
	static const uint64_t sizes[HAKT_GIFTS] = {300, 6000, 90000, 2300000};

	return sizes[at];
}

static void give(struct hakt_stock *w)
{
	for (unsigned i = 0; i < HAKT_GIFTS; i++) {
		struct hakt_parcel *parcel = &w->state->gifts_to[i];

		if (hakt_get(&parcel->state) != HAKT_EMPTY ||
		    !hakt_stock_make(w, given_size(i), &parcel->thing))
			continue;
		if (hakt_thing_give(&parcel->thing))
			hakt_set(&parcel->state, HAKT_GIVEN);
		else
			hakmem_free(hakt_stock_look(&parcel->thing));
	}
}

/*
 * Kept until the victim is dead: frees would raise hints at any moment, and no victim would go
 * the way that was recorded.
 */
static void mix_kept(struct hakt_stock *w)
{
	while (w->n_kept > 0) {
		const struct hakt_thing *thing = &w->kept[--w->n_kept];

		if (w->n_live < HAKT_LIVE_MAX)
			hakt_stock_keep(w, thing);
		else
			hakmem_free(hakt_stock_look(thing));
	}
}

/*
 * What the victim gives. A gift of one that lives is to be had, unless it takes it back itself;
 * when is_buried, it has died with what was not taken.
 */
static void accept(struct hakt_stock *w, bool is_buried)
{
	for (unsigned i = 0; i < HAKT_GIFTS; i++) {
		struct hakt_parcel *parcel = &w->state->gifts_from[i];
		struct hakt_thing thing;

		if (hakt_get(&parcel->state) != HAKT_GIVEN)
			continue;
		thing = parcel->thing;
		if (hakt_stock_take(w, &thing)) {
			HAKT_EXPECT(!is_buried);
			hakt_add(&w->state->n_gifts, 1);
			if (w->n_kept < HAKT_KEPT_MAX)
				w->kept[w->n_kept++] = thing;
			else
				hakmem_free(hakt_stock_look(&thing));
		} else {
			HAKT_EXPECT(parcel->wish == HAKT_MAY_BE_REVOKED ||
				    hakt_get(&hakt_world->closing) == w->life);
		}
		hakt_set(&parcel->state, HAKT_EMPTY);
	}
}

/* Gifts that a victim was about to take: it had, and they are gone with it, or they are ours. */
static void take_back_gifts(struct hakt_stock *w)
{
	for (unsigned i = 0; i < HAKT_GIFTS; i++) {
		struct hakt_parcel *parcel = &w->state->gifts_to[i];

		if (hakt_get(&parcel->state) == HAKT_HELD) {
			if (hakt_stock_take(w, &parcel->thing))
				hakmem_free(hakt_stock_look(&parcel->thing));
			hakt_set(&parcel->state, HAKT_EMPTY);
		}
	}
}

/* The victim is about to die: nothing that it has lent is touched from here on. */
static void close_with(struct hakt_stock *w, uint32_t life)
{
	for (unsigned i = 0; i < HAKT_PARCELS; i++)
		hakt_set(&w->state->from_victim[i].state, HAKT_EMPTY);
	hakt_set(&w->state->closed, life);
}

/* What the dead held of ours is ours; what it may have freed, nobody knows. */
static void settle(struct hakt_stock *w, uint32_t life)
{
	for (unsigned i = 0; i < HAKT_PARCELS; i++) {
		struct hakt_parcel *parcel = &w->state->to_victim[i];

		switch ((enum hakt_parcel_state)hakt_get(&parcel->state)) {
		case HAKT_HELD:
			/* It may have died while it wrote; that the block is there is seen by W. */
			HAKT_EXPECT(hakmem_ptr(parcel->thing.name));
			hakmem_free(hakmem_ptr(parcel->thing.name));
			hakt_set(&parcel->state, HAKT_EMPTY);
			break;
		case HAKT_FREEING:
			if (!w->is_freed[i])
				w->limbo[w->n_limbo++] = parcel->thing;
			hakt_add(&w->state->n_limbo, 1);
			hakt_set(&parcel->state, HAKT_EMPTY);
			break;
		default:
			break;
		}
	}
	accept(w, true);
	mix_kept(w);
	take_back_gifts(w);
	hakt_names_settle(w);
	if (w->n_limbo + HAKT_PARCELS > HAKT_LIMBO_MAX / 2)
		hakt_stock_settle(w);
	lend(w);
	give(w);
	w->buried = life;
	hakt_set(&w->state->settled, life);
}

void hakt_deal_attend(struct hakt_stock *w)
{
	uint32_t closing = hakt_get(&hakt_world->closing), buried = hakt_get(&hakt_world->buried);

	if (closing != hakt_get(&w->state->closed))
		close_with(w, closing);
	if (buried != w->buried)
		settle(w, buried);
	hakt_names_look(w);
	w->life = hakt_get(&hakt_world->life);
	if (w->life != buried)
		accept(w, false);
	if (w->life == closing)
		return; /* there is none, or none for long */
	lend(w);
	give(w);
	hakt_names_publish(w);
	borrow(w);
}

void hakt_deal_begin(struct hakt_stock *w)
{
	w->n_used = 0;
	lend(w);
	give(w);
}

void hakt_deal_end(struct hakt_stock *w)
{
	for (unsigned i = 0; i < HAKT_PARCELS; i++) {
		struct hakt_parcel *parcel = &w->state->to_victim[i];

		if (hakt_get(&parcel->state) == HAKT_EMPTY)
			continue;
		hakmem_free(hakt_stock_look(&parcel->thing));
		hakt_set(&parcel->state, HAKT_EMPTY);
	}
	for (unsigned i = 0; i < HAKT_GIFTS; i++) {
		struct hakt_parcel *parcel = &w->state->gifts_to[i];

		if (hakt_get(&parcel->state) == HAKT_EMPTY)
			continue;
		HAKT_EXPECT(hakt_stock_take(w, &parcel->thing)); /* revoked */
		hakmem_free(hakt_stock_look(&parcel->thing));
		hakt_set(&parcel->state, HAKT_EMPTY);
	}
}
