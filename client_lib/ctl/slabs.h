/* SPDX-License-Identifier: MIT */
#ifndef HAKC_CTL_SLABS_H
#define HAKC_CTL_SLABS_H

/* A pool's slabs, added up by size class. */

#include <stdio.h>

#include "client_lib/ctl/view.h"

struct hakc_slabs_sum {
	uint64_t slabs;
	uint64_t blocks;
	uint64_t live_blocks;
	uint64_t slab_bytes; /* all of their slots */
	uint64_t live_bytes; /* of their blocks */
};

/* To be zeroed but for the view. */
struct hakc_slabs {
	const struct hakc_view *view;
	struct hakc_slabs_sum classes[HAK_CLASS_COUNT];
	struct hakc_slabs_sum spans;
	struct hakc_slabs_sum orphans; /* which are in the others too */
	uint64_t unused_bytes;	       /* slots that are granted, and in no slab or span */
	uint64_t damaged_slots;
};

/* A hakc_row_fn: adds what is granted, and orphans. 0. */
int hakc_slabs_row(void *slabs, const struct hakc_row *row);

void hakc_slabs_print(const struct hakc_slabs *slabs, FILE *out);
void hakc_slabs_json(const struct hakc_slabs *slabs, FILE *out);

#endif
