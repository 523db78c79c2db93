/* SPDX-License-Identifier: MIT */
#ifndef HAK_SHM_COUNTERS_H
#define HAK_SHM_COUNTERS_H

/*
 * All that is counted, in one table. It is the only place that names them: enums, the words in
 * shared memory, the wire, JSON, Prometheus' text and hakmem-counters(7) come from it.
 *
 * X(NAME, name, unit, description); a unit is what is counted, in the plural, as part of a name. Those of clients
 * and of the daemon are counters: they only grow, from 0 when the pool was made, over clients that leave
 * and daemons that follow each other. Those of a pool are gauges: what there is now.
 */

/* What the clients of a pool have counted, those that have left too. */
#define HAK_CLIENT_COUNTERS(X)                                                                 \
	X(CLAIMS, claims, blocks, "blocks claimed from free bits")                             \
	X(FREES, frees, blocks, "blocks whose free bit was set")                               \
	X(STAGE_0, stage_0, refills, "times the thread's current slab served")                 \
	X(STAGE_0_PARTIAL, stage_0_partial, refills,                                           \
	  "times another partial slab of the process served")                                  \
	X(STAGE_1, stage_1, refills, "times an empty slab was cut again")                      \
	X(STAGE_2, stage_2, refills, "times an unused slot was cut")                           \
	X(STAGE_3, stage_3, requests, "times the daemon was asked for memory")                 \
	X(AHEAD, ahead, requests, "of these, asked ahead of need")                             \
	X(WAITS, waits, waits, "times a thread waited for the daemon's memory")                \
	X(WAITS_100US, waits_100us, waits, "of these, at most 100 us")                         \
	X(WAITS_1MS, waits_1ms, waits, "of these, at most 1 ms")                               \
	X(WAITS_10MS, waits_10ms, waits, "of these, at most 10 ms")                            \
	X(WAITS_100MS, waits_100ms, waits, "of these, at most 100 ms")                         \
	X(WAITS_LONG, waits_long, waits, "of these, longer than 100 ms")                       \
	X(FLUSHES, flushes, batches, "batches of blocks given back to free bits")              \
	X(REMOTE_FREES, remote_frees, blocks,                                                  \
	  "blocks freed that another thread or process claims")                                \
	X(LOST_FREES, lost_frees, blocks, "remote frees dropped: the owner had gone")          \
	X(ADOPTIONS, adoptions, slabs, "slabs taken over from threads that ended")             \
	X(SPANS, spans, spans, "spans of slots cut")                                           \
	X(HUGE, huge, runs, "runs of SuperSlabs granted for one block")                        \
	X(CACHED_HUGE, cached_huge, runs,                                                      \
	  "runs of SuperSlabs allocated again from the process's cache")                       \
	X(RETURNS, returns, superslabs, "SuperSlabs given back to the daemon")                 \
	X(OUT_OF_MEMORY, out_of_memory, allocations, "allocations answered by ENOMEM")         \
	X(DOUBLE_FREES, double_frees, calls, "double frees refused")                           \
	X(INVALID_FREES, invalid_frees, calls, "frees of what is no block refused")            \
	X(FOREIGN_FREES, foreign_frees, calls, "frees of addresses outside the pool refused")  \
	X(TAKES, takes, blocks, "blocks taken by a ref")                                       \
	X(STALE_TAKES, stale_takes, calls, "takes refused: the ref was taken, or void")        \
	X(TAGGED_FREES, tagged_frees, blocks, "blocks freed by their tag")                     \
	X(INHERITED, inherited, superslabs, "SuperSlabs got that others hold blocks in")       \
	X(THREADS, threads, threads, "threads that started to allocate")                       \
	X(OVERFLOWS, overflows, blocks, "blocks found written past their end (hardened mode)") \
	X(SAMPLES, samples, blocks, "samples taken for the profile")                           \
	X(SAMPLES_LEFT_OUT, samples_left_out, blocks,                                          \
	  "samples left out, so that they cost little: others stand for them")

/* The daemon's own, of all its pools. */
#define HAK_DAEMON_COUNTERS(X)                                                                     \
	X(CONNECTIONS, connections, connections, "connections accepted")                           \
	X(ATTACHED, attached, clients, "clients that attached")                                    \
	X(READERS, readers, processes, "processes that attached for reading")                      \
	X(DETACHED, detached, clients, "clients that detached")                                    \
	X(DEATHS, deaths, clients, "clients that died or called exec")                             \
	X(LEASES_OVER, leases_over, clients, "of these, found by their lease")                     \
	X(LEASES_LOOKED_AT, leases_looked_at, looks, "looks at leases of clients in doubt")        \
	X(DISCONNECTS, disconnects, clients, "clients that hung up and live on")                   \
	X(RESUMED, resumed, clients, "clients that connected again")                               \
	X(GRANTED_SUPERSLABS, granted_superslabs, superslabs, "SuperSlabs granted")                \
	X(KEPT_HITS, kept_hits, superslabs, "of these, returned ones with their pages")            \
	X(RESERVE_HITS, reserve_hits, superslabs, "of these, from the reserve")                    \
	X(FRESH_GRANTS, fresh_grants, superslabs, "of these, backed for the request")              \
	X(RESERVE_FILLED, reserve_filled, superslabs, "SuperSlabs backed for the reserve")         \
	X(COLLECTED_SUPERSLABS, collected_superslabs, superslabs, "SuperSlabs taken back")         \
	X(INHERITED_SUPERSLABS, inherited_superslabs, superslabs, "orphans granted to an heir")    \
	X(GRACES_WAITED, graces_waited, graces, "graces that somebody in a crossing held up")      \
	X(SCAN_PASSES, scan_passes, scans, "scans of the pool for dead holders")                   \
	X(SCAN_FREED, scan_freed, blocks, "blocks of tagged slabs that scans freed")               \
	X(SCAN_SURVIVED, scan_survived, blocks, "blocks of the dead's slabs that others held")     \
	X(TRIMS, trims, requests, "requests to give back all that is free")                        \
	X(REFUSED_NO_MEMORY, refused_no_memory, requests, "requests refused for want of memory")   \
	X(REFUSED_QUOTA, refused_quota, requests, "requests refused by a limit of client or user") \
	X(PRESSURE_ASKED, pressure_asked, times, "times that clients were asked for memory")       \
	X(PRESSURE_WAITS, pressure_waits, requests, "requests that waited for its return")         \
	X(PRESSURE_SERVED, pressure_served, requests, "of these, granted in the end")              \
	X(PRESSURE_EVENTS, pressure_events, times, "times that the machine was short")             \
	X(STRANGERS_CUT_OFF, strangers_cut_off, peers, "peers cut off that did not say hello")     \
	X(PAUSES, pauses, times, "times that a peer asked too often, and had to wait")             \
	X(PROTOCOL_ERRORS, protocol_errors, peers, "peers cut off for breaking the protocol")      \
	X(STARTS, starts, daemons, "daemons that have served, with the one that does")

/* Of a pool. */
#define HAK_POOL_GAUGES(X)                                                    \
	X(CAPACITY_BYTES, capacity_bytes, bytes, "address space of the pool") \
	X(LIMIT_BYTES, limit_bytes, bytes, "memory that the pool may use")    \
	X(SUPERSLAB_BYTES, superslab_bytes, bytes, "length of a SuperSlab")   \
	X(RESIDENT_BYTES, resident_bytes, bytes,                              \
	  "memory that the heap has, by the kernel's count")                  \
	X(GRANTED_SUPERSLABS, granted_superslabs, superslabs,                 \
	  "SuperSlabs of clients, and orphans")                               \
	X(ORPHAN_SUPERSLABS, orphan_superslabs, superslabs,                   \
	  "of these, without an owner: others hold blocks in them")           \
	X(WAITING_SUPERSLABS, waiting_superslabs, superslabs,                 \
	  "not granted: free when who is at work there has left")             \
	X(RESERVE_SUPERSLABS, reserve_superslabs, superslabs,                 \
	  "free ones, backed and zeroed ahead of need")                       \
	X(KEPT_SUPERSLABS, kept_superslabs, superslabs,                       \
	  "returned ones whose pages are still there")                        \
	X(CLIENTS, clients, clients, "processes that are attached")

enum hak_stat {
#define X(NAME, name, unit, description) HAK_STAT_##NAME,
	HAK_CLIENT_COUNTERS(X)
#undef X
		HAK_STAT_COUNT
};

enum hak_daemon_counter {
#define X(NAME, name, unit, description) HAK_DAEMON_COUNTER_##NAME,
	HAK_DAEMON_COUNTERS(X)
#undef X
		HAK_DAEMON_COUNTER_COUNT
};

enum hak_gauge {
#define X(NAME, name, unit, description) HAK_GAUGE_##NAME,
	HAK_POOL_GAUGES(X)
#undef X
		HAK_GAUGE_COUNT
};

struct hak_counter {
	const char *name, *unit, *description;
};

extern const struct hak_counter hak_client_counters[HAK_STAT_COUNT];
extern const struct hak_counter hak_daemon_counters[HAK_DAEMON_COUNTER_COUNT];
extern const struct hak_counter hak_pool_gauges[HAK_GAUGE_COUNT];

#endif
