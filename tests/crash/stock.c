/* SPDX-License-Identifier: MIT */
/*
 * Blocks and tickets of a walker. A ticket is void for ever once it was used, or its block's owner
 * has died; so those are tried again much later.
 */
#include "tests/crash/stock.h"

#include <errno.h>

#include "client_lib/flush.h"
#include "client_lib/thread.h"
#include "tests/support/process.h"
#include "tests/support/random.h"

uint64_t hakt_stock_below(struct hakt_stock *w, uint64_t n)
{
	return hakt_random(&w->random) % n;
}

void *hakt_stock_look(const struct hakt_thing *thing)
{
	void *block = hakmem_ptr(thing->name);

	HAKT_EXPECT(block);
	HAKT_EXPECT(hakt_thing_is_whole(block, thing));
	return block;
}

/* A ticket that must be void from now on. */
static void remember(struct hakt_stock *w, hakmem_ref_t ref)
{
	w->used[w->n_used++ % HAKT_USED_MAX] = ref;
}

void hakt_stock_try_again(struct hakt_stock *w)
{
	unsigned n = w->n_used < HAKT_USED_MAX ? w->n_used : HAKT_USED_MAX;
	void *block;

	if (n > 0)
		HAKT_EXPECT(hakmem_take(w->used[hakt_stock_below(w, n)], &block) == -ESTALE);
}

bool hakt_stock_take(struct hakt_stock *w, struct hakt_thing *thing)
{
	void *block;
	int r = hakmem_take(thing->ref, &block);

	HAKT_EXPECT(r == 0 || r == -ESTALE);
	remember(w, thing->ref);
	hakt_add(r == 0 ? &w->state->n_hops : &w->state->n_stale, 1);
	if (r != 0)
		return false;
	thing->ref = 0;
	thing->was_taken = true;
	HAKT_EXPECT(hakt_stock_look(thing) == block);
	return true;
}

/* The same block, whoever had it in between. */
static bool is_same(hakmem_ref_t a, hakmem_ref_t b)
{
	return hak_ref_offset(a) == hak_ref_offset(b) && hak_ref_epoch(a) == hak_ref_epoch(b);
}

/* What we get was free: a victim that is dying or dead has freed it. */
static void strike_out(struct hakt_stock *w, hakmem_ref_t ref)
{
	for (unsigned i = 0; i < HAKT_PARCELS; i++)
		w->is_freed[i] |= is_same(w->state->to_victim[i].thing.name, ref);
	for (unsigned i = 0; i < w->n_limbo; i++)
		if (is_same(w->limbo[i].name, ref))
			w->limbo[i--] = w->limbo[--w->n_limbo];
}

/*
 * With nothing in our caches a bit says whether a block is free, and what we were given since is no
 * longer listed.
 */
void hakt_stock_settle(struct hakt_stock *w)
{
	const struct hak_segment *segment = &hakc_self->heap->segment;

	if (w->n_limbo == 0)
		return;
	hakc_flush_all(hakc_self);
	for (unsigned i = 0; i < w->n_limbo; i++) {
		void *block = hakmem_ptr(w->limbo[i].name);
		struct hak_location l = hak_segment_locate(segment, (uintptr_t)block);

		if (!block || l.place != HAK_PLACE_BLOCK)
			continue; /* freed, and its slots are unused or another's */
		if (!hak_segment_is_free(segment, &l))
			hakmem_free(block);
	}
	w->n_limbo = 0;
}

bool hakt_stock_make(struct hakt_stock *w, uint64_t size, struct hakt_thing *ret_thing)
{
	void *block = hakmem_malloc(size);

	if (!block) {
		HAKT_EXPECT(errno == ENOMEM);
		return false;
	}
	*ret_thing = hakt_thing_make(block, size, hakt_random(&w->random));
	strike_out(w, ret_thing->name);
	return true;
}

void hakt_stock_refill(struct hakt_stock *w, void *block, struct hakt_thing *thing)
{
	thing->seed = hakt_random(&w->random);
	hakt_thing_fill(block, thing);
}

void hakt_stock_keep(struct hakt_stock *w, const struct hakt_thing *thing)
{
	w->live[w->n_live++] = *thing;
}

struct hakt_thing hakt_stock_lose(struct hakt_stock *w)
{
	unsigned at = (unsigned)hakt_stock_below(w, w->n_live);
	struct hakt_thing thing = w->live[at];

	w->live[at] = w->live[--w->n_live];
	return thing;
}
