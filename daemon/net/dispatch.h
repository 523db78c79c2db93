/* SPDX-License-Identifier: MIT */
#ifndef HAKD_DISPATCH_H
#define HAKD_DISPATCH_H

#include "daemon/net/peer.h"

/* Does what a request asks and replies, now or when its job ends. False: the peer may not ask that. */
bool hakd_dispatch(struct hakd_peer *peer, const Hak__Request *request);

/* Answers a hello; client NULL: a tool's. One that is new gets the descriptors of the pool. */
void hakd_dispatch_welcome(struct hakd_peer *peer, uint64_t id, struct hakd_client *client,
			   bool is_new);

#endif
