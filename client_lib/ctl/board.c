/* SPDX-License-Identifier: MIT */
/*
 * The table is made anew of each look and each change, as long as the looks last; where it is
 * sorted and scrolled is kept a tab. Nothing here knows of a terminal, so that tests can press keys.
 */
#include "client_lib/ctl/board.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "client_lib/ctl/style.h"
#include "client_lib/ctl/text.h"

enum { DELAY_LEAST = 100, DELAY_MOST = 3600000 };

void hakc_board_init(struct hakc_board *board, unsigned delay_ms)
{
	*board = (struct hakc_board){.delay_ms = delay_ms};
	for (unsigned i = 0; i < HAKC_TABS; i++)
		board->tabs[i].column = hakc_tab_first_sort((enum hakc_tab)i);
}

void hakc_board_deinit(struct hakc_board *board)
{
	hakc_table_deinit(&board->table);
}

/* The row at the top is one, and the last page is full. */
static void keep_in_range(struct hakc_board *board)
{
	size_t *first = &board->tabs[board->tab].first;
	size_t n = board->table.n_rows;
	size_t most = n > board->room ? n - board->room : 0;

	if (*first > most)
		*first = most;
}

static int make_table(struct hakc_board *board)
{
	int r;

	hakc_table_deinit(&board->table);
	hakc_tab_init(&board->table, board->tab, board->now, board->before);
	r = hakc_table_sort(&board->table, board->tabs[board->tab].column,
			    board->tabs[board->tab].is_reversed);
	keep_in_range(board);
	return r;
}

int hakc_board_show(struct hakc_board *board, const struct hakc_look *now,
		    const struct hakc_look *before)
{
	board->now = now;
	board->before = before;
	return make_table(board);
}

void hakc_board_fit(struct hakc_board *board, size_t room)
{
	board->room = room;
	keep_in_range(board);
}

static enum hakc_act redo(struct hakc_board *board)
{
	(void)make_table(board); /* what there was memory for */
	return HAKC_ACT_DRAW;
}

static enum hakc_act go_to(struct hakc_board *board, unsigned tab)
{
	board->tab = (enum hakc_tab)(tab % HAKC_TABS);
	return redo(board);
}

static enum hakc_act sort_by(struct hakc_board *board, unsigned step)
{
	unsigned *column = &board->tabs[board->tab].column;

	*column = (*column + step) % board->table.n_columns;
	return redo(board);
}

static enum hakc_act set_delay(struct hakc_board *board, unsigned delay_ms)
{
	board->delay_ms = delay_ms < DELAY_LEAST  ? DELAY_LEAST
			  : delay_ms > DELAY_MOST ? DELAY_MOST
						  : delay_ms;
	return HAKC_ACT_DRAW;
}

/* false: it is no key that scrolls. */
static bool scroll(struct hakc_board *board, int key)
{
	size_t *first = &board->tabs[board->tab].first;
	size_t page = board->room > 1 ? board->room - 1 : 1;

	switch (key) {
	case HAKC_KEY_UP:
		*first -= *first > 0;
		return true;
	case HAKC_KEY_DOWN:
		*first += 1;
		break;
	case HAKC_KEY_PAGE_UP:
		*first -= *first < page ? *first : page;
		return true;
	case HAKC_KEY_PAGE_DOWN:
		*first += page;
		break;
	case HAKC_KEY_HOME:
		*first = 0;
		return true;
	case HAKC_KEY_END:
		*first = board->table.n_rows;
		break;
	default:
		return false;
	}
	keep_in_range(board);
	return true;
}

enum hakc_act hakc_board_key(struct hakc_board *board, int key)
{
	bool had_help = board->shows_help;

	if (key == 'q' || key == 'Q')
		return HAKC_ACT_QUIT;
	if (key != HAKC_KEY_NONE && key != HAKC_KEY_RESIZE)
		board->shows_help = false;
	if (scroll(board, key))
		return HAKC_ACT_DRAW;
	switch (key) {
	case '\t':
		return go_to(board, board->tab + 1u);
	case HAKC_KEY_BACK_TAB:
		return go_to(board, board->tab + HAKC_TABS - 1u);
	case '1':
	case '2':
	case '3':
		return go_to(board, (unsigned)(key - '1'));
	case 's':
	case HAKC_KEY_RIGHT:
		return sort_by(board, 1);
	case 'S':
	case HAKC_KEY_LEFT:
		return sort_by(board, board->table.n_columns - 1);
	case 'r':
		board->tabs[board->tab].is_reversed = !board->tabs[board->tab].is_reversed;
		return redo(board);
	case ' ':
		board->is_paused = !board->is_paused;
		return board->is_paused ? HAKC_ACT_DRAW : HAKC_ACT_LOOK;
	case '+':
		return set_delay(board, board->delay_ms * 2);
	case '-':
		return set_delay(board, board->delay_ms / 2);
	case 'h':
	case '?':
		board->shows_help = !had_help;
		return HAKC_ACT_DRAW;
	case HAKC_KEY_RESIZE:
		return HAKC_ACT_DRAW;
	default:
		return had_help && key != HAKC_KEY_NONE ? HAKC_ACT_DRAW : HAKC_ACT_NOTHING;
	}
}

struct hakc_board_cut hakc_board_cut(const struct hakc_board *board, unsigned columns)
{
	const struct hakc_table *table = &board->table;
	unsigned sorted = board->tabs[board->tab].column, fixed = hakc_tab_fixed(board->tab);
	struct hakc_board_cut cut = {.at = hakc_table_place(table, fixed)};
	unsigned end = hakc_table_place(table, sorted) + table->columns[sorted].width;
	unsigned first = fixed; /* of those behind the cut */

	/* Whole columns, at both ends. */
	while (first < sorted && end - cut.n > columns)
		cut.n += table->columns[first++].width + 1;
	cut.end = cut.at > 0 ? cut.at - 1 : 0;
	for (unsigned i = first; i < table->n_columns; i++) {
		if (cut.end + 1 + table->columns[i].width > columns)
			break;
		cut.end += 1 + table->columns[i].width;
	}
	return cut;
}

static void pool_line(const struct hakc_look *now, char text[HAKC_BOARD_LINE_BYTES])
{
	const uint64_t *n = now->view.totals.superslabs;
	uint64_t used = n[HAKC_ROW_GRANTED] + n[HAKC_ROW_ORPHAN];
	char live[HAKC_TEXT_BYTES], all[HAKC_TEXT_BYTES], resident[HAKC_TEXT_BYTES],
		limit[HAKC_TEXT_BYTES];

	snprintf(text, HAKC_BOARD_LINE_BYTES,
		 "SuperSlabs: %" PRIu64 " granted (%" PRIu64
		 " orphans); %s of %s live; resident %s of %s",
		 used, n[HAKC_ROW_ORPHAN], hakc_bytes_text(now->view.totals.live_bytes, live),
		 hakc_bytes_text(used << now->view.geometry.superslab_lg, all),
		 hakc_bytes_text(now->resident_bytes, resident),
		 hakc_bytes_text(now->limit_bytes, limit));
}

/* Of the pool's clients, those that came and went in between too. */
static void rates_line(const struct hakc_look *now, const struct hakc_look *before,
		       char text[HAKC_BOARD_LINE_BYTES])
{
	static const struct {
		const char *name;
		enum hak_stat stat;
	} rates[] = {{"claims", HAK_STAT_CLAIMS},
		     {"frees", HAK_STAT_FREES},
		     {"takes", HAK_STAT_TAKES},
		     {"asks", HAK_STAT_STAGE_3},
		     {"waits", HAK_STAT_WAITS}};
	size_t n = (size_t)snprintf(text, HAKC_BOARD_LINE_BYTES, "a second:");

	for (unsigned i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
		uint64_t is = now->counters[rates[i].stat];
		uint64_t was = before ? before->counters[rates[i].stat] : 0;
		double rate = hakc_tab_rate(now, before, is, was);

		if (isfinite(rate) && is >= was)
			n += (size_t)snprintf(text + n, HAKC_BOARD_LINE_BYTES - n, "%s %.0f %s",
					      i ? "," : "", rate, rates[i].name);
		else
			n += (size_t)snprintf(text + n, HAKC_BOARD_LINE_BYTES - n, "%s - %s",
					      i ? "," : "", rates[i].name);
	}
}

const char *hakc_board_head(const struct hakc_board *board, unsigned line,
			    char text[HAKC_BOARD_LINE_BYTES])
{
	const struct hakc_look *now = board->now;
	char pool[HAKC_TEXT_BYTES], version[HAKC_TEXT_BYTES], up[HAKC_TEXT_BYTES];

	if (line == 0)
		snprintf(text, HAKC_BOARD_LINE_BYTES,
			 "pool %s, %zu client%s; hakmemd %s, pid %" PRId32 ", up %s",
			 hakc_safe_text(now->view.pool, pool), now->n_clients,
			 now->n_clients == 1 ? "" : "s", hakc_safe_text(now->version, version),
			 now->daemon_pid, hakc_duration_text(now->uptime_seconds, up));
	else if (line == 1)
		pool_line(now, text);
	else
		rates_line(now, board->before, text);
	return text;
}

const char *hakc_board_help(unsigned line)
{
	static const char *const lines[] = {
		"Tab, Shift-Tab, 1, 2, 3   which tab: clients, size classes, SuperSlabs",
		"s, S, right, left         sort by the next column, or the one before",
		"r                         the other way round",
		"space                     pause, and go on",
		"+, -                      look half, or twice, as often",
		"arrows, PgUp, PgDn, Home, End   other rows",
		"h, ?                      this, and away with it",
		"q                         quit",
		"",
		"Counts are a glimpse of a pool at work. hakmemctl(1) says what the columns are.",
	};

	return line < sizeof(lines) / sizeof(lines[0]) ? lines[line] : NULL;
}

static void print_table(const struct hakc_board *board, FILE *out)
{
	char text[HAKC_TABLE_LINE_BYTES];

	if (!hakc_style.no_headers)
		fprintf(out, "%s\n", hakc_table_heading(&board->table, text));
	for (size_t i = 0; i < board->table.n_rows; i++)
		fprintf(out, "%s\n", hakc_table_line(&board->table, board->table.order[i], text));
}

int hakc_board_print(struct hakc_board *board, enum hakc_tab tab, FILE *out)
{
	char text[HAKC_BOARD_LINE_BYTES];
	int r = 0;

	for (unsigned i = 0; i < HAKC_BOARD_HEAD_LINES && !hakc_style.no_headers; i++)
		fprintf(out, "%s\n", hakc_board_head(board, i, text));
	for (unsigned i = 0; r == 0 && i < HAKC_TABS; i++) {
		if (tab != HAKC_TABS && tab != (enum hakc_tab)i)
			continue;
		board->tab = (enum hakc_tab)i;
		r = make_table(board);
		if (!hakc_style.no_headers)
			fprintf(out, "\n%s\n", hakc_tab_name(board->tab));
		print_table(board, out);
	}
	return r;
}
