/* SPDX-License-Identifier: MIT */
#ifndef MODEL_POOL_H
#define MODEL_POOL_H

/*
 * The pool of all scenarios: one slab of two blocks, of which the first has all the life, two or
 * three threads; and the steps that are a caller's own, not proto/shm's. -DBREAK=... breaks one
 * of these; orders.sh breaks the rest in copies of proto/shm.
 */

#include "tests/model/orders/explore.h"

#include "proto/shm/crossing.h"
#include "proto/shm/holders.h"
#include "proto/shm/scan.h"
#include "proto/shm/slab.h"

#ifndef BREAK
#define BREAK NOTHING
#endif
enum {
	NOTHING,
	NO_CROSSING,
	W_BEFORE_CROSSING,
	LATE_N_CROSSINGS,
	NO_GRACE,
	GRACE_TOO_EARLY,
	GRACE_DOES_NOT_WAIT,
	USE_AFTER_FREE_BIT,
	HINT_BEFORE_BIT,
	RELAXED_CHANNEL,
};

enum holder {
	A = HAK_HOLDER_FIRST, /* the slab's owner */
	B,
	C,
};

#define EPOCH 1u
#define INC   5u

/* All that is shared. */
extern hak_u64 words[2], bits, channel, other_channel;
extern hak_u32 tags[64], pending; /* as many tags as a word of bits has */
extern int content[2];		  /* of the blocks */
extern bool is_taken;		  /* by who crosses, dead or alive */

extern const struct hak_segment segment; /* the pool, as scans see it: slot 0 */

/* What each thread got; its own until the run ends. */
extern uint64_t got[MODEL_THREADS];

void begin(uint64_t w, uint64_t free_bits, uint32_t tag);
uint64_t active(unsigned owner, uint32_t thread);

/* Sends, once, a value that isn't 0, by a channel that orders, as programs have to. */
void send(hak_u64 *to, uint64_t v);

/* The thread in W claims what of mask it can: what it gets, nobody else uses. */
void claim(unsigned me, uint64_t mask);

/* Thread 2 does so twice, of both blocks. */
void claimer(void);

/* Frees by the bit: who has the block, or a scan. */
void set_bit(uint64_t mask);
void use_and_free(unsigned block);
bool free_held(unsigned holder);

/* W where it is loaded in a crossing, which is the thread's first one. It may die in it. */
uint64_t cross(void);
void cross_end(void);
bool take(unsigned holder, unsigned inc);

/* The only thread that crosses may have died in a crossing. */
void grace(unsigned crosser);

/* Up to a NULL name. */
extern const struct model_scenario block_scenarios[], slab_scenarios[], module_scenarios[];

#endif
