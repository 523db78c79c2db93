/* SPDX-License-Identifier: MIT */
#ifndef HAKC_DEMO_REPORTER_H
#define HAKC_DEMO_REPORTER_H

/* The reporter's process: what it collects, and what it does with it afterwards. */

#include <stdbool.h>

#include "client_lib/demo/channel.h"
#include "client_lib/demo/table.h"

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
 * Collects until all files are done, prints the 20 most frequent words and the
 * totals; then, if it is to verify, counts the folders again. Its process's exit
 * code; what went wrong has been reported. started: hakc_now when main began.
 */
int hakc_reporter_run(const struct hakc_channels *channels, char *const *folders, bool verifies,
		      double started);

/* Counts the files again, in this process alone and without hakmem. 0: it agrees. */
int hakc_verify_run(const struct hakc_report *report, char *const *folders);

double hakc_now(void);

#endif
