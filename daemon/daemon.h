/* SPDX-License-Identifier: MIT */
#ifndef HAKD_DAEMON_H
#define HAKD_DAEMON_H

/*
 * The daemon's parts, all on one event loop:
 *
 *   listener -> peer (a connection) -> dispatch (a request) -> pool
 *                                          |
 *   liveness (a pidfd, a lease a client) -> collect -> scan, grace -> pool
 *                                                  +-> orphan (a timer) -> collect
 *   upkeep (a timer, the end of a job) -> fill the reserve, punch
 *   shortage (the kernel's events) -> upkeep, pressure -> clients are asked
 *
 *   keeper (descriptors of a daemon before) -> reopen, resume, once at the start
 *   SIGHUP -> config (the file again) -> pool, upkeep
 *
 * What takes long is a job: its work runs on a thread of libuv's pool on
 * SuperSlabs that the loop has taken for it, its end runs on the loop.
 */

#include <uv.h>

#include "daemon/config.h"
#include "daemon/net/listener.h"
#include "daemon/realm.h"
#include "daemon/util/keeper.h"
#include "daemon/util/memory_files.h"
#include "proto/wire/wire.h"

struct hakd_counters {
#define X(NAME, name, unit, description) uint64_t name;
	HAK_DAEMON_COUNTERS(X)
#undef X
};

/* What pace.c remembers. */
struct hakd_paces {
	uv_timer_t look;  /* runs while there are strangers */
	uv_timer_t pause; /* likewise, peers that are paused */
	struct hakd_peer *strangers;
	unsigned n_strangers;
	struct hakd_peer *paused;
};

struct hakd_job;

/* What job.c remembers: jobs that only look. */
struct hakd_questions {
	unsigned n_running;
	struct hakd_job *first, *last; /* that wait for their turn */
};

/* What shortage.c remembers. */
struct hakd_shortage {
	struct hakd_memory_files files;
	uv_poll_t stalls;
	uv_fs_event_t events;
	uint64_t at; /* when it was last; ms of the loop's clock */
};

struct hakd_daemon {
	uv_loop_t loop;
	struct hakd_config config;
	struct hakd_keeper keeper;
	struct hakd_listener listener;
	uv_poll_t accept;
	uv_signal_t terminate;
	uv_signal_t interrupt;
	uv_signal_t hangup;
	uv_timer_t idle;
	uv_timer_t watchdog; /* pings the keeper, if it wants that */
	uv_timer_t figures;  /* writes what is counted, once a second */
	uv_timer_t behind;   /* runs while the keeper has no room for what is posted */
	bool ends_for_good;  /* nobody goes on with the pool */
	struct hakd_questions questions;
	struct hakd_shortage shortage;
	struct hakd_paces paces;
	struct hakd_realm *realms[HAKD_POOLS_MAX]; /* by their numbers; NULL: none */
	struct hakd_realm *ended[HAKD_POOLS_MAX];  /* likewise: deleted, and not gone yet */
	unsigned n_clients;			   /* of all */
	struct hakd_counters counters;
	uint64_t started_at; /* ms of the loop's clock */
};

/*
 * Listens, with the pool that the keeper handed over if it did, and tells the
 * keeper that it is ready; 0 or a negative errno, having said on stderr what is
 * wrong. -EPROTO: what was handed over is of no use.
 */
int hakd_daemon_init(struct hakd_daemon *daemon, const struct hakd_config *config,
		     const struct hakd_keeper *keeper);

/*
 * Serves until SIGTERM or SIGINT, or until nobody was attached for long enough.
 * Without a keeper, and by SIGINT, that is the pool's end, which its clients are
 * told; else it is left for the next daemon. Then everything is closed and removed.
 */
void hakd_daemon_run(struct hakd_daemon *daemon);

/* Reads the configuration again; false: it can't be used, which is in the log, and all stays as it was. */
bool hakd_daemon_reload(struct hakd_daemon *daemon);

/* Something was posted to the keeper: sends it later if it has no room now. */
void hakd_daemon_catch_up(struct hakd_daemon *daemon);

/* The pool of that name, "" is the first; NULL: there is none. */
struct hakd_realm *hakd_daemon_find(const struct hakd_daemon *daemon, const char *pool);

/* Is it the first? */
bool hakd_daemon_is_first(const struct hakd_realm *realm);

/* All pools, the first one first; returns how many. */
unsigned hakd_daemon_list(const struct hakd_daemon *daemon,
			  struct hakd_realm *ret_realms[HAKD_POOLS_MAX]);

/* A number that no pool has; HAKD_POOLS_MAX: there is none. */
unsigned hakd_daemon_number(const struct hakd_daemon *daemon);

/* A client came or went. */
void hakd_daemon_count_client(struct hakd_daemon *daemon, int change);

#endif
