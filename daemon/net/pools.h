/* SPDX-License-Identifier: MIT */
#ifndef HAKD_POOLS_H
#define HAKD_POOLS_H

#include "daemon/net/peer.h"

/* Makes and deletes pools; for root and the daemon's user. Always true. */
bool hakd_pools_create(struct hakd_peer *peer, uint64_t id, const Hak__PoolCreate *request);
bool hakd_pools_delete(struct hakd_peer *peer, uint64_t id, const Hak__PoolDelete *request);

#endif
