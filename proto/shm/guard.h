/* SPDX-License-Identifier: MIT */
#ifndef HAK_SHM_GUARD_H
#define HAK_SHM_GUARD_H

/*
 * What stands behind a block of a GUARDED slab or span, so that who frees it, in whichever
 * process, finds out that somebody wrote past its end.
 *
 *   0                 asked            asked + 16          bytes - 8           bytes
 *   +-----------------+----------------+- - - - - - - - - -+-------------------+
 *   | the caller's    | tail           | not looked at     | seal: slack, hash |
 *   +-----------------+----------------+- - - - - - - - - -+-------------------+
 *
 * slack, the upper 24 bits of the seal, is how far the seal is from what was asked for; so what may
 * be used of the block is known to all, and is what was asked for. The lower 40 bits are
 * a hash of the block's offset, the slack and the segment's UUID; the tail, where there is room for
 * it, repeats their bytes. None of them is 0: a string's end that has no room is noticed.
 *
 * GUARDED is the whole rule: every block that is given out of such a slab has a guard, of no other
 * slab any has. The owner sets it, and alone gives out blocks. An heir may be one that knows
 * nothing of guards, so inheriting ends it; who holds blocks by then has room that nobody checks.
 *
 * | operation | who may                                   | killed half way              |
 * |-----------|-------------------------------------------|------------------------------|
 * | set       | who owns the block, before it is used, or | the block is its owner's, or |
 * |           | when its size changes                     | another's who lent it: told  |
 * | holds     | who frees or resizes it                   | -                            |
 * | usable    | anybody                                   | -                            |
 *
 * Who can write to the pool can forge one: it finds mistakes, it keeps nobody out.
 */

#include "proto/shm/segment.h"

#define HAK_GUARD_BYTES	    8u
#define HAK_GUARD_TAIL	    16u
#define HAK_GUARD_SLACK_MAX UINT64_C(0xffffff)

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the seal begins with its hash");

/* Below: of a location that is a block. */

static inline bool hak_guard_is_there(const struct hak_location *l)
{
	return (l->word & HAK_SLAB_GUARDED) != 0;
}

/* Bytes that the block's user may use; where the seal is broken, those before it. */
uint64_t hak_guard_usable(const struct hak_segment *segment, const struct hak_location *l);

/* size + HAK_GUARD_BYTES fit into the block. Does nothing where the slab isn't GUARDED. */
void hak_guard_set(const struct hak_segment *segment, const struct hak_location *l, uint64_t size);

/* False: somebody wrote behind the block. True where the slab isn't GUARDED. */
bool hak_guard_holds(const struct hak_segment *segment, const struct hak_location *l);

#endif
