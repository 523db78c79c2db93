/* SPDX-License-Identifier: MIT */
#ifndef HAKT_TERMINAL_H
#define HAKT_TERMINAL_H

/*
 * A program on a terminal: keys are pressed, and what it shows is read off a screen. The terminal is
 * a VT52 if the program is to be read; of another type only its bytes are kept. All calls fail the
 * test on error, or after 30 s.
 */

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <termios.h>

enum { HAKT_TERMINAL_ROWS_MAX = 64, HAKT_TERMINAL_COLUMNS_MAX = 256 };

struct hakt_terminal {
	int fd, slave_fd;
	pid_t pid;
	struct termios before; /* the program was started */
	unsigned rows, columns;

	char cells[HAKT_TERMINAL_ROWS_MAX][HAKT_TERMINAL_COLUMNS_MAX];
	unsigned y, x;
	unsigned state; /* inside of an escape */
	char *bytes;	/* all that it wrote */
	size_t n_bytes;
};

/* type: TERM; arguments begin with the program's path. */
void hakt_terminal_start(struct hakt_terminal *terminal, const char *type, unsigned rows,
			 unsigned columns, const char *const *arguments);
void hakt_terminal_press(struct hakt_terminal *terminal, const char *keys);
void hakt_terminal_resize(struct hakt_terminal *terminal, unsigned rows, unsigned columns);

/* Waits until a text is on the screen; the row that it is in. */
unsigned hakt_terminal_wait(struct hakt_terminal *terminal, const char *text);

/* Until it is in a row, or in none. */
void hakt_terminal_wait_row(struct hakt_terminal *terminal, unsigned row, const char *text);
void hakt_terminal_wait_gone(struct hakt_terminal *terminal, const char *text);

/* Until it is among its bytes. */
void hakt_terminal_wait_bytes(struct hakt_terminal *terminal, const char *text);

/* Waits for its end, and that the terminal is as before; what waitpid says. */
int hakt_terminal_end(struct hakt_terminal *terminal);

#endif
