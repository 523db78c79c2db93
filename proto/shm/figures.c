/* SPDX-License-Identifier: MIT */
#include "proto/shm/figures.h"

#include <string.h>

/* FNV-1a (Fowler, Noll, Vo), of all names. */
static uint64_t fingerprint_of(uint64_t hash, const struct hak_counter *counters, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		const char *c = counters[i].name;

		do
			hash = (hash ^ (unsigned char)*c) * UINT64_C(0x100000001b3);
		while (*c++);
	}
	return hash;
}

static uint64_t fingerprint(void)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	hash = fingerprint_of(hash, hak_client_counters, HAK_STAT_COUNT);
	hash = fingerprint_of(hash, hak_daemon_counters, HAK_DAEMON_COUNTER_COUNT);
	return fingerprint_of(hash, hak_pool_gauges, HAK_GAUGE_COUNT);
}

void hak_figures_init(struct hak_figures *figures, const uint8_t uuid[HAK_UUID_BYTES],
		      const char *pool)
{
	figures->magic = HAK_FIGURES_MAGIC;
	figures->bytes = sizeof(*figures);
	figures->fingerprint = fingerprint();
	memcpy(figures->uuid, uuid, HAK_UUID_BYTES);
	strncpy(figures->pool, pool, HAK_POOL_NAME_BYTES - 1);
}

bool hak_figures_are_known(const void *bytes, size_t n)
{
	const struct hak_figures *figures = bytes;

	return n == sizeof(*figures) && figures->magic == HAK_FIGURES_MAGIC &&
	       figures->bytes == n && figures->fingerprint == fingerprint() &&
	       figures->pool[HAK_POOL_NAME_BYTES - 1] == 0;
}
