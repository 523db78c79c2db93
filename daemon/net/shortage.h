/* SPDX-License-Identifier: MIT */
#ifndef HAKD_SHORTAGE_H
#define HAKD_SHORTAGE_H

/* The machine, or the daemon's cgroup, is short of memory: the pool gives back what it can. */

#include "daemon/daemon.h"

/* Watches for it from now on, or says in the log why it can't. After upkeep and pressure. */
void hakd_shortage_init(struct hakd_daemon *daemon);

#endif
