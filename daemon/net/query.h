/* SPDX-License-Identifier: MIT */
#ifndef HAKD_QUERY_H
#define HAKD_QUERY_H

#include "daemon/net/peer.h"

/* Answers a question of hakmemctl; walks over the heap are jobs. Always true. */
bool hakd_query_status(struct hakd_peer *peer, uint64_t id);
bool hakd_query_stats(struct hakd_peer *peer, uint64_t id);
bool hakd_query_clients(struct hakd_peer *peer, uint64_t id, uint32_t from_holder);

#endif
