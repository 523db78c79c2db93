/* SPDX-License-Identifier: MIT */
#ifndef HAKD_GRACE_H
#define HAKD_GRACE_H

/*
 * The daemon's side of crossing.h: what has to wait until every crossing that was
 * under way has ended, or its client is dead.
 *
 *   W's last change, begin -> is over? -- yes --> new meaning of the addresses
 *                                ^  |
 *                                +--+ no: looked at again, by a timer
 *
 * Mostly nobody is in a crossing, and a grace is over as soon as it has begun. A
 * client that is stopped in one is waited for as long as that takes: what it
 * delays is the re-use of addresses.
 *
 * On the loop only. The daemon has a crossing too, its scan for dead holders:
 * the only time that it is at work in slabs that it hasn't taken.
 */

#include <uv.h>

#include "proto/shm/crossing.h"
#include "proto/shm/segment.h"

struct hakd_realm;
struct hakd_job;

/* A crossing that was under way. */
struct hakd_crossing {
	const hak_u64 *counter;
	uint64_t count;
	uint32_t generation;
	unsigned holder; /* NONE: the daemon's own */
};

/* To be zeroed. */
struct hakd_grace {
	bool has_begun; /* false: there was no room for it, it begins with a later look */
	uint32_t n;	/* crossings that it still waits for */
	uint32_t room;
	struct hakd_crossing *crossings;
};

/* What takes part: clients in the slots below n_holders, and the daemon. */
struct hakd_crossers {
	const struct hak_segment *segment;
	unsigned n_holders;
	const hak_u64 *own; /* counter of the daemon's crossing */
};

/* After W's last change. */
void hakd_grace_begin(struct hakd_grace *grace, const struct hakd_crossers *crossers);

/* Is it over? Then it has ended, too. */
bool hakd_grace_is_over(struct hakd_grace *grace, const struct hakd_crossers *crossers);

/* Nobody waits for it any more: it holds no memory, and may be begun again. */
void hakd_grace_end(struct hakd_grace *grace);

/* What grace.c remembers. */
struct hakd_graces {
	uv_timer_t timer;	 /* runs while any job waits */
	uint64_t period;	 /* ms: grows while nothing changes */
	struct hakd_grace grace; /* that `served` wait for */
	struct hakd_job *served;
	struct hakd_job *waiting; /* for the next one */
};

void hakd_graces_init(struct hakd_realm *realm);

struct hakd_crossers hakd_graces_crossers(const struct hakd_realm *realm);

/*
 * A grace for a job whose work has ended. True: it is over. False: the job goes on, and
 * `passed` is called when it is; then the job is freed, unless that goes on with it.
 */
bool hakd_graces_pass(struct hakd_job *job, void (*passed)(struct hakd_job *job));

#endif
