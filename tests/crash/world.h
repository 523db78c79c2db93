/* SPDX-License-Identifier: MIT */
#ifndef HAKT_CRASH_WORLD_H
#define HAKT_CRASH_WORLD_H

/*
 * Memory that the tracer, the walkers and the victim of the moment share, beside the pool: how
 * blocks travel, and how far everybody is. A victim can die between any two accesses to it, so
 * each of its words has one writer at a time and each parcel says by one word whose turn it is.
 *
 * A parcel is a block on its way between a walker and the victim: lent or given (hakmem.h).
 *
 * | state    | who moves it there     | the block                                            |
 * |----------|------------------------|------------------------------------------------------|
 * | EMPTY    | the walker             | none                                                 |
 * | GIVEN    | its maker              | filled; its receiver may look, or take               |
 * | HELD     | its receiver           | the receiver's to read and write; of a given one: it |
 * |          |                        | is about to be taken, or taken                       |
 * | RETURNED | its receiver           | lent: filled anew; its maker may look                |
 * | FREEING  | its receiver           | lent: about to be freed, or freed                    |
 * | FREED    | a walker that receives | lent: freed, and flushed                             |
 *
 * What a walker has lent and a dead victim HELD is allocated, and the walker's. FREEING: it is in
 * limbo, and the walker finds out later whether it is free. What it has given: it takes its own
 * ticket, and either that succeeds, and the block is whole, or the victim had taken it, and it is
 * gone. A victim's gift that was not taken is gone with the victim; one that was, is the walker's.
 *
 * A name is one of a few that are known to all, for a block or a list of them (hakmem_root_publish).
 *
 * | state       | who moves it there     | the name                                          |
 * |-------------|------------------------|---------------------------------------------------|
 * | NONE        | the walker             | not there                                         |
 * | WANTED      | the victim             | not there; the walker is to publish blocks of its |
 * | PUBLISHING  | who publishes          | there or not; whoever finds it finds it whole     |
 * | PUBLISHED   | who publishes          | there, whoever dies                               |
 * | REFUSED     | the victim             | not there: it is about to publish void tickets    |
 * | WITHDRAWING | who withdraws          | there or not                                      |
 * | WITHDRAWN   | the victim             | not there                                         |
 *
 * Published by the victim, a companion, or a walker; when they are dead, the walker whose name it
 * is withdraws and frees what is there. What isn't is void: it went with the dead.
 *
 * | word     | written by | says                                                             |
 * |----------|------------|------------------------------------------------------------------|
 * | life     | tracer     | number of the victim that is alive                               |
 * | closing  | tracer     | the victim of that number is about to die                        |
 * | closed   | a walker   | it uses nothing of that victim any more, nor of any before       |
 * | buried   | tracer     | what that victim had is reclaimed                                |
 * | settled  | a walker   | it has taken back what it had given to that victim               |
 * | accompanied | companion | it is ready, in that life                                     |
 * | phase    | tracer     | what the walkers are to do                                       |
 * | done     | a walker   | the last phase that it has come to the end of                    |
 * | progress | a walker   | grows all the time                                               |
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "client_lib/include/hakmem.h"
#include "proto/shm/atomic.h"

#define HAKT_WALKERS 2u
#define HAKT_PARCELS 8u /* between a walker and the victim, in each direction */
#define HAKT_GIFTS   4u
#define HAKT_RING    64u
#define HAKT_NAMED   4u /* blocks under a name at most */
/* What the receiver of a victim's parcel is to do with it; 0: as it likes. */
#define HAKT_FREE_AT_ONCE   1u
#define HAKT_MAY_BE_REVOKED 2u /* to take it, and not to wonder that it can't */

/* A block as it travels; what is in it follows from seed and size. */
struct hakt_thing {
	hakmem_ref_t
		name; /* where it is, and its slab's epoch: no ticket, and nothing knows of it */
	hakmem_ref_t ref; /* the ticket by which it is given; 0: it is lent */
	uint64_t size;
	uint64_t seed;
	bool was_taken; /* whose it is stands in its tag: it can't be lent to one who frees it */
};

enum hakt_parcel_state {
	HAKT_EMPTY = 0,
	HAKT_GIVEN,
	HAKT_HELD,
	HAKT_RETURNED,
	HAKT_FREEING,
	HAKT_FREED,
};

struct hakt_parcel {
	hak_u32 state;
	uint32_t wish;
	struct hakt_thing thing;
};

enum hakt_name_state {
	HAKT_NAME_NONE = 0,
	HAKT_NAME_WANTED,
	HAKT_NAME_PUBLISHING,
	HAKT_NAME_PUBLISHED,
	HAKT_NAME_REFUSED,
	HAKT_NAME_WITHDRAWING,
	HAKT_NAME_WITHDRAWN,
};

/* Whose they are to publish; the walker of a name is its number modulo HAKT_WALKERS. */
enum hakt_name_number {
	HAKT_NAME_OF_VICTIM = 0,
	HAKT_NAME_OF_COMPANION,
	HAKT_NAME_OF_WALKER,
	HAKT_NAMES,
};

struct hakt_name {
	hak_u32 state;
	uint32_t n;
	hakmem_ref_t withdrawn; /* what the withdrawal gave; from WITHDRAWN on */
	struct hakt_thing things[HAKT_NAMED];
};

/* From one walker to the other. */
struct hakt_ring {
	hak_u64 n_put;
	hak_u64 n_got;
	struct hakt_thing things[HAKT_RING];
};

enum hakt_phase {
	HAKT_PHASE_NONE = 0, /* walkers are not attached */
	HAKT_PHASE_WALK,     /* they work */
	HAKT_PHASE_DRAIN,    /* they free all that they have, and what comes in */
	HAKT_PHASE_TRIM,     /* they give back what they keep without need, and tell what is left */
	HAKT_PHASE_LEAVE,    /* they detach */
	HAKT_PHASE_END,
};

/* Phases come round again; each has a number of its own, whose remainder is the kind. */
#define HAKT_PHASES 8u

struct hakt_walker_state {
	hak_u32 closed;
	hak_u32 settled;
	hak_u32 done;
	hak_u64 progress;
	hak_u64 n_hops;	 /* blocks received and checked */
	hak_u64 n_limbo; /* blocks that victims died over, maybe before and maybe after the free */
	hak_u64 n_live;	 /* after TRIM: blocks that its process has */
	hak_u64 n_superslabs;
	hak_u64 n_refused;  /* frees that the library refused */
	hak_u64 n_stale;    /* takes that came too late */
	hak_u64 n_gifts;    /* gifts of victims that it took */
	hak_u64 n_names;    /* names that the dead left, withdrawn */
	hak_u64 n_nameless; /* that were not there: their blocks went with the dead */
	struct hakt_parcel to_victim[HAKT_PARCELS];   /* lent by the walker */
	struct hakt_parcel from_victim[HAKT_PARCELS]; /* lent by the victim */
	struct hakt_parcel gifts_to[HAKT_GIFTS];      /* given by the walker */
	struct hakt_parcel gifts_from[HAKT_GIFTS];    /* given by the victim */
};

struct hakt_world {
	hak_u32 life;
	hak_u32 closing;
	hak_u32 buried;
	hak_u32 phase;
	hak_u32 accompanied; /* the life whose companion is ready */
	hak_u32 tid;	     /* of the victim's thread that is traced */
	struct hakt_walker_state walkers[HAKT_WALKERS];
	struct hakt_ring rings[HAKT_WALKERS]; /* by who receives */
	struct hakt_name names[HAKT_NAMES];
};

extern struct hakt_world *hakt_world;

/* Before anybody is forked. */
void hakt_world_init(void);

/* Words of the world synchronise who looks at them: stores release, loads acquire. */
static inline uint32_t hakt_get(const hak_u32 *word)
{
	return hak_load_acquire(word);
}

static inline void hakt_set(hak_u32 *word, uint32_t value)
{
	hak_store_release(word, value);
}

/* Adds to a count that only the caller writes. */
static inline void hakt_add(hak_u64 *count, uint64_t n)
{
	hak_store_relaxed(count, hak_load_relaxed(count) + n);
}

/* Writes what its seed and size say: into all of a small block, both ends of a large one. */
void hakt_thing_fill(void *block, const struct hakt_thing *thing);

/* A block of the caller's process, to be lent; `seed` decides what is in it. */
struct hakt_thing hakt_thing_make(void *block, uint64_t size, uint64_t seed);

/* Makes it a gift; false: errno says why not. */
bool hakt_thing_give(struct hakt_thing *thing);

/* Is it still there? */
bool hakt_thing_is_whole(const void *block, const struct hakt_thing *thing);

#define HAKT_HANG_MS 30000 /* nothing that is waited for takes so long, unless it hangs */

#endif
