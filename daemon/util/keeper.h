/* SPDX-License-Identifier: MIT */
#ifndef HAKD_KEEPER_H
#define HAKD_KEEPER_H

/*
 * The keeper: who starts the daemon, and keeps descriptors for the next one if
 * it dies. Its protocol is systemd's (sd_notify(3), sd_listen_fds(3)): what is
 * to be kept goes as FDSTORE=1 with a name to the socket NOTIFY_SOCKET, and the
 * next daemon finds it from descriptor 3 on, counted by LISTEN_FDS, named by
 * LISTEN_FDNAMES, and meant for it if LISTEN_PID is its pid.
 *
 * | name         | what                           | kept                               |
 * |--------------|--------------------------------|------------------------------------|
 * | registry     | the pool's registry            | from before anybody can attach     |
 * | heap         | its heap                       | likewise, after the registry       |
 * | socket       | listens on the daemon's socket | the keeper's own: never from us    |
 * | lease-SLOT-G | to try a client's lock; G: the | from before the holder is ATTACHED |
 * |              | holder's generation            | until after it is FREE             |
 *
 * The generation is in the name lest a lease whose removal got lost is taken for
 * that of the slot's next client: the lock of a client that has left proves that.
 */

#include <stdint.h>

struct hakd_kept_lease {
	int fd;
	unsigned holder;
	uint32_t generation;
};

struct hakd_keeper {
	int notify_fd;	 /* -1: nobody keeps anything */
	int registry_fd; /* what was handed over; -1: nothing of that name */
	int heap_fd;
	int socket_fd;
	unsigned n_leases;
	struct hakd_kept_lease *leases;
};

/* Without a keeper. */
void hakd_keeper_init_none(struct hakd_keeper *keeper);

/*
 * Takes what the environment hands over, and the variables out of it. 0;
 * -EPROTO: a name comes twice, said on stderr; -ENOMEM.
 */
int hakd_keeper_init(struct hakd_keeper *keeper);

/* Has fd kept; waits if the keeper is slow. 0 or a negative errno, which is logged too. */
int hakd_keeper_store(const struct hakd_keeper *keeper, const char *name, int fd);

/* A descriptor that was handed over is not needed: closed, here and there. -1: nothing to do. */
void hakd_keeper_drop(const struct hakd_keeper *keeper, const char *name, int *fd);
void hakd_keeper_drop_lease(const struct hakd_keeper *keeper, struct hakd_kept_lease *lease);

/* A client comes or goes; a keeper that is slow does not hear of it. */
void hakd_keeper_store_lease(const struct hakd_keeper *keeper, const struct hakd_kept_lease *lease);
void hakd_keeper_forget_lease(const struct hakd_keeper *keeper,
			      const struct hakd_kept_lease *lease);

#endif
