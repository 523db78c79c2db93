/* SPDX-License-Identifier: MIT */
/* One line a message, by one write, so that lines of the daemon's threads don't mix. */
#include "daemon/util/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *const names[] = {"error", "warn", "info", "debug"};
static enum hakd_log_level chosen = HAKD_LOG_INFO;

int hakd_log_level_of(const char *name)
{
	for (int i = 0; i < 4; i++)
		if (strcmp(name, names[i]) == 0)
			return i;
	return -1;
}

void hakd_log_set_level(enum hakd_log_level level)
{
	chosen = level;
}

void hakd_log(enum hakd_log_level level, const char *format, ...)
{
	char line[1024];
	va_list arguments;
	int n, text, room;

	if (level > chosen)
		return;
	n = snprintf(line, sizeof(line), "hakmemd: %s: ", names[level]);
	room = (int)sizeof(line) - n - 1;
	va_start(arguments, format);
	text = vsnprintf(line + n, (size_t)room, format, arguments);
	va_end(arguments);
	n += text < room ? text : room - 1;
	line[n++] = '\n';
	ssize_t written = write(STDERR_FILENO, line, (size_t)n);
	(void)written; /* nobody can be told that stderr is closed */
}
