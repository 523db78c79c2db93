/* SPDX-License-Identifier: MIT */
#include "proto/wire/size.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char units[] = "KMGT";

int hak_size_parse(const char *text, uint64_t *ret_bytes)
{
	unsigned long long value;
	unsigned shift = 0;
	char *end;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	errno = 0;
	value = strtoull(text, &end, 10);
	if (errno)
		return -EINVAL;
	if (*end) {
		const char *unit = strchr(units, *end);

		if (!unit || end[1])
			return -EINVAL;
		shift = 10 * (unsigned)(unit - units + 1);
	}
	if (value << shift >> shift != value)
		return -EINVAL;
	*ret_bytes = value << shift;
	return 0;
}

void hak_size_print(uint64_t bytes, char text[HAK_SIZE_TEXT_BYTES])
{
	unsigned n = 0;

	while (n < sizeof(units) - 1 && bytes > 0 && bytes % 1024 == 0) {
		bytes /= 1024;
		n++;
	}
	if (n == 0)
		snprintf(text, HAK_SIZE_TEXT_BYTES, "%" PRIu64, bytes);
	else
		snprintf(text, HAK_SIZE_TEXT_BYTES, "%" PRIu64 "%c", bytes, units[n - 1]);
}
