/* SPDX-License-Identifier: MIT */
#ifndef HAKT_ACTOR_H
#define HAKT_ACTOR_H

/*
 * Clients that do what they are told, one command at a time, by words in memory that they share
 * with the tracer. When the daemon is gone a command may fail; what a client has then it keeps.
 *
 * | word     | written by | says                                                   |
 * |----------|------------|--------------------------------------------------------|
 * | ordered  | tracer     | number of the last command; command, argument: of that |
 * | done     | actor      | number of the last one that it has ended               |
 * | attached | actor      | it has heard that it is                                |
 * | broken   | actor      | blocks that were not what they must be                 |
 * | progress | actor      | blocks that a worker has passed on                     |
 * | mailbox  | workers    | a ref on its way from the one to the other; 0: none    |
 * | exit_code| actor      | of the last hakmemctl; 0 before it                     |
 * | grown    | actor      | the errno of the last HAKT_POOL_GROW, or 0             |
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "proto/shm/atomic.h"

enum hakt_who { HAKT_A, HAKT_B, HAKT_C, HAKT_WORKER_0, HAKT_WORKER_1, HAKT_ACTORS };

enum hakt_command {
	HAKT_ATTACH = 1,
	HAKT_SMALL,    /* argument: how many blocks of a slot each */
	HAKT_TINY,     /* argument: how many blocks of 100 bytes */
	HAKT_HUGE,     /* argument: MiB */
	HAKT_RESIZE,   /* the last huge one to so many MiB */
	HAKT_FREE_ALL, /* what it has, and gives back */
	HAKT_GIVE,     /* refs of its last blocks, argument: how many */
	HAKT_TAKE,     /* all that were given */
	HAKT_PUBLISH,  /* its last blocks, argument: how many, as one name */
	HAKT_WITHDRAW,
	HAKT_POOL_CREATE, /* of lab; it and the next two by hakmemctl */
	HAKT_POOL_RESET,
	HAKT_POOL_DELETE,
	HAKT_POOL_OPEN, /* and has a block of it */
	HAKT_POOL_GROW,
	HAKT_DETACH,
	HAKT_VERIFY,
	HAKT_WORK, /* worker: goes on until it is told something else */
	HAKT_REST,
};

#define HAKT_GIVEN 8u

struct hakt_given {
	uint64_t ref, bytes, seed;
};

struct hakt_stage {
	struct hakt_actor {
		hak_u32 ordered, done, attached, broken;
		hak_u64 progress;
		uint32_t command, argument;
	} actors[HAKT_ACTORS];
	uint32_t n_given;
	struct hakt_given given[HAKT_GIVEN];
	hak_u64 mailbox;
	int32_t exit_code, grown;
};

extern struct hakt_stage *hakt_stage;

/* Once, before anybody is forked. */
void hakt_stage_init(void);

/* Nothing has been said. */
void hakt_stage_clear(void);

pid_t hakt_actor_start(enum hakt_who who);

void hakt_actor_order(enum hakt_who who, enum hakt_command command, uint32_t argument);
bool hakt_actor_is_done(enum hakt_who who);

#endif
