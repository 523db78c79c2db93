/* SPDX-License-Identifier: MIT */
#ifndef HAKT_DAEMON_H
#define HAKT_DAEMON_H

/* A real hakmemd for a test, in a directory of its own; all calls fail the test on error. */

#include <stdbool.h>
#include <sys/types.h>

#include "tests/support/directory.h"

struct hakt_daemon {
	pid_t pid;
	char directory[HAKT_DIRECTORY_BYTES];
	char socket[96];
};

/* Starts hakmemd with these further options (NULL-terminated; NULL: none), waits until it
 * answers, and sets HAKMEM_SOCKET. */
void hakt_daemon_start(struct hakt_daemon *daemon, const char *const *options);

/* Its three steps. enter is called in the child, before it becomes hakmemd; NULL: nothing is. */
void hakt_daemon_prepare(struct hakt_daemon *daemon);
void hakt_daemon_fork(struct hakt_daemon *daemon, const char *const *options,
		      void (*enter)(void *context), void *context);
void hakt_daemon_wait_listening(const struct hakt_daemon *daemon);

/* SIGTERM; the exit code must be 0. Removes the directory. */
void hakt_daemon_stop(struct hakt_daemon *daemon);

/* SIGKILL; the directory with the stale socket stays. */
void hakt_daemon_kill(struct hakt_daemon *daemon);

struct hakt_status {
	unsigned clients;
	unsigned long long granted_superslabs;
	unsigned long long live_blocks;
	unsigned long long resident_bytes;
	unsigned long long anomalies;
	unsigned long long reserve_superslabs;
	unsigned long long kept_superslabs;
	unsigned long long orphan_superslabs;
	unsigned long long waiting_superslabs;
	char huge_pages[96];
};

/* What hakmemd says of its pool. */
struct hakt_status hakt_daemon_status(const struct hakt_daemon *daemon);

/* One of the daemon's own counters, by its name in `stats`. */
unsigned long long hakt_daemon_counter(const struct hakt_daemon *daemon, const char *name);

/* Waits, 60 s at most, until the heap has no more memory than this. */
void hakt_daemon_wait_resident(const struct hakt_daemon *daemon, unsigned long long most);

/* Waits, 30 s at most, until so many SuperSlabs are in reserve; what it says then. */
struct hakt_status hakt_daemon_wait_reserve(const struct hakt_daemon *daemon, unsigned n);

/* Nothing is granted and nobody attached. */
bool hakt_daemon_is_empty(const struct hakt_daemon *daemon);

/* Waits for that, 10 s at most. */
void hakt_daemon_wait_empty(const struct hakt_daemon *daemon);

/* That, then hakt_daemon_stop; 0, for a teardown. */
int hakt_daemon_stop_empty(struct hakt_daemon *daemon);

/* Waits until the daemon knows that a client has hung up; it must not have left. */
void hakt_daemon_wait_disconnected(const struct hakt_daemon *daemon, pid_t client);

/* Waits, 60 s at most, until it has looked at the lease of the only client in doubt a few times. */
void hakt_daemon_wait_looks(const struct hakt_daemon *daemon);

/* Waits, 60 s at most, until no more than n clients are attached, which must be n. */
void hakt_daemon_wait_clients(const struct hakt_daemon *daemon, unsigned n);

/* Waits, 60 s at most, until so many SuperSlabs are orphans, or wait for a grace. */
void hakt_daemon_wait_orphans(const struct hakt_daemon *daemon, unsigned n);
void hakt_daemon_wait_waiting(const struct hakt_daemon *daemon, unsigned n);

#endif
