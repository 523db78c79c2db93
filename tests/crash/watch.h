/* SPDX-License-Identifier: MIT */
#ifndef HAKT_CRASH_WATCH_H
#define HAKT_CRASH_WATCH_H

/*
 * The tracer's look at the pool: a client that allocates nothing, with a mapping that its children
 * don't inherit. It sees in the registry when the dead are reclaimed, and audits.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "client_lib/ctl/query.h"
#include "proto/shm/segment.h"

struct hakt_watch {
	struct hakc_conn conn;	 /* of the client */
	struct hakc_query query; /* of the tool */
	struct hak_segment segment;
	void *registry, *heap, *lease;
};

struct hakt_verdict {
	uint64_t leaked;    /* blocks that belong to nobody or to the dead */
	uint64_t anomalies; /* what the audit tells, and what else is wrong */
};

/* Attaches to the daemon at that socket; ends the program on error. */
void hakt_watch_init(struct hakt_watch *watch, const char *socket);

/* Leaves, as who detaches does. */
void hakt_watch_deinit(struct hakt_watch *watch);

/*
 * Waits until the daemon has taken back all that a process had, which is dead. may_come: it may
 * have died while it attached, so that the daemon hears of it only now. False: it hangs.
 */
bool hakt_watch_wait_buried(struct hakt_watch *watch, pid_t pid, bool may_come);

/*
 * SuperSlabs that are still those of a client whose slot is free, so that whoever attaches next
 * would get them: there are none, at any time. Looked at as soon as a slot is free, it sees one
 * that is freed too early. The first ones are told on stderr.
 */
uint64_t hakt_watch_early(const struct hakt_watch *watch);

/*
 * Looks at the names, and their blocks: what the scans have left of them. How many are not as they
 * are to be; the first ones are told on stderr.
 */
uint64_t hakt_watch_names(struct hakt_watch *watch);

/*
 * Audits the pool while others work in it; the first findings are told on stderr. Nobody may have
 * published anything: a name, or a block of ROOT's, is one that stays behind.
 */
struct hakt_verdict hakt_watch_audit(struct hakt_watch *watch);

#endif
