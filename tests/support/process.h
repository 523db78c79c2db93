/* SPDX-License-Identifier: MIT */
#ifndef HAKT_PROCESS_H
#define HAKT_PROCESS_H

/*
 * Processes of a test: a program, or a function in a forked child. What they
 * write is captured, and they can be talked to: the child says words on its
 * stdout, the test tells it to go on.
 *
 * Whatever a test starts, and whatever that starts, daemons in the background
 * too, is killed when the test's process exits. The environment that they
 * begin with has no setting of hakmem but the HAKMEM_SOCKET of hakt_daemon_start
 * and a HAKMEM_TIMEOUT_MS of a minute.
 *
 * All calls fail the test on error. In a forked child cmocka's assertions would
 * go on with the next case as a second runner; there, use HAKT_EXPECT.
 */

#include <stdbool.h>
#include <sys/types.h>

/* A NULL-terminated list of strings, for arguments and environments. */
#define HAKT_LIST(...) ((const char *const[]){__VA_ARGS__, NULL})

struct hakt_process {
	/* To be set before the start, or zero. */
	const char *const *environment; /* "NAME=value"s */
	uid_t uid;			/* to run as that user; only root can */
	gid_t gid;			/* and in that group; 0: one of the same number */
	bool obeys_modes;		/* file modes hold for it even if it is root's */

	pid_t pid; /* 0: not started, or waited for */
	int fds[3];

	int exit_code; /* after the wait; -1: ended by a signal */
	int signal;    /* that ended it, or 0 */
	char *output[3];
};

/* Zeroed but for what is to be set, it can be started; the first argument is the program's path. */
void hakt_process_start(struct hakt_process *process, const char *const *arguments);

/* A forked child whose exit code is what run returns. */
void hakt_process_fork(struct hakt_process *process, int (*run)(const void *context),
		       const void *context);

/* What it has written so far to a descriptor, 1 or 2; valid until the next such call. */
const char *hakt_process_output(struct hakt_process *process, int fd);

/* Waits until it has written this text. */
void hakt_process_wait_output(struct hakt_process *process, int fd, const char *text);

/* Ends one hakt_child_wait of it. */
void hakt_process_tell(struct hakt_process *process);

/* Waits for its end. */
void hakt_process_wait(struct hakt_process *process);

/* Likewise; the exit code must be 0, or the test fails and shows stderr. */
void hakt_process_wait_done(struct hakt_process *process);

/* Kills it, and waits. */
void hakt_process_kill(struct hakt_process *process);

/* It has neither ended nor is it a zombie. */
void hakt_process_check_running(const struct hakt_process *process);

/* Waits, and releases everything; one that still runs is killed. */
void hakt_process_end(struct hakt_process *process);

/* Start and wait. */
void hakt_process_run(struct hakt_process *process, const char *const *arguments);

/* Fork and hakt_process_wait_done and release. */
void hakt_process_run_child(int (*run)(const void *context), const void *context);

/* Sees to the end of what the test starts; called by all of the above. */
void hakt_process_prepare(void);

/* Waits for the end of an orphan, a daemon in the background; returns its exit code or -1. */
int hakt_process_wait_orphan(pid_t pid);

/* The parent of a process that runs. */
pid_t hakt_process_parent(pid_t pid);

/* The descriptors that a process has, of this user's; and waits until they are n at most. */
unsigned hakt_process_count_fds(pid_t pid);
void hakt_process_wait_fds(pid_t pid, unsigned n);

/* In a forked child: */

/* From now on the end of parent, which forked it, kills it. */
void hakt_process_die_with(pid_t parent);

/* Writes a line to stdout. */
void hakt_child_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Waits until it is told to go on. */
void hakt_child_wait(void);

/* Closes all descriptors but the first three. */
void hakt_child_hang_up(void);

#define HAKT_EXPECT(claim)                                           \
	do {                                                         \
		if (!(claim))                                        \
			hakt_child_fail(__FILE__, __LINE__, #claim); \
	} while (0)
void hakt_child_fail(const char *file, int line, const char *claim) __attribute__((noreturn));

#endif
