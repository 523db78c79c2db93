/* SPDX-License-Identifier: MIT */
#ifndef HAKD_LIVENESS_H
#define HAKD_LIVENESS_H

/*
 * Who is alive: a pidfd and a lease a client decide, never a time-out and never
 * a hang-up. When the pidfd fires or the lease is over, which is when the
 * process called exec, what the client had is collected.
 *
 * A lease is looked at while its client is in doubt: from its hang-up on, or
 * from an event on that says that the lease's file was closed, as may be for
 * other reasons too. In doubt a client stays until it leaves, however long
 * that takes.
 */

#include "daemon/net/peer.h"

void hakd_liveness_init(struct hakd_realm *realm);

/*
 * Watches the process behind a peer for a client, and makes its lease; the
 * keeper gets both. 0 or a negative errno (-ESRCH: it is dead).
 */
int hakd_liveness_watch(struct hakd_client *client, const struct hakd_peer *peer);

/*
 * The same for a client of an earlier daemon, with the pidfd and the lease that
 * this one kept; both are the client's on success. -1: it was not kept. Then the
 * pid and the start in the registry stand for the pidfd; without a lease a death
 * is noticed, and nothing else. 0; -ESRCH: the process is gone; or another errno,
 * which says nothing about it.
 */
int hakd_liveness_resume(struct hakd_client *client, const struct hak_holder *holder, int pidfd,
			 int lease_fd);

/* Its end is known: it needn't be watched any longer. */
void hakd_liveness_stop(struct hakd_client *client);

/* It may have given up its mapping. Looked at later, so a job of it may be under way. */
void hakd_liveness_doubt(struct hakd_client *client);

/* Frees a client that has been collected. */
void hakd_liveness_free_client(struct hakd_client *client);

/* Clock ticks since boot at which a process started; 0: there is none. */
uint64_t hakd_liveness_start_time(pid_t pid);

#endif
