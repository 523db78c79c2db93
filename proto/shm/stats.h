/* SPDX-License-Identifier: MIT */
#ifndef HAK_SHM_STATS_H
#define HAK_SHM_STATS_H

/*
 * Counters of a client, in its area of the heap segment. The client adds to
 * them on slow paths, whoever may read the pool can read them. They decide
 * nothing, so they may be lost with their client, and lie if it does.
 *
 * This table is the only place that names them: enum, the wire, JSON and the
 * text of hakmemctl come from it. X(NAME, text name, description)
 */
#define HAK_STATS(X)                                                                              \
	X(CLAIMS, "claims", "blocks claimed from free bits")                                      \
	X(FREES, "frees", "blocks whose free bit was set")                                        \
	X(STAGE_0, "stage_0", "times the thread's current slab served")                           \
	X(STAGE_0_PARTIAL, "stage_0_partial", "times another partial slab of the process served") \
	X(STAGE_1, "stage_1", "times an empty slab was cut again")                                \
	X(STAGE_2, "stage_2", "times an unused slot was cut")                                     \
	X(STAGE_3, "stage_3", "times the daemon was asked for memory")                            \
	X(AHEAD, "ahead", "of these, asked ahead of need")                                        \
	X(WAITS, "waits", "times a thread waited for the daemon's memory")                        \
	X(WAITS_100US, "waits_100us", "of these, at most 100 us")                                 \
	X(WAITS_1MS, "waits_1ms", "of these, at most 1 ms")                                       \
	X(WAITS_10MS, "waits_10ms", "of these, at most 10 ms")                                    \
	X(WAITS_100MS, "waits_100ms", "of these, at most 100 ms")                                 \
	X(WAITS_LONG, "waits_long", "of these, longer than 100 ms")                               \
	X(FLUSHES, "flushes", "batches of blocks given back to free bits")                        \
	X(REMOTE_FREES, "remote_frees", "blocks freed that another thread or process claims")     \
	X(LOST_FREES, "lost_frees", "remote frees dropped: the owner had gone")                   \
	X(ADOPTIONS, "adoptions", "slabs taken over from threads that ended")                     \
	X(SPANS, "spans", "spans of slots cut")                                                   \
	X(HUGE, "huge", "runs of SuperSlabs granted for one block")                               \
	X(CACHED_HUGE, "cached_huge",                                                             \
	  "runs of SuperSlabs allocated again from the process's cache")                          \
	X(RETURNS, "returns", "SuperSlabs given back to the daemon")                              \
	X(OUT_OF_MEMORY, "out_of_memory", "allocations answered by ENOMEM")                       \
	X(DOUBLE_FREES, "double_frees", "double frees refused")                                   \
	X(INVALID_FREES, "invalid_frees", "frees of what is no block refused")                    \
	X(FOREIGN_FREES, "foreign_frees", "frees of addresses outside the pool refused")          \
	X(TAKES, "takes", "blocks taken by a ref")                                                \
	X(STALE_TAKES, "stale_takes", "takes refused: the ref was taken, or void")                \
	X(TAGGED_FREES, "tagged_frees", "blocks freed by their tag")                              \
	X(INHERITED, "inherited", "SuperSlabs got that others hold blocks in")                    \
	X(THREADS, "threads", "threads that started to allocate")                                 \
	X(OVERFLOWS, "overflows", "blocks found written past their end (hardened mode)")

enum hak_stat {
#define X(name, text, description) HAK_STAT_##name,
	HAK_STATS(X)
#undef X
		HAK_STAT_COUNT
};

#include "proto/shm/atomic.h"

#define HAK_CLIENT_AREA_BYTES UINT64_C(65536) /* an area a holder slot */

#define HAK_CROSSINGS 7680u /* threads of a client that can have a crossing of their own */

/*
 * | bytes        | field       | written by           | meaning                               |
 * |--------------|-------------|----------------------|---------------------------------------|
 * |    0..4031   | counters    | any thread of client | the table above, in order             |
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

extern const char *const hak_stat_names[HAK_STAT_COUNT];
extern const char *const hak_stat_descriptions[HAK_STAT_COUNT];

#endif
