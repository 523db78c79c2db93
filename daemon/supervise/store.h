/* SPDX-License-Identifier: MIT */
#ifndef HAKD_STORE_H
#define HAKD_STORE_H

/*
 * What the supervisor keeps, and the socket by which a daemon says so: the other side of
 * daemon/util/notify.h and keeper.h. Any process can send there, and the daemon anything:
 * what counts is the daemon's, by the pid that the kernel puts into each message, and what
 * is not to be kept is closed. As systemd does it, two of one name are both kept, and what
 * has no good name is "stored". Nothing is polled: FDPOLL=0 or not, it is kept.
 */

#include <stdbool.h>
#include <sys/types.h>

#define HAKD_STORE_NAME_BYTES 64

struct hakd_stored {
	int fd;
	char name[HAKD_STORE_NAME_BYTES];
};

struct hakd_store {
	int fd;		      /* where messages come in */
	char address[16];     /* the same, as NOTIFY_SOCKET has it */
	unsigned most;	      /* so many are kept at most, and some descriptors are left */
	unsigned n, room;     /* of kept */
	unsigned names_bytes; /* of all names, each with what separates it */
	struct hakd_stored *kept;
};

/* What a message says besides what is to be kept. */
struct hakd_news {
	bool is_ready;
	bool is_ping;
};

/* 0 or a negative errno. */
int hakd_store_init(struct hakd_store *store);

/* Closes everything. */
void hakd_store_deinit(struct hakd_store *store);

/* Reads a message: false, if there is none. It counts if pid sent it; else *news is empty. */
bool hakd_store_take(struct hakd_store *store, pid_t pid, struct hakd_news *news);

/* Is anything kept whose name begins so? */
bool hakd_store_has(const struct hakd_store *store, const char *prefix);

#endif
