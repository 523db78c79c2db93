/* SPDX-License-Identifier: MIT */
/*
 * Time goes by in slices, an eighth of keep_ms each. In each that sees a slow path, every thread
 * that takes one empties its caches into its slabs; its empty slabs, and those of threads that
 * have ended, become unused slots; and one thread of them gives to the daemon what has not been
 * needed for eight slices:
 *
 * | what lies where                   | how it leaves                       | slices, at most |
 * |-----------------------------------|-------------------------------------|-----------------|
 * | magazines, kept spans, outgoing   | into slabs, unused slots            | 2               |
 * | slabs that others freed into      | their hints are taken               | 1               |
 * | EMPTY and empty current slabs     | unused slots                        | 1               |
 * | caches and slabs of ended threads | likewise, if idle for a whole slice | 2               |
 * | what was asked ahead and has come | stock                               | 2               |
 * | stock                             | the least that there was in eight   | 9               |
 * |                                   | slices goes to the daemon           |                 |
 * | kept runs                         | those kept for eight slices do      | 9               |
 *
 * So nothing goes to the daemon that was needed meanwhile. What caches were emptied of may be more
 * than the stock's bound: it is `spare`, and ages like the rest.
 *
 * Eight times in a slice a thread empties what it uses little: blocks that are freed and allocated
 * again and again pass by its magazine only, and would hold their slabs for ever. New blocks
 * come from the lowest slabs, so that those above get empty.
 *
 * A thread that allocates little may never leave its magazines. So threads are watched: every small
 * allocation takes the slow entry and looks at the clock. Each such look costs a credit, of which
 * there are CREDIT_MS a millisecond: less than a thousandth of the thread's time. Without credit
 * it is not watched until it has taken a slow path and has some again.
 */
#include "client_lib/decay.h"

#include <errno.h>
#include <time.h>

#include "client_lib/alloc.h"
#include "client_lib/flush.h"
#include "client_lib/session.h"

#define TICKS	     8u /* of a slice */
#define CREDIT_MS    16u
#define CREDIT_MAX   4096u
#define CREDIT_LEAST 128u /* to begin with */

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* Its number; never so low that there were no slices before. */
static uint64_t tick_of(uint64_t ms, uint64_t keep_ms)
{
	uint64_t n = HAKC_SLICES * TICKS; /* of keep_ms */

	return 2 * n + ms / (keep_ms < n ? 1 : keep_ms / n);
}

/* Another keep_ms than before: everything is as if it had come just now. */
static void restart(struct hakc_heap *heap, uint64_t keep_ms, uint64_t slice)
{
	heap->decay = (struct hakc_decay){.keep_ms = keep_ms, .slice = slice};
	heap->stock_low = heap->n_stock;
	for (uint32_t i = 0; i < HAKC_HUGE_KEPT; i++)
		heap->huge[i].slice = slice;
}

/* The slice that was the current one has ended, and all up to this one; what was not needed goes. */
static void advance(struct hakc_heap *heap, uint64_t slice)
{
	struct hakc_decay *d = &heap->decay;
	uint64_t n_quiet = slice - d->slice - 1;
	uint32_t due = UINT32_MAX;

	d->low[d->slice % HAKC_SLICES] = heap->stock_low;
	for (uint64_t i = 1; i <= n_quiet && i <= HAKC_SLICES; i++)
		d->low[(d->slice + i) % HAKC_SLICES] = heap->n_stock;
	for (unsigned i = 0; i < HAKC_SLICES; i++)
		due = d->low[i] < due ? d->low[i] : due;
	for (unsigned i = 0; i < HAKC_SLICES; i++)
		d->low[i] -= due;
	d->slice = slice;
	hakc_heap_return_runs(heap, slice - HAKC_SLICES);
	hakc_heap_return_stock(heap, heap->n_stock - due);
	heap->stock_max = heap->stock_max > HAKC_STOCK_FIRST + due ? heap->stock_max - due
								   : HAKC_STOCK_FIRST;
	if (heap->is_asked && d->ahead_id == heap->asked_id)
		hakc_session_take_ahead(heap, false);
	d->ahead_id = heap->is_asked ? heap->asked_id : 0;
	heap->stock_low = heap->n_stock;
}

/* The process's part of a slice; what caches give from now on is spare. */
static void begin(struct hakc_heap *heap, uint64_t keep_ms, uint64_t slice)
{
	pthread_mutex_lock(&heap->lock);
	if (heap->decay.keep_ms != keep_ms)
		restart(heap, keep_ms, slice);
	else if (slice > heap->decay.slice) /* else another thread was here */
		advance(heap, slice);
	heap->decay.spare = HAKC_STOCK_MAX;
	pthread_mutex_unlock(&heap->lock);
}

static void end(struct hakc_heap *heap)
{
	uint32_t more;

	pthread_mutex_lock(&heap->lock);
	more = heap->n_stock > heap->stock_max ? heap->n_stock - heap->stock_max : 0;
	heap->decay.spare = more < HAKC_STOCK_MAX ? more : HAKC_STOCK_MAX;
	pthread_mutex_unlock(&heap->lock);
}

static void pass(struct hakc_thread *t, uint64_t keep_ms, uint64_t slice)
{
	begin(t->heap, keep_ms, slice);
	hakc_flush_unused(t, true);
	hakc_thread_plunder_idle(t->heap, slice - 1);
	hakc_alloc_take_hints(t);
	hakc_flush_empty(t, true);
	hakc_alloc_choose_lowest(t);
	end(t->heap);
}

void hakc_decay_give_all(struct hakc_thread *t, bool waits)
{
	struct hakc_heap *heap = t->heap;

	hakc_alloc_scrape(t);
	pthread_mutex_lock(&heap->lock);
	hakc_session_take_ahead(heap, waits);
	hakc_heap_return_stock(heap, 0);
	heap->stock_max = HAKC_STOCK_FIRST;
	heap->decay.spare = 0;
	pthread_mutex_unlock(&heap->lock);
}

static void change_watch(struct hakc_thread *t, uint64_t now)
{
	struct hakc_thread_decay *d = &t->decay;
	uint64_t credit = d->credit + (now - d->credit_at) * CREDIT_MS;

	d->credit = (uint32_t)(credit < CREDIT_MAX ? credit : CREDIT_MAX);
	d->credit_at = now;
	if (d->is_watched ? d->credit == 0 : d->credit >= CREDIT_LEAST)
		hakc_thread_watch(t, !d->is_watched);
}

void hakc_decay_look(struct hakc_thread *t)
{
	const struct hak_registry *header = t->heap->segment.header;
	uint64_t asked = hak_load_relaxed(&header->asked); /* as in hakc_decay_check */
	uint64_t keep_ms = hak_load_relaxed(&header->keep_ms);
	uint64_t now, tick;
	int saved = errno;

	if (asked != t->decay.asked) {
		t->decay.asked = asked;
		hakc_decay_give_all(t, false);
	}
	if (keep_ms != 0) {
		now = now_ms();
		tick = tick_of(now, keep_ms);
		if (tick / TICKS != t->decay.tick / TICKS)
			pass(t, keep_ms, tick / TICKS);
		else if (tick != t->decay.tick)
			hakc_flush_unused(t, false);
		t->decay.tick = tick;
		change_watch(t, now);
	} else if (t->decay.is_watched) {
		hakc_thread_watch(t, false);
	}
	errno = saved;
}

void hakc_decay_watch(struct hakc_thread *t)
{
	t->decay.credit -= t->decay.credit > 0;
	hakc_decay_look(t);
}
