/* SPDX-License-Identifier: MIT */
#ifndef HAKT_CRASH_LAB_H
#define HAKT_CRASH_LAB_H

/*
 * A second pool, "lab", which A has made, reset and deleted by hakmemctl, and of which B may have a
 * block. The daemon is killed amid that; with the next one:
 *
 * | A's last     | it succeeded     | it failed                                   |
 * |--------------|------------------|---------------------------------------------|
 * | pool create  | lab is there     | it is there, or not                         |
 * | pool reset   | a new one is     | the old one is there, or the new one        |
 * | pool delete  | it is not there  | the old one is there, or none               |
 *
 * The old one is the one that B is attached to: B gets memory of it as before. Of any other it is
 * told that its pool has ended. The keeper has what the daemon has.
 */

#include "tests/crash/daemon/scenario.h"
#include "tests/support/keeper.h"

/*
 * After the next daemon's start, and B's HAKT_POOL_GROW if it opened lab. NULL: all is as above, or the
 * scenario has none; else what is not.
 */
const char *hakt_lab_fault(struct hakt_keeper *keeper, const struct hakt_scenario *s);

/* When all are dead: it is clean, can be deleted, and leaves nothing; else what is wrong. */
const char *hakt_lab_end(struct hakt_keeper *keeper, const struct hakt_scenario *s);

#endif
