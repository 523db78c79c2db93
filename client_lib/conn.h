/* SPDX-License-Identifier: MIT */
#ifndef HAKC_CONN_H
#define HAKC_CONN_H

/*
 * A connection to the daemon: one request, one reply, with a deadline. No
 * locking: the caller sees to it that one thread at a time uses a connection.
 */

#include <stdbool.h>
#include <stdint.h>

#include "proto/wire/wire.h"

struct hakc_conn {
	int fd;	      /* -1: closed */
	uint64_t ino; /* of the socket: a program may close it and get the number for a file */
	unsigned timeout_ms;
	uint64_t last_id;
};

/*
 * Connects to the socket at path. 0; -ENOENT, -ECONNREFUSED, -EACCES and the
 * others of connect(2); conn is closed then.
 */
int hakc_conn_init(struct hakc_conn *conn, const char *path, unsigned timeout_ms);
void hakc_conn_deinit(struct hakc_conn *conn);

/*
 * The same for one that is closed, whose ids go on, without waiting; also -ETIMEDOUT: so many have
 * connected whom nobody has taken that there is no room for one more.
 */
int hakc_conn_renew(struct hakc_conn *conn, const char *path);

/* It is open and the daemon hasn't hung up, as far as can be seen from here. */
bool hakc_conn_is_alive(const struct hakc_conn *conn);

/* Waits for a reply or a hang-up, up to timeout_ms; what has come hakc_conn_receive tells. */
void hakc_conn_wait(struct hakc_conn *conn, unsigned timeout_ms);

/* Sends request with an id of its own, which is request->id then. 0 or as hakc_conn_call. */
int hakc_conn_send(struct hakc_conn *conn, Hak__Request *request);

/*
 * The next reply, whichever request it answers; waits up to timeout_ms, 0 not
 * at all. 0 and *ret_reply, or as hakc_conn_call. Descriptors are closed.
 */
int hakc_conn_receive(struct hakc_conn *conn, unsigned timeout_ms, Hak__Reply **ret_reply);

/*
 * Sends request (its id is set here) and waits for its reply. Descriptors that
 * came with it go to fds[0..*n_fds), *n_fds being the room on entry; NULL: none
 * are wanted, and those that come are closed. Replies to earlier requests,
 * which timed out or which nobody waited for, go to late(context, reply) if
 * that isn't NULL.
 *
 * 0 and *ret_reply, to be released by hak__reply__free_unpacked(reply, NULL),
 * also if the reply carries an error; -ETIMEDOUT: the connection is still
 * good; -ENOTCONN: the daemon hung up; -EPROTO: it sent nonsense; the
 * connection is closed after the last two.
 */
int hakc_conn_call(struct hakc_conn *conn, Hak__Request *request, Hak__Reply **ret_reply, int *fds,
		   unsigned *n_fds, void (*late)(void *context, const Hak__Reply *reply),
		   void *context);

/* Says hello again, as hakc_conn_send; the reply's id will be conn->last_id. */
int hakc_conn_send_resume(struct hakc_conn *conn, Hak__Resume *resume);

/*
 * Says hello as kind and waits for the welcome. 0 and *ret_reply with a
 * welcome; a positive enum hak_error with *ret_reply if the daemon refused (its
 * reason is in the reply), or a negative errno.
 */
int hakc_conn_hello(struct hakc_conn *conn, Hak__PeerKind kind, const char *pool,
		    Hak__Reply **ret_reply, int *fds, unsigned *n_fds);

#endif
