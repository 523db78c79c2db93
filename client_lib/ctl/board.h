/* SPDX-License-Identifier: MIT */
#ifndef HAKC_CTL_BOARD_H
#define HAKC_CTL_BOARD_H

/*
 * What top shows and which key does what, without a terminal: keys in, lines out. A screen is the
 * head, the tab's heading, its rows, and a last line for messages and help.
 */

#include <stdbool.h>
#include <stdio.h>

#include "client_lib/ctl/tabs.h"

/* Keys that aren't characters. */
enum hakc_key {
	HAKC_KEY_NONE = 0,
	HAKC_KEY_UP = 0x10000,
	HAKC_KEY_DOWN,
	HAKC_KEY_PAGE_UP,
	HAKC_KEY_PAGE_DOWN,
	HAKC_KEY_HOME,
	HAKC_KEY_END,
	HAKC_KEY_LEFT,
	HAKC_KEY_RIGHT,
	HAKC_KEY_BACK_TAB,
	HAKC_KEY_RESIZE,
};

/* What is to be done after a key. */
enum hakc_act { HAKC_ACT_NOTHING, HAKC_ACT_DRAW, HAKC_ACT_LOOK, HAKC_ACT_QUIT };

#define HAKC_BOARD_HEAD_LINES 3u
#define HAKC_BOARD_LINE_BYTES 512

struct hakc_board {
	enum hakc_tab tab;
	struct {
		unsigned column;
		bool is_reversed;
		size_t first; /* row at the top */
	} tabs[HAKC_TABS];
	bool is_paused, shows_help;
	unsigned delay_ms;

	/* Of what is shown. */
	const struct hakc_look *now, *before; /* before may be NULL */
	struct hakc_table table;
	size_t room; /* rows that fit */
};

void hakc_board_init(struct hakc_board *board, unsigned delay_ms);
void hakc_board_deinit(struct hakc_board *board);

/* Another look, of which the table of the tab is made. 0 or -ENOMEM. */
int hakc_board_show(struct hakc_board *board, const struct hakc_look *now,
		    const struct hakc_look *before);

/* A character, or one of enum hakc_key. */
enum hakc_act hakc_board_key(struct hakc_board *board, int key);

/* Says how many rows fit; what is at the top follows. */
void hakc_board_fit(struct hakc_board *board, size_t room);

/*
 * What of a line is shown on a screen this wide: n characters are left out at a place, so that the
 * column that it is sorted by is in sight, and it ends with the last column that fits.
 */
struct hakc_board_cut {
	unsigned at, n;
	unsigned end; /* of what is shown */
};
struct hakc_board_cut hakc_board_cut(const struct hakc_board *board, unsigned columns);

/* Lines of the head, from 0 on. Returns text. */
const char *hakc_board_head(const struct hakc_board *board, unsigned line,
			    char text[HAKC_BOARD_LINE_BYTES]);

/* Of the help, from 0 on; NULL: there are no more. */
const char *hakc_board_help(unsigned line);

/* Head and tables as plain text: of one tab, or of all if it is HAKC_TABS. 0 or -ENOMEM. */
int hakc_board_print(struct hakc_board *board, enum hakc_tab tab, FILE *out);

#endif
