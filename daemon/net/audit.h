/* SPDX-License-Identifier: MIT */
#ifndef HAKD_AUDIT_H
#define HAKD_AUDIT_H

#include "daemon/net/peer.h"

/*
 * Answers a check by a page of the audit, from a SuperSlab on; jobs walk. It lists anomalies, or
 * the owners of blocks. Always true.
 */
bool hakd_audit(struct hakd_peer *peer, uint64_t id, uint32_t from_superslab, bool owners);

#endif
