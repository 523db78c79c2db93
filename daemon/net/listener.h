/* SPDX-License-Identifier: MIT */
#ifndef HAKD_LISTENER_H
#define HAKD_LISTENER_H

/*
 * The socket at a path. Who makes it holds the lock on PATH.lock from before until after:
 * a daemon without a keeper, or the supervisor. A socket that is found there by the holder
 * is stale, unless it is listened on: it is of who takes no lock, systemd, or of a daemon
 * whose supervisor was killed. A daemon that was handed a socket takes no lock: the path is
 * its keeper's.
 */

#include <stdbool.h>

struct hakd_listener {
	int fd;
	int lock_fd;  /* -1: the lock is the keeper's affair */
	int spare_fd; /* given up to refuse a connection when no descriptor is left */
	bool is_kept; /* the socket is its keeper's: it stays when we go */
	char path[108];
};

/*
 * kept_fd: a socket that listens there already, the listener's from now on; -1:
 * there is none. 0; -EADDRINUSE: another daemon serves it; or an errno. Says on
 * stderr what is wrong.
 */
int hakd_listener_init(struct hakd_listener *listener, const char *path, unsigned mode,
		       int kept_fd);

/*
 * The next connection, non-blocking; -EAGAIN: there is none. -EMFILE: out of
 * descriptors, the connection was closed, since one that goes on waiting would
 * wake the event loop for ever.
 */
int hakd_listener_accept(struct hakd_listener *listener);

/* Removes socket, unless it is kept, and lock file. */
void hakd_listener_deinit(struct hakd_listener *listener);

#endif
