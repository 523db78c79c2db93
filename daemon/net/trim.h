/* SPDX-License-Identifier: MIT */
#ifndef HAKD_TRIM_H
#define HAKD_TRIM_H

/* Memory that is free goes back to the system now. On the loop only. */

#include "daemon/net/peer.h"

/*
 * Asks clients for what they keep, punches all that lies warm, and what comes back until
 * wait_ms have passed or nothing is left that could; then replies. Always true.
 */
bool hakd_trim(struct hakd_peer *peer, uint64_t id, uint32_t wait_ms);

void hakd_trims_init(struct hakd_realm *realm);

#endif
