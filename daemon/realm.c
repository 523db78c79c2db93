/* SPDX-License-Identifier: MIT */
#include "daemon/realm.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/daemon.h"
#include "daemon/mem/hints.h"
#include "daemon/net/events.h"
#include "daemon/net/figures.h"
#include "daemon/net/pressure.h"
#include "daemon/net/trim.h"
#include "daemon/net/upkeep.h"
#include "daemon/reclaim/liveness.h"
#include "daemon/reclaim/resume.h"
#include "daemon/util/log.h"

/* A new pool, which the keeper gets before anybody can attach. */
static int make_pool(struct hakd_realm *realm)
{
	const struct hakd_pool_config *config = &realm->config;
	struct hakd_keeper *keeper = &realm->daemon->keeper;
	struct hakd_pool *others[HAKD_POOLS_MAX];
	unsigned n = 0;
	int r;

	for (unsigned i = 0; i < HAKD_POOLS_MAX; i++)
		if (realm->daemon->realms[i])
			others[n++] = realm->daemon->realms[i]->pool;
	r = hakd_pool_new(config->name, config->capacity, config->limit, config->superslab_lg,
			  others, n, &realm->pool);

	if (r < 0) {
		fprintf(stderr, "hakmemd: cannot make pool %s: %s\n", config->name, strerror(-r));
		return r;
	}
	hakd_keeper_drop_kept(keeper, realm->number); /* their generations mean nothing here */
	hakd_keeper_store_pool(keeper, realm->number, realm->pool->registry_fd,
			       realm->pool->heap_fd);
	return 0;
}

/* Of a pool that was made when it was asked for: what it had. */
static void read_config(struct hakd_realm *realm)
{
	const struct hak_geometry *g = &realm->pool->segment.geometry;
	const struct hakd_hints hints = hakd_hints_get(realm->pool);

	realm->config.limit = hints.limit;
	realm->config.retain = hints.retain;
	realm->config.keep = (unsigned)(hints.keep_ms / 500);
	realm->config.client_limit = hints.client_limit;
	realm->config.user_limit = hints.user_limit;
	realm->config.user_clients = hints.user_clients;
	realm->config.is_hardened = hints.is_hardened;
	realm->config.profile = hints.profile;
	realm->config.owner = hints.uid;
	realm->config.group = hints.gid;
	realm->config.mode = hints.mode;
	realm->config.capacity = g->capacity;
	realm->config.superslab_lg = g->superslab_lg;
}

/* The pool of an earlier daemon: it goes on as it is, whatever the configuration asks for. */
static int open_pool(struct hakd_realm *realm)
{
	struct hakd_kept_files *files = &realm->daemon->keeper.pools[realm->number];
	const struct hakd_pool_config *config;
	const struct hak_geometry *g;
	int r = hakd_pool_open(files->registry_fd, files->heap_fd, realm->config.limit,
			       &realm->pool);

	*files = (struct hakd_kept_files){-1, -1}; /* the pool's, or closed */
	if (r < 0) {
		if (r != -EPROTO)
			fprintf(stderr, "hakmemd: cannot take over the pool: %s\n", strerror(-r));
		return r;
	}
	config = hakd_config_pool(&realm->daemon->config, realm->pool->name);
	if (config)
		realm->config = *config;
	else
		read_config(realm);
	snprintf(realm->config.name, sizeof(realm->config.name), "%s", realm->pool->name);
	g = &realm->pool->segment.geometry;
	if (g->capacity != realm->config.capacity || g->superslab_lg != realm->config.superslab_lg)
		hakd_log(HAKD_LOG_WARN,
			 "pool %s stays as it was made: capacity %llu MiB, SuperSlabs of %u MiB",
			 realm->pool->name, (unsigned long long)g->capacity >> 20,
			 1u << (g->superslab_lg - 20));
	return 0;
}

static void init_parts(struct hakd_realm *realm)
{
	hakd_liveness_init(realm);
	hakd_graces_init(realm);
	hakd_trims_init(realm);
	hakd_orphans_init(realm);
	hakd_pressure_init(realm);
}

static struct hakd_realm *allocate(struct hakd_daemon *daemon, unsigned number,
				   const struct hakd_pool_config *config)
{
	struct hakd_realm *realm = calloc(1, sizeof(*realm));

	if (!realm)
		return NULL;
	realm->daemon = daemon;
	realm->loop = &daemon->loop;
	realm->number = number;
	realm->config = *config;
	realm->figures.fd = realm->events.fd = -1;
	return realm;
}

/* r: what has become of its pool. */
static int enter(struct hakd_realm *realm, int r)
{
	if (r < 0) {
		free(realm);
		return r;
	}
	realm->daemon->realms[realm->number] = realm;
	return 0;
}

int hakd_realm_new(struct hakd_daemon *daemon, unsigned number,
		   const struct hakd_pool_config *config)
{
	struct hakd_realm *realm = allocate(daemon, number, config);

	return realm ? enter(realm, make_pool(realm)) : -ENOMEM;
}

int hakd_realm_open(struct hakd_daemon *daemon, unsigned number)
{
	struct hakd_realm *realm = allocate(daemon, number, &daemon->config.pools[0]);
	int r = realm ? enter(realm, open_pool(realm)) : -ENOMEM;

	if (r < 0)
		return r;
	realm->is_handed_over = true;
	if (hakd_hints_has_ended(realm->pool)) { /* by that daemon */
		hakd_keeper_forget_pool(&daemon->keeper, number);
		hakd_realm_free(realm);
	}
	return 0;
}

int hakd_realm_start(struct hakd_realm *realm)
{
	int r;

	init_parts(realm);
	hakd_figures_begin(realm);
	hakd_events_begin(realm);
	hakd_realm_configure(realm, &realm->config);
	if (!realm->is_handed_over)
		hakd_event(realm, HAK_EVENT_MADE, NULL, realm->config.capacity >> 20,
			   realm->pool->limit >> 20);
	r = realm->is_handed_over ? hakd_resume(realm) : 0;
	if (realm->is_handed_over && r == 0)
		hakd_event(realm, HAK_EVENT_STARTED, NULL, realm->pool->generation,
			   realm->n_clients);
	if (r == 0)
		hakd_upkeep_init(realm);
	return r;
}

void hakd_realm_free(struct hakd_realm *realm)
{
	realm->daemon->realms[realm->number] = NULL;
	hakd_pool_free(realm->pool);
	free(realm);
}

void hakd_realm_configure(struct hakd_realm *realm, const struct hakd_pool_config *config)
{
	uint32_t over = hakd_pool_set_limit(realm->pool, config->limit);

	hakd_config_take_pool(&realm->config, config);
	hakd_hints_set_quotas(realm->pool, config->client_limit, config->user_limit,
			      config->user_clients);
	hakd_hints_set_hardened(realm->pool, config->is_hardened);
	hakd_hints_set_profile(realm->pool, config->profile);
	hakd_hints_set_access(realm->pool, config->owner, config->group, config->mode);
	hakd_figures_let_read(realm);
	hakd_events_let_read(realm);
	hakd_pool_set_retain(realm->pool, config->retain);
	hakd_hints_set_keep(realm->pool, hakd_config_keep_ms(config));
	hakd_hints_set_bounds(realm->pool, config->limit, config->retain);
	if (over > 0)
		hakd_log(HAKD_LOG_WARN,
			 "the limit of %llu MiB of pool %s is reached: nothing is granted until "
			 "clients have given back %u SuperSlabs",
			 (unsigned long long)realm->pool->limit >> 20, realm->pool->name, over);
}

void hakd_realm_tell_end(struct hakd_realm *realm)
{
	if (hakd_hints_has_ended(realm->pool))
		return;
	hakd_hints_end(realm->pool);
	hakd_event(realm, HAK_EVENT_ENDED, NULL, realm->n_clients, 0);
}

void hakd_realm_end(struct hakd_realm *realm)
{
	hakd_realm_tell_end(realm);
	hakd_figures_end(realm);
	hakd_events_end(realm);
	hakd_keeper_forget_pool(&realm->daemon->keeper, realm->number);
}

void hakd_realm_count_client(struct hakd_realm *realm, int change)
{
	realm->n_clients = (unsigned)((int)realm->n_clients + change);
	hakd_daemon_count_client(realm->daemon, change);
	if (change > 0)
		hakd_realm_get(realm);
	else
		hakd_realm_put(realm);
}

static void on_closed(uv_handle_t *handle)
{
	struct hakd_realm *realm = handle->data;

	if (--realm->n_handles > 0)
		return;
	if (realm->liveness.inotify_fd >= 0)
		close(realm->liveness.inotify_fd);
	realm->daemon->ended[realm->number] = NULL;
	hakd_orphans_deinit(realm);
	hakd_pool_free(realm->pool);
	free(realm);
}

/* What is closed is gone in a later turn of the loop: who has let go of it may still look at it. */
static void close_handles(struct hakd_realm *realm)
{
	uv_handle_t *handles[] = {
		(uv_handle_t *)&realm->upkeep.timer,   (uv_handle_t *)&realm->trims.timer,
		(uv_handle_t *)&realm->pressure.timer, (uv_handle_t *)&realm->liveness.timer,
		(uv_handle_t *)&realm->graces.timer,   (uv_handle_t *)&realm->orphans.timer,
		(uv_handle_t *)&realm->liveness.events};
	unsigned n = sizeof(handles) / sizeof(handles[0]);

	realm->n_handles = n - (realm->liveness.inotify_fd < 0);
	for (unsigned i = 0; i < realm->n_handles; i++)
		uv_close(handles[i], on_closed);
}

bool hakd_realm_is_going(const struct hakd_realm *realm)
{
	return realm->n_handles > 0;
}

void hakd_realm_get(struct hakd_realm *realm)
{
	realm->n_refs++;
}

void hakd_realm_put(struct hakd_realm *realm)
{
	if (--realm->n_refs == 0 && realm->is_deleted)
		close_handles(realm);
}

void hakd_realm_delete(struct hakd_realm *realm)
{
	hakd_realm_get(realm);
	hakd_realm_end(realm);
	realm->daemon->realms[realm->number] = NULL;
	realm->daemon->ended[realm->number] = realm;
	realm->is_deleted = true;
	hakd_upkeep_shrink(realm);
	hakd_realm_put(realm);
}
