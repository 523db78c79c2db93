/* SPDX-License-Identifier: MIT */
#ifndef HAKD_SUPERVISE_H
#define HAKD_SUPERVISE_H

/*
 * hakmemd --supervise: a parent that keeps the daemon's socket and descriptors, as systemd
 * would, and starts the next daemon when one has ended. It does nothing else.
 */

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "daemon/config.h"
#include "daemon/net/listener.h"
#include "daemon/supervise/child.h"
#include "daemon/supervise/store.h"

enum hakd_supervise_state {
	HAKD_PAUSING,  /* there is no daemon */
	HAKD_STARTING, /* it is not ready */
	HAKD_UP,
	HAKD_ENDING, /* it was told to */
};

struct hakd_supervisor {
	/* Set by the init, and may be changed before the run. */
	char path[HAKD_CHILD_PATH_BYTES];
	char **arguments;
	uint64_t start_ms;    /* a start may take so long */
	uint64_t stop_ms;     /* likewise an end */
	uint64_t watchdog_ms; /* and a daemon be silent */

	const struct hakd_config *config;
	struct hakd_listener listener;
	struct hakd_store store;
	int signal_fd;
	sigset_t signals; /* blocked for those who come from us */
	int ready_fd;	  /* who started us waits there; -1: nobody does */

	enum hakd_supervise_state state;
	uint64_t until; /* when the state has lasted too long */
	uint64_t started_at;
	pid_t pid;
	unsigned n_quick; /* daemons that lived for a moment, in a row, and weren't ready */
	bool is_ready;	  /* this one */
	bool has_been_ready;
	bool is_restart; /* its end is only the next one's start */
	bool is_stop;	 /* its end is ours */
	bool is_reload;	 /* SIGHUP, when it is ready */
};

/* Before the directory changes. config stays in use. 0 or a negative errno. */
int hakd_supervisor_init(struct hakd_supervisor *supervisor, const struct hakd_config *config);

/*
 * Until it is told to stop, or the daemon has ended the pool. ready_fd: gets a byte and is
 * closed when the first daemon is ready; -1: none. -EADDRINUSE: another daemon serves the
 * socket; else the exit code: the daemon's, if it was never ready.
 */
int hakd_supervisor_run(struct hakd_supervisor *supervisor, int ready_fd);

#endif
