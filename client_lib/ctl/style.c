/* SPDX-License-Identifier: MIT */
/* NO_COLOR is as no-color.org says; COLUMNS as ls and others understand it. */
#include "client_lib/ctl/style.h"

#include <langinfo.h>
#include <locale.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define COLUMNS_DEFAULT 80u
#define COLUMNS_MAX	1000u

struct hakc_style hakc_style;

static unsigned detect_columns(void)
{
	const char *text = getenv("COLUMNS");
	struct winsize size;
	unsigned long columns = 0;

	if (text && *text >= '0' && *text <= '9')
		columns = strtoul(text, NULL, 10);
	else if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0)
		columns = size.ws_col;
	if (columns == 0)
		return COLUMNS_DEFAULT;
	return columns < COLUMNS_MAX ? (unsigned)columns : COLUMNS_MAX;
}

void hakc_style_detect(struct hakc_style *style)
{
	const char *no_colour = getenv("NO_COLOR"), *terminal = getenv("TERM");

	style->columns = detect_columns();
	style->has_colour = isatty(STDOUT_FILENO) && !(no_colour && *no_colour) &&
			    !(terminal && strcmp(terminal, "dumb") == 0);
	if (!setlocale(LC_CTYPE, "") || strcmp(nl_langinfo(CODESET), "UTF-8") != 0)
		style->is_ascii = true;
}

void hakc_style_header(const char *format, ...)
{
	va_list arguments;

	if (hakc_style.no_headers)
		return;
	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
}
