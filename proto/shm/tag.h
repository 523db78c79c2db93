/* SPDX-License-Identifier: MIT */
#ifndef HAK_SHM_TAG_H
#define HAK_SHM_TAG_H

/*
 * The tag of a block: who owns it, where that isn't the owner of its slab.
 *
 *   31            14 13              2 1     0
 *  +----------------+-----------------+-------+
 *  | inc 18         | holder 12       | state |
 *  +----------------+-----------------+-------+
 *
 * | state   | holder | whose block it is                                             |
 * |---------|--------|---------------------------------------------------------------|
 * | NONE    | 0      | the slab owner's, or nobody's if its bit is 1                 |
 * | OWNED   | X      | X's                                                           |
 * | FREEING | X      | X is freeing it: only X, or the scan for X, may set the bit   |
 * | FREED   | 0      | its owner died: only the scan of its slab may set the bit     |
 *
 *            take, publish, withdraw
 *          +-------------------------+             free by its holder
 *          v                         |            +-----------------------> FREEING
 *   NONE ----> OWNED (X) --> OWNED (Y)            |                            |
 *    | ^ ^        |  own slab: free |             |                            |
 *    | | +--------+<----------------+-------------+                            |
 *    | +------------------- claim (its bit is 1) <-----------------------------+
 *    |                                    ^
 *    +--> FREEING (free by another)       |
 *    +--> FREED (scan of a dead owner's slab; from OWNED by the dead too) -----+
 *
 * Every arrow is one compare and swap of the whole word, and each but those to
 * FREEING by the holder and to FREED has inc + 1, which voids all refs that were
 * made of the block before. inc is only compared, never ordered; it wraps.
 * docs/recovery.md has the protocol, and what remains if the maker dies.
 *
 * Only a slab whose W says TAGGED has tags; elsewhere they are all 0.
 */

#include <stdbool.h>
#include <stdint.h>

#include "proto/shm/atomic.h"
#include "proto/shm/ref.h"

enum hak_tag_state {
	HAK_TAG_NONE = 0, /* a fresh, sparse segment is all NONE, inc 0 */
	HAK_TAG_OWNED = 1,
	HAK_TAG_FREEING = 2,
	HAK_TAG_FREED = 3,
};

#define HAK_TAG_HOLDER_SHIFT 2
#define HAK_TAG_INC_SHIFT    14

_Static_assert(HAK_TAG_INC_SHIFT + HAK_REF_INC_BITS == 32, "a tag fills its word");

static inline uint32_t hak_tag_pack(enum hak_tag_state state, unsigned holder, unsigned inc)
{
	return (uint32_t)state | (uint32_t)holder << HAK_TAG_HOLDER_SHIFT |
	       (uint32_t)(inc & HAK_REF_INC_MAX) << HAK_TAG_INC_SHIFT;
}

static inline enum hak_tag_state hak_tag_state(uint32_t tag)
{
	return (enum hak_tag_state)(tag & 3);
}

static inline unsigned hak_tag_holder(uint32_t tag)
{
	return tag >> HAK_TAG_HOLDER_SHIFT & 0xfff;
}

static inline unsigned hak_tag_inc(uint32_t tag)
{
	return tag >> HAK_TAG_INC_SHIFT;
}

static inline bool hak_tag_is_held(uint32_t tag, unsigned holder)
{
	return (tag & ((UINT32_C(1) << HAK_TAG_INC_SHIFT) - 1)) ==
	       hak_tag_pack(HAK_TAG_OWNED, holder, 0);
}

/* [order:tag] What was done to the block by who moved the tag here is visible. */
static inline uint32_t hak_tag_load(const hak_u32 *tag)
{
	return hak_load_acquire(tag);
}

/*
 * All below: [order:tag] each CAS is acquire and release, so every owner sees
 * what those before it did to the block. A false has changed nothing.
 */

/* The thread in W, before it claims the bit, which is 1: NONE, inc + 1, if it is anything else. */
void hak_tag_clear(hak_u32 *tag);

/*
 * A thread of the slab's owner frees the block: NONE or OWNED by owner -> NONE,
 * inc + 1. False: it is somebody else's.
 */
bool hak_tag_free_local(hak_u32 *tag, unsigned owner);

/* The holder frees it: OWNED -> FREEING. False: it is not the holder's. */
bool hak_tag_free_held(hak_u32 *tag, unsigned holder);

/*
 * A process that is not the slab's owner frees a block that has no holder, and
 * of which it knows the inc: NONE -> FREEING, inc + 1. In a crossing. False: it has a holder, or
 * was freed, or given out anew.
 */
bool hak_tag_free_foreign(hak_u32 *tag, unsigned holder, unsigned inc);

/*
 * Takes the block by a ticket: NONE or OWNED, with the ticket's inc -> OWNED by
 * holder, inc + 1. In a crossing, or by the slab's owner, or by the daemon for
 * ROOT. False: the ticket is void, or ROOT owns the block.
 */
bool hak_tag_take(hak_u32 *tag, unsigned holder, unsigned inc);

/* The daemon: OWNED by ROOT -> OWNED by holder, inc + 1. False: it was not ROOT's. */
bool hak_tag_withdraw(hak_u32 *tag, unsigned holder);

/*
 * A thread of the slab's owner has changed what the block is (its size): its refs are void.
 * NONE or OWNED by owner -> the same, inc + 1. False: it is somebody else's.
 */
bool hak_tag_revoke(hak_u32 *tag, unsigned owner);

/*
 * The scan of a dead owner's slab, of a block whose bit is 0: NONE or OWNED by
 * owner -> FREED. True: it is FREED, or was FREEING by owner: its bit is to be set. False: it
 * survives, as does one that somebody writes all the time.
 */
bool hak_tag_scan_own(hak_u32 *tag, unsigned owner);

/*
 * The scan for a dead holder, of a block whose bit was seen 0 before: OWNED by
 * it -> FREEING. True: it is FREEING by holder, its bit is to be set. False: likewise.
 */
bool hak_tag_scan_held(hak_u32 *tag, unsigned holder);

#endif
