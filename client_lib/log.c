/* SPDX-License-Identifier: MIT */
/* One line a message, by one write(2), so that lines of threads and processes don't mix. */
#include "client_lib/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const level_names[] = {"error", "warn", "info", "debug"};

static enum hakc_log_level wanted_level(void)
{
	const char *text = getenv("HAKMEM_LOG");

	for (unsigned i = 0; text && i < sizeof(level_names) / sizeof(level_names[0]); i++)
		if (strcmp(text, level_names[i]) == 0)
			return (enum hakc_log_level)i;
	return HAKC_LOG_ERROR;
}

void hakc_log(enum hakc_log_level level, const char *format, ...)
{
	char line[512];
	int saved = errno;
	va_list arguments;
	int n, room;

	if (level > wanted_level())
		return;
	n = snprintf(line, sizeof(line), "hakmem: %s: ", level_names[level]);
	room = (int)sizeof(line) - n - 1;
	va_start(arguments, format);
	int text = vsnprintf(line + n, (size_t)room, format, arguments);
	va_end(arguments);
	n += text < room ? text : room - 1;
	line[n++] = '\n';
	/* Nobody can be told that stderr is closed. */
	ssize_t written = write(STDERR_FILENO, line, (size_t)n);
	(void)written;
	errno = saved;
}
