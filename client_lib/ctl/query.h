/* SPDX-License-Identifier: MIT */
#ifndef HAKC_CTL_QUERY_H
#define HAKC_CTL_QUERY_H

/*
 * Questions to the daemon, as a tool. All calls return 0, a negative errno, or
 * a positive enum hak_error if the daemon refused; `reason` then says why.
 */

#include <stdbool.h>
#include <stddef.h>

#include "client_lib/conn.h"
#include "client_lib/ctl/arguments.h"
#include "proto/shm/check.h"

struct hakc_query {
	struct hakc_conn conn;
	int error;	       /* what kept it from the daemon, as hakc_query_init returned it; 0 */
	const char *path;      /* of the socket */
	const char *pool_name; /* of --pool; NULL: not said */
	unsigned timeout_ms;
	const struct hakc_arguments *arguments; /* of hakmemctl; NULL: nothing was said */
	char reason[256];			/* of the last call that failed, for people */
};

/* The pool that a question is about. */
const char *hakc_query_pool(const struct hakc_query *query);

/* All pages of the table of clients; the clients live in the pages. */
struct hakc_query_clients {
	Hak__Reply **pages;
	size_t n_pages;
	Hak__Client **clients;
	size_t n_clients;
};

#define HAKC_QUERY_ANOMALIES_MAX 1024u /* listed; the others are counted */

/* All pages of an audit, added up; the anomalies live in the pages. */
struct hakc_query_check {
	Hak__Check sums;
	struct hak_share owners[HAK_HOLDER_COUNT]; /* if they were asked for */
	Hak__Reply **pages;
	size_t n_pages;
	Hak__Anomaly **anomalies;
	size_t n_anomalies;
};

/* All pages of the table of roots; the roots live in the pages. */
struct hakc_query_roots {
	Hak__Reply **pages;
	size_t n_pages;
	Hak__Root **roots;
	size_t n_roots;
};

/* pool: what the questions are about, where that is one; NULL: the first. */
int hakc_query_init(struct hakc_query *query, const char *path, const char *pool,
		    unsigned timeout_ms);
void hakc_query_deinit(struct hakc_query *query);

/* Does one of the globs behind the verb match it, or are there none? */
bool hakc_query_asks_for(const struct hakc_query *query, const char *name);

/* Asks a daemon that may be another one by now. As hakc_query_init. */
int hakc_query_again(struct hakc_query *query);

/* *ret_reply carries a status, or stats; released by hak__reply__free_unpacked(reply, NULL). */
int hakc_query_status(struct hakc_query *query, Hak__Reply **ret_reply);
int hakc_query_stats(struct hakc_query *query, Hak__Reply **ret_reply);

/* 0, or as above. */
int hakc_query_pool_create(struct hakc_query *query);
int hakc_query_pool_delete(struct hakc_query *query);
int hakc_query_pool_reset(struct hakc_query *query);

/* 0, or as above. */
int hakc_query_ping(struct hakc_query *query);
int hakc_query_reload(struct hakc_query *query);
int hakc_query_log_level(struct hakc_query *query, const char *level);

/* Bytes between two samples of the pool; 0: no more are taken. */
int hakc_query_profile(struct hakc_query *query, uint64_t interval);

/* *ret_reply carries a config. */
int hakc_query_config(struct hakc_query *query, Hak__Reply **ret_reply);

/* *ret_pidfd is the caller's to close; -1: there is none. */
int hakc_query_kick(struct hakc_query *query, int32_t pid, int *ret_pidfd);

/* *ret_reply carries a trimmed; waits for it arguments->wait_ms longer than for others. */
int hakc_query_trim(struct hakc_query *query, Hak__Reply **ret_reply);

/*
 * Registry and heap of the pool, open for reading, to be closed: by a hello as a reader, on a
 * connection of its own. HAK_E_DENIED: one may not read it.
 */
int hakc_query_read(struct hakc_query *query, int *ret_registry_fd, int *ret_heap_fd);

/*
 * Those of a pool; NULL: of all, also of those that have ended, which may have the names of others.
 */
int hakc_query_clients(struct hakc_query *query, const char *pool,
		       struct hakc_query_clients *ret_clients);
void hakc_query_clients_deinit(struct hakc_query_clients *clients);

/* With the owners of blocks, or with anomalies; sums.more_anomalies: those that are not listed. */
int hakc_query_check(struct hakc_query *query, bool owners, struct hakc_query_check *ret_check);
void hakc_query_check_deinit(struct hakc_query_check *check);

int hakc_query_roots(struct hakc_query *query, struct hakc_query_roots *ret_roots);
void hakc_query_roots_deinit(struct hakc_query_roots *roots);

#endif
