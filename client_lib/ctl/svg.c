/* SPDX-License-Identifier: MIT */
/*
 * One picture, as short as it can be: colours are classes of a style sheet (o2 is the third of the
 * palette), a slab is its frame and its filling, a span a bar. A run of SuperSlabs is three rows at
 * most, free SuperSlabs are none.
 */
#include "client_lib/ctl/svg.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "client_lib/ctl/caption.h"
#include "client_lib/ctl/palette.h"
#include "client_lib/ctl/text.h"

enum {
	WIDTH = 850,
	MARGIN = 14,
	CELLS_AT = 230, /* x of the first slot */
	CELLS = 480,	/* of all slots of a row */
	SUMS_AT = 836,	/* right end */
	ROW = 22,	/* from one to the next */
	BOX = 18,	/* height of a slab */
	ROWS_AT = 110,	/* y of the first */
	LINE = 18,	/* of text */
	LISTED = 40,	/* owners in the legend */
	RUN_ROWS = 3,
};

static const char style[] =
	"text{font:12px 'DejaVu Sans',Verdana,Arial,sans-serif;fill:#1b1f24}"
	".h{font-size:17px;font-weight:bold}.g{fill:#57606a}.r{text-anchor:end}"
	".w{fill:#b3261e;font-weight:bold}.n{fill:#f3f4f6}.b{fill:#fff;stroke:#8c959f;stroke-width:"
	"1}"
	".x{fill:#ffd7d5;stroke:#b3261e}.f{fill-opacity:.18}.u{fill:none;stroke:#b3261e;"
	"stroke-width:1.5;stroke-dasharray:4 3}g:hover rect{stroke:#000;stroke-width:2}";

/* As text of XML, whatever it is. */
static void write_text(FILE *out, const char *text)
{
	for (; *text; text++) {
		if (*text == '&')
			fputs("&amp;", out);
		else if (*text == '<')
			fputs("&lt;", out);
		else if (*text == '>')
			fputs("&gt;", out);
		else
			fputc(*text >= 0x20 && *text < 0x7f ? *text : '?', out);
	}
}

int hakc_svg_begin(struct hakc_svg *svg)
{
	svg->rows = open_memstream(&svg->text, &svg->bytes);
	return svg->rows ? 0 : -ENOMEM;
}

static int slot_width(const struct hakc_svg *svg)
{
	return CELLS / (int)svg->view->geometry.slots_per_superslab;
}

/* The part of a cell that lies in the nth SuperSlab of its row. */
static void draw_cell(struct hakc_svg *svg, const struct hakc_row *row,
		      const struct hakc_cell *cell, uint32_t n, int y)
{
	uint32_t per = svg->view->geometry.slots_per_superslab, first = n * per;
	uint32_t begin = cell->slot > first ? cell->slot : first;
	uint32_t end = cell->slot + cell->n_slots < first + per ? cell->slot + cell->n_slots
								: first + per;
	unsigned who = cell->holder != HAK_HOLDER_NONE ? cell->holder : row->owner;
	unsigned colour = hakc_palette_index(who);
	int x = CELLS_AT + (int)(begin - first) * slot_width(svg);
	int width = (int)(end - begin) * slot_width(svg) - 2, filled;
	char caption[HAKC_CAPTION_BYTES];

	if (begin >= end)
		return;
	fputs("<g><title>", svg->rows);
	write_text(svg->rows, hakc_caption_cell(svg->view, row, cell, caption));
	fputs("</title>", svg->rows);
	if (cell->kind == HAKC_CELL_SLAB) {
		filled = (int)((cell->n_live * UINT64_C(1) * (BOX - 1) + cell->n_blocks - 1) /
			       cell->n_blocks);
		fprintf(svg->rows,
			"<rect class=\"b\" x=\"%d.5\" y=\"%d.5\" width=\"%d\" height=\"%d\"/>", x,
			y, width, BOX - 1);
		if (filled)
			fprintf(svg->rows,
				"<rect class=\"o%u\" x=\"%d\" y=\"%d\" width=\"%d\" "
				"height=\"%d\"/>",
				colour, x + 1, y + BOX - filled, width - 1, filled);
	} else {
		fprintf(svg->rows,
			"<rect class=\"%s%u%s\" x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" "
			"rx=\"%d\"/>",
			cell->kind == HAKC_CELL_DAMAGED ? "x o" : "o", colour,
			cell->kind == HAKC_CELL_SPAN && !cell->n_live ? " f" : "", x, y + BOX / 4,
			width + 1, BOX / 2 + 1, BOX / 4);
	}
	fputs("</g>\n", svg->rows);
}

/* What stands before the slots, and behind them. */
static void write_label(struct hakc_svg *svg, const struct hakc_row *row, uint32_t n, int y)
{
	unsigned who = row->kind == HAKC_ROW_ORPHAN ? row->holder : row->owner;
	uint64_t bytes = (uint64_t)row->length << svg->view->geometry.superslab_lg;
	char text[HAKC_TEXT_BYTES];

	fprintf(svg->rows, "<text class=\"r g\" x=\"58\" y=\"%d\">%" PRIu32 "</text>", y + 13,
		row->index + n);
	if (row->kind == HAKC_ROW_GRANTED)
		fprintf(svg->rows, "<text class=\"r\" x=\"114\" y=\"%d\">%" PRId32 "</text>",
			y + 13, hakc_view_pid(svg->view, who));
	else
		fprintf(svg->rows, "<text class=\"r w\" x=\"114\" y=\"%d\">%s</text>", y + 13,
			hakc_row_text(row->kind));
	if (who != HAK_HOLDER_NONE) {
		fprintf(svg->rows, "<text x=\"120\" y=\"%d\">", y + 13);
		write_text(svg->rows, hakc_view_name(svg->view, who));
		fputs("</text>", svg->rows);
	}
	if (n == 0)
		fprintf(svg->rows, "<text class=\"r\" x=\"%d\" y=\"%d\">%u %% of %s</text>\n",
			SUMS_AT, y + 13, (unsigned)(row->live_bytes * 100 / bytes),
			hakc_bytes_text(bytes, text));
}

static void draw(struct hakc_svg *svg, const struct hakc_row *row, uint32_t n)
{
	int y = ROWS_AT + (int)svg->n_rows++ * ROW;

	write_label(svg, row, n, y);
	fprintf(svg->rows, "<rect class=\"n\" x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\"/>\n",
		CELLS_AT, y, CELLS, BOX);
	for (unsigned i = 0; i < row->n_cells; i++)
		draw_cell(svg, row, &row->cells[i], n, y);
	if (row->kind != HAKC_ROW_GRANTED)
		fprintf(svg->rows,
			"<rect class=\"u\" x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\"/>\n",
			CELLS_AT - 2, y - 1, CELLS + 3, BOX + 2);
}

static void write_line(struct hakc_svg *svg, uint64_t n, const char *what)
{
	int y = ROWS_AT + (int)svg->n_rows++ * ROW;

	fprintf(svg->rows,
		"<text class=\"g\" x=\"%d\" y=\"%d\">%" PRIu64 " more SuperSlabs%s</text>\n",
		CELLS_AT, y + 13, n, what);
}

int hakc_svg_row(void *context, const struct hakc_row *row)
{
	struct hakc_svg *svg = context;

	if (row->kind == HAKC_ROW_FREE || row->kind == HAKC_ROW_WARM)
		return 0;
	if (svg->n_rows + RUN_ROWS > HAKC_SVG_ROWS_MAX) {
		svg->n_left_out += row->length;
		return 0;
	}
	draw(svg, row, 0);
	if (row->length > RUN_ROWS) {
		write_line(svg, row->length - 2, " of that span");
		draw(svg, row, row->length - 1);
	}
	for (uint32_t i = 1; row->length <= RUN_ROWS && i < row->length; i++)
		draw(svg, row, i);
	return 0;
}

static int n_owners(const struct hakc_view *view)
{
	int n = 0;

	for (unsigned i = 0; i < HAK_HOLDER_COUNT; i++)
		n += view->totals.owners[i].share.blocks > 0;
	return n < LISTED ? n : LISTED;
}

static void write_owners(const struct hakc_svg *svg, int y)
{
	char text[HAKC_CAPTION_BYTES], live[HAKC_TEXT_BYTES];
	int n = 0;

	for (unsigned i = 0; i < HAK_HOLDER_COUNT && n < LISTED; i++) {
		const struct hakc_owner *owner = &svg->view->totals.owners[i];
		int x = n % 2 ? WIDTH / 2 : MARGIN;

		if (owner->share.blocks == 0)
			continue;
		fprintf(svg->out,
			"<rect class=\"o%u\" x=\"%d\" y=\"%d\" width=\"22\" height=\"12\"/>",
			hakc_palette_index(i), x, y + n / 2 * LINE - 10);
		fprintf(svg->out, "<text x=\"%d\" y=\"%d\">", x + 30, y + n / 2 * LINE);
		write_text(svg->out, hakc_caption_holder(svg->view, i, text));
		fprintf(svg->out, ": %s in %" PRIu64 " block%s</text>\n",
			hakc_bytes_text(owner->share.bytes, live), owner->share.blocks,
			owner->share.blocks == 1 ? "" : "s");
		n++;
	}
}

/* The signs, in a row. */
static void write_signs(const struct hakc_svg *svg, int y)
{
	fprintf(svg->out,
		"<rect class=\"b\" x=\"14.5\" y=\"%d.5\" width=\"20\" height=\"17\"/>"
		"<rect class=\"o2\" x=\"15\" y=\"%d\" width=\"19\" height=\"8\"/>"
		"<text x=\"44\" y=\"%d\">slab, as full as its box</text>"
		"<rect class=\"o2\" x=\"212\" y=\"%d\" width=\"40\" height=\"10\" rx=\"4\"/>"
		"<text x=\"260\" y=\"%d\">span, one block</text>"
		"<rect class=\"o2 f\" x=\"382\" y=\"%d\" width=\"40\" height=\"10\" rx=\"4\"/>"
		"<text x=\"430\" y=\"%d\">free span</text>"
		"<rect class=\"u\" x=\"512\" y=\"%d\" width=\"40\" height=\"18\"/>"
		"<text x=\"560\" y=\"%d\">orphan: its owner is dead, others have</text>"
		"<text x=\"560\" y=\"%d\">blocks in it; or it is being reclaimed</text>\n",
		y - 13, y - 4, y, y - 9, y, y - 9, y, y - 13, y, y + 16);
}

static void write_head(const struct hakc_svg *svg, int height)
{
	char text[HAKC_CAPTION_BYTES];
	int slots = (int)svg->view->geometry.slots_per_superslab;

	fprintf(svg->out,
		"<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" "
		"height=\"%d\" role=\"img\" aria-label=\"map of a pool\">\n<style>%s",
		WIDTH, height, WIDTH, height, style);
	for (unsigned i = 0; i < HAKC_PALETTE_COLOURS; i++)
		fprintf(svg->out, ".o%u{fill:%s}", i, hakc_palette_hex(i));
	fprintf(svg->out,
		"</style>\n<rect width=\"%d\" height=\"%d\" fill=\"#fff\"/>\n"
		"<text class=\"h\" x=\"%d\" y=\"28\">Who holds what in pool ",
		WIDTH, height, MARGIN);
	write_text(svg->out, svg->view->pool);
	fprintf(svg->out, "</text>\n<text x=\"%d\" y=\"50\">", MARGIN);
	write_text(svg->out, hakc_caption_pool(svg->view, text));
	fprintf(svg->out, "</text>\n<text x=\"%d\" y=\"66\">", MARGIN);
	write_text(svg->out, hakc_caption_others(svg->view, text));
	fputs("</text>\n", svg->out);
	fprintf(svg->out,
		"<text class=\"r g\" x=\"58\" y=\"98\">number</text><text class=\"r g\" x=\"114\" "
		"y=\"98\">pid</text><text class=\"g\" x=\"120\" y=\"98\">name</text>");
	for (int i = 0; i < slots; i += 4)
		fprintf(svg->out, "<text class=\"g\" x=\"%d\" y=\"98\">%s%d</text>",
			CELLS_AT + i * (CELLS / slots), i ? "" : "slot ", i);
	fprintf(svg->out, "<text class=\"r g\" x=\"%d\" y=\"98\">live</text>\n", SUMS_AT);
}

int hakc_svg_end(struct hakc_svg *svg)
{
	int y;

	if (!svg->rows)
		return -ENOMEM;
	if (svg->n_left_out)
		write_line(svg, svg->n_left_out, " than this picture has room for: hakmemctl map");
	if (fclose(svg->rows) != 0) {
		free(svg->text);
		return -ENOMEM;
	}
	y = ROWS_AT + (int)svg->n_rows * ROW + 26;
	write_head(svg, y + 26 + (n_owners(svg->view) + 1) / 2 * LINE + MARGIN + 8);
	fwrite(svg->text, 1, svg->bytes, svg->out);
	write_signs(svg, y);
	write_owners(svg, y + 46);
	fputs("</svg>\n", svg->out);
	free(svg->text);
	return 0;
}

void hakc_svg_drop(struct hakc_svg *svg)
{
	if (!svg->rows)
		return;
	fclose(svg->rows);
	free(svg->text);
}
