/* SPDX-License-Identifier: MIT */
#ifndef HAKD_KEEPER_H
#define HAKD_KEEPER_H

/*
 * The keeper: who starts the daemon, and keeps descriptors for the next one if
 * it dies. Its protocol is systemd's (sd_notify(3), sd_listen_fds(3)): what is
 * to be kept goes as FDSTORE=1 with a name to the socket NOTIFY_SOCKET, and the
 * next daemon finds it from descriptor 3 on, counted by LISTEN_FDS, named by
 * LISTEN_FDNAMES, and meant for it if LISTEN_PID is its pid. FDPOLL=0: a keeper
 * must not drop what poll reports, a pidfd of the dead is what the next one needs.
 *
 * | name          | what                           | kept                               |
 * |---------------|--------------------------------|------------------------------------|
 * | registry      | the pool's registry            | from before anybody can attach     |
 * | heap          | its heap                       | likewise, after the registry       |
 * | socket        | listens on the daemon's socket | the keeper's own: never from us    |
 * | c-SLOT-G      | a client's pidfd; G: the       | from before the holder is ATTACHED |
 * |               | holder's generation; both hex  | until after it is FREE             |
 * | l-SLOT-G      | to try that client's lock      | likewise, after the pidfd          |
 *
 * These are of pool 0, which is the first until it is reset. Of pool N, hex, the first word of each
 * has ".N" behind it: registry.N, heap.N, c.N-SLOT-G, l.N-SLOT-G.
 *
 * They are short because LISTEN_FDNAMES is one string of the environment, and Linux has
 * 128 KiB for one (MAX_ARG_STRLEN): with HAK_HOLDER_COUNT clients of pool 0 they fill 120.
 * Of other pools they are longer; hakd_keeper_has_room tells when no client more can be kept.
 *
 * The generation is in the names lest what is left of a client whose removal got
 * lost is taken for that of the slot's next one: the lock of a client that has
 * left proves that, and so does the pidfd of one that has ended.
 *
 * Nothing waits for a keeper that is slow when a client comes or goes (notify.h):
 * what has not come to it when the daemon dies is not kept.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/config.h"
#include "daemon/util/notify.h"

enum hakd_kept_kind { HAKD_KEPT_CLIENT, HAKD_KEPT_LEASE };

/* A descriptor of a client. */
struct hakd_kept {
	enum hakd_kept_kind kind;
	unsigned pool; /* its number */
	unsigned holder;
	uint32_t generation;
	int fd;
};

/* Of a pool. */
struct hakd_kept_files {
	int registry_fd;
	int heap_fd;
};

struct hakd_keeper {
	struct hakd_notify notify;
	/* What was handed over; -1: nothing of that name. */
	struct hakd_kept_files pools[HAKD_POOLS_MAX];
	int socket_fd;
	size_t names_bytes; /* of all descriptors of clients */
	unsigned n_kept;
	struct hakd_kept *kept;
};

/* Without a keeper. */
void hakd_keeper_init_none(struct hakd_keeper *keeper);

/*
 * Takes what the environment hands over, and the variables out of it. 0;
 * -EPROTO: a name comes twice, said on stderr; -ENOMEM.
 */
int hakd_keeper_init(struct hakd_keeper *keeper);

/* Has fd kept; waits if the keeper is slow. 0 or a negative errno, which is logged too. */
int hakd_keeper_store(struct hakd_keeper *keeper, const char *name, int fd);

/* Nothing of that name is to be kept any longer. */
void hakd_keeper_forget(struct hakd_keeper *keeper, const char *name);

/* A descriptor that was handed over is not needed: closed, here and there. -1: nothing to do. */
void hakd_keeper_drop(struct hakd_keeper *keeper, const char *name, int *fd);

/* What was handed over of a client; NULL: it was not. Who takes it sets fd to -1. */
struct hakd_kept *hakd_keeper_find(const struct hakd_keeper *keeper, enum hakd_kept_kind kind,
				   unsigned pool, unsigned holder, uint32_t generation);

/* Drops what was handed over of a pool's clients and nobody took. */
void hakd_keeper_drop_kept(struct hakd_keeper *keeper, unsigned pool);

/* The files of a pool: as hakd_keeper_store, _forget and _drop. */
void hakd_keeper_store_pool(struct hakd_keeper *keeper, unsigned pool, int registry_fd,
			    int heap_fd);
void hakd_keeper_forget_pool(struct hakd_keeper *keeper, unsigned pool);
void hakd_keeper_drop_pool(struct hakd_keeper *keeper, unsigned pool);

/* Can the names of one client more be told to the next daemon? */
bool hakd_keeper_has_room(const struct hakd_keeper *keeper);

/* A client comes or goes; neither waits. */
void hakd_keeper_store_kept(struct hakd_keeper *keeper, const struct hakd_kept *kept);
void hakd_keeper_forget_kept(struct hakd_keeper *keeper, const struct hakd_kept *kept);

#endif
