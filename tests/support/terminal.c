/* SPDX-License-Identifier: MIT */
/*
 * A VT52 has a cursor that is moved, and erases from there on: enough for ncurses to draw anything,
 * and little to be wrong about. Escapes: A, B, C, D, H, I, J, K, and Y with row and column.
 */
#include "tests/support/run.h"

#include "tests/support/terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/support/process.h"

#define PATIENCE_MS 30000

enum { PLAIN, ESCAPED, WANTS_ROW, WANTS_COLUMN };

static void set_size(const struct hakt_terminal *terminal)
{
	struct winsize size = {.ws_row = (unsigned short)terminal->rows,
			       .ws_col = (unsigned short)terminal->columns};

	assert_int_equal(ioctl(terminal->fd, TIOCSWINSZ, &size), 0);
}

static void become_program(const char *path, const char *type, const char *const *arguments)
{
	int fd;

	setsid();
	fd = open(path, O_RDWR); /* the controlling terminal */
	if (fd < 0)
		_exit(126);
	for (int i = 0; i < 3; i++)
		dup2(fd, i);
	if (fd > 2)
		close(fd);
	setenv("TERM", type, 1);
	unsetenv("COLUMNS");
	unsetenv("LINES");
	execv(arguments[0], (char *const *)(uintptr_t)arguments);
	_exit(127);
}

void hakt_terminal_start(struct hakt_terminal *terminal, const char *type, unsigned rows,
			 unsigned columns, const char *const *arguments)
{
	const char *path;
	pid_t parent = getpid();

	assert_true(rows <= HAKT_TERMINAL_ROWS_MAX && columns <= HAKT_TERMINAL_COLUMNS_MAX);
	hakt_process_prepare();
	*terminal = (struct hakt_terminal){.rows = rows, .columns = columns};
	memset(terminal->cells, ' ', sizeof(terminal->cells));
	terminal->fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_true(terminal->fd >= 0);
	assert_int_equal(grantpt(terminal->fd), 0);
	assert_int_equal(unlockpt(terminal->fd), 0);
	path = ptsname(terminal->fd);
	terminal->slave_fd = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_true(terminal->slave_fd >= 0);
	set_size(terminal);
	assert_int_equal(tcgetattr(terminal->slave_fd, &terminal->before), 0);
	terminal->pid = fork();
	assert_true(terminal->pid >= 0);
	if (terminal->pid == 0) {
		hakt_process_die_with(parent);
		become_program(path, type, arguments);
	}
}

void hakt_terminal_press(struct hakt_terminal *terminal, const char *keys)
{
	assert_int_equal(write(terminal->fd, keys, strlen(keys)), strlen(keys));
}

void hakt_terminal_resize(struct hakt_terminal *terminal, unsigned rows, unsigned columns)
{
	terminal->rows = rows;
	terminal->columns = columns;
	set_size(terminal);
}

static void erase(struct hakt_terminal *terminal, bool below)
{
	memset(&terminal->cells[terminal->y][terminal->x], ' ',
	       HAKT_TERMINAL_COLUMNS_MAX - terminal->x);
	for (unsigned y = terminal->y + 1; below && y < HAKT_TERMINAL_ROWS_MAX; y++)
		memset(terminal->cells[y], ' ', HAKT_TERMINAL_COLUMNS_MAX);
}

static void move_to(struct hakt_terminal *terminal, unsigned y, unsigned x)
{
	assert_true(y < HAKT_TERMINAL_ROWS_MAX && x < HAKT_TERMINAL_COLUMNS_MAX);
	terminal->y = y;
	terminal->x = x;
}

static void obey(struct hakt_terminal *terminal, char c)
{
	terminal->state = PLAIN;
	switch (c) {
	case 'A':
	case 'I':
		move_to(terminal, terminal->y - (terminal->y > 0), terminal->x);
		break;
	case 'B':
		move_to(terminal, terminal->y + 1, terminal->x);
		break;
	case 'C':
		move_to(terminal, terminal->y, terminal->x + 1);
		break;
	case 'D':
		move_to(terminal, terminal->y, terminal->x - (terminal->x > 0));
		break;
	case 'H':
		move_to(terminal, 0, 0);
		break;
	case 'J':
	case 'K':
		erase(terminal, c == 'J');
		break;
	case 'Y':
		terminal->state = WANTS_ROW;
		break;
	default: /* modes of the keypad, of graphics */
		break;
	}
}

static void put(struct hakt_terminal *terminal, char c)
{
	switch (c) {
	case '\033':
		terminal->state = ESCAPED;
		return;
	case '\r':
		terminal->x = 0;
		return;
	case '\n':
		move_to(terminal, terminal->y + 1, terminal->x);
		return;
	case '\b':
		move_to(terminal, terminal->y, terminal->x - (terminal->x > 0));
		return;
	case '\t':
		move_to(terminal, terminal->y, (terminal->x / 8 + 1) * 8);
		return;
	default:
		if (c < 0x20)
			return;
		terminal->cells[terminal->y][terminal->x] = c;
		move_to(terminal, terminal->y, terminal->x + 1);
	}
}

static void take(struct hakt_terminal *terminal, char c)
{
	if (terminal->state == ESCAPED) {
		obey(terminal, c);
	} else if (terminal->state == WANTS_ROW) {
		terminal->y = (unsigned)(c - ' ');
		terminal->state = WANTS_COLUMN;
	} else if (terminal->state == WANTS_COLUMN) {
		move_to(terminal, terminal->y, (unsigned char)c - (unsigned)' ');
		terminal->state = PLAIN;
	} else {
		put(terminal, c);
	}
}

/* What it has written, within a tenth of a second; false: nothing. */
static bool read_some(struct hakt_terminal *terminal)
{
	struct pollfd input = {.fd = terminal->fd, .events = POLLIN};
	char buffer[4096];
	ssize_t n;

	if (poll(&input, 1, 100) <= 0)
		return false;
	n = read(terminal->fd, buffer, sizeof(buffer));
	if (n <= 0)
		return false;
	terminal->bytes = realloc(terminal->bytes, terminal->n_bytes + (size_t)n + 1);
	assert_non_null(terminal->bytes);
	memcpy(terminal->bytes + terminal->n_bytes, buffer, (size_t)n);
	terminal->n_bytes += (size_t)n;
	terminal->bytes[terminal->n_bytes] = 0;
	/* Others go to where a VT52 has no cells. */
	if (!strstr(terminal->bytes, "\033["))
		for (ssize_t i = 0; i < n; i++)
			take(terminal, buffer[i]);
	return true;
}

/* The row; rows: it is in none. */
static unsigned find(const struct hakt_terminal *terminal, const char *text)
{
	unsigned y;

	for (y = 0; y < terminal->rows; y++)
		if (memmem(terminal->cells[y], terminal->columns, text, strlen(text)))
			break;
	return y;
}

static void show_and_fail(const struct hakt_terminal *terminal, const char *what, const char *text)
{
	for (unsigned y = 0; y < terminal->rows; y++)
		print_error("|%.*s|\n", (int)terminal->columns, terminal->cells[y]);
	fail_msg("%s: %s", what, text);
}

/* Reads until is_so, which is asked after each bit. */
static void wait_until(struct hakt_terminal *terminal,
		       bool (*is_so)(const struct hakt_terminal *terminal, const char *text,
				     unsigned row),
		       const char *what, const char *text, unsigned row)
{
	struct timespec begin, now;

	clock_gettime(CLOCK_MONOTONIC, &begin);
	do {
		if (is_so(terminal, text, row))
			return;
		read_some(terminal);
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while ((now.tv_sec - begin.tv_sec) * 1000 < PATIENCE_MS);
	show_and_fail(terminal, what, text);
}

static bool is_shown(const struct hakt_terminal *terminal, const char *text, unsigned row)
{
	(void)row;
	return find(terminal, text) < terminal->rows;
}

static bool is_gone(const struct hakt_terminal *terminal, const char *text, unsigned row)
{
	return !is_shown(terminal, text, row);
}

static bool is_in_row(const struct hakt_terminal *terminal, const char *text, unsigned row)
{
	return memmem(terminal->cells[row], terminal->columns, text, strlen(text)) != NULL;
}

static bool is_written(const struct hakt_terminal *terminal, const char *text, unsigned row)
{
	(void)row;
	return terminal->bytes && strstr(terminal->bytes, text);
}

unsigned hakt_terminal_wait(struct hakt_terminal *terminal, const char *text)
{
	wait_until(terminal, is_shown, "not on the screen", text, 0);
	return find(terminal, text);
}

void hakt_terminal_wait_row(struct hakt_terminal *terminal, unsigned row, const char *text)
{
	wait_until(terminal, is_in_row, "not in its row", text, row);
}

void hakt_terminal_wait_gone(struct hakt_terminal *terminal, const char *text)
{
	wait_until(terminal, is_gone, "still on the screen", text, 0);
}

void hakt_terminal_wait_bytes(struct hakt_terminal *terminal, const char *text)
{
	wait_until(terminal, is_written, "not among the bytes", text, 0);
}

static bool has_ended(const struct hakt_terminal *terminal, const char *text, unsigned row)
{
	siginfo_t info = {.si_pid = 0};

	(void)text;
	(void)row;
	assert_int_equal(waitid(P_PID, (id_t)terminal->pid, &info, WEXITED | WNOHANG | WNOWAIT), 0);
	return info.si_pid != 0;
}

int hakt_terminal_end(struct hakt_terminal *terminal)
{
	struct termios now;
	int status;

	wait_until(terminal, has_ended, "has not ended", "", 0);
	while (read_some(terminal)) /* its last words */
		;
	assert_int_equal(waitpid(terminal->pid, &status, 0), terminal->pid);
	assert_int_equal(tcgetattr(terminal->slave_fd, &now), 0);
	assert_memory_equal(&now.c_iflag, &terminal->before.c_iflag, sizeof(now.c_iflag));
	assert_int_equal(now.c_lflag, terminal->before.c_lflag);
	assert_int_equal(now.c_oflag, terminal->before.c_oflag);
	close(terminal->slave_fd);
	close(terminal->fd);
	return status;
}
