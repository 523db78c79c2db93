/* SPDX-License-Identifier: MIT */
#ifndef HAKD_FIGURES_H
#define HAKD_FIGURES_H

/*
 * What is counted: proto/shm/counters.h. A file a pool, proto/shm/figures.h, is at most a second old; without
 * one (its directory can't be written) the daemon works on, and says so.
 */

#include "daemon/daemon.h"

/* All gauges of a pool, as they are. */
void hakd_figures_gauges(const struct hakd_realm *realm, uint64_t ret_values[HAK_GAUGE_COUNT]);

/* What all clients of a pool have counted, those that have left too. */
uint64_t hakd_figures_clients(const struct hakd_realm *realm, unsigned stat);

/* The timer; the loop is there, no realm has been started. */
void hakd_figures_init(struct hakd_daemon *daemon);

/* The file of a pool that begins its work: goes on from that of an earlier daemon. */
void hakd_figures_begin(struct hakd_realm *realm);

/* All pools have begun: the files of others, that a dead daemon has left, go. */
void hakd_figures_tidy(const struct hakd_daemon *daemon);

/* Who may read the pool may be others now. */
void hakd_figures_let_read(struct hakd_realm *realm);

/* What those that have left had counted has changed: what a successor can't find out again. */
void hakd_figures_left(struct hakd_realm *realm);

/* The pool has ended, its file goes. */
void hakd_figures_end(struct hakd_realm *realm);

#endif
