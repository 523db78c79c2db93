/* SPDX-License-Identifier: MIT */
#ifndef HAKD_REOPEN_H
#define HAKD_REOPEN_H

/*
 * The registry as a daemon left it that was killed between any two
 * instructions: finished or undone, and the loop's private view made from it.
 *
 * | what is left                          | what was under way | what becomes of it        |
 * |---------------------------------------|--------------------|---------------------------|
 * | FREE, words that name an owner        | a grant            | reset, FREE               |
 * | FREE, pages                           | any, or it was warm| punched: COLD             |
 * | a body that no head covers: its head  | grant, end_collect | reset, RECLAIMING         |
 * | is FREE, ...                          |                    |                           |
 * | ... or too short, ...                 | extend, shorten    | reset, RECLAIMING         |
 * | ... or a body itself                  | shorten            | reset, RECLAIMING         |
 * | a run that is GRANTED                 |                    | TAKEN                     |
 * | a run that is RECLAIMING, its bodies  | a collection       | TAKEN, and collected by a |
 * | the same owner's or nobody's          |                    | job (reclaim/resume.h)    |
 * | an ORPHAN                             |                    | TAKEN, looked at again    |
 * |                                       |                    | (likewise)                |
 * | an ORPHAN that names an heir          | inherit            | finished: GRANTED         |
 * | a root that is PENDING or LEAVING     | publish, withdraw  | as roots.h says           |
 *
 * Each step may be cut short too: what a body covers is reset before its word
 * says RECLAIMING, so the next daemon finds a row of the same table.
 *
 * Nothing goes back from an heir: what it did to the blocks that it held there it did as
 * the owner that the slab words named.
 */

#include "daemon/mem/pool.h"

/* Of a pool that is mapped, states all COLD. 0; -EPROTO: no daemon left it so, said on stderr. */
int hakd_reopen(struct hakd_pool *pool);

#endif
