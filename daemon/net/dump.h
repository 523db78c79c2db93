/* SPDX-License-Identifier: MIT */
#ifndef HAKD_DUMP_H
#define HAKD_DUMP_H

/* The configuration in force, for administrators. */

#include "daemon/net/peer.h"

bool hakd_dump_config(struct hakd_peer *peer, uint64_t id);

#endif
