/* SPDX-License-Identifier: MIT */
#ifndef HAKT_CRASH_WALKER_H
#define HAKT_CRASH_WALKER_H

/* A client that lives: it passes blocks to the other walker and to the victim, all the time. */

#include <stdint.h>
#include <sys/types.h>

/* Forks walker `self`, which ends with its parent; exit code 0, or 99 and a message. */
pid_t hakt_walker_start(unsigned self, uint64_t seed);

#endif
