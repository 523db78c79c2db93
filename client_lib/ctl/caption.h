/* SPDX-License-Identifier: MIT */
#ifndef HAKC_CTL_CAPTION_H
#define HAKC_CTL_CAPTION_H

/* What pictures of a pool say in words; printable ASCII, without a line's end. Returns text. */

#include "client_lib/ctl/view.h"

#define HAKC_CAPTION_BYTES 512

/* Of the last walk: "pool default: 5 of 512 SuperSlabs of 2.0 MiB granted, 3.1 MiB of 10.0 MiB live" */
const char *hakc_caption_pool(const struct hakc_view *view, char text[HAKC_CAPTION_BYTES]);

/* "of them orphans: 3; not granted: 0 being reclaimed, 2 free with pages" */
const char *hakc_caption_others(const struct hakc_view *view, char text[HAKC_CAPTION_BYTES]);

/* "holder 2, pid 1234 (worker)" */
const char *hakc_caption_holder(const struct hakc_view *view, unsigned holder,
				char text[HAKC_CAPTION_BYTES]);

/* "slots 3-4, slab of 48 byte blocks: 100 of 2730 live, ...; owner: ..." */
const char *hakc_caption_cell(const struct hakc_view *view, const struct hakc_row *row,
			      const struct hakc_cell *cell, char text[HAKC_CAPTION_BYTES]);

#endif
