/* SPDX-License-Identifier: MIT */
#ifndef HAKD_COLLECT_H
#define HAKD_COLLECT_H

/*
 * SuperSlabs on their way back: those that a client gives back, and all of one
 * that has left.
 *
 *   given back:  reset --> [answer] --> grace --> tags zeroed, if any --> FREE
 *   of the dead: own scan --> scan for it (scan.h) --+--> [its slot is free, answer]
 *                                                    +--> orphans, where blocks survive
 *                                                    +--> grace, and on as above
 *   an orphan whose last block has gone: as given back
 *
 * docs/recovery.md has the steps and why they are in this order. All of it is
 * done in jobs, of so many SuperSlabs that others get on.
 */

#include "daemon/net/job.h"

/*
 * Takes back the runs of a job that hakd_pool_begin_collect has been called for,
 * and in which nothing lives; replies to its peer.
 */
void hakd_collect_runs(struct hakd_job *job);

/* Takes back everything of a client that is leaving, then frees its slot; replies to peer. */
void hakd_collect_client(struct hakd_client *client, struct hakd_peer *peer, uint64_t request_id);

#endif
