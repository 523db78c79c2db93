/* SPDX-License-Identifier: MIT */
#ifndef HAK_SHM_CROSSING_H
#define HAK_SHM_CROSSING_H

/*
 * Crossing and grace: how a process touches words of a slab that it doesn't own,
 * and how the daemon knows that nobody does any more.
 *
 * | who                  | steps, in this order                                      |
 * |----------------------|-----------------------------------------------------------|
 * | a thread, crossing   | its counter odd; fence; load W; act if W allows; even     |
 * | the daemon, a grace  | W's change; fence; look at all counters; wait until each  |
 * |                      | that was odd has another value, or its client is dead     |
 *
 * Dekker: each side stores, then loads what the other stores. The fences leave one
 * of two: the thread sees the new W, and refuses; or the daemon sees the counter
 * odd, and waits. Without both of them each may miss the other's store.
 *
 * Killed in a crossing: the counter stays odd, and the client is dead, which ends
 * the grace. Stopped in one: a grace waits; nothing else does.
 *
 * | counter | who may write it        | meaning                                      |
 * |---------|-------------------------|----------------------------------------------|
 * | even    | its thread              | not in a crossing                            |
 * | odd     | its thread              | in one                                       |
 *
 * A client can lie here. It harms whoever shares its pool, as it can anyway.
 */

#include "proto/shm/stats.h"

/* The counter of a client's thread, 1 to HAK_CROSSINGS: a cache line each, then again from the first. */
static inline hak_u64 *hak_crossing_of(struct hak_client_area *area, uint32_t thread)
{
	uint32_t at = thread - 1, lines = HAK_CROSSINGS / 8;

	return &area->crossings[at % lines * 8 + at / lines];
}

/*
 * [order:crossing] The counter is odd for who doesn't see what we load from now on as it was.
 * Relaxed: the thread's own counter; the fence orders it.
 */
static inline void hak_crossing_begin(hak_u64 *counter)
{
	hak_store_relaxed(counter, hak_load_relaxed(counter) + 1);
	hak_fence_seq_cst();
}

/* [order:crossing] Release: who sees it even sees what we did in the crossing. */
static inline void hak_crossing_end(hak_u64 *counter)
{
	hak_store_release(counter, hak_load_relaxed(counter) + 1);
}

/* The daemon, between W's change and its looks at the counters; [order:crossing] the other half. */
static inline void hak_crossing_begin_grace(void)
{
	hak_fence_seq_cst();
}

/* [order:crossing] Acquire: what was done in the crossings that have ended is visible. */
static inline uint64_t hak_crossing_load(const hak_u64 *counter)
{
	return hak_load_acquire(counter);
}

#endif
