/* SPDX-License-Identifier: MIT */
#include "daemon/net/figures.h"

#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "daemon/util/log.h"
#include "proto/shm/figures.h"
#include "proto/wire/socket_path.h"

#define PERIOD_MS 1000u

void hakd_figures_gauges(const struct hakd_realm *realm, uint64_t values[HAK_GAUGE_COUNT])
{
	const struct hakd_pool *pool = realm->pool;

	values[HAK_GAUGE_CAPACITY_BYTES] = pool->segment.geometry.capacity;
	values[HAK_GAUGE_LIMIT_BYTES] = pool->limit;
	values[HAK_GAUGE_SUPERSLAB_BYTES] = UINT64_C(1) << pool->segment.geometry.superslab_lg;
	values[HAK_GAUGE_RESIDENT_BYTES] = hakd_pool_resident(pool);
	values[HAK_GAUGE_GRANTED_SUPERSLABS] = pool->n_taken - pool->n_idle - pool->n_waiting;
	values[HAK_GAUGE_ORPHAN_SUPERSLABS] = pool->n_orphans;
	values[HAK_GAUGE_WAITING_SUPERSLABS] = pool->n_waiting;
	values[HAK_GAUGE_RESERVE_SUPERSLABS] = pool->reserve.warm.n;
	values[HAK_GAUGE_KEPT_SUPERSLABS] = pool->kept.n;
	values[HAK_GAUGE_CLIENTS] = realm->n_clients;
}

uint64_t hakd_figures_clients(const struct hakd_realm *realm, unsigned stat)
{
	uint64_t sum = realm->left[stat];

	for (unsigned slot = 0; slot < realm->n_holders; slot++)
		if (realm->clients[slot]) /* relaxed: only shown */
			sum += hak_load_relaxed(&realm->pool->segment.areas[slot].counters[stat]);
	return sum;
}

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Relaxed, all of it: see figures.h. */
static void write_all(struct hakd_realm *realm)
{
	const struct hakd_counters *own = &realm->daemon->counters;
	struct hak_figures *figures = realm->figures.bytes;
	uint64_t gauges[HAK_GAUGE_COUNT];

	hakd_figures_gauges(realm, gauges);
	for (unsigned i = 0; i < HAK_STAT_COUNT; i++)
		hak_store_relaxed(&figures->clients[i], hakd_figures_clients(realm, i));
#define X(NAME, name, unit, description) \
	hak_store_relaxed(&figures->daemon[HAK_DAEMON_COUNTER_##NAME], own->name);
	HAK_DAEMON_COUNTERS(X)
#undef X
	for (unsigned i = 0; i < HAK_GAUGE_COUNT; i++)
		hak_store_relaxed(&figures->gauges[i], gauges[i]);
	hak_store_relaxed(&figures->at, now_ms());
}

static void on_tick(uv_timer_t *timer)
{
	struct hakd_daemon *daemon = timer->data;

	for (unsigned i = 0; i < HAKD_POOLS_MAX; i++)
		if (daemon->realms[i] && daemon->realms[i]->figures.bytes)
			write_all(daemon->realms[i]);
}

void hakd_figures_init(struct hakd_daemon *daemon)
{
	uv_timer_init(&daemon->loop, &daemon->figures);
	daemon->figures.data = daemon;
	uv_timer_start(&daemon->figures, on_tick, PERIOD_MS, PERIOD_MS);
}

static void path_of(const struct hakd_realm *realm, char path[HAK_SHOWN_PATH_MAX])
{
	hak_shown_path(realm->daemon->config.socket, "stats", realm->pool->name, path);
}

/* The daemon's own counters are the same in each pool's file: the first one's are taken. */
static void go_on_from(struct hakd_realm *realm, const struct hak_figures *before)
{
	struct hakd_counters *own = &realm->daemon->counters;

	for (unsigned i = 0; i < HAK_STAT_COUNT; i++)
		realm->left[i] = hak_load_relaxed(&before->left[i]);
	if (!hakd_daemon_is_first(realm))
		return;
#define X(NAME, name, unit, description) \
	own->name += hak_load_relaxed(&before->daemon[HAK_DAEMON_COUNTER_##NAME]);
	HAK_DAEMON_COUNTERS(X)
#undef X
}

static void say_unreadable(const struct hakd_realm *realm, int error)
{
	hakd_log(HAKD_LOG_WARN,
		 "who may read pool %s can't read its statistics while no daemon runs: %s",
		 realm->pool->name, strerror(error));
}

void hakd_figures_begin(struct hakd_realm *realm)
{
	const struct hak_registry *header = realm->pool->registry;
	struct hakd_shown_file *file = &realm->figures;
	struct hak_figures before;
	char path[HAK_SHOWN_PATH_MAX];
	ssize_t n;
	int r;

	path_of(realm, path);
	n = hakd_shown_file_read(path, &before, sizeof(before));
	if (n > 0 && hak_figures_are_known(&before, (size_t)n) &&
	    memcmp(before.uuid, header->uuid, HAK_UUID_BYTES) == 0)
		go_on_from(realm, &before);
	r = hakd_shown_file_make(file, path, sizeof(before));
	if (r == 0) {
		hak_figures_init(file->bytes, header->uuid, realm->pool->name);
		hak_store_relaxed(&((struct hak_figures *)file->bytes)->pid, (uint64_t)getpid());
		hakd_figures_left(realm);
		write_all(realm);
		r = hakd_shown_file_name(path);
	}
	if (r == 0)
		return;
	hakd_log(HAKD_LOG_WARN, "no statistics of pool %s while no daemon runs: %s: %s",
		 realm->pool->name, path, strerror(-r));
	hakd_shown_file_close(file);
}

static bool is_nobodys(const void *context, const char *path, const char *pool)
{
	struct hak_figures figures;
	ssize_t n = hakd_shown_file_read(path, &figures, sizeof(figures));

	return n > 0 && hak_figures_are_known(&figures, (size_t)n) &&
	       strcmp(figures.pool, pool) == 0 && !hakd_daemon_find(context, pool);
}

void hakd_figures_tidy(const struct hakd_daemon *daemon)
{
	char begin[HAK_SHOWN_PATH_MAX];

	hak_shown_path(daemon->config.socket, "stats", "", begin);
	hakd_shown_files_tidy(begin, is_nobodys, daemon);
}

void hakd_figures_let_read(struct hakd_realm *realm)
{
	int r = realm->figures.bytes
			? hakd_shown_file_let_read(&realm->figures, realm->config.owner,
						   realm->config.group, realm->config.mode)
			: 0;

	if (r < 0)
		say_unreadable(realm, -r);
}

void hakd_figures_left(struct hakd_realm *realm)
{
	struct hak_figures *figures = realm->figures.bytes;

	for (unsigned i = 0; figures && i < HAK_STAT_COUNT; i++)
		hak_store_relaxed(&figures->left[i], realm->left[i]); /* see figures.h */
}

void hakd_figures_end(struct hakd_realm *realm)
{
	char path[HAK_SHOWN_PATH_MAX];

	if (!realm->figures.bytes)
		return;
	path_of(realm, path);
	hakd_shown_file_remove(&realm->figures, path);
	hakd_shown_file_close(&realm->figures);
}
