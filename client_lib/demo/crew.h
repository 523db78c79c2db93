/* SPDX-License-Identifier: MIT */
#ifndef HAKC_DEMO_CREW_H
#define HAKC_DEMO_CREW_H

/* The processes of a count: main's part of it. */

#include <stdbool.h>
#include <stdint.h>

#define HAKC_KILL_EVERY_MOST 60000u /* ms */

struct hakc_task {
	char *const *folders;
	unsigned n_workers;	/* HAKC_WORKERS_MAX at most */
	unsigned kill_every_ms; /* 0: don't */
	bool verifies;
};

/*
 * Starts a reader, a reporter and workers, none of them attached yet; kills
 * workers as the task says and replaces what was killed, whoever did it; waits
 * until all have ended. 0 or a negative errno; all is reported.
 */
int hakc_crew_run(const struct hakc_task *task, uint64_t *ret_n_killed);

#endif
