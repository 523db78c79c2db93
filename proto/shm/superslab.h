/* SPDX-License-Identifier: MIT */
#ifndef HAK_SHM_SUPERSLAB_H
#define HAK_SHM_SUPERSLAB_H

/*
 * The registry's word for a SuperSlab. Only the daemon writes it; clients map
 * it for reading. It alone decides who owns a SuperSlab.
 *
 *   63          40 39            16 15       4   3    2      0
 *  +--------------+----------------+----------+------+--------+
 *  | grant        | length (24)    | owner 12 | huge | state 3|
 *  | generation 24|                |          |      |        |
 *  +--------------+----------------+----------+------+--------+
 *
 * length: GRANTED the SuperSlabs of the run (1 unless huge), BODY the distance
 * to the head of the run.
 *
 *   FREE --grant--> GRANTED --collect--> RECLAIMING --done--> FREE
 *   FREE --grant--> BODY (before its head) ---done----------> FREE
 *              GRANTED <--inherit-- ORPHAN <--orphan-- RECLAIMING
 *                                     +----collect-----> RECLAIMING
 *   FREE --extend-> BODY (before its head's length)
 *                   BODY (after its head's length) --shorten-> RECLAIMING
 *                   BODY (that no head covers) --drop--> RECLAIMING
 *
 * RECLAIMING with owner 0: all its slab words are reset, it is FREE after a grace.
 * ORPHAN: its owner is dead, others hold blocks in it; owner 0. One that isn't
 * huge goes to the next client that asks for memory, as it is: ORPHAN with that owner, its heir,
 * from before its slab words name it until it is GRANTED.
 *
 * A run counts from its head: bodies whose head is FREE, or that lie behind its
 * length, are free too. So what commits is always one word, the head's.
 *
 * | move    | daemon killed before the head's word | after it                         |
 * |---------|--------------------------------------|----------------------------------|
 * | grant   | bodies without a head: nothing is    | all is granted                   |
 * |         | granted                              |                                  |
 * | extend  | bodies behind the run's length: it   | all is granted; the client may   |
 * |         | is what it was                       | not know, its block is as long   |
 * |         |                                      | as before                        |
 * | shorten | the run is what it was, no block in  | bodies behind the run's length:  |
 * |         | its end                              | free, their slots not yet reset: |
 * |         |                                      | dropped                          |
 * | orphan  | RECLAIMING: scanned again            | nobody's, blocks live on         |
 * | disown  | RECLAIMING: scanned again, which     | no scan is due any more, only a  |
 * |         | finds nothing                        | grace                            |
 * | inherit | nobody's, or it names the heir, as   | all is granted                   |
 * |         | slab words may, by which that may    |                                  |
 * |         | have acted: finished                 |                                  |
 */

#include <stdbool.h>
#include <stdint.h>

#include "proto/shm/atomic.h"

enum hak_superslab_state {
	HAK_SUPERSLAB_FREE = 0,
	HAK_SUPERSLAB_GRANTED = 1,
	HAK_SUPERSLAB_BODY = 2,
	HAK_SUPERSLAB_RECLAIMING = 3,
	HAK_SUPERSLAB_ORPHAN = 4,
};

#define HAK_SUPERSLAB_LG_MIN 20u
#define HAK_SUPERSLAB_LG_MAX 21u

#define HAK_SUPERSLAB_HUGE	   UINT64_C(0x8)
#define HAK_SUPERSLAB_OWNER_SHIFT  4
#define HAK_SUPERSLAB_LENGTH_SHIFT 16
#define HAK_SUPERSLAB_GRANT_SHIFT  40
#define HAK_SUPERSLAB_LENGTH_MAX   UINT32_C(0xffffff)
#define HAK_SUPERSLAB_GRANT_MAX	   UINT32_C(0xffffff)

static inline uint64_t hak_superslab_pack(enum hak_superslab_state state, bool huge, unsigned owner,
					  uint32_t length, uint32_t grant)
{
	return (uint64_t)state | (huge ? HAK_SUPERSLAB_HUGE : 0) |
	       (uint64_t)owner << HAK_SUPERSLAB_OWNER_SHIFT |
	       (uint64_t)length << HAK_SUPERSLAB_LENGTH_SHIFT |
	       (uint64_t)grant << HAK_SUPERSLAB_GRANT_SHIFT;
}

static inline enum hak_superslab_state hak_superslab_state(uint64_t s)
{
	return (enum hak_superslab_state)(s & 7);
}

static inline bool hak_superslab_is_huge(uint64_t s)
{
	return s & HAK_SUPERSLAB_HUGE;
}

static inline unsigned hak_superslab_owner(uint64_t s)
{
	return (unsigned)(s >> HAK_SUPERSLAB_OWNER_SHIFT) & 0xfff;
}

static inline uint32_t hak_superslab_length(uint64_t s)
{
	return (uint32_t)(s >> HAK_SUPERSLAB_LENGTH_SHIFT) & HAK_SUPERSLAB_LENGTH_MAX;
}

static inline uint32_t hak_superslab_grant(uint64_t s)
{
	return (uint32_t)(s >> HAK_SUPERSLAB_GRANT_SHIFT);
}

/*
 * The moves of a run of n SuperSlabs from its head's word on, for the daemon
 * alone. Each is done again from the start by a daemon that died in it.
 */

/* FREE -> GRANTED: bodies first, the head's word commits; the generation of the head goes on by 1. */
void hak_superslab_grant_run(hak_u64 *head, unsigned owner, bool huge, uint32_t n);

/* A huge run that is GRANTED gets n FREE ones behind it: bodies first, the head's length commits. */
void hak_superslab_extend_run(hak_u64 *head, uint32_t n);

/*
 * A huge run that is GRANTED is only `stay` long from now on, 1 at least: the head's length
 * commits. What was behind is then a run of its own, RECLAIMING.
 */
void hak_superslab_shorten_run(hak_u64 *head, uint32_t stay);

/* GRANTED or ORPHAN -> RECLAIMING: no one may use it, its slab words are being reset. */
void hak_superslab_begin_collect(hak_u64 *head);

/* RECLAIMING -> ORPHAN: its blocks that others hold stay; its words are nobody's. */
void hak_superslab_orphan(hak_u64 *head);

/* RECLAIMING, and nobody's: its slab words are reset, what it waits for is a grace. */
void hak_superslab_disown(hak_u64 *head);

/* ORPHAN, one that isn't huge: it is to be owner's. Then its slab words, then inherit. */
void hak_superslab_name_heir(hak_u64 *head, unsigned owner);

/* ORPHAN -> GRANTED, one that isn't huge; the generation goes on by 1. */
void hak_superslab_inherit(hak_u64 *head, unsigned owner);

/* RECLAIMING -> FREE: the head first, then the bodies. */
void hak_superslab_end_collect(hak_u64 *head);

/* BODY -> RECLAIMING, nobody's: one that no head covers, left by a daemon that died in a move. */
void hak_superslab_drop_body(hak_u64 *body);

#endif
