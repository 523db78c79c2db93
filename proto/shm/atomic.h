/* SPDX-License-Identifier: MIT */
#ifndef HAK_SHM_ATOMIC_H
#define HAK_SHM_ATOMIC_H

/*
 * The only place where the project touches <stdatomic.h>.
 *
 * Each operation carries its order in its name, so that a reader of a call
 * sees the order, and a reader of this page sees which orders exist. The only
 * seq_cst is a fence, for the crossings (crossing.h has the Dekker argument).
 * Each use of a release, an acquire or both names its partner by a comment
 * [order:tag]; docs/memory-model.md lists the tags, tests/arch checks both.
 */

#include <stdatomic.h>
#include <stdint.h>

/* Words in shared memory, and private ones that threads share. */
typedef _Atomic uint64_t hak_u64;
typedef _Atomic uint32_t hak_u32;

/* A word that isn't lock-free would take a lock that a dead process keeps. */
_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2 && ATOMIC_INT_LOCK_FREE == 2,
	       "shared words must be lock-free");
_Static_assert(sizeof(hak_u64) == 8 && sizeof(hak_u32) == 4, "shared words must have no padding");

#define hak_load_relaxed(p)	atomic_load_explicit((p), memory_order_relaxed)
#define hak_load_acquire(p)	atomic_load_explicit((p), memory_order_acquire)
#define hak_store_relaxed(p, v) atomic_store_explicit((p), (v), memory_order_relaxed)
#define hak_store_release(p, v) atomic_store_explicit((p), (v), memory_order_release)

/* One half of a Dekker pair: a store before it is seen by who doesn't see what we load behind it. */
#ifndef __SANITIZE_THREAD__
#define hak_fence_seq_cst() atomic_thread_fence(memory_order_seq_cst)
#else
/* ThreadSanitizer knows no fences; where it runs, x86, a read-modify-write does as well. */
static inline void hak_fence_seq_cst(void)
{
	static hak_u32 word;

	atomic_fetch_add_explicit(&word, 0, memory_order_acq_rel);
}
#endif

/* Compare and swap: *expected is refreshed on failure (relaxed). Strong. */
#define hak_cas_acq_rel(p, expected, v)                                                     \
	atomic_compare_exchange_strong_explicit((p), (expected), (v), memory_order_acq_rel, \
						memory_order_relaxed)

/* Read-modify-write; each returns the value from before. */
#define hak_or_release(p, v)  atomic_fetch_or_explicit((p), (v), memory_order_release)
#define hak_and_acquire(p, v) atomic_fetch_and_explicit((p), (v), memory_order_acquire)
#define hak_and_acq_rel(p, v) atomic_fetch_and_explicit((p), (v), memory_order_acq_rel)
#define hak_add_relaxed(p, v) atomic_fetch_add_explicit((p), (v), memory_order_relaxed)
#define hak_sub_relaxed(p, v) atomic_fetch_sub_explicit((p), (v), memory_order_relaxed)

#endif
