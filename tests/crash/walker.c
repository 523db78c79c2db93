/* SPDX-License-Identifier: MIT */
/*
 * A walker makes blocks, fills them, gives or lends them to the other walker through a ring, checks
 * and frees what comes from there, and deals with the victim: it lends, borrows, gives and takes.
 * Bursts of that alternate with naps so short that the daemon and the other walker get the processor.
 *
 * Nobody may use what a dead process has lent. The tracer therefore tells before it kills
 * (closing), while the victim is stopped at its last instruction: the walker forgets what it has
 * borrowed. What it has freed of it may still wait to be flushed. Takes need no such care: they go
 * on all the time, while the victim dies and while it is reclaimed.
 *
 * Tickets are tried again much later: each is void for ever once it was used, or its block's owner
 * has died.
 */
#include "tests/crash/walker.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "client_lib/flush.h"
#include "tests/crash/world.h"
#include "tests/support/process.h"
#include "tests/support/random.h"

#define LIVE_MAX  64u
#define LIMBO_MAX 64u
#define KEPT_MAX  16u
#define USED_MAX  256u /* void tickets that are tried again */
#define BURST	  50u  /* steps between two naps */
#define NAP_NS	  50000

struct walker {
	unsigned self;
	struct hakt_walker_state *state;
	struct hakt_ring *in, *out;
	uint64_t random;
	uint32_t life;	 /* of the victim that is dealt with */
	uint32_t buried; /* the last one that was settled */
	uint32_t phase;	 /* number of the one that is being done */
	unsigned n_live;
	struct hakt_thing live[LIVE_MAX];
	bool is_freed[HAKT_PARCELS]; /* the block of a loan came back to us as a new one */
	unsigned n_limbo;
	struct hakt_thing limbo[LIMBO_MAX];
	unsigned n_kept;
	struct hakt_thing kept[KEPT_MAX]; /* what the victim of the moment gave */
	unsigned n_used;
	hakmem_ref_t used[USED_MAX];
};

static void nap(void)
{
	const struct timespec t = {.tv_nsec = NAP_NS};

	nanosleep(&t, NULL);
}

static uint64_t below(struct walker *w, uint64_t n)
{
	return hakt_random(&w->random) % n;
}

/* Most are small; few are spans, very few huge. */
static uint64_t some_size(struct walker *w)
{
	uint64_t dice = below(w, 20000);

	if (dice == 0)
		return 2100000 + below(w, 2000000);
	if (dice < 200)
		return 33000 + below(w, 300000);
	if (dice < 2000)
		return 1024 + below(w, 31000);
	return 16 + below(w, 1000);
}

static void *look_at(const struct hakt_thing *thing)
{
	void *block = hakmem_ptr(thing->name);

	HAKT_EXPECT(block);
	HAKT_EXPECT(hakt_thing_is_whole(block, thing));
	return block;
}

/* A ticket that must be void from now on. */
static void remember(struct walker *w, hakmem_ref_t ref)
{
	w->used[w->n_used++ % USED_MAX] = ref;
}

static void try_again(struct walker *w)
{
	unsigned n = w->n_used < USED_MAX ? w->n_used : USED_MAX;
	void *block;

	if (n > 0)
		HAKT_EXPECT(hakmem_take(w->used[below(w, n)], &block) == -ESTALE);
}

/* Takes a gift; false: somebody was faster, or its owner has died. */
static bool take(struct walker *w, struct hakt_thing *thing)
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
	HAKT_EXPECT(look_at(thing) == block);
	return true;
}

/* The same block, whoever had it in between. */
static bool is_same(hakmem_ref_t a, hakmem_ref_t b)
{
	return hak_ref_offset(a) == hak_ref_offset(b) && hak_ref_epoch(a) == hak_ref_epoch(b);
}

/* What we get was free: a victim that is dying or dead has freed it. */
static void strike_out(struct walker *w, hakmem_ref_t ref)
{
	for (unsigned i = 0; i < HAKT_PARCELS; i++)
		w->is_freed[i] |= is_same(w->state->to_victim[i].thing.name, ref);
	for (unsigned i = 0; i < w->n_limbo; i++)
		if (is_same(w->limbo[i].name, ref))
			w->limbo[i--] = w->limbo[--w->n_limbo];
}

/*
 * Frees what dead victims were about to free and didn't. With nothing in our caches a bit says
 * whether a block is free, and what we were given since is no longer listed.
 */
static void settle_limbo(struct walker *w)
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

/* A new block of ours; false: there is no memory now. */
static bool make(struct walker *w, uint64_t size, struct hakt_thing *ret_thing)
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

static void refill(struct walker *w, void *block, struct hakt_thing *thing)
{
	thing->seed = hakt_random(&w->random);
	hakt_thing_fill(block, thing);
}

static void keep(struct walker *w, const struct hakt_thing *thing)
{
	w->live[w->n_live++] = *thing;
}

static struct hakt_thing lose(struct walker *w)
{
	unsigned at = (unsigned)below(w, w->n_live);
	struct hakt_thing thing = w->live[at];

	w->live[at] = w->live[--w->n_live];
	return thing;
}

static void receive(struct walker *w)
{
	struct hakt_ring *in = w->in;
	uint64_t n = hak_load_relaxed(&in->n_got);
	struct hakt_thing thing;
	void *block;

	/* Acquire: the thing, and what is in its block. */
	if (hak_load_acquire(&in->n_put) == n)
		return;
	thing = in->things[n % HAKT_RING];
	hak_store_release(&in->n_got, n + 1); /* its place may be used again */
	if (thing.ref)
		HAKT_EXPECT(take(w, &thing));
	block = look_at(&thing);
	hakt_add(&w->state->n_hops, 1);
	if (w->n_live == LIVE_MAX || below(w, 2) || hakt_get(&hakt_world->phase) != w->phase) {
		hakmem_free(block);
		return;
	}
	refill(w, block, &thing);
	keep(w, &thing);
}

static void pass_on(struct walker *w)
{
	struct hakt_ring *out = w->out;
	uint64_t n = hak_load_relaxed(&out->n_put);
	struct hakt_thing *thing = &out->things[n % HAKT_RING];
	void *block;

	/* Acquire: the receiver has read what stood there. */
	if (w->n_live == 0 || n - hak_load_acquire(&out->n_got) == HAKT_RING)
		return;
	*thing = lose(w);
	block = look_at(thing);
	/* What was lent to us is lent on. Small ones are lent, so that there are slabs without tags. */
	if (thing->was_taken ||
	    (thing->size > 256 && hakmem_owner(block, NULL) == HAKMEM_OWNER_SELF))
		HAKT_EXPECT(hakt_thing_give(thing));
	hak_store_release(&out->n_put, n + 1);
}

static void free_one(struct walker *w)
{
	struct hakt_thing thing;

	if (w->n_live == 0)
		return;
	thing = lose(w);
	hakmem_free(look_at(&thing));
}

static void make_one(struct walker *w)
{
	struct hakt_thing thing;

	if (w->n_live < LIVE_MAX && make(w, some_size(w), &thing))
		keep(w, &thing);
}

/* Sizes that a victim gets: some of each path of its frees. From 1000 on the slabs have tags. */
static uint64_t lent_size(unsigned at)
{
	static const uint64_t sizes[HAKT_PARCELS] = {48,   48,	  200,	 1000,
						     5000, 30000, 70000, 2200000};

	return sizes[at];
}

/* Parcels of ours: lends what is missing, takes back what was returned. */
static void lend(struct walker *w)
{
	for (unsigned i = 0; i < HAKT_PARCELS; i++) {
		struct hakt_parcel *parcel = &w->state->to_victim[i];

		switch ((enum hakt_parcel_state)hakt_get(&parcel->state)) {
		case HAKT_EMPTY:
			if (!make(w, lent_size(i), &parcel->thing))
				break;
			w->is_freed[i] = false;
			if (lent_size(i) >= 1000 && lent_size(i) != 70000)
				HAKT_EXPECT(hakmem_ref(hakmem_ptr(parcel->thing.name)));
			hakt_set(&parcel->state, HAKT_GIVEN);
			break;
		case HAKT_RETURNED:
			refill(w, look_at(&parcel->thing), &parcel->thing);
			hakt_add(&w->state->n_hops, 1);
			hakt_set(&parcel->state, HAKT_GIVEN);
			break;
		default:
			break;
		}
	}
}

/* The victim's parcels. */
static void borrow(struct walker *w)
{
	for (unsigned i = 0; i < HAKT_PARCELS; i++) {
		struct hakt_parcel *parcel = &w->state->from_victim[i];
		void *block;

		if (hakt_get(&parcel->state) != HAKT_GIVEN)
			continue;
		block = look_at(&parcel->thing);
		hakt_add(&w->state->n_hops, 1);
		if (parcel->wish == HAKT_FREE_AT_ONCE) {
			hakmem_free(block);
			hakc_flush_outgoing(hakc_self);
			hakt_set(&parcel->state, HAKT_FREED);
			continue;
		}
		refill(w, block, &parcel->thing);
		hakt_set(&parcel->state, HAKT_RETURNED);
	}
}

/* Sizes of gifts: a block of each kind. */
static uint64_t given_size(unsigned at)
{
	static const uint64_t sizes[HAKT_GIFTS] = {300, 6000, 90000, 2300000};

	return sizes[at];
}

static void give(struct walker *w)
{
	for (unsigned i = 0; i < HAKT_GIFTS; i++) {
		struct hakt_parcel *parcel = &w->state->gifts_to[i];

		if (hakt_get(&parcel->state) != HAKT_EMPTY ||
		    !make(w, given_size(i), &parcel->thing))
			continue;
		if (hakt_thing_give(&parcel->thing))
			hakt_set(&parcel->state, HAKT_GIVEN);
		else
			hakmem_free(look_at(&parcel->thing));
	}
}

/*
 * Kept until the victim is dead: frees would raise hints at any moment, and no victim would go
 * the way that was recorded.
 */
static void mix_kept(struct walker *w)
{
	while (w->n_kept > 0) {
		const struct hakt_thing *thing = &w->kept[--w->n_kept];

		if (w->n_live < LIVE_MAX)
			keep(w, thing);
		else
			hakmem_free(look_at(thing));
	}
}

/*
 * What the victim gives. A gift of one that lives is to be had, unless it takes it back itself; when
 * is_buried, it has died with what was not taken.
 */
static void accept(struct walker *w, bool is_buried)
{
	for (unsigned i = 0; i < HAKT_GIFTS; i++) {
		struct hakt_parcel *parcel = &w->state->gifts_from[i];
		struct hakt_thing thing;

		if (hakt_get(&parcel->state) != HAKT_GIVEN)
			continue;
		thing = parcel->thing;
		if (take(w, &thing)) {
			HAKT_EXPECT(!is_buried);
			hakt_add(&w->state->n_orphans, 1);
			if (w->n_kept < KEPT_MAX)
				w->kept[w->n_kept++] = thing;
			else
				hakmem_free(look_at(&thing));
		} else {
			HAKT_EXPECT(parcel->wish == HAKT_MAY_BE_REVOKED ||
				    hakt_get(&hakt_world->closing) == w->life);
		}
		hakt_set(&parcel->state, HAKT_EMPTY);
	}
}

/* Gifts that a victim was about to take: it had, and they are gone with it, or they are ours. */
static void take_back_gifts(struct walker *w)
{
	for (unsigned i = 0; i < HAKT_GIFTS; i++) {
		struct hakt_parcel *parcel = &w->state->gifts_to[i];

		if (hakt_get(&parcel->state) == HAKT_HELD) {
			if (take(w, &parcel->thing))
				hakmem_free(look_at(&parcel->thing));
			hakt_set(&parcel->state, HAKT_EMPTY);
		}
	}
}

/* The victim is about to die: nothing that it has lent is touched from here on. */
static void close_with(struct walker *w, uint32_t life)
{
	for (unsigned i = 0; i < HAKT_PARCELS; i++)
		hakt_set(&w->state->from_victim[i].state, HAKT_EMPTY);
	hakt_set(&w->state->closed, life);
}

/* What the dead held of ours is ours; what it may have freed, nobody knows. */
static void settle(struct walker *w, uint32_t life)
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
	if (w->n_limbo + HAKT_PARCELS > LIMBO_MAX / 2)
		settle_limbo(w);
	lend(w);
	give(w);
	w->buried = life;
	hakt_set(&w->state->settled, life);
}

/* What the tracer wants; then the victim's parcels. */
static void attend(struct walker *w)
{
	uint32_t closing = hakt_get(&hakt_world->closing), buried = hakt_get(&hakt_world->buried);

	if (closing != hakt_get(&w->state->closed))
		close_with(w, closing);
	if (buried != w->buried)
		settle(w, buried);
	w->life = hakt_get(&hakt_world->life);
	if (w->life != buried)
		accept(w, false);
	if (w->life == closing)
		return; /* there is none, or none for long */
	lend(w);
	give(w);
	borrow(w);
}

static void walk(struct walker *w)
{
	for (unsigned i = 0; i < BURST; i++) {
		switch (below(w, 4)) {
		case 0:
			make_one(w);
			break;
		case 1:
			free_one(w);
			break;
		case 2:
			pass_on(w);
			break;
		case 3:
			receive(w);
			break;
		}
		if (i % 8 == 0)
			attend(w);
		if (i % 8 == 4)
			try_again(w);
	}
	hakt_add(&w->state->progress, 1);
	nap();
}

/* No victim is alive. Everything goes; the other walker may still send. */
static void drain(struct walker *w)
{
	receive(w);
	while (w->n_live > 0)
		free_one(w);
	for (unsigned i = 0; i < HAKT_PARCELS; i++) {
		struct hakt_parcel *parcel = &w->state->to_victim[i];

		if (hakt_get(&parcel->state) == HAKT_EMPTY)
			continue;
		hakmem_free(look_at(&parcel->thing));
		hakt_set(&parcel->state, HAKT_EMPTY);
	}
	for (unsigned i = 0; i < HAKT_GIFTS; i++) {
		struct hakt_parcel *parcel = &w->state->gifts_to[i];

		if (hakt_get(&parcel->state) == HAKT_EMPTY)
			continue;
		HAKT_EXPECT(take(w, &parcel->thing)); /* revoked */
		hakmem_free(look_at(&parcel->thing));
		hakt_set(&parcel->state, HAKT_EMPTY);
	}
	settle_limbo(w);
	hakc_flush_outgoing(hakc_self);
}

static void tell(struct walker *w)
{
	struct hakmem_stats stats;

	HAKT_EXPECT(hakmem_trim() == 0);
	HAKT_EXPECT(hakmem_stats(&stats, sizeof(stats)) == 0);
	hak_store_relaxed(&w->state->n_live, stats.live_blocks); /* `done` publishes them */
	hak_store_relaxed(&w->state->n_superslabs, stats.superslabs);
	hak_store_relaxed(&w->state->n_refused, stats.refused_frees);
}

static void begin_phase(struct walker *w, enum hakt_phase phase)
{
	switch (phase) {
	case HAKT_PHASE_WALK:
		HAKT_EXPECT(hakmem_attach(NULL) == 0);
		w->n_used = 0;
		lend(w);
		give(w);
		break;
	case HAKT_PHASE_DRAIN:
		while (hak_load_acquire(&w->in->n_put) != hak_load_relaxed(&w->in->n_got))
			drain(w);
		drain(w);
		break;
	case HAKT_PHASE_TRIM:
		tell(w);
		break;
	case HAKT_PHASE_LEAVE:
		HAKT_EXPECT(hakmem_detach() == 0);
		break;
	default:
		break;
	}
	hakt_set(&w->state->done, w->phase);
}

static void live(struct walker *w)
{
	for (;;) {
		uint32_t phase = hakt_get(&hakt_world->phase);
		enum hakt_phase kind = (enum hakt_phase)(phase % HAKT_PHASES);

		if (phase != w->phase) {
			w->phase = phase;
			begin_phase(w, kind);
		}
		if (kind == HAKT_PHASE_END)
			_exit(0);
		if (kind == HAKT_PHASE_WALK)
			walk(w);
		else if (kind == HAKT_PHASE_DRAIN)
			drain(w), nap();
		else
			nap();
	}
}

pid_t hakt_walker_start(unsigned self, uint64_t seed)
{
	pid_t parent = getpid();
	pid_t pid = fork();
	struct walker w = {.self = self,
			   .state = &hakt_world->walkers[self],
			   .in = &hakt_world->rings[self],
			   .out = &hakt_world->rings[1 - self],
			   .random = seed + self};

	if (pid != 0)
		return pid;
	hakt_process_die_with(parent);
	prctl(PR_SET_NAME, "walker");
	prctl(PR_SET_TIMERSLACK, 1);
	/* The daemon comes first. */
	setpriority(PRIO_PROCESS, 0, 5);
	live(&w);
	_exit(0);
}
