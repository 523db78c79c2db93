/* SPDX-License-Identifier: MIT */
#ifndef HAKD_REJOIN_H
#define HAKD_REJOIN_H

/*
 * A client whose connection is gone comes again by another one, and goes on with its slot: its
 * daemon has died, or its descriptors were closed. What it had asked before has come to its end
 * when it is welcomed, so that the registry tells it what became of it.
 */

#include "daemon/net/peer.h"

/* The pool that a resume names; NULL: none of the daemon's. */
struct hakd_realm *hakd_rejoin_find(const struct hakd_peer *peer, const Hak__Resume *resume);

/*
 * Answers a hello that says resume: a welcome, now or when the job of the client that is under
 * way ends; or ENDED.
 */
void hakd_rejoin(struct hakd_peer *peer, uint64_t id, const Hak__Resume *resume);

/* The client's job has ended: whoever waited for that has its answer. */
void hakd_rejoin_end(struct hakd_client *client);

#endif
