/* SPDX-License-Identifier: MIT */
#ifndef HAKD_QUOTA_H
#define HAKD_QUOTA_H

/* What one client, or all clients of a user, may have of a pool. On the loop only. */

#include "daemon/net/peer.h"

/* May this user have one client more? */
bool hakd_quota_may_attach(const struct hakd_realm *realm, uid_t uid);

/* How many of n SuperSlabs more the client may have now. */
uint32_t hakd_quota_room(const struct hakd_client *client, uint32_t n);

#endif
