/* SPDX-License-Identifier: MIT */
#ifndef HAK_SHM_FIGURES_H
#define HAK_SHM_FIGURES_H

/*
 * What is counted of a pool, as the daemon writes it into a file beside its socket once a second, so
 * that it can be read when the daemon is down. hak_shown_path says where.
 *
 * | bytes          | field       | written by the daemon                              |
 * |----------------|-------------|----------------------------------------------------|
 * |    0..7        | magic       | before the file has its name, as all down to pool  |
 * |    8..15       | bytes       | of the file                                        |
 * |   16..23       | fingerprint | of the table of counters                           |
 * |   24..39       | uuid        | of the pool's segment                              |
 * |   40..71       | pool        | its name                                           |
 * |   72..79       | at          | when the rest was written: ms since the boot       |
 * |   80..87       | pid         | of the daemon                                      |
 * |   88..         | values      | clients, daemon, gauges: counters.h, in its order  |
 * |                | left        | what the clients that have left had counted        |
 *
 * Each value is written by itself, so one may be newer than another. Nothing follows from
 * them. If the daemon dies while it writes: some values are a second older than others; its
 * successor goes on from `left` and its own.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/shm/counters.h"
#include "proto/shm/registry.h"

#define HAK_FIGURES_MAGIC UINT64_C(0x73746174736b6168) /* hakstats */
#define HAK_FIGURES_COUNT ((unsigned)HAK_STAT_COUNT + HAK_DAEMON_COUNTER_COUNT + HAK_GAUGE_COUNT)

struct hak_figures {
	uint64_t magic;
	uint64_t bytes;
	uint64_t fingerprint;
	uint8_t uuid[HAK_UUID_BYTES];
	char pool[HAK_POOL_NAME_BYTES];
	hak_u64 at;
	hak_u64 pid;
	hak_u64 clients[HAK_STAT_COUNT];
	hak_u64 daemon[HAK_DAEMON_COUNTER_COUNT];
	hak_u64 gauges[HAK_GAUGE_COUNT];
	hak_u64 left[HAK_STAT_COUNT];
};

_Static_assert(offsetof(struct hak_figures, at) == 72 &&
		       offsetof(struct hak_figures, clients) == 88,
	       "the byte map above");

/* Of a new file, all zeros. */
void hak_figures_init(struct hak_figures *figures, const uint8_t uuid[HAK_UUID_BYTES],
		      const char *pool);

/* Are these bytes that, by the same table? */
bool hak_figures_are_known(const void *bytes, size_t n);

#endif
