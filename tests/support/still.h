/* SPDX-License-Identifier: MIT */
#ifndef HAKT_STILL_H
#define HAKT_STILL_H

/* A daemon whose time stands still but for what a test lets pass: still.c, preloaded. */

#include "tests/support/daemon.h"

/* Started with these modules, paths with ':' between, of which still.c's is one. */
void hakt_still_start(struct hakt_daemon *daemon, const char *modules, const char *const *options);

/* Time passes. The daemon notices at its next event, or 200 ms later. */
void hakt_still_pass(unsigned ms);

/* After a setup's hakt_still_start. */
int hakt_still_stop(struct hakt_daemon *daemon);

/* Waits, 60 s at most, until a counter of the daemon has this value. */
void hakt_still_wait_counter(const struct hakt_daemon *daemon, const char *name, unsigned value);

#endif
