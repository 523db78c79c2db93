/* SPDX-License-Identifier: MIT */
#ifndef HAK_SHM_CHECK_TAG_H
#define HAK_SHM_CHECK_TAG_H

/*
 * Is a block what its tag says? For a block outside of a SuperSlab that is RECLAIMING:
 *
 * | tag           | bit 0 (not free)                    | bit 1 (free)            |
 * |---------------|-------------------------------------|-------------------------|
 * | NONE          | the slab owner's; in an orphan      | right                   |
 * |               | NOBODY                              |                         |
 * | OWNED by X    | X's; LEAKED if X isn't there        | HELD                    |
 * | FREEING by X  | X is at it; LEAKED if X isn't there | right: cleared by claim |
 * | FREED         | NOBODY                              | right: cleared by claim |
 * | anything else | TAG                                 | TAG                     |
 */

#include "proto/shm/check.h"

/* HAK_ANOMALY_COUNT: nothing is wrong. */
enum hak_anomaly hak_check_tag(const struct hak_segment *segment, uint32_t tag, bool is_free,
			       bool is_orphan);

#endif
