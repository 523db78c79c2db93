/* SPDX-License-Identifier: MIT */
/*
 * A walker makes blocks, fills them, gives or lends them to the other walker through a ring, checks
 * and frees what comes from there, and deals with the victim: it lends, borrows, gives and takes.
 * Bursts of that alternate with naps so short that the daemon and the other walker get the
 * processor.
 */
#include "tests/crash/walker.h"

#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "client_lib/flush.h"
#include "client_lib/thread.h"
#include "tests/crash/deal.h"
#include "tests/support/process.h"

#define BURST  50u /* steps between two naps */
#define NAP_NS 50000

static void nap(void)
{
	const struct timespec t = {.tv_nsec = NAP_NS};

	nanosleep(&t, NULL);
}

/* Most are small; few are spans, very few huge. */
static uint64_t some_size(struct hakt_stock *w)
{
	uint64_t dice = hakt_stock_below(w, 20000);

	if (dice == 0)
		return 2100000 + hakt_stock_below(w, 2000000);
	if (dice < 200)
		return 33000 + hakt_stock_below(w, 300000);
	if (dice < 2000)
		return 1024 + hakt_stock_below(w, 31000);
	return 16 + hakt_stock_below(w, 1000);
}

static void receive(struct hakt_stock *w)
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
		HAKT_EXPECT(hakt_stock_take(w, &thing));
	block = hakt_stock_look(&thing);
	hakt_add(&w->state->n_hops, 1);
	if (w->n_live == HAKT_LIVE_MAX || hakt_stock_below(w, 2) ||
	    hakt_get(&hakt_world->phase) != w->phase) {
		hakmem_free(block);
		return;
	}
	hakt_stock_refill(w, block, &thing);
	hakt_stock_keep(w, &thing);
}

static void pass_on(struct hakt_stock *w)
{
	struct hakt_ring *out = w->out;
	uint64_t n = hak_load_relaxed(&out->n_put);
	struct hakt_thing *thing = &out->things[n % HAKT_RING];
	void *block;

	/* Acquire: the receiver has read what stood there. */
	if (w->n_live == 0 || n - hak_load_acquire(&out->n_got) == HAKT_RING)
		return;
	*thing = hakt_stock_lose(w);
	block = hakt_stock_look(thing);
	/* What was lent to us is lent on. Small ones are lent, so that there are slabs without tags. */
	if (thing->was_taken ||
	    (thing->size > 256 && hakmem_owner(block, NULL) == HAKMEM_OWNER_SELF))
		HAKT_EXPECT(hakt_thing_give(thing));
	hak_store_release(&out->n_put, n + 1);
}

static void free_one(struct hakt_stock *w)
{
	struct hakt_thing thing;

	if (w->n_live == 0)
		return;
	thing = hakt_stock_lose(w);
	hakmem_free(hakt_stock_look(&thing));
}

static void make_one(struct hakt_stock *w)
{
	struct hakt_thing thing;

	if (w->n_live < HAKT_LIVE_MAX && hakt_stock_make(w, some_size(w), &thing))
		hakt_stock_keep(w, &thing);
}

static void walk(struct hakt_stock *w)
{
	for (unsigned i = 0; i < BURST; i++) {
		switch (hakt_stock_below(w, 4)) {
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
			hakt_deal_attend(w);
		if (i % 8 == 4)
			hakt_stock_try_again(w);
	}
	hakt_add(&w->state->progress, 1);
	nap();
}

/* No victim is alive. Everything goes; the other walker may still send. */
static void drain(struct hakt_stock *w)
{
	receive(w);
	while (w->n_live > 0)
		free_one(w);
	hakt_deal_end(w);
	hakt_stock_settle(w);
	hakc_flush_outgoing(hakc_self);
}

static void tell(struct hakt_stock *w)
{
	struct hakmem_stats stats;

	HAKT_EXPECT(hakmem_trim() == 0);
	HAKT_EXPECT(hakmem_stats(&stats, sizeof(stats)) == 0);
	hak_store_relaxed(&w->state->n_live, stats.live_blocks); /* `done` publishes them */
	hak_store_relaxed(&w->state->n_superslabs, stats.superslabs);
	hak_store_relaxed(&w->state->n_refused, stats.refused_frees);
}

static void begin_phase(struct hakt_stock *w, enum hakt_phase phase)
{
	switch (phase) {
	case HAKT_PHASE_WALK:
		HAKT_EXPECT(hakmem_attach(NULL) == 0);
		hakt_deal_begin(w);
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

static void live(struct hakt_stock *w)
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
	struct hakt_stock w = {.self = self,
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
