/* SPDX-License-Identifier: MIT */
#include "proto/wire/size.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int hak_size_parse(const char *text, uint64_t *ret_bytes)
{
	static const char units[] = "KMGT";
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
