/* SPDX-License-Identifier: MIT */
#ifndef HAKC_CTL_SVG_H
#define HAKC_CTL_SVG_H

/*
 * The map as an SVG of 850 units in width, dark on light: no script, no font, no file but itself.
 * What a slab is, and whose, is its title, which browsers show under the pointer. To be zeroed but
 * for the first two.
 */

#include <stdio.h>

#include "client_lib/ctl/view.h"

#define HAKC_SVG_ROWS_MAX 256u /* SuperSlabs that are drawn; of the others there is a count */

struct hakc_svg {
	FILE *out;
	const struct hakc_view *view;

	/* Private: the rows, until their number is known. */
	FILE *rows;
	char *text;
	size_t bytes;
	unsigned n_rows;
	uint64_t n_left_out;
};

/* 0 or -ENOMEM; errors of `out` stay in it. Always to be ended, or dropped. */
int hakc_svg_begin(struct hakc_svg *svg);
int hakc_svg_row(void *svg, const struct hakc_row *row); /* a hakc_row_fn; 0 */
int hakc_svg_end(struct hakc_svg *svg);

/* Instead of the end: nothing is written, and the view isn't looked at. */
void hakc_svg_drop(struct hakc_svg *svg);

#endif
