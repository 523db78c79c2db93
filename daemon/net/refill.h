/* SPDX-License-Identifier: MIT */
#ifndef HAKD_REFILL_H
#define HAKD_REFILL_H

/* A client's request for memory. */

#include "daemon/net/peer.h"

/* Serves it now, by a job, or when a job has ended. False: a request that it may not make. */
bool hakd_refill(struct hakd_peer *peer, uint64_t id, const Hak__Refill *request);

/* Tries one again that waited. */
void hakd_refill_try(struct hakd_job *job);

#endif
