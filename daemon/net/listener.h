/* SPDX-License-Identifier: MIT */
#ifndef HAKD_LISTENER_H
#define HAKD_LISTENER_H

/*
 * The socket at a path. Who holds the lock on PATH.lock serves PATH; a socket
 * that is found there by its holder is stale.
 */

struct hakd_listener {
	int fd;
	int lock_fd;
	char path[108];
};

/* 0; -EADDRINUSE: another daemon serves it; or an errno. Says on stderr what is wrong. */
int hakd_listener_init(struct hakd_listener *listener, const char *path, unsigned mode);

/* Removes socket and lock file. */
void hakd_listener_deinit(struct hakd_listener *listener);

#endif
