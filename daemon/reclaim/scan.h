/* SPDX-License-Identifier: MIT */
#ifndef HAKD_SCAN_H
#define HAKD_SCAN_H

/*
 * The scan for dead holders: what they held in others' SuperSlabs. One pass over
 * the pool serves all who wait when it begins, in jobs of so many SuperSlabs
 * that a worker is soon free for others; who comes later waits for the next.
 */

#include <stdint.h>

#include "proto/shm/scan.h"

struct hakd_realm;
struct hakd_job;

/* What scan.c remembers. */
struct hakd_scan {
	struct hakd_job *waiting; /* of clients that have left, for the next pass */
	struct hakd_job *served;  /* by the pass that is under way */
	struct hakd_job *pass;	  /* NULL: none is */
	hak_u64 crossing;	  /* odd while a worker scans: graces wait for it */
	struct hak_holder_set dead;
	bool were_killed; /* one of them, at least: not detached */
	uint32_t next;	  /* SuperSlab */
	struct hak_scan found;
};

/*
 * A job whose client has left: goes on, `done` is called when nobody else's SuperSlab has
 * anything of the client any more; then the job is freed, unless that goes on with it.
 */
void hakd_scan_for(struct hakd_job *job, void (*done)(struct hakd_job *job));

#endif
