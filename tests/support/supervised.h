/* SPDX-License-Identifier: MIT */
#ifndef HAKT_SUPERVISED_H
#define HAKT_SUPERVISED_H

/* A daemon that was started with --supervise: hakt_daemon.pid is the supervisor's. */

#include <signal.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "tests/support/ctl.h"
#include "tests/support/daemon.h"
#include "tests/support/process.h"
#include "tests/support/run.h"

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

/* The one after `pid`, which is not asked any more: it could end before it answers. */
static inline pid_t hakt_supervised_next(const struct hakt_daemon *daemon, pid_t pid)
{
	pid_t next;

	for (unsigned i = 0; i < 12000 && kill(pid, 0) == 0; i++)
		hakt_supervised_pause();
	next = hakt_supervised_by(daemon);
	assert_int_not_equal(next, pid);
	assert_int_equal(hakt_process_parent(next), daemon->pid);
	return next;
}

/* Sends the daemon a signal that ends it; the next one. */
static inline pid_t hakt_supervised_kill(const struct hakt_daemon *daemon, int signal)
{
	pid_t pid = hakt_supervised_by(daemon);

	assert_int_equal(kill(pid, signal), 0);
	return hakt_supervised_next(daemon, pid);
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
