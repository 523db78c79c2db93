/* SPDX-License-Identifier: MIT */
#include "client_lib/ctl/caption.h"

#include <inttypes.h>
#include <stdio.h>

#include "client_lib/ctl/text.h"

const char *hakc_caption_pool(const struct hakc_view *view, char text[HAKC_CAPTION_BYTES])
{
	const uint64_t *n = view->totals.superslabs;
	unsigned lg = view->geometry.superslab_lg;
	uint64_t used = n[HAKC_ROW_GRANTED] + n[HAKC_ROW_ORPHAN];
	char pool[HAKC_TEXT_BYTES], size[HAKC_TEXT_BYTES], live[HAKC_TEXT_BYTES],
		all[HAKC_TEXT_BYTES];

	snprintf(text, HAKC_CAPTION_BYTES,
		 "pool %s: %" PRIu64 " of %" PRIu32 " SuperSlabs of %s granted, %s of %s live",
		 hakc_safe_text(view->pool, pool), used, view->geometry.n_superslabs,
		 hakc_bytes_text(UINT64_C(1) << lg, size),
		 hakc_bytes_text(view->totals.live_bytes, live), hakc_bytes_text(used << lg, all));
	return text;
}

const char *hakc_caption_others(const struct hakc_view *view, char text[HAKC_CAPTION_BYTES])
{
	const uint64_t *n = view->totals.superslabs;

	snprintf(text, HAKC_CAPTION_BYTES,
		 "of them orphans: %" PRIu64 "; not granted: %" PRIu64 " being reclaimed, %" PRIu64
		 " free with pages",
		 n[HAKC_ROW_ORPHAN], n[HAKC_ROW_DEAD] + n[HAKC_ROW_WAITING], n[HAKC_ROW_WARM]);
	return text;
}

const char *hakc_caption_holder(const struct hakc_view *view, unsigned holder,
				char text[HAKC_CAPTION_BYTES])
{
	char name[HAKC_TEXT_BYTES];

	if (holder == HAK_HOLDER_NONE)
		snprintf(text, HAKC_CAPTION_BYTES, "nobody");
	else if (holder == HAK_HOLDER_ROOT)
		snprintf(text, HAKC_CAPTION_BYTES, "the pool, by its roots");
	else
		snprintf(text, HAKC_CAPTION_BYTES, "holder %u, pid %" PRId32 " (%s)", holder,
			 hakc_view_pid(view, holder),
			 hakc_safe_text(hakc_view_name(view, holder), name));
	return text;
}

/* What it is, and how full. */
static int describe(const struct hakc_cell *cell, char text[HAKC_CAPTION_BYTES])
{
	char bytes[HAKC_TEXT_BYTES];

	hakc_bytes_text(cell->block_bytes, bytes);
	switch (cell->kind) {
	case HAKC_CELL_SLAB:
		return snprintf(text, HAKC_CAPTION_BYTES,
				"slab of %" PRIu64 "-byte blocks, %" PRIu32 " of %" PRIu32 " live",
				cell->block_bytes, cell->n_live, cell->n_blocks);
	case HAKC_CELL_SPAN:
		return snprintf(text, HAKC_CAPTION_BYTES, "span of %s, %s", bytes,
				cell->n_live ? "live" : "free");
	default:
		return snprintf(text, HAKC_CAPTION_BYTES,
				"words that can't be: hakmemctl check says what is wrong");
	}
}

const char *hakc_caption_cell(const struct hakc_view *view, const struct hakc_row *row,
			      const struct hakc_cell *cell, char text[HAKC_CAPTION_BYTES])
{
	char holder[HAKC_CAPTION_BYTES];
	size_t n = (size_t)describe(cell, text);

	if (row->kind == HAKC_ROW_ORPHAN)
		n += (size_t)snprintf(text + n, HAKC_CAPTION_BYTES - n, "; orphan");
	else
		n += (size_t)snprintf(text + n, HAKC_CAPTION_BYTES - n, "; %s%s",
				      row->kind == HAKC_ROW_DEAD ? "dead: " : "",
				      hakc_caption_holder(view, row->owner, holder));
	if (cell->n_taken)
		snprintf(text + n, HAKC_CAPTION_BYTES - n,
			 "; %" PRIu32 " owned by others, most by %s", cell->n_taken,
			 hakc_caption_holder(view, cell->holder, holder));
	return text;
}
