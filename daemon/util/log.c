/* SPDX-License-Identifier: MIT */
/* One line a message, by one write, so that lines of the daemon's threads don't mix. */
#include "daemon/util/log.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
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

/* JOURNAL_STREAM has device and inode of the stream to it; see systemd.exec(5). */
static bool is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	char ours[48];
	struct stat st;

	if (!stream || fstat(STDERR_FILENO, &st) != 0)
		return false;
	snprintf(ours, sizeof(ours), "%llu:%llu", (unsigned long long)st.st_dev,
		 (unsigned long long)st.st_ino);
	return strcmp(stream, ours) == 0;
}

/* What sd-daemon(3) has before a line: its priority, of syslog's. */
static const char *prefix(enum hakd_log_level level)
{
	static const char *const prefixes[] = {"<3>", "<4>", "<6>", "<7>"};

	return is_journal() ? prefixes[level] : "";
}

void hakd_log(enum hakd_log_level level, const char *format, ...)
{
	char line[1024];
	va_list arguments;
	int n, text, room;

	if (level > chosen)
		return;
	n = snprintf(line, sizeof(line), "%shakmemd: %s: ", prefix(level), names[level]);
	room = (int)sizeof(line) - n - 1;
	va_start(arguments, format);
	text = vsnprintf(line + n, (size_t)room, format, arguments);
	va_end(arguments);
	n += text < room ? text : room - 1;
	line[n++] = '\n';
	ssize_t written = write(STDERR_FILENO, line, (size_t)n);
	(void)written; /* nobody can be told that stderr is closed */
}
