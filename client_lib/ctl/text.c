/* SPDX-License-Identifier: MIT */
/* Values as people read them. Strings that other processes chose lose what a terminal would obey. */
#include "client_lib/ctl/text.h"

#include <inttypes.h>
#include <stdio.h>

#include "client_lib/ctl/style.h"

const char *hakc_bytes_text(uint64_t bytes, char text[HAKC_TEXT_BYTES])
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
	unsigned unit = 0;
	double value = (double)bytes;

	if (hakc_style.has_raw_bytes) {
		snprintf(text, HAKC_TEXT_BYTES, "%" PRIu64, bytes);
		return text;
	}
	while (value >= 1024 && unit < sizeof(units) / sizeof(units[0]) - 1) {
		value /= 1024;
		unit++;
	}
	snprintf(text, HAKC_TEXT_BYTES, unit ? "%.1f %s" : "%.0f %s", value, units[unit]);
	return text;
}

const char *hakc_safe_text(const char *from, char text[HAKC_TEXT_BYTES])
{
	unsigned n = 0;

	for (; from && *from && n < HAKC_TEXT_BYTES - 1; from++)
		text[n++] = *from >= 0x20 && *from < 0x7f ? *from : '?';
	text[n] = 0;
	return text;
}

const char *hakc_duration_text(uint64_t seconds, char text[HAKC_TEXT_BYTES])
{
	uint64_t days = seconds / 86400;
	unsigned rest = (unsigned)(seconds % 86400);
	int n = days ? snprintf(text, HAKC_TEXT_BYTES, "%" PRIu64 " d ", days) : 0;

	snprintf(text + n, HAKC_TEXT_BYTES - (size_t)n, "%u:%02u:%02u", rest / 3600, rest / 60 % 60,
		 rest % 60);
	return text;
}
