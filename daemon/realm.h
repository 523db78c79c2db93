/* SPDX-License-Identifier: MIT */
#ifndef HAKD_REALM_H
#define HAKD_REALM_H

/*
 * A pool and all that concerns it: who is attached, what is being reclaimed, what lies warm. Realms have
 * nothing in common but the daemon: its loop, its keeper, its counters. On the loop only.
 */

#include "daemon/mem/pool.h"
#include "daemon/mem/shown_file.h"
#include "daemon/reclaim/grace.h"
#include "daemon/reclaim/lease.h"
#include "daemon/reclaim/orphan.h"
#include "daemon/reclaim/scan.h"
#include "daemon/util/keeper.h"
#include "proto/wire/wire.h"

#include <uv.h>

struct hakd_daemon;
struct hakd_peer;
struct hakd_job;

/* What upkeep.c remembers. */
struct hakd_upkeep {
	uv_timer_t timer;
	uint64_t decayed_at;	   /* when the reserve's size was last looked at; ms */
	struct hakd_job *waiting;  /* requests that wait until a job ends, the first first */
	bool is_filling;	   /* a job for the reserve is under way */
	bool is_filling_suspended; /* the machine had no memory for it; until the next tick */
	bool is_shrunk;		   /* nothing is to lie warm, until somebody asks for memory */
};

/* What trim.c remembers. */
struct hakd_trims {
	uv_timer_t timer; /* runs while there is one */
	struct hakd_job *first;
};

/* What pressure.c remembers. */
struct hakd_pressure {
	uv_timer_t timer;  /* runs while requests wait for what clients give back */
	bool has_asked;	   /* at */
	uint64_t asked_at; /* ms of the loop's clock */
	int came_from;	   /* who gave something back since */
};

/* What liveness.c remembers. */
struct hakd_liveness {
	int inotify_fd; /* tells that a lease's file was closed; -1: there is none */
	uv_poll_t events;
	uv_timer_t timer; /* runs while a client is in doubt */
};

/* A process that is attached, from its hello to the end of its collection. */
struct hakd_client {
	struct hakd_realm *realm;
	unsigned holder;
	uint32_t generation;
	int pidfd;
	uv_poll_t liveness;
	struct hakd_lease lease;
	struct hakd_peer *peer;	     /* NULL: disconnected */
	struct hakd_peer *rejoining; /* who waits for the end of its job; NULL: nobody does */
	uint64_t rejoin_id;
	bool is_busy;	     /* a job of it is under way */
	bool is_leaving;     /* dead or detached: to be collected */
	bool has_detached;   /* by its own word */
	uint32_t n_pending;  /* SuperSlabs that it has asked for, while a job is under way */
	uint64_t n_refused;  /* requests, for want of room within its limits */
	uint64_t n_unserved; /* requests, for want of memory */
	bool is_in_doubt;    /* its lease is to be looked at */
};

struct hakd_realm {
	struct hakd_daemon *daemon;
	uv_loop_t *loop;
	unsigned number;     /* to the keeper */
	unsigned n_refs;     /* peers, jobs and clients that it has; see hakd_realm_put */
	bool is_handed_over; /* by an earlier daemon */
	bool is_deleted;     /* and goes with the last of these */
	unsigned n_handles;  /* that are being closed */
	struct hakd_pool_config config; /* as it is now */
	struct hakd_pool *pool;
	struct hakd_upkeep upkeep;
	struct hakd_trims trims;
	struct hakd_pressure pressure;
	struct hakd_liveness liveness;
	struct hakd_graces graces;
	struct hakd_scan scan;
	struct hakd_orphans orphans;
	struct hakd_client *clients[HAK_HOLDER_COUNT];
	uint32_t generations[HAK_HOLDER_COUNT];
	unsigned n_holders; /* no client has ever had a slot from here on */
	unsigned n_clients;
	uint64_t left[HAK_STAT_COUNT];	/* counters of clients that have left */
	struct hakd_shown_file events;	/* its file of what has happened; likewise */
	uint64_t n_events;		/* number of the last one */
	struct hakd_shown_file figures; /* its file of what is counted; none before it is at work */
};

/*
 * A new pool of a number, for a section of the configuration; the keeper has it before anybody can
 * attach. 0 or a negative errno. It is said on stderr.
 */
int hakd_realm_new(struct hakd_daemon *daemon, unsigned number,
		   const struct hakd_pool_config *config);

/*
 * The pool that the keeper handed over under a number: as it is, and what concerns it goes on, whatever
 * else its section says. None, if the daemon before had ended it. 0; -EPROTO: what was handed over is of
 * no use; or an errno. It is said on stderr.
 */
int hakd_realm_open(struct hakd_daemon *daemon, unsigned number);

/* From now on it is at work; the loop must be there. 0 or a negative errno: the daemon can't go on. */
int hakd_realm_start(struct hakd_realm *realm);

/* Of one that was never started. */
void hakd_realm_free(struct hakd_realm *realm);

/* Limit, keep, retain and who may do what are others from now on; nobody is thrown out. */
void hakd_realm_configure(struct hakd_realm *realm, const struct hakd_pool_config *config);

/* Clients are told that it has ended, from which there is no way back, and its list of events says so. */
void hakd_realm_tell_end(struct hakd_realm *realm);

/* That, if it wasn't done yet, and the keeper lets go of it. */
void hakd_realm_end(struct hakd_realm *realm);

/*
 * Takes it out of the daemon: nobody finds it any more, its clients are told that it has ended. It goes
 * when nobody uses it.
 */
void hakd_realm_delete(struct hakd_realm *realm);

/*
 * Somebody uses it, or does no longer. Who has let go of it may look at it until the loop's next turn, but
 * if it is going there is nothing more to begin in it.
 */
void hakd_realm_get(struct hakd_realm *realm);
void hakd_realm_put(struct hakd_realm *realm);
bool hakd_realm_is_going(const struct hakd_realm *realm);

/* A client came or went. */
void hakd_realm_count_client(struct hakd_realm *realm, int change);

#endif
