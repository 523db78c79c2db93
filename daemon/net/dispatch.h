/* SPDX-License-Identifier: MIT */
#ifndef HAKD_DISPATCH_H
#define HAKD_DISPATCH_H

#include "daemon/net/peer.h"

/* Does what a request asks and replies, now or when its job ends. False: the peer may not ask that. */
bool hakd_dispatch(struct hakd_peer *peer, const Hak__Request *request);

#endif
