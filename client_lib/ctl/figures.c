/* SPDX-License-Identifier: MIT */
#include "client_lib/ctl/figures.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "proto/error.h"
#include "proto/wire/socket_path.h"

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

/* Of a pool of that name. 0; a negative errno, -EPROTO: it is of another version, or something else. */
static int read_file(const char *path, const char *name, struct hakc_figures *figures)
{
	struct hakc_figures_pool *pool = &figures->pools[figures->n_pools];
	struct hak_figures file;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	ssize_t n = fd < 0 ? -errno : read(fd, &file, sizeof(file));

	if (n < 0)
		n = fd < 0 ? n : -errno;
	if (fd >= 0)
		close(fd);
	if (n < 0)
		return (int)n;
	if (!hak_figures_are_known(&file, (size_t)n) || strcmp(file.pool, name) != 0)
		return -EPROTO;
	/* Relaxed: a copy of ours. */
	snprintf(pool->name, sizeof(pool->name), "%s", file.pool);
	for (unsigned i = 0; i < HAK_STAT_COUNT; i++)
		pool->clients[i] = hak_load_relaxed(&file.clients[i]);
	for (unsigned i = 0; i < HAK_GAUGE_COUNT; i++)
		pool->gauges[i] = hak_load_relaxed(&file.gauges[i]);
	if (figures->n_pools == 0 || age_of(hak_load_relaxed(&file.at)) < figures->age_ms) {
		figures->age_ms = age_of(hak_load_relaxed(&file.at));
		for (unsigned i = 0; i < HAK_DAEMON_COUNTER_COUNT; i++)
			figures->daemon[i] = hak_load_relaxed(&file.daemon[i]);
	}
	figures->n_pools++;
	return 0;
}

/* How many were read; -1: there are some, and none can be; it has been said why. */
static int from_files(const struct hakc_query *query, struct hakc_figures *figures)
{
	char path[HAK_FIGURES_PATH_MAX], *name;
	const struct dirent *entry;
	DIR *directory;
	int r, failed = 0;

	hak_figures_path(query->path, "", path);
	name = strrchr(path, '/');
	*name++ = 0;
	directory = opendir(path);
	while (directory && (entry = readdir(directory)) && figures->n_pools < POOLS_MAX) {
		char file[2 * HAK_FIGURES_PATH_MAX + 256];

		/* "hakmemd.sock." and a pool. */
		if (strncmp(entry->d_name, name, strlen(name)) != 0 ||
		    !is_wanted(query, entry->d_name + strlen(name)))
			continue;
		snprintf(file, sizeof(file), "%s/%s", path, entry->d_name);
		r = read_file(file, entry->d_name + strlen(name), figures);
		if (r < 0 && r != -ENOENT)
			failed = r;
	}
	if (directory)
		closedir(directory);
	if (figures->n_pools == 0 && failed)
		fprintf(stderr, "hakmemctl: what %s says can't be read: %s\n", path,
			failed == -EPROTO ? "it is of another version" : strerror(-failed));
	return figures->n_pools == 0 && failed ? -1 : (int)figures->n_pools;
}

int hakc_figures_get(struct hakc_query *query, struct hakc_figures *figures)
{
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
	return from_files(query, figures) > 0 ? 0 : r;
}

uint64_t hakc_figures_sum(const struct hakc_figures *figures, unsigned stat)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < figures->n_pools; i++)
		sum += figures->pools[i].clients[stat];
	return sum;
}
