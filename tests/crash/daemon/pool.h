/* SPDX-License-Identifier: MIT */
#ifndef HAKT_CRASH_POOL_H
#define HAKT_CRASH_POOL_H

/* The pool that the keeper keeps, as the tracer sees it beside any daemon. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "proto/shm/segment.h"

void hakt_crash_pool_init(int registry_fd, int heap_fd);

/* The slot where that process is ATTACHED; NONE: nowhere. */
unsigned hakt_crash_pool_holder(pid_t pid);

struct hakt_crash_counts {
	unsigned attached, reclaiming_holders;
	unsigned granted, reclaiming, orphans; /* SuperSlabs */
};

struct hakt_crash_counts hakt_crash_pool_count(void);

/* Audits while others may be at work, but no daemon: anomalies; *ret_lost: blocks of nobody. */
uint64_t hakt_crash_pool_audit(uint64_t *ret_lost, bool tells);

/* Is any tag left, where nothing is granted? */
bool hakt_crash_pool_has_tags(void);

/* Sums up all that a daemon writes: registry, slab words, hints, first bits and tags. */
uint64_t hakt_crash_pool_hash(void);

#endif
