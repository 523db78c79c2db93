/* SPDX-License-Identifier: MIT */
#include "tests/support/run.h"

#include "tests/support/drawing.h"

#include <string.h>

struct hakc_view hakt_drawn;
struct hakt_paper hakt_page;

int hakt_drawing_start(void **state)
{
	struct hakc_view *view = &hakt_drawn;

	(void)state;
	hakt_page_turn();
	*view = (struct hakc_view){.pool = "drawn"};
	assert_int_equal(hak_geometry_init(&view->geometry, UINT64_C(128) << 20, 21), 0);
	view->holders = calloc(HAK_HOLDER_COUNT, sizeof(*view->holders));
	assert_non_null(view->holders);
	for (unsigned i = HAK_HOLDER_FIRST; i < HAK_HOLDER_COUNT; i++) {
		view->holders[i].pid = HAKT_DRAWN_PID(i);
		strcpy(view->holders[i].name, "worker");
	}
	return 0;
}

static void drop_page(void)
{
	if (hakt_page.out)
		hakt_page_text();
	free(hakt_page.text);
	hakt_page = (struct hakt_paper){0};
}

int hakt_drawing_stop(void **state)
{
	(void)state;
	drop_page();
	hakc_view_deinit(&hakt_drawn);
	return 0;
}

struct hakc_row hakt_drawing_row(uint32_t index, unsigned owner)
{
	return (struct hakc_row){.kind = HAKC_ROW_GRANTED,
				 .index = index,
				 .length = 1,
				 .owner = owner,
				 .holder = owner};
}

static void add_cell(struct hakc_row *row, struct hakc_cell cell)
{
	assert_true(row->n_cells < HAKC_ROW_CELLS_MAX);
	if (cell.n_live)
		cell.holder = row->owner;
	row->live_bytes += cell.n_live * cell.block_bytes;
	row->cells[row->n_cells++] = cell;
}

void hakt_drawing_add_slab(struct hakc_row *row, uint32_t slot, unsigned cls, uint32_t n_live)
{
	add_cell(row, (struct hakc_cell){.kind = HAKC_CELL_SLAB,
					 .slot = slot,
					 .n_slots = hak_classes[cls].n_slots,
					 .cls = cls,
					 .block_bytes = hak_classes[cls].size,
					 .n_blocks = hak_classes[cls].n_blocks,
					 .n_live = n_live});
}

void hakt_drawing_add_span(struct hakc_row *row, uint32_t slot, uint32_t n_slots, bool is_live)
{
	add_cell(row, (struct hakc_cell){.kind = HAKC_CELL_SPAN,
					 .slot = slot,
					 .n_slots = n_slots,
					 .block_bytes = (uint64_t)n_slots << HAK_SLOT_LG,
					 .n_blocks = 1,
					 .n_live = is_live});
}

void hakt_page_turn(void)
{
	drop_page();
	hakt_page.out = open_memstream(&hakt_page.text, &hakt_page.bytes);
	assert_non_null(hakt_page.out);
}

const char *hakt_page_text(void)
{
	assert_int_equal(fclose(hakt_page.out), 0);
	hakt_page.out = NULL;
	return hakt_page.text;
}

unsigned hakt_count(const char *text, const char *what)
{
	unsigned n = 0;

	for (const char *at = strstr(text, what); at; at = strstr(at + strlen(what), what))
		n++;
	return n;
}
