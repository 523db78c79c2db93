/* SPDX-License-Identifier: MIT */
#ifndef HAKT_SURVIVE_WORKER_H
#define HAKT_SURVIVE_WORKER_H

/*
 * A client that works while daemons come and go: it grows by some ten MiB in blocks of all sizes,
 * some of them zeroed and some moved or made longer, gives some away as tickets, publishes and
 * withdraws, checks and frees all, and gives what is unused back to the daemon, so that it needs one
 * again. It waits for daemons as long as a program that has set nothing. What fails or is wrong is
 * said on stderr and counted, and the work goes on.
 */

#include <stdint.h>

#include "proto/shm/atomic.h"

#define SURVIVE_WORKERS_MAX 32u
#define SURVIVE_BOX	    64u /* tickets on their way to a worker */
#define SURVIVE_BUCKETS	    24u

enum survive_phase {
	SURVIVE_WORK,
	SURVIVE_FREE, /* free everything; give nothing more away; then keep nothing back */
	SURVIVE_LEAVE,
};

/* Shared by all workers and who started them; written by its worker, but for the box. */
struct survive_share {
	hak_u64 n_calls;  /* allocations */
	hak_u64 n_failed; /* calls that failed */
	hak_u64 n_wrong; /* blocks that held what nobody had written, and frees that were refused */
	hak_u64 n_taken; /* tickets */
	hak_u64 n_rounds;   /* grown and freed */
	hak_u64 longest_ns; /* of one allocation, since somebody has set it to 0 */
	hak_u64 superslabs; /* that it knows to be its own; told between the last two phases */
	hak_u64 done;	    /* the last phase that was done */
	hak_u64 box[SURVIVE_BOX];
	/* Allocations of 2^n us and more, and of less than the next. */
	hak_u64 waits[SURVIVE_BUCKETS];
};

struct survive_table {
	hak_u64 phase;
	unsigned n_workers;
	struct survive_share shares[SURVIVE_WORKERS_MAX];
};

/* The work of one, to its end: the exit code. */
int survive_work(struct survive_table *table, unsigned self);

#endif
