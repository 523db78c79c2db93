/* SPDX-License-Identifier: MIT */
#ifndef HAKC_LINK_H
#define HAKC_LINK_H

/*
 * The way to the daemon, which may be away for a while: a connection, and another one when that is
 * gone, by which the process goes on with the slot that it has.
 *
 *   NONE --attach--> UP --hang-up, nonsense--> DOWN --connect, hello--> GREETING --welcome--> UP
 *                                               ^                          |
 *                                               +--hang-up, a refusal------+
 *   any but NONE --the pool has ended--> STALE --detach--> NONE
 *
 * No thread of its own: it goes on when it is asked, in slow paths. No locking: one thread at a
 * time uses it.
 */

#include "client_lib/conn.h"
#include "proto/shm/registry.h"
#include "proto/wire/socket_path.h"

enum hakc_link_state {
	HAKC_LINK_NONE = 0,
	HAKC_LINK_UP,
	HAKC_LINK_DOWN,
	HAKC_LINK_GREETING, /* connected and said hello, not welcomed yet */
	HAKC_LINK_STALE,    /* for ever: nothing is granted to this process any more */
};

struct hakc_link {
	struct hakc_conn conn;
	enum hakc_link_state state;
	bool is_fresh; /* a welcome came, nothing asked before is under way; who sees it clears it */
	bool is_nobody; /* DOWN: when it was last tried, nobody listened */
	int refused; /* DOWN: a negative errno, the answer to a hello that waiting doesn't change */
	int64_t next_try;    /* DOWN: not before that, us */
	int64_t pause;	     /* before the next but one, us */
	uint64_t random;     /* so that not all clients come at once */
	unsigned timeout_ms; /* longest wait of a call */
	char path[HAK_SOCKET_PATH_MAX];
	const struct hak_registry *header;
	unsigned holder;
	uint32_t holder_generation;
};

/* us, of a clock that only goes on. */
int64_t hakc_link_now(void);

/*
 * UP, by the connection that the welcome came by. header stays mapped; a relative path is one of
 * the working directory of now.
 */
void hakc_link_init(struct hakc_link *link, const struct hakc_conn *conn, const char *path,
		    const struct hak_registry *header, const Hak__Welcome *welcome);
void hakc_link_deinit(struct hakc_link *link);

/* Goes on as far as it can without waiting. True: UP. Leaves is_fresh to be looked at. */
bool hakc_link_try(struct hakc_link *link);

/*
 * The same, waiting until the deadline (us of hakc_link_now). 0: UP; -ETIMEDOUT; -ESTALE: the
 * pool has ended, or nobody listens, so nobody keeps it (that is looked at anew by the next call);
 * -EPROTO: the daemon is of another version.
 */
int hakc_link_wait(struct hakc_link *link, int64_t deadline);

/* The connection is of no more use: UP -> DOWN. */
void hakc_link_lose(struct hakc_link *link);

/* In the child of a fork: closes what it has of its parent's, which may have had one. */
void hakc_link_close_inherited(void);

#endif
