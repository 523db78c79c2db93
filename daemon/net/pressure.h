/* SPDX-License-Identifier: MIT */
#ifndef HAKD_PRESSURE_H
#define HAKD_PRESSURE_H

/*
 * Clients are asked to give back what they keep without need: for a request that finds no room,
 * and when the machine is short (shortage.h). On the loop only.
 */

#include "daemon/net/job.h"

void hakd_pressure_init(struct hakd_realm *realm);

/* Asks all clients, unless they have been asked within a second. */
void hakd_pressure_ask(struct hakd_realm *realm);

/* A client gives memory back; NULL: one that is gone, or nobody does. */
void hakd_pressure_note(struct hakd_realm *realm, const struct hakd_client *client);

/*
 * A refill that finds no room, though nothing is warm and no job may make any. True: it waits for
 * what others give back, and is tried again until it has waited for long enough.
 */
bool hakd_pressure_wait(struct hakd_job *job);

#endif
