/* SPDX-License-Identifier: MIT */
#ifndef HAKC_CTL_SCREEN_H
#define HAKC_CTL_SCREEN_H

/* The terminal of top, by ncurses. One a process; whatever ends it gets its terminal back as it was. */

#include "client_lib/ctl/board.h"

/* 0; -ENOTTY: stdin or stdout is none; -ENODEV: nobody knows what TERM says. */
int hakc_screen_init(bool has_colour);
void hakc_screen_deinit(void);

/* Shows a board, and in the last line the message; NULL: what keys there are. */
void hakc_screen_draw(struct hakc_board *board, const char *message);

/*
 * Waits so long at most for a key, see hakc_board_key; HAKC_KEY_NONE: there was none. -1: it is to
 * end, by a signal or because the terminal has gone.
 */
int hakc_screen_key(unsigned ms);

/* The signal by which it is to end, 0: none. */
int hakc_screen_signal(void);

#endif
