/* SPDX-License-Identifier: MIT */
#ifndef HAKC_CTL_MAP_H
#define HAKC_CTL_MAP_H

/*
 * A pool as a picture of characters: a row a SuperSlab, in it a cell a slot, as high as the slab
 * there is full, in the colour of who owns most of its blocks. To be zeroed but for the first
 * three; then begin, each row of a walk, end. Errors of the stream stay in it.
 */

#include <stdio.h>

#include "client_lib/ctl/style.h"
#include "client_lib/ctl/view.h"

#define HAKC_MAP_LINE_BYTES 4096u

struct hakc_map {
	FILE *out;
	const struct hakc_view *view;
	const struct hakc_style *style;

	/* Private: what fits into a line, and the last one, which the next may be like. */
	unsigned n_columns; /* of the cells */
	unsigned name_columns;
	bool has_used, has_live;
	char last[HAKC_MAP_LINE_BYTES];
	uint32_t first_alike, last_alike; /* SuperSlabs that look like it */
	uint32_t n_alike;
};

void hakc_map_begin(struct hakc_map *map);
int hakc_map_row(void *map, const struct hakc_row *row); /* a hakc_row_fn; 0 */

/* The legend, and who owns what. */
void hakc_map_end(struct hakc_map *map);

#endif
