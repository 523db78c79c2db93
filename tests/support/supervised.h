/* SPDX-License-Identifier: MIT */
#ifndef HAKT_SUPERVISED_H
#define HAKT_SUPERVISED_H

/* A daemon that was started with --supervise: hakt_daemon.pid is the supervisor's. */

#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "tests/support/ctl.h"
#include "tests/support/daemon.h"
#include "tests/support/process.h"

static inline void hakt_supervised_pause(void)
{
	const struct timespec pause = {.tv_nsec = 5000000};

	nanosleep(&pause, NULL);
}

/* The daemon's pid. Waits for one, if there is none. */
static inline pid_t hakt_supervised_by(const struct hakt_daemon *daemon)
{
	return (pid_t)hakt_ctl_status(daemon->socket, "pid");
}

/* Neither socket nor lock. */
static inline void hakt_supervised_expect_no_files(const struct hakt_daemon *daemon)
{
	char path[160];

	snprintf(path, sizeof(path), "%s.lock", daemon->socket);
	assert_int_equal(access(daemon->socket, F_OK), -1);
	assert_int_equal(access(path, F_OK), -1);
}

#endif
