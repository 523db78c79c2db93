/* SPDX-License-Identifier: MIT */
#ifndef HAKT_FUZZ_HOST_H
#define HAKT_FUZZ_HOST_H

/*
 * A daemon in this process, whose loop runs when it is told to. Its clock goes on by
 * hakt_clock_pass; its listener is a real one. Can be killed: all that it had in its hands is
 * dropped as it is, and its memory is freed.
 */

#include "daemon/daemon.h"

struct hakt_host {
	struct hakd_daemon daemon;
};

#define HAKT_HOST_LG	   20u
#define HAKT_HOST_CAPACITY (UINT64_C(64) << 20)
#define HAKT_HOST_LIMIT	   (UINT64_C(16) << 20)

/* Its address in this process. */
const char *hakt_host_socket(void);

/* With a pool of its own, or with what the keeper has, whose descriptors are its from now on. */
int hakt_host_start(struct hakt_host *host, const struct hakd_keeper *keeper);

/* Until it would do nothing more without time passing: no job is under way. */
void hakt_host_settle(struct hakt_host *host);
void hakt_host_pass(struct hakt_host *host, uint64_t ms);

/*
 * What it counts is what the registry's words say, and each is possible; of a settled one. All that
 * is granted is a client's, unless registry words have been written by others.
 */
void hakt_host_expect_books(const struct hakt_host *host, bool is_its_own);

/* A keeper with copies of what it has; those that it isn't given are to be closed. */
void hakt_host_keep(const struct hakt_host *host, struct hakd_keeper *ret_keeper);

/* Of a settled one, in any state. */
void hakt_host_kill(struct hakt_host *host);

/* Descriptors of this process that are open. */
unsigned hakt_host_count_fds(void);

#endif
