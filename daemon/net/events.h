/* SPDX-License-Identifier: MIT */
#ifndef HAKD_EVENTS_H
#define HAKD_EVENTS_H

/* What happens in a pool: a ring in a file, proto/shm/events.h, and lines of the log. */

#include "daemon/daemon.h"
#include "proto/shm/events.h"

/* The file of a pool that begins its work: goes on from that of an earlier daemon, or pool. */
void hakd_events_begin(struct hakd_realm *realm);

/* All pools have begun: the files of others, that a dead daemon has left, go. */
void hakd_events_tidy(const struct hakd_daemon *daemon);

/* Who may read the pool may be others now. */
void hakd_events_let_read(struct hakd_realm *realm);

/* It happened: to a client, or NULL. a and b as the event's text says. */
void hakd_event(struct hakd_realm *realm, enum hak_event_kind kind,
		const struct hakd_client *client, uint64_t a, uint64_t b);

/* The same for what comes often: the first time, and each time that n has doubled. */
void hakd_event_seldom(struct hakd_realm *realm, enum hak_event_kind kind,
		       const struct hakd_client *client, uint64_t n);

/* The pool has ended, its file goes. */
void hakd_events_end(struct hakd_realm *realm);

#endif
