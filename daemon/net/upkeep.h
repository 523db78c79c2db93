/* SPDX-License-Identifier: MIT */
#ifndef HAKD_UPKEEP_H
#define HAKD_UPKEEP_H

/*
 * What the daemon does to a pool of its own accord: it fills the reserve, gives
 * back what lies warm for too long, and asks again for those who wait for one
 * of its jobs. On the loop only.
 */

#include "daemon/daemon.h"

/* Starts the first fill. The pool must be there. */
void hakd_upkeep_init(struct hakd_realm *realm);

/* The limit or the keeping time is another one. */
void hakd_upkeep_reload(struct hakd_realm *realm);

/* Something was taken: fill up, if that is due. */
void hakd_upkeep_check(struct hakd_realm *realm);

/* A job has ended: who waits is tried again, then as above. */
void hakd_upkeep_job_ended(struct hakd_realm *realm);

/*
 * What lies warm is punched. Until somebody asks for memory (hakd_upkeep_demand) the reserve
 * is not filled again.
 */
void hakd_upkeep_shrink(struct hakd_realm *realm);
void hakd_upkeep_demand(struct hakd_realm *realm);

/* A refill that can't be served before some job has ended; its peer and client are busy. */
void hakd_upkeep_wait(struct hakd_job *job);

#endif
