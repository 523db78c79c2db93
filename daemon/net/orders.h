/* SPDX-License-Identifier: MIT */
#ifndef HAKD_ORDERS_H
#define HAKD_ORDERS_H

/* What administrators order of the daemon, and of a pool's clients. See the messages. */

#include "daemon/net/peer.h"
#include "proto/wire/wire.h"

/* Is it from an administrator of the daemon? False: it has been refused. */
bool hakd_orders_may(struct hakd_peer *peer, uint64_t id);

bool hakd_orders_ping(struct hakd_peer *peer, uint64_t id);
bool hakd_orders_reload(struct hakd_peer *peer, uint64_t id);
bool hakd_orders_log_level(struct hakd_peer *peer, uint64_t id, const Hak__LogLevel *request);
bool hakd_orders_kick(struct hakd_peer *peer, uint64_t id, const Hak__Kick *request);

bool hakd_orders_profile(struct hakd_peer *peer, uint64_t id, const Hak__Profile *request);

/* Was it kicked, by this daemon or an earlier one? */
bool hakd_orders_has_kicked(const struct hakd_client *client);

#endif
