/* SPDX-License-Identifier: MIT */
#include "client_lib/ctl/figures.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "client_lib/ctl/shown.h"
#include "proto/error.h"

#define POOLS_MAX (sizeof(((struct hakc_figures *)0)->pools) / sizeof(struct hakc_figures_pool))

/* A daemon of another build may count other things: what it calls as we do is taken. */
static void take_values(const struct hak_counter *table, unsigned n, Hak__Counter **counters,
			size_t n_counters, const uint64_t *values, size_t n_values,
			uint64_t *ret_values)
{
	for (size_t i = 0; i < n_counters && i < n_values; i++)
		for (unsigned k = 0; k < n; k++)
			if (strcmp(counters[i]->name, table[k].name) == 0)
				ret_values[k] = values[i];
}

static void take_daemon(const Hak__Stats *stats, uint64_t *ret_values)
{
	for (size_t i = 0; i < stats->n_daemon; i++)
		take_values(hak_daemon_counters, HAK_DAEMON_COUNTER_COUNT, &stats->daemon[i], 1,
			    &stats->daemon[i]->value, 1, ret_values);
}

static void take_pool(const Hak__Stats *stats, const Hak__PoolStats *pool,
		      struct hakc_figures_pool *ret)
{
	snprintf(ret->name, sizeof(ret->name), "%s", pool->name);
	take_values(hak_client_counters, HAK_STAT_COUNT, stats->clients, stats->n_clients,
		    pool->clients, pool->n_clients, ret->clients);
	take_values(hak_pool_gauges, HAK_GAUGE_COUNT, stats->gauges, stats->n_gauges, pool->gauges,
		    pool->n_gauges, ret->gauges);
}

static bool is_wanted(const struct hakc_query *query, const char *pool)
{
	return !query->pool_name || strcmp(query->pool_name, pool) == 0;
}

static int from_daemon(struct hakc_query *query, struct hakc_figures *figures)
{
	Hak__Reply *reply;
	int r = hakc_query_stats(query, &reply);

	if (r != 0)
		return r;
	take_daemon(reply->stats, figures->daemon);
	for (size_t i = 0; i < reply->stats->n_pools && figures->n_pools < POOLS_MAX; i++)
		if (is_wanted(query, reply->stats->pools[i]->name))
			take_pool(reply->stats, reply->stats->pools[i],
				  &figures->pools[figures->n_pools++]);
	hak__reply__free_unpacked(reply, NULL);
	return 0;
}

static uint64_t age_of(uint64_t at)
{
	struct timespec now;
	uint64_t ms;

	clock_gettime(CLOCK_BOOTTIME, &now);
	ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
	return ms > at ? ms - at : 0;
}

static int take_file(void *context, const char *name, const void *bytes, size_t n)
{
	struct hakc_figures *figures = context;
	struct hakc_figures_pool *pool = &figures->pools[figures->n_pools];
	const struct hak_figures *file = bytes;
	uint64_t age;

	if (!hak_figures_are_known(bytes, n) || strcmp(file->pool, name) != 0)
		return -EPROTO;
	if (figures->n_pools == POOLS_MAX)
		return 0;
	/* Relaxed: a copy of ours. */
	snprintf(pool->name, sizeof(pool->name), "%s", file->pool);
	for (unsigned i = 0; i < HAK_STAT_COUNT; i++)
		pool->clients[i] = hak_load_relaxed(&file->clients[i]);
	for (unsigned i = 0; i < HAK_GAUGE_COUNT; i++)
		pool->gauges[i] = hak_load_relaxed(&file->gauges[i]);
	age = age_of(hak_load_relaxed(&file->at));
	if (figures->n_pools++ > 0 && age >= figures->age_ms)
		return 0;
	figures->age_ms = age;
	for (unsigned i = 0; i < HAK_DAEMON_COUNTER_COUNT; i++)
		figures->daemon[i] = hak_load_relaxed(&file->daemon[i]);
	return 0;
}

int hakc_figures_get(struct hakc_query *query, struct hakc_figures *figures)
{
	struct hak_figures file;
	int r = query->error;

	*figures = (struct hakc_figures){0};
	if (r == 0)
		r = from_daemon(query, figures);
	if (r == 0 && figures->n_pools == 0) {
		snprintf(query->reason, sizeof(query->reason), "no pool of that name");
		return HAK_E_NO_POOL;
	}
	if (r == 0 || (r != -ENOENT && r != -ECONNREFUSED && r != -ENOTCONN && r != -ETIMEDOUT))
		return r;
	figures->is_down = true;
	return hakc_shown_each(query, "stats", &file, sizeof(file), take_file, figures) > 0 ? 0 : r;
}

uint64_t hakc_figures_sum(const struct hakc_figures *figures, unsigned stat)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < figures->n_pools; i++)
		sum += figures->pools[i].clients[stat];
	return sum;
}
