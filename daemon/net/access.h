/* SPDX-License-Identifier: MIT */
#ifndef HAKD_ACCESS_H
#define HAKD_ACCESS_H

/*
 * Who may what, by the credentials that the kernel noted when a peer connected (SO_PEERCRED,
 * SO_PEERGROUPS). Root, the daemon's user and its admin group may everything.
 */

#include "daemon/net/peer.h"

/* Make and delete pools. */
bool hakd_access_is_admin(const struct hakd_peer *peer);

/* All of `rights`, HAKD_MAY_..., with the peer's pool. False: it has been refused, with the reason. */
bool hakd_access_check(struct hakd_peer *peer, uint64_t id, unsigned rights);

#endif
