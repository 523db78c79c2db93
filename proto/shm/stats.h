/* SPDX-License-Identifier: MIT */
#ifndef HAK_SHM_STATS_H
#define HAK_SHM_STATS_H

/*
 * Counters of a client, in its area of the heap segment. The client adds to
 * them on slow paths, whoever may read the pool can read them. They decide
 * nothing, so they may be lost with their client, and lie if it does.
 * counters.h names them.
 */
#include "proto/shm/atomic.h"
#include "proto/shm/counters.h"

#define HAK_CLIENT_AREA_BYTES UINT64_C(65536) /* an area a holder slot */

#define HAK_CROSSINGS 7680u /* threads of a client that can have a crossing of their own */

/*
 * | bytes        | field       | written by           | meaning                               |
 * |--------------|-------------|----------------------|---------------------------------------|
 * |    0..4031   | counters    | any thread of client | hak_stat, in order                    |
 * | 4032..4039   | n_crossings | the client           | threads that have had a crossing: the |
 * |              |             |                      | highest number                        |
 * | 4040..4095   | -           |                      | 0                                     |
 * | 4096..65535  | crossings   | a thread each        | see crossing.h                        |
 */
struct hak_client_area {
	hak_u64 counters[504];
	hak_u64 n_crossings;
	hak_u64 unused[7];
	hak_u64 crossings[HAK_CROSSINGS];
};

_Static_assert(sizeof(struct hak_client_area) == HAK_CLIENT_AREA_BYTES, "areas are an array");
_Static_assert((int)HAK_STAT_COUNT <= 504, "counters fit their page");

#endif
