/* SPDX-License-Identifier: MIT */
#ifndef HAKD_LEASE_H
#define HAKD_LEASE_H

/*
 * Does a client still map the pool? It maps its lease for as long: a file
 * description of its own with a lock on it.
 *
 *   daemon                                    client
 *   init: a file, opened twice:
 *     fd         to try the lock on
 *     client_fd  locked          --welcome--> maps it, MADV_DONTFORK
 *   hand_over: closes client_fd               closes it
 *                                             exec, detach: unmapped
 *   is_over: gets the lock on fd  <---------- with the last mapping
 *
 * A lock belongs to a file description, and that lives until nobody has a
 * descriptor or a mapping of it. Closing descriptors doesn't end the mapping,
 * exec does, and no child of a fork has it. What was measured is in
 * docs/decisions/0003-lease.md.
 */

#include <stdbool.h>

struct hakd_lease {
	int fd;
	int client_fd; /* -1: it is the client's alone */
	int watch;     /* of the inotify descriptor; -1: none, so nobody says when to look */
};

/*
 * Makes a lease and locks it for a client. inotify_fd gets an event when its
 * description is gone, shortly before the lock is; -1: there is none. 0 or a
 * negative errno.
 */
int hakd_lease_init(struct hakd_lease *lease, int inotify_fd);

/* Of an earlier daemon, from its fd, as a keeper kept it: the client has the other one. */
void hakd_lease_take_over(struct hakd_lease *lease, int fd, int inotify_fd);

/* The client has it, or never will. */
void hakd_lease_hand_over(struct hakd_lease *lease);

/* Nobody maps it and nobody has a descriptor of it. It stays so. */
bool hakd_lease_is_over(const struct hakd_lease *lease);

void hakd_lease_deinit(struct hakd_lease *lease, int inotify_fd);

#endif
