/* SPDX-License-Identifier: MIT */
#ifndef HAK_SHM_CHECK_ROOTS_H
#define HAK_SHM_CHECK_ROOTS_H

/*
 * Has each live root the blocks that its entries say? Changes nothing, also beside the daemon
 * at work, and beside clients that die: none in a healthy pool.
 *
 * | entry                          | its block                         | told as |
 * |--------------------------------|-----------------------------------|---------|
 * | FREE, or its head isn't LIVE   | what it is, the walk tells        |         |
 * | of a LIVE head, itself or as a | ROOT's, not free, by the ref      |         |
 * | member                         |                                   |         |
 * | the same                       | another holder's, free, with      | ROOT    |
 * |                                | another epoch or inc, or none     |         |
 * | in a state, or at a place of a | whatever it is                    | ENTRY   |
 * | list, that can't be            |                                   |         |
 *
 * The other direction, a block of ROOT's that no entry has, is hak_audit_superslab's.
 */

#include "proto/shm/check.h"

/* Once a check: all entries. Findings have the slot of the block, if the ref is of the pool. */
void hak_audit_roots(const struct hak_segment *segment, struct hak_audit *audit);

#endif
