/* SPDX-License-Identifier: MIT */
#ifndef HAKD_LISTENER_H
#define HAKD_LISTENER_H

/*
 * The socket at a path. Who holds the lock on PATH.lock serves PATH; a socket
 * that is found there by its holder is stale.
 */

#include <stdbool.h>

struct hakd_listener {
	int fd;
	int lock_fd;
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
