/* SPDX-License-Identifier: MIT */
#ifndef HAKT_KEEPER_H
#define HAKT_KEEPER_H

/*
 * The test as the daemon's keeper: it takes what hakmemd wants kept, and hands
 * it to the next one, as systemd does. All calls fail the test on error.
 *
 * What a daemon sends waits in a socket of room for about ten messages until
 * it is taken: while a start is waited for, after a kill, and by
 * hakt_keeper_take. A start goes on only when its barrier is taken.
 */

#include <stdbool.h>
#include <sys/types.h>

#include "tests/support/daemon.h"

#define HAKT_KEPT_MAX 256

struct hakt_kept {
	char name[32];
	int fd;
};

struct hakt_keeper {
	struct hakt_daemon daemon;
	const char *const *options;
	bool is_abstract;	/* to be set before the init: NOTIFY_SOCKET has no file */
	unsigned watchdog_usec; /* to be set before a start; 0: no pings are wanted */
	bool has_log;		/* likewise: stderr goes where hakt_keeper_log finds it */
	char notify[128];
	int notify_fd;
	int log_fd;
	bool holds_barrier; /* the next barrier isn't answered before hakt_keeper_let_go */
	int barrier_fd;

	/* What has come since the last start. */
	unsigned n_barriers, n_ready, n_reloading, n_stopping, n_pings;
	char status[160]; /* the last STATUS= */

	unsigned n_kept;
	struct hakt_kept kept[HAKT_KEPT_MAX];
};

/* Its sockets and directory, to be zeroed before but for what is to be set; options as in
 * hakt_daemon_start. */
void hakt_keeper_init(struct hakt_keeper *keeper, const char *const *options);

/* Starts a daemon with all that is kept, and waits until it says that it is ready. */
void hakt_keeper_start(struct hakt_keeper *keeper);

/* Its two steps; enter as in hakt_daemon_fork. */
void hakt_keeper_fork(struct hakt_keeper *keeper, void (*enter)(void *context), void *context);
void hakt_keeper_wait_ready(struct hakt_keeper *keeper);

/* Takes, 60 s at most, until *count, one of the keeper's, is n or more. */
void hakt_keeper_wait_for(struct hakt_keeper *keeper, const unsigned *count, unsigned n);

/* Answers a barrier that was held. */
void hakt_keeper_let_go(struct hakt_keeper *keeper);

/* What the daemons have written to stderr; to be freed. */
char *hakt_keeper_log(const struct hakt_keeper *keeper);

/* Waits for its end, taking; its exit code. */
int hakt_keeper_wait_end(struct hakt_keeper *keeper);

/* SIGKILL, and waits for its end. */
void hakt_keeper_kill(struct hakt_keeper *keeper);

/* Takes what has been sent. */
void hakt_keeper_take(struct hakt_keeper *keeper);

/* The kept descriptor of a name; -1: there is none. Stays the keeper's. */
int hakt_keeper_find(const struct hakt_keeper *keeper, const char *name);

/* How many are kept whose name begins so. */
unsigned hakt_keeper_count(const struct hakt_keeper *keeper, const char *prefix);

/* Keeps one of its own, or another one, under a name; the keeper's from now on. */
void hakt_keeper_put(struct hakt_keeper *keeper, const char *name, int fd);

/* Keeps it no longer. */
void hakt_keeper_remove(struct hakt_keeper *keeper, const char *name);

/* A socket that listens where the daemon is to: kept as "socket". */
void hakt_keeper_listen(struct hakt_keeper *keeper);

/* Nobody is attached any more: a clean stop. Closes all. */
void hakt_keeper_deinit(struct hakt_keeper *keeper);

/* Lets other users at its daemon's socket. */
void hakt_keeper_let_in(const struct hakt_keeper *keeper);

/* hakmemctl, or another tool, run by a user: it must end so, and say that, on stderr if it fails. */
void hakt_keeper_run(struct hakt_keeper *keeper, uid_t uid, const char *const *arguments,
		     int exit_code, const char *text);

/* hakmemctl check of the daemon finds nothing. */
void hakt_keeper_expect_clean(const struct hakt_keeper *keeper);

/* Setup and teardown of a case: one with a daemon of 256 MiB that keeps pages for a second. */
extern struct hakt_keeper hakt_keeper;
extern const char *const hakt_keeper_options[];
int hakt_keeper_setup(void **state);
int hakt_keeper_teardown(void **state);

#endif
