/* SPDX-License-Identifier: MIT */
#ifndef HAKT_CUT_H
#define HAKT_CUT_H

/*
 * Before everything else of a source file (-include): calls hakt_cut() before each of
 * its accesses that others see, so that a test may end it there, as a SIGKILL would, and
 * hakt_look() before each of its loads, so that a test may do something in between.
 */

#include "proto/shm/atomic.h"

/* The test's. */
void hakt_cut(void);
void hakt_look(void);

#undef hak_load_acquire
#undef hak_store_release
#undef hak_cas_acq_rel
#undef hak_or_release
#undef hak_and_acq_rel

#define hak_load_acquire(p)	(hakt_look(), atomic_load_explicit((p), memory_order_acquire))
#define hak_store_release(p, v) (hakt_cut(), atomic_store_explicit((p), (v), memory_order_release))
#define hak_cas_acq_rel(p, expected, v)                       \
	(hakt_cut(), atomic_compare_exchange_strong_explicit( \
			     (p), (expected), (v), memory_order_acq_rel, memory_order_relaxed))
#define hak_or_release(p, v) (hakt_cut(), atomic_fetch_or_explicit((p), (v), memory_order_release))
#define hak_and_acq_rel(p, v) \
	(hakt_cut(), atomic_fetch_and_explicit((p), (v), memory_order_acq_rel))

#endif
