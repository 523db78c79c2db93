/* SPDX-License-Identifier: MIT */
#ifndef HAKD_ROOTS_H
#define HAKD_ROOTS_H

/*
 * Names for blocks that outlive who made them. False: the peer may not ask that: only clients
 * publish and withdraw.
 */

#include "daemon/net/peer.h"

bool hakd_roots_publish(struct hakd_peer *peer, uint64_t id, const Hak__Publish *request);
bool hakd_roots_withdraw(struct hakd_peer *peer, uint64_t id, const Hak__Withdraw *request);

/* Anybody: a page of the table from an entry on. */
bool hakd_roots_list(struct hakd_peer *peer, uint64_t id, uint32_t from_entry);

#endif
