/* SPDX-License-Identifier: MIT */
#ifndef HAKT_FUZZ_VACANT_H
#define HAKT_FUZZ_VACANT_H

#include "proto/shm/segment.h"

/* Are n slots in no slab and no span? Who cuts must know: a body doesn't say it by itself. */
static inline bool hakt_are_vacant(const struct hak_segment *segment, uint32_t slot, uint32_t n)
{
	for (uint32_t i = slot; i < slot + n; i++)
		if (hak_segment_locate_offset(segment, (uint64_t)i << HAK_SLOT_LG).place !=
		    HAK_PLACE_VACANT)
			return false;
	return true;
}

#endif
