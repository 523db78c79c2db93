/* SPDX-License-Identifier: MIT */
#ifndef HAKD_LIVENESS_H
#define HAKD_LIVENESS_H

/*
 * Who is alive: a pidfd a client decides, never a time-out and never a
 * hang-up. When it fires, what the client had is collected.
 */

#include "daemon/net/peer.h"

/* Watches the process behind a peer for a client. 0 or a negative errno (-ESRCH: it is dead). */
int hakd_liveness_watch(struct hakd_client *client, const struct hakd_peer *peer);

/* Clock ticks since boot at which a process started; 0: there is none. */
uint64_t hakd_liveness_start_time(pid_t pid);

#endif
