/* SPDX-License-Identifier: MIT */
#ifndef HAKD_CHILD_H
#define HAKD_CHILD_H

/* The process that a supervisor starts: which file, with what descriptors and environment. */

#include <signal.h>
#include <stdint.h>
#include <sys/types.h>

#include "daemon/supervise/store.h"

#define HAKD_CHILD_PATH_BYTES 4096

/*
 * The path by which this program was started, not what a link there leads to: what lies there
 * at the next start is run, so to replace it is an upgrade. 0 or a negative errno.
 */
int hakd_child_find(char path[HAKD_CHILD_PATH_BYTES]);

/*
 * Starts path with these arguments, and hands over the socket and all that is kept, as
 * sd_listen_fds(3) says. Its pid, or a negative errno.
 */
pid_t hakd_child_start(const char *path, char **arguments, const struct hakd_store *store,
		       int socket_fd, uint64_t watchdog_ms, const sigset_t *signals);

#endif
