/* SPDX-License-Identifier: MIT */
#ifndef HAKC_DEMO_REPORTER_H
#define HAKC_DEMO_REPORTER_H

/* The parent's part: what it collects, and what it does with it afterwards. */

#include <sys/types.h>

#include "client_lib/demo/channel.h"

#define HAKC_WORKERS_MAX 256

/* The children: the reader first, then the workers. */
struct hakc_crew {
	pid_t pids[1 + HAKC_WORKERS_MAX]; /* 0: has ended */
	unsigned n_children;
};

struct hakc_report {
	struct hakc_counts counts;
	uint64_t n_files;
	uint64_t bytes;
	uint64_t n_binary;
	uint64_t n_unreadable;
	uint64_t n_lost;
	uint64_t n_allocated;
	double seconds;
};

/*
 * Collects until all children are done, lets them go and waits for them. 0; a
 * negative errno, which has been reported: the children are still there then.
 */
int hakc_reporter_run(struct hakc_channels *channels, struct hakc_crew *crew,
		      struct hakc_report *report);

/* Ends the children that are left. */
void hakc_crew_end(struct hakc_crew *crew);

/* The 20 most frequent words and the totals, to stdout. 0 or -ENOMEM. */
int hakc_report_print(const struct hakc_report *report);

/* Counts the files again, in this process alone and without hakmem. 0: it agrees. */
int hakc_verify_run(const struct hakc_report *report, char *const *folders);

double hakc_now(void);

#endif
