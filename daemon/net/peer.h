/* SPDX-License-Identifier: MIT */
#ifndef HAKD_PEER_H
#define HAKD_PEER_H

/*
 * A connection: one request at a time. While a request's job is under way the
 * peer is not read, so a peer can have no more than that one request.
 */

#include <sys/types.h>

#include "daemon/daemon.h"

struct hakd_peer {
	struct hakd_daemon *daemon;
	struct hakd_realm *realm;   /* the pool that its hello names; NULL: none so far */
	struct hakd_client *client; /* NULL: a tool, or before the hello */
	int fd;
	uv_poll_t poll;
	pid_t pid;
	uid_t uid;
	bool has_said_hello;
	bool is_busy;
	bool is_replaced; /* its client has another connection; closed when it is no longer busy */
};

void hakd_peer_accept(struct hakd_daemon *daemon);

/* The pool that it is about, from now on; NULL: none. */
void hakd_peer_set_realm(struct hakd_peer *peer, struct hakd_realm *realm);

/* Sends a reply with n_fds descriptors; a peer that can't take it is cut off. Ends its being busy. */
void hakd_peer_reply(struct hakd_peer *peer, Hak__Reply *reply, const int *fds, unsigned n_fds);

/* A reply that says why not. */
void hakd_peer_refuse(struct hakd_peer *peer, uint64_t id, unsigned error, const char *reason);

/* Not read until the next reply. */
void hakd_peer_busy(struct hakd_peer *peer);

/* Cuts off, saying in the log why. Not while a job of it is under way. */
void hakd_peer_close(struct hakd_peer *peer, const char *reason);

#endif
