/* SPDX-License-Identifier: MIT */
#include "daemon/realm.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/daemon.h"
#include "daemon/mem/hints.h"
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
	int r = hakd_pool_new(config->name, config->capacity, config->limit, config->superslab_lg,
			      &realm->pool);

	if (r < 0) {
		fprintf(stderr, "hakmemd: cannot make pool %s: %s\n", config->name, strerror(-r));
		return r;
	}
	/* One without the other is of a daemon that died in here: nobody attached to it. */
	hakd_keeper_drop_pool(keeper, realm->number);
	hakd_keeper_drop_kept(keeper, realm->number); /* their generations mean nothing here */
	hakd_keeper_store_pool(keeper, realm->number, realm->pool->registry_fd,
			       realm->pool->heap_fd);
	return 0;
}

/*
 * The pool of an earlier daemon: it goes on as it is, whatever the configuration asks for.
 * 1: that daemon ended it.
 */
static int open_pool(struct hakd_realm *realm, struct hakd_kept_files *files)
{
	const struct hakd_pool_config *config;
	const struct hak_geometry *g;
	int r = hakd_pool_open(files->registry_fd, files->heap_fd, realm->config.limit,
			       &realm->pool);

	*files = (struct hakd_kept_files){-1, -1}; /* the pool's, or closed */
	if (r == 0 && hakd_hints_has_ended(realm->pool)) {
		hakd_pool_free(realm->pool);
		hakd_keeper_forget_pool(&realm->daemon->keeper, realm->number);
		return 1;
	}
	if (r < 0) {
		if (r != -EPROTO)
			fprintf(stderr, "hakmemd: cannot take over the pool: %s\n", strerror(-r));
		return r;
	}
	config = hakd_config_pool(&realm->daemon->config, realm->pool->name);
	if (config)
		realm->config = *config;
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

int hakd_realm_new(struct hakd_daemon *daemon, unsigned number,
		   const struct hakd_pool_config *config, struct hakd_realm **ret_realm)
{
	struct hakd_kept_files *files = &daemon->keeper.pools[number];
	bool is_handed_over = files->registry_fd >= 0 && files->heap_fd >= 0;
	struct hakd_realm *realm = calloc(1, sizeof(*realm));
	int r;

	if (!realm)
		return -ENOMEM;
	realm->daemon = daemon;
	realm->loop = &daemon->loop;
	realm->number = number;
	realm->config = *config;
	r = is_handed_over ? open_pool(realm, files) : 1;
	is_handed_over = r == 0;
	if (r > 0)
		r = make_pool(realm);
	if (r < 0) {
		free(realm);
		return r;
	}
	init_parts(realm);
	hakd_realm_configure(realm, &realm->config);
	r = is_handed_over ? hakd_resume(realm) : 0;
	if (r < 0)
		return r; /* the daemon ends: nothing is taken down */
	daemon->realms[number] = realm;
	hakd_upkeep_init(realm);
	*ret_realm = realm;
	return 0;
}

void hakd_realm_configure(struct hakd_realm *realm, const struct hakd_pool_config *config)
{
	uint32_t over = hakd_pool_set_limit(realm->pool, config->limit);

	realm->config.limit = config->limit;
	realm->config.keep = config->keep;
	realm->config.retain = config->retain;
	hakd_pool_set_retain(realm->pool, config->retain);
	hakd_hints_set_keep(realm->pool, hakd_config_keep_ms(config));
	if (over > 0)
		hakd_log(HAKD_LOG_WARN,
			 "the limit of %llu MiB of pool %s is reached: nothing is granted until "
			 "clients have given back %u SuperSlabs",
			 (unsigned long long)realm->pool->limit >> 20, realm->pool->name, over);
}

void hakd_realm_end(struct hakd_realm *realm)
{
	hakd_hints_end(realm->pool);
	hakd_keeper_forget_pool(&realm->daemon->keeper, realm->number);
}

void hakd_realm_count_client(struct hakd_realm *realm, int change)
{
	realm->n_clients = (unsigned)((int)realm->n_clients + change);
	hakd_daemon_count_client(realm->daemon, change);
}
