/* SPDX-License-Identifier: MIT */
/*
 * The map in a terminal. What fits into a line is worked out once: first the sums behind the cells
 * go, then the name gets shorter, then a cell stands for two slots, and so on. Lines that look the
 * same one below the other are folded, and the middle of a long run is, so that a large pool
 * is still a page or two; so are free SuperSlabs, however many.
 */
#include "client_lib/ctl/map.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "client_lib/ctl/caption.h"
#include "client_lib/ctl/palette.h"
#include "client_lib/ctl/text.h"

#define NAME_MOST     15u
#define NAME_LEAST    6u
#define PREFIX	      16u /* number, pid, blanks; without the name */
#define USED_COLUMNS  5u
#define LIVE_COLUMNS  11u
#define CELLS_MOST    64u
#define RUN_LINES     3u  /* that a run of SuperSlabs may have before it is folded */
#define OWNERS_LISTED 16u /* in the legend */
#define NO_COLOUR     256u
#define RED	      196u

/* What is in a column of cells. */
enum mark { MARK_UNUSED, MARK_LEVEL, MARK_SPAN, MARK_FREE_SPAN, MARK_DAMAGED };

struct slot {
	enum mark mark;
	unsigned permille; /* how full */
	bool is_first, is_last;
	unsigned holder;
};

/* What the picture is made of, with UTF-8 and without; glyphs[0] is an empty slab. */
struct glyphs {
	const char *levels[10];
	unsigned n_levels;		    /* the empty one included */
	const char *span[4], *free_span[4]; /* alone, begin, middle, end */
	const char *edge;
};

static const struct glyphs utf8 = {
	.levels = {"·", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"},
	.n_levels = 9,
	.span = {"◼", "┣", "━", "┫"},
	.free_span = {"◻", "├", "─", "┤"},
	.edge = "│",
};

static const struct glyphs ascii = {
	.levels = {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"},
	.n_levels = 10,
	.span = {"#", "[", "=", "]"},
	.free_span = {"o", "(", "-", ")"},
	.edge = "|",
};

static const struct glyphs *glyphs_of(const struct hakc_map *map)
{
	return map->style->is_ascii ? &ascii : &utf8;
}

/* A line that is being written; what doesn't fit is left out. */
struct line {
	char *text;
	size_t n;
	unsigned colour;
	bool has_colours;
};

static void add(struct line *line, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void add(struct line *line, const char *format, ...)
{
	va_list arguments;
	int n;

	va_start(arguments, format);
	n = vsnprintf(line->text + line->n, HAKC_MAP_LINE_BYTES - line->n, format, arguments);
	va_end(arguments);
	if (n > 0 && line->n + (size_t)n < HAKC_MAP_LINE_BYTES)
		line->n += (size_t)n;
	line->text[line->n] = 0;
}

static void set_colour(struct line *line, unsigned colour)
{
	if (!line->has_colours || line->colour == colour)
		return;
	if (colour == NO_COLOUR)
		add(line, "\033[0m");
	else
		add(line, "\033[38;5;%um", colour);
	line->colour = colour;
}

static unsigned colour_of(unsigned holder)
{
	return hakc_palette_code(hakc_palette_index(holder));
}

void hakc_map_begin(struct hakc_map *map)
{
	unsigned slots = map->view->geometry.slots_per_superslab;
	unsigned columns = map->style->columns, fixed = PREFIX + 2;
	unsigned cells = slots;

	while (cells * 2 <= CELLS_MOST &&
	       columns >= fixed + NAME_MOST + cells * 2 + USED_COLUMNS + LIVE_COLUMNS)
		cells *= 2;
	while (cells > 4 && columns < fixed + NAME_LEAST + cells)
		cells /= 2;
	fixed += cells;
	map->has_used = columns >= fixed + NAME_LEAST + USED_COLUMNS;
	map->has_live = columns >= fixed + NAME_LEAST + USED_COLUMNS + LIVE_COLUMNS;
	fixed += (map->has_used ? USED_COLUMNS : 0) + (map->has_live ? LIVE_COLUMNS : 0);
	map->n_columns = cells;
	map->name_columns = columns > fixed + NAME_LEAST ? columns - fixed : NAME_LEAST;
	if (map->name_columns > NAME_MOST)
		map->name_columns = NAME_MOST;
	if (map->style->no_headers)
		return;
	fprintf(map->out, "%6s %7s %-*s  %-*s", "NUMBER", "PID", (int)map->name_columns, "NAME",
		(int)cells + 1, "SLOTS");
	fprintf(map->out, "%s%s\n", map->has_used ? " USED" : "",
		map->has_live ? "       LIVE" : "");
}

/* The slots of the nth SuperSlab of a row. */
static void fill_slots(const struct hakc_map *map, const struct hakc_row *row, uint32_t n,
		       struct slot slots[HAKC_ROW_CELLS_MAX])
{
	uint32_t per = map->view->geometry.slots_per_superslab, first = n * per;

	memset(slots, 0, per * sizeof(*slots));
	for (unsigned i = 0; i < row->n_cells; i++) {
		const struct hakc_cell *cell = &row->cells[i];
		uint32_t begin = cell->slot > first ? cell->slot : first;
		struct slot as = {.mark = MARK_LEVEL, .holder = cell->holder};

		if (as.holder == HAK_HOLDER_NONE && row->kind != HAKC_ROW_ORPHAN)
			as.holder = row->owner;
		if (cell->kind == HAKC_CELL_DAMAGED)
			as.mark = MARK_DAMAGED;
		else if (cell->kind == HAKC_CELL_SPAN)
			as.mark = cell->n_live ? MARK_SPAN : MARK_FREE_SPAN;
		if (cell->n_blocks)
			as.permille = (unsigned)(cell->n_live * UINT64_C(1000) / cell->n_blocks);
		if (cell->n_live && as.permille == 0)
			as.permille = 1;
		for (uint32_t k = begin; k < cell->slot + cell->n_slots && k < first + per; k++) {
			slots[k - first] = as;
			slots[k - first].is_first = k == cell->slot;
			slots[k - first].is_last = k == cell->slot + cell->n_slots - 1;
		}
	}
}

static const char *level_glyph(const struct glyphs *glyphs, unsigned permille)
{
	unsigned highest = glyphs->n_levels - 1;

	return glyphs->levels[permille ? 1 + permille * (highest - 1) / 1000 : 0];
}

static const char *slot_glyph(const struct glyphs *glyphs, const struct slot *slot, bool is_first,
			      bool is_last)
{
	unsigned part = is_first && is_last ? 0 : is_first ? 1 : is_last ? 3 : 2;

	switch (slot->mark) {
	case MARK_LEVEL:
		return level_glyph(glyphs, slot->permille);
	case MARK_SPAN:
		return glyphs->span[part];
	case MARK_FREE_SPAN:
		return glyphs->free_span[part];
	case MARK_DAMAGED:
		return "?";
	default:
		return " ";
	}
}

/* Several slots as one: how full they are together, in the colour of the first one in use. */
static struct slot join(const struct slot *slots, unsigned n)
{
	struct slot all = {.mark = MARK_UNUSED};
	unsigned permille = 0;

	for (unsigned i = 0; i < n; i++) {
		const struct slot *slot = &slots[i];

		permille += slot->permille;
		if (all.mark == MARK_UNUSED && slot->mark != MARK_UNUSED)
			all = (struct slot){.mark = MARK_LEVEL, .holder = slot->holder};
		if (slot->mark == MARK_DAMAGED)
			all.mark = MARK_DAMAGED;
	}
	all.permille = permille && permille < n ? 1 : permille / n;
	return all;
}

static void add_cells(const struct hakc_map *map, struct line *line,
		      const struct slot slots[HAKC_ROW_CELLS_MAX])
{
	const struct glyphs *glyphs = glyphs_of(map);
	unsigned per = map->view->geometry.slots_per_superslab;
	unsigned each = map->n_columns > per ? map->n_columns / per : 1;
	unsigned joined = map->n_columns < per ? per / map->n_columns : 1;

	add(line, "%s", glyphs->edge);
	for (unsigned x = 0; x < map->n_columns; x++) {
		const struct slot *slot = &slots[x / each * joined];
		struct slot several;

		if (joined > 1) {
			several = join(slot, joined);
			slot = &several;
		}
		if (slot->mark != MARK_UNUSED)
			set_colour(line,
				   slot->mark == MARK_DAMAGED ? RED : colour_of(slot->holder));
		add(line, "%s",
		    slot_glyph(glyphs, slot, slot->is_first && x % each == 0,
			       slot->is_last && x % each == each - 1));
	}
	set_colour(line, NO_COLOUR);
	add(line, "%s", glyphs->edge);
}

/* Who it is about: of an orphan who owns most of it. */
static void add_label(const struct hakc_map *map, struct line *line, const struct hakc_row *row)
{
	unsigned who = row->kind == HAKC_ROW_ORPHAN ? row->holder : row->owner;
	char name[HAKC_TEXT_BYTES];

	if (row->kind == HAKC_ROW_GRANTED) {
		set_colour(line, colour_of(who));
		add(line, " %7" PRId32, hakc_view_pid(map->view, who));
	} else {
		set_colour(line, RED);
		add(line, " %7s", hakc_row_text(row->kind));
		set_colour(line, colour_of(who));
	}
	hakc_safe_text(who == HAK_HOLDER_NONE ? "" : hakc_view_name(map->view, who), name);
	add(line, " %-*.*s ", (int)map->name_columns, (int)map->name_columns, name);
	set_colour(line, NO_COLOUR);
}

static void print_alike(struct hakc_map *map)
{
	if (map->n_alike == 1)
		fprintf(map->out, "%6" PRIu32 "%s\n", map->last_alike, map->last);
	else if (map->n_alike > 1)
		fprintf(map->out, "%6s %" PRIu32 " more like that, up to %" PRIu32 "\n", "",
			map->n_alike, map->last_alike);
	map->n_alike = 0;
}

static void print_line(struct hakc_map *map, uint32_t number, const char *text)
{
	if (!map->style->shows_all && strcmp(text, map->last) == 0) {
		map->n_alike++;
		map->last_alike = number;
		return;
	}
	print_alike(map);
	fprintf(map->out, "%6" PRIu32 "%s\n", number, text);
	snprintf(map->last, sizeof(map->last), "%s", text);
}

/* The nth SuperSlab of a row; the sums are those of all of it. */
static void draw(struct hakc_map *map, const struct hakc_row *row, uint32_t n)
{
	char text[HAKC_MAP_LINE_BYTES], live[HAKC_TEXT_BYTES];
	struct line line = {.text = text, .colour = NO_COLOUR};
	struct slot slots[HAKC_ROW_CELLS_MAX];
	uint64_t bytes = (uint64_t)row->length << map->view->geometry.superslab_lg;

	line.has_colours = map->style->has_colour;
	add_label(map, &line, row);
	fill_slots(map, row, n, slots);
	add_cells(map, &line, slots);
	if (map->has_used && n == 0)
		add(&line, "%3u %%", (unsigned)(row->live_bytes * 100 / bytes));
	if (map->has_live && n == 0)
		add(&line, " %10s", hakc_bytes_text(row->live_bytes, live));
	print_line(map, row->index + n, text);
}

/* SuperSlabs in a row of which there is nothing to be seen. */
static void print_stretch(struct hakc_map *map, uint32_t first, uint32_t n, const char *what,
			  const char *rest)
{
	char bytes[HAKC_TEXT_BYTES];

	print_alike(map);
	map->last[0] = 0;
	fprintf(map->out, "%6" PRIu32 " %7s %" PRIu32 " SuperSlab%s%s, %s\n", first, what, n,
		n == 1 ? "" : "s", rest,
		hakc_bytes_text((uint64_t)n << map->view->geometry.superslab_lg, bytes));
}

int hakc_map_row(void *context, const struct hakc_row *row)
{
	struct hakc_map *map = context;

	if (row->kind == HAKC_ROW_FREE || row->kind == HAKC_ROW_WARM) {
		if (map->style->shows_all)
			print_stretch(map, row->index, row->length, hakc_row_text(row->kind), "");
		return 0;
	}
	draw(map, row, 0);
	if (row->length > RUN_LINES) {
		print_stretch(map, row->index + 1, row->length - 2, "", " more of that span");
		draw(map, row, row->length - 1);
	}
	for (uint32_t i = 1; row->length <= RUN_LINES && i < row->length; i++)
		draw(map, row, i);
	return 0;
}

static void print_glyphs(const struct hakc_map *map)
{
	const struct glyphs *g = glyphs_of(map);

	fprintf(map->out, "\n%s", g->levels[0]);
	for (unsigned i = 1; i < g->n_levels; i++)
		fputs(g->levels[i], map->out);
	fprintf(map->out,
		" slab, none to all of its blocks live   %s%s%s%s %s span   %s%s%s%s %s free "
		"span\n",
		g->span[1], g->span[2], g->span[2], g->span[3], g->span[0], g->free_span[1],
		g->free_span[2], g->free_span[2], g->free_span[3], g->free_span[0]);
	if (map->view->totals.superslabs[HAKC_ROW_ORPHAN])
		fprintf(map->out,
			"orphan: the owner is dead, others have blocks there; named is who has "
			"most\n");
	if (map->view->totals.damaged)
		fprintf(map->out,
			"?: %" PRIu64 " slots whose words can't be; hakmemctl check says "
			"what is wrong\n",
			map->view->totals.damaged);
}

static int compare_owners(const void *a, const void *b)
{
	const struct hakc_owner *const *x = a, *const *y = b;

	if ((*x)->share.bytes != (*y)->share.bytes)
		return (*x)->share.bytes < (*y)->share.bytes ? 1 : -1;
	return *x < *y ? -1 : 1;
}

static void print_owner(const struct hakc_map *map, const struct hakc_owner *owner)
{
	unsigned holder = (unsigned)(owner - map->view->totals.owners);
	char name[HAKC_TEXT_BYTES], pid[HAKC_TEXT_BYTES] = "-", live[HAKC_TEXT_BYTES];

	if (holder >= HAK_HOLDER_FIRST)
		snprintf(pid, sizeof(pid), "%" PRId32, hakc_view_pid(map->view, holder));
	if (map->style->has_colour)
		fprintf(map->out, "\033[38;5;%um%s%s\033[0m ", colour_of(holder),
			map->style->is_ascii ? "#" : "█", map->style->is_ascii ? "#" : "█");
	fprintf(map->out, "%6u %7s %-15s %10" PRIu64 " %10" PRIu64 " %10s\n", holder, pid,
		hakc_safe_text(holder == HAK_HOLDER_NONE ? "(nobody)"
							 : hakc_view_name(map->view, holder),
			       name),
		owner->superslabs, owner->share.blocks, hakc_bytes_text(owner->share.bytes, live));
}

static void print_owners(const struct hakc_map *map)
{
	const struct hakc_owner **list = malloc(HAK_HOLDER_COUNT * sizeof(*list));
	unsigned n = 0, listed;

	if (!list)
		return;
	for (unsigned i = 0; i < HAK_HOLDER_COUNT; i++) {
		const struct hakc_owner *owner = &map->view->totals.owners[i];

		if (owner->superslabs || owner->share.blocks)
			list[n++] = owner;
	}
	qsort(list, n, sizeof(*list), compare_owners);
	listed = map->style->shows_all || n <= OWNERS_LISTED ? n : OWNERS_LISTED;
	if (n > 0 && !map->style->no_headers)
		fprintf(map->out, "%s%6s %7s %-15s %10s %10s %10s\n",
			map->style->has_colour ? "   " : "", "HOLDER", "PID", "NAME", "SUPERSLABS",
			"BLOCKS", "LIVE");
	for (unsigned i = 0; i < listed; i++)
		print_owner(map, list[i]);
	if (n > listed)
		fprintf(map->out, "and %u more: hakmemctl leaks, or map --all\n", n - listed);
	free(list);
}

void hakc_map_end(struct hakc_map *map)
{
	char text[HAKC_CAPTION_BYTES];

	print_alike(map);
	if (map->style->no_headers)
		return;
	print_glyphs(map);
	print_owners(map);
	fprintf(map->out, "\n%s\n", hakc_caption_pool(map->view, text));
	fprintf(map->out, "%s\n", hakc_caption_others(map->view, text));
}
