/* SPDX-License-Identifier: MIT */
/*
 * top: look, show, wait, again. Of the three looks that there is room for, one is shown, the one
 * before it makes the rates, the third is for the next; a look that fails leaves the others. A daemon
 * that goes is said to have gone, and is asked again until it, or another one, is back.
 */
#include "client_lib/ctl/top.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "client_lib/ctl/board.h"
#include "client_lib/ctl/screen.h"
#include "client_lib/ctl/style.h"
#include "client_lib/ctl/text.h"

#define DEFAULT_DELAY_MS 1000u
#define ANSWER_MS	 1000u /* on a terminal no answer is waited for longer: a key may be pressed */

enum { N_LOOKS = 3 };

struct top {
	struct hakc_query *query;
	struct hakc_look looks[N_LOOKS];
	unsigned n_looks; /* so far, those that were released too */
	struct hakc_board board;
	int error; /* of the last look; 0: it is what is shown */
};

static struct top top; /* too large for a stack */

/* The nth before the last one; NULL: there is none. */
static struct hakc_look *look_before(unsigned n)
{
	return n < top.n_looks ? &top.looks[(top.n_looks - 1 - n) % N_LOOKS] : NULL;
}

/* A connection that is lost may be one to a daemon that has been followed by another one. */
static int look_again(void)
{
	struct hakc_look *next = &top.looks[top.n_looks % N_LOOKS];

	hakc_look_deinit(next);
	for (unsigned i = 0; i < 2; i++) {
		if (top.error != 0)
			top.error = hakc_query_again(top.query);
		if (top.error == 0)
			top.error = hakc_look_init(next, top.query, NULL, NULL);
		if (top.error == 0 || top.error == -ENOMEM || top.error == -ETIMEDOUT)
			break;
	}
	if (top.error != 0)
		return top.error;
	top.n_looks++;
	return hakc_board_show(&top.board, look_before(0), look_before(1));
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* NULL: all is well. */
static const char *message(char text[HAKC_BOARD_LINE_BYTES])
{
	char reason[HAKC_TEXT_BYTES];
	double age = now() - look_before(0)->at;

	if (top.error == 0 && !top.board.is_paused)
		return NULL;
	if (top.error != 0)
		snprintf(text, HAKC_BOARD_LINE_BYTES,
			 "no daemon answers (%s): this is of %.0f s ago; it is asked again",
			 hakc_safe_text(top.query->reason, reason), age);
	else
		snprintf(text, HAKC_BOARD_LINE_BYTES, "paused, this is of %.0f s ago; space: go on",
			 age);
	return text;
}

/* Until q, a signal, or the end of the terminal. */
static void show(void)
{
	char text[HAKC_BOARD_LINE_BYTES];
	double next = now() + top.board.delay_ms / 1e3;

	for (;;) {
		double left = next - now();
		enum hakc_act act;
		int key;

		hakc_screen_draw(&top.board, message(text));
		key = hakc_screen_key(left > 0 ? (unsigned)(left * 1e3) + 1 : 0);
		act = key < 0 ? HAKC_ACT_QUIT : hakc_board_key(&top.board, key);
		if (act == HAKC_ACT_QUIT)
			return;
		if (act != HAKC_ACT_LOOK && now() < next)
			continue;
		if (!top.board.is_paused)
			(void)look_again(); /* the message says what is wrong */
		next = now() + top.board.delay_ms / 1e3;
	}
}

static int run_on_terminal(void)
{
	int r = hakc_screen_init(hakc_style.has_colour);

	if (r < 0) {
		snprintf(top.query->reason, sizeof(top.query->reason),
			 "%s: top --batch prints text",
			 r == -ENOTTY ? "top is for a terminal, and stdin or stdout is none"
				      : "the terminal that TERM names isn't known");
		return -EINVAL;
	}
	if (top.query->timeout_ms > ANSWER_MS)
		top.query->timeout_ms = top.query->conn.timeout_ms = ANSWER_MS;
	show();
	hakc_screen_deinit();
	return 0;
}

static void print_round(unsigned n)
{
	char at[HAKC_TEXT_BYTES] = "-", reason[HAKC_TEXT_BYTES];
	time_t seconds = time(NULL);
	struct tm tm;

	if (localtime_r(&seconds, &tm))
		strftime(at, sizeof(at), "%Y-%m-%d %H:%M:%S", &tm);
	if (!hakc_style.no_headers)
		printf("%s%s\n", n ? "\n" : "", at);
	if (top.error != 0)
		printf("no daemon answers at %s (%s); it is asked again\n", top.query->path,
		       hakc_safe_text(top.query->reason, reason));
}

/* The first look has been taken. */
static int run_batch(enum hakc_tab tab)
{
	const struct hakc_arguments *arguments = top.query->arguments;
	const struct timespec pause = {.tv_sec = top.board.delay_ms / 1000,
				       .tv_nsec = (long)(top.board.delay_ms % 1000) * 1000000};
	int r = 0;

	for (unsigned i = 0; r == 0 && (arguments->n_times == 0 || i < arguments->n_times); i++) {
		if (i > 0) {
			nanosleep(&pause, NULL);
			if (look_again() == -ENOMEM)
				return -ENOMEM;
		}
		print_round(i);
		if (top.error == 0)
			r = hakc_board_print(&top.board, tab, stdout);
		if (fflush(stdout) != 0)
			return 0; /* nobody reads it any more; main says so */
	}
	return r;
}

/* The tab and the column that were asked for; 0 or -EINVAL, with the reason. */
static int set_tab(struct hakc_query *query, struct hakc_board *board, enum hakc_tab *ret_tab)
{
	const struct hakc_arguments *arguments = query->arguments;
	enum hakc_tab tab = arguments->tab ? hakc_tab_find(arguments->tab) : HAKC_TABS;
	char word[HAKC_TEXT_BYTES];
	unsigned column;

	*ret_tab = tab;
	if (arguments->tab && tab == HAKC_TABS) {
		snprintf(query->reason, sizeof(query->reason),
			 "no tab is called %s: they are clients, classes and superslabs",
			 hakc_safe_text(arguments->tab, word));
		return -EINVAL;
	}
	board->tab = arguments->tab ? tab : HAKC_TAB_CLIENTS;
	if (!arguments->sort)
		return 0;
	column = hakc_tab_column(board->tab, arguments->sort);
	if (column == hakc_tab_column(board->tab, "")) {
		snprintf(query->reason, sizeof(query->reason),
			 "no column of %s is called %s: the headings of top --batch are what they "
			 "are called",
			 hakc_tab_name(board->tab), hakc_safe_text(arguments->sort, word));
		return -EINVAL;
	}
	board->tabs[board->tab].column = column;
	return 0;
}

int hakc_verb_top(struct hakc_query *query, bool as_json, bool *ret_degraded)
{
	const struct hakc_arguments *arguments = query->arguments;
	enum hakc_tab tab;
	int r;

	(void)as_json;
	(void)ret_degraded;
	top.query = query;
	hakc_style_detect(&hakc_style);
	hakc_board_init(&top.board, arguments->delay_ms ? arguments->delay_ms : DEFAULT_DELAY_MS);
	if (arguments->n_times > 0 && !arguments->is_batch) {
		snprintf(query->reason, sizeof(query->reason), "--times is for top --batch");
		return -EINVAL;
	}
	r = set_tab(query, &top.board, &tab);
	if (r == 0)
		r = look_again();
	if (r == 0)
		r = arguments->is_batch ? run_batch(tab) : run_on_terminal();
	hakc_board_deinit(&top.board);
	for (unsigned i = 0; i < N_LOOKS; i++)
		hakc_look_deinit(&top.looks[i]);
	if (r == 0 && hakc_screen_signal() != 0)
		raise(hakc_screen_signal()); /* the shell sees by what it has ended */
	return r;
}
