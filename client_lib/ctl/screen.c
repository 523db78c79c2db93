/* SPDX-License-Identifier: MIT */
/*
 * Signals come only while a key is waited for, so that none is missed between a look at the flag
 * and the wait, and none leaves a line half written: ncurses' own handlers see to SIGWINCH and
 * SIGTSTP, ours take down that it is to end. What is drawn are characters of ASCII.
 */
#include "client_lib/ctl/screen.h"

#include <curses.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "client_lib/ctl/terminfo.h"

enum { PAIR_HEADING = 1, PAIR_WARNING, PAIR_MUTED };

#define ESCAPE_MS 25 /* that a key's bytes are apart at most */

static const int ending[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};

enum { N_ENDING = sizeof(ending) / sizeof(ending[0]) };

static SCREEN *terminal;
static sigset_t usual_mask;
static struct sigaction usual_actions[N_ENDING];
static volatile sig_atomic_t ended_by;
static bool has_colours;

static void note_end(int signal)
{
	ended_by = signal;
}

static void take_signals(void)
{
	struct sigaction action = {.sa_handler = note_end};
	sigset_t blocked;

	sigemptyset(&blocked);
	sigaddset(&blocked, SIGWINCH);
	for (unsigned i = 0; i < N_ENDING; i++) {
		sigaddset(&blocked, ending[i]);
		sigaction(ending[i], &action, &usual_actions[i]);
	}
	sigprocmask(SIG_BLOCK, &blocked, &usual_mask);
}

static void start_colours(bool wanted)
{
	has_colours = wanted && has_colors() && start_color() == OK;
	if (!has_colours)
		return;
	use_default_colors();
	init_pair(PAIR_HEADING, COLOR_CYAN, -1);
	init_pair(PAIR_WARNING, COLOR_RED, -1);
	init_pair(PAIR_MUTED, COLOR_BLUE, -1);
}

int hakc_screen_init(bool has_colour)
{
	if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))
		return -ENOTTY;
	if (!hakc_terminfo_knows())
		return -ENODEV;
	take_signals();
	terminal = newterm(NULL, stdout, stdin);
	if (!terminal) {
		hakc_screen_deinit();
		return -ENODEV;
	}
	set_escdelay(ESCAPE_MS);
	cbreak();
	noecho();
	keypad(stdscr, TRUE);
	nodelay(stdscr, TRUE);
	curs_set(0);
	start_colours(has_colour);
	return 0;
}

void hakc_screen_deinit(void)
{
	if (terminal) {
		endwin();
		delscreen(terminal);
		terminal = NULL;
	}
	for (unsigned i = 0; i < N_ENDING; i++)
		sigaction(ending[i], &usual_actions[i], NULL);
	sigprocmask(SIG_SETMASK, &usual_mask, NULL);
}

int hakc_screen_signal(void)
{
	return ended_by;
}

static attr_t colour(int pair)
{
	return has_colours ? (attr_t)COLOR_PAIR(pair) : A_NORMAL;
}

/* As much of it as fits into a line. */
static void put_line(int y, attr_t attributes, const char *text)
{
	attrset(attributes);
	mvaddnstr(y, 0, text, COLS);
	clrtoeol();
	attrset(A_NORMAL);
}

/* A line of the table without what the cut leaves out. */
static const char *cut_line(const struct hakc_board *board, char *text)
{
	struct hakc_board_cut cut = hakc_board_cut(board, (unsigned)COLS);
	size_t n = strlen(text);

	if (cut.n > 0 && n > cut.at + cut.n)
		memmove(text + cut.at, text + cut.at + cut.n, n - cut.at - cut.n + 1);
	else if (cut.n > 0 && n > cut.at)
		text[cut.at] = 0;
	if (strlen(text) > cut.end)
		text[cut.end] = 0;
	return text;
}

static void draw_tabs(const struct hakc_board *board, int y)
{
	move(y, 0);
	clrtoeol();
	for (unsigned i = 0; i < HAKC_TABS; i++) {
		attrset(board->tab == (enum hakc_tab)i ? A_REVERSE | A_BOLD : A_NORMAL);
		printw(" %u %s ", i + 1, hakc_tab_name((enum hakc_tab)i));
		attrset(A_NORMAL);
		addstr(" ");
	}
	printw("%zu row%s", board->table.n_rows, board->table.n_rows == 1 ? "" : "s");
	if (board->tabs[board->tab].first > 0)
		printw(", from %zu on", board->tabs[board->tab].first + 1);
}

/* The column that it is sorted by stands out. */
static void draw_heading(const struct hakc_board *board, int y)
{
	const struct hakc_table *table = &board->table;
	unsigned sorted = board->tabs[board->tab].column;
	struct hakc_board_cut cut = hakc_board_cut(board, (unsigned)COLS);
	unsigned at = hakc_table_place(table, sorted), width = table->columns[sorted].width;
	char text[HAKC_TABLE_LINE_BYTES];

	hakc_table_heading(table, text);
	put_line(y, colour(PAIR_HEADING), cut_line(board, text));
	if (at >= cut.at)
		at -= cut.n;
	if (at < (unsigned)COLS)
		mvchgat(y, (int)at, (int)width, A_REVERSE, has_colours ? PAIR_HEADING : 0, NULL);
}

/* Orphans, the dead, and who has hung up. */
static attr_t row_attributes(const struct hakc_board *board, size_t row)
{
	const struct hakc_table *table = &board->table;

	for (unsigned i = 0; i < table->n_columns; i++) {
		const char *text = hakc_table_value(table, row, i)->text;

		if (strcmp(table->columns[i].title, "STATE") == 0 && text &&
		    strcmp(text, "granted") != 0 && strcmp(text, "attached") != 0)
			return colour(PAIR_WARNING);
	}
	return A_NORMAL;
}

static void draw_rows(const struct hakc_board *board, int y, int end)
{
	size_t first = board->tabs[board->tab].first;
	char text[HAKC_TABLE_LINE_BYTES];

	for (size_t i = first; i < board->table.n_rows && y < end; i++, y++) {
		size_t row = board->table.order[i];

		hakc_table_line(&board->table, row, text);
		put_line(y, row_attributes(board, row), cut_line(board, text));
	}
}

static void draw_help(int y, int end)
{
	const char *text;

	for (unsigned i = 0; (text = hakc_board_help(i)) && y < end; i++, y++)
		put_line(y, A_NORMAL, text);
}

void hakc_screen_draw(struct hakc_board *board, const char *message)
{
	int tabs_at = HAKC_BOARD_HEAD_LINES, rows_at = tabs_at + 2, last = LINES - 1;
	char text[HAKC_BOARD_LINE_BYTES];

	hakc_board_fit(board, last > rows_at ? (size_t)(last - rows_at) : 0);
	erase();
	for (unsigned i = 0; i < HAKC_BOARD_HEAD_LINES && (int)i < last; i++)
		put_line((int)i, i == 0 ? A_BOLD : A_NORMAL, hakc_board_head(board, i, text));
	if (tabs_at < last)
		draw_tabs(board, tabs_at);
	if (tabs_at + 1 < last && !board->shows_help)
		draw_heading(board, tabs_at + 1);
	if (board->shows_help)
		draw_help(rows_at, last);
	else
		draw_rows(board, rows_at, last);
	if (message)
		put_line(last, A_BOLD | colour(PAIR_WARNING), message);
	else
		put_line(last, colour(PAIR_MUTED),
			 "Tab 1 2 3: tabs  s S: sort  r: reverse  space: pause  h: help  q: quit");
	refresh();
}

static int read_key(void)
{
	static const struct {
		int from, to;
	} keys[] = {
		{KEY_UP, HAKC_KEY_UP},	       {KEY_DOWN, HAKC_KEY_DOWN},
		{KEY_PPAGE, HAKC_KEY_PAGE_UP}, {KEY_NPAGE, HAKC_KEY_PAGE_DOWN},
		{KEY_HOME, HAKC_KEY_HOME},     {KEY_END, HAKC_KEY_END},
		{KEY_LEFT, HAKC_KEY_LEFT},     {KEY_RIGHT, HAKC_KEY_RIGHT},
		{KEY_BTAB, HAKC_KEY_BACK_TAB}, {KEY_RESIZE, HAKC_KEY_RESIZE},
	};
	int key = getch();

	if (key == ERR)
		return HAKC_KEY_NONE;
	for (unsigned i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (keys[i].from == key)
			return keys[i].to;
	return key < 0x80 ? key : HAKC_KEY_NONE;
}

int hakc_screen_key(unsigned ms)
{
	const struct timespec wait = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
	struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
	int key = read_key(), n; /* ncurses may have read more than one */

	if (key != HAKC_KEY_NONE)
		return key;
	n = ended_by ? 0 : ppoll(&input, 1, &wait, &usual_mask);
	if (ended_by)
		return -1;
	key = read_key();
	if (n > 0 && key == HAKC_KEY_NONE && (input.revents & (POLLHUP | POLLERR | POLLNVAL)))
		return -1;
	return key;
}
