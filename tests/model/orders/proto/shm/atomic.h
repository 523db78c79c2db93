/* SPDX-License-Identifier: MIT */
#ifndef HAK_SHM_ATOMIC_H
#define HAK_SHM_ATOMIC_H

/*
 * Stands in for proto/shm/atomic.h, so that the real transitions run in the explorer: each access
 * is a step of it. A word is a plain integer here, which holds the latest value.
 */

#include <stdbool.h>
#include <stdint.h>

#include "tests/model/orders/explore.h"

typedef uint64_t hak_u64;
typedef uint32_t hak_u32;

#define MODEL_CAS(p, expected, v, order)                                  \
	(sizeof(*(p)) == sizeof(*(expected))                              \
		 ? model_cas((p), (expected), sizeof(*(p)), (v), (order)) \
		 : (model_check(false, "a CAS of two sizes"), false))
#define MODEL_RMW(p, kind, v, order) model_rmw((p), sizeof(*(p)), (kind), (v), (order))

#define hak_load_relaxed(p)	 model_load((p), sizeof(*(p)), MODEL_RELAXED)
#define hak_load_acquire(p)	 model_load((p), sizeof(*(p)), MODEL_ACQUIRE)
#define hak_store_relaxed(p, v)	 model_store((p), sizeof(*(p)), (v), MODEL_RELAXED)
#define hak_store_release(p, v)	 model_store((p), sizeof(*(p)), (v), MODEL_RELEASE)
#define hak_fence_seq_cst()	 model_fence(true)
#define hak_cas_acq_rel(p, e, v) MODEL_CAS(p, e, v, MODEL_ACQ_REL)
#define hak_or_release(p, v)	 MODEL_RMW(p, MODEL_OR, v, MODEL_RELEASE)
#define hak_and_acquire(p, v)	 MODEL_RMW(p, MODEL_AND, v, MODEL_ACQUIRE)
#define hak_and_acq_rel(p, v)	 MODEL_RMW(p, MODEL_AND, v, MODEL_ACQ_REL)
#define hak_add_relaxed(p, v)	 MODEL_RMW(p, MODEL_ADD, v, MODEL_RELAXED)
#define hak_sub_relaxed(p, v)	 MODEL_RMW(p, MODEL_ADD, -(v), MODEL_RELAXED)

/* Weaker ones, which only mutations use. */
#define hak_fence_acq_rel()	 model_fence(false)
#define hak_fence_none()	 ((void)0)
#define hak_cas_relaxed(p, e, v) MODEL_CAS(p, e, v, MODEL_RELAXED)
#define hak_cas_acquire(p, e, v) MODEL_CAS(p, e, v, MODEL_ACQUIRE)
#define hak_cas_release(p, e, v) MODEL_CAS(p, e, v, MODEL_RELEASE)
#define hak_or_relaxed(p, v)	 MODEL_RMW(p, MODEL_OR, v, MODEL_RELAXED)
#define hak_and_relaxed(p, v)	 MODEL_RMW(p, MODEL_AND, v, MODEL_RELAXED)
#define hak_and_release(p, v)	 MODEL_RMW(p, MODEL_AND, v, MODEL_RELEASE)

#endif
