/* SPDX-License-Identifier: MIT */
#ifndef HAK_SHM_REF_H
#define HAK_SHM_REF_H

/*
 * A ref: 64 bits that name a block in every process of its pool.
 *
 *   63            46 45      36 35                                  0
 *  +----------------+----------+-------------------------------------+
 *  |  incarnation   |  epoch   |  offset / 16 from the first         |
 *  |  of the block  |  of the  |  SuperSlab (1 TiB)                  |
 *  |  18 bits       |  slab    |                                     |
 *  +----------------+----------+-------------------------------------+
 *
 * The epoch of a slab is never 0, so 0 is no ref of any block: HAK_REF_NONE.
 */

#include <stdint.h>

#define HAK_REF_NONE	    UINT64_C(0)
#define HAK_REF_OFFSET_BITS 36
#define HAK_REF_EPOCH_BITS  10
#define HAK_REF_INC_BITS    18
#define HAK_REF_EPOCH_MAX   ((1u << HAK_REF_EPOCH_BITS) - 1)
#define HAK_REF_INC_MAX	    ((1u << HAK_REF_INC_BITS) - 1)

_Static_assert(HAK_REF_OFFSET_BITS + HAK_REF_EPOCH_BITS + HAK_REF_INC_BITS == 64,
	       "a ref fills its word");

static inline uint64_t hak_ref_make(uint64_t offset, unsigned epoch, unsigned inc)
{
	return offset >> 4 | (uint64_t)epoch << HAK_REF_OFFSET_BITS |
	       (uint64_t)inc << (HAK_REF_OFFSET_BITS + HAK_REF_EPOCH_BITS);
}

/* Bytes from the first SuperSlab. */
static inline uint64_t hak_ref_offset(uint64_t ref)
{
	return (ref & ((UINT64_C(1) << HAK_REF_OFFSET_BITS) - 1)) << 4;
}

static inline unsigned hak_ref_epoch(uint64_t ref)
{
	return (unsigned)(ref >> HAK_REF_OFFSET_BITS) & HAK_REF_EPOCH_MAX;
}

static inline unsigned hak_ref_inc(uint64_t ref)
{
	return (unsigned)(ref >> (HAK_REF_OFFSET_BITS + HAK_REF_EPOCH_BITS));
}

#endif
