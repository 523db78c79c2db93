/* SPDX-License-Identifier: MIT */
#ifndef HAKT_STEPS_H
#define HAKT_STEPS_H

/*
 * A child that does one thing, instruction by instruction, in memory that it shares with the test:
 * to look at what is there should it die now. All calls fail the test on error.
 */

#include <stdbool.h>
#include <sys/types.h>

/* It is at its first instruction when this returns. */
pid_t hakt_steps_start(void (*run)(const void *context), const void *context);

/* One instruction; false: that was the last. */
bool hakt_steps_next(pid_t pid);

#endif
