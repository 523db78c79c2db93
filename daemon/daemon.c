/* SPDX-License-Identifier: MIT */
/* Setting up and taking down; see daemon.h for the parts. */
#include "daemon/daemon.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "daemon/net/events.h"
#include "daemon/net/figures.h"
#include "daemon/net/pace.h"
#include "daemon/net/peer.h"
#include "daemon/net/shortage.h"
#include "daemon/net/upkeep.h"
#include "daemon/util/crash.h"
#include "daemon/util/log.h"

#define BEHIND_MS 20u /* a keeper that has no room is asked again */

static void on_signal(uv_signal_t *handle, int number)
{
	struct hakd_daemon *daemon = handle->data;

	hakd_log(HAKD_LOG_INFO, "%s: stopping", number == SIGTERM ? "SIGTERM" : "SIGINT");
	daemon->ends_for_good = number == SIGINT; /* a keeper's restart is SIGTERM */
	uv_stop(&daemon->loop);
}

static void say_ready(struct hakd_daemon *daemon)
{
	const struct hakd_realm *first = hakd_daemon_find(daemon, "");
	struct hakd_realm *all[HAKD_POOLS_MAX];
	unsigned n_pools = hakd_daemon_list(daemon, all);
	char status[160];

	snprintf(status, sizeof(status), "serving %s: limit %llu MiB, keep %u s",
		 daemon->config.socket, (unsigned long long)first->pool->limit >> 20,
		 first->config.keep);
	if (n_pools > 1)
		snprintf(status, sizeof(status), "serving %s: %u pools", daemon->config.socket,
			 n_pools);
	hakd_notify_ready(&daemon->keeper.notify, status);
	hakd_daemon_catch_up(daemon);
}

struct hakd_realm *hakd_daemon_find(const struct hakd_daemon *daemon, const char *pool)
{
	const char *name = *pool ? pool : daemon->config.pools[0].name;

	for (unsigned i = 0; i < HAKD_POOLS_MAX; i++)
		if (daemon->realms[i] && strcmp(daemon->realms[i]->pool->name, name) == 0)
			return daemon->realms[i];
	return NULL;
}

bool hakd_daemon_is_first(const struct hakd_realm *realm)
{
	return strcmp(realm->pool->name, realm->daemon->config.pools[0].name) == 0;
}

unsigned hakd_daemon_list(const struct hakd_daemon *daemon,
			  struct hakd_realm *ret_realms[HAKD_POOLS_MAX])
{
	struct hakd_realm *first = hakd_daemon_find(daemon, "");
	unsigned n = 0;

	if (first)
		ret_realms[n++] = first;
	for (unsigned i = 0; i < HAKD_POOLS_MAX; i++)
		if (daemon->realms[i] && daemon->realms[i] != first)
			ret_realms[n++] = daemon->realms[i];
	return n;
}

unsigned hakd_daemon_number(const struct hakd_daemon *daemon)
{
	unsigned number = 0;

	while (number < HAKD_POOLS_MAX && (daemon->realms[number] || daemon->ended[number]))
		number++;
	return number;
}

/* A pool for each section that has none. */
static int make_realms(struct hakd_daemon *daemon)
{
	int r = 0;

	for (unsigned i = 0; i < daemon->config.n_pools && r == 0; i++) {
		const struct hakd_pool_config *config = &daemon->config.pools[i];
		unsigned number = hakd_daemon_number(daemon);

		if (hakd_daemon_find(daemon, config->name))
			continue;
		r = number < HAKD_POOLS_MAX ? hakd_realm_new(daemon, number, config) : -ENOSPC;
	}
	return r;
}

/*
 * Two of a name are of a daemon that died amid a reset. Nobody can have heard of the new one yet: one
 * to which nobody is attached goes.
 */
static void drop_doubles(struct hakd_daemon *daemon)
{
	for (unsigned i = 0; i < HAKD_POOLS_MAX; i++) {
		struct hakd_realm *realm = daemon->realms[i];
		struct hakd_realm *other = realm ? hakd_daemon_find(daemon, realm->pool->name)
						 : NULL;

		if (other == realm)
			continue;
		if (hakd_pool_is_in_use(realm->pool))
			realm = other;
		hakd_keeper_forget_pool(&daemon->keeper, realm->number);
		hakd_realm_free(realm);
	}
}

/* The pools that the keeper handed over, then those that are missing. */
static int init_realms(struct hakd_daemon *daemon)
{
	int r = 0;

	for (unsigned i = 0; i < HAKD_POOLS_MAX && r == 0; i++) {
		const struct hakd_kept_files *files = &daemon->keeper.pools[i];

		if (files->registry_fd >= 0 && files->heap_fd >= 0)
			r = hakd_realm_open(daemon, i);
		else /* one without the other: nobody attached to it yet, or it has ended */
			hakd_keeper_drop_pool(&daemon->keeper, i);
	}
	if (r == 0) {
		drop_doubles(daemon);
		r = make_realms(daemon);
	}
	for (unsigned i = 0; i < HAKD_POOLS_MAX && r < 0; i++)
		if (daemon->realms[i])
			hakd_realm_free(daemon->realms[i]);
	return r;
}

static int start_realms(struct hakd_daemon *daemon)
{
	int r = 0;

	for (unsigned i = 0; i < HAKD_POOLS_MAX && r == 0; i++) {
		if (daemon->realms[i])
			r = hakd_realm_start(daemon->realms[i]);
		/* What nobody took is of clients that have left, or that never heard of it. */
		hakd_keeper_drop_kept(&daemon->keeper, i);
	}
	if (r < 0)
		return r;
	hakd_figures_tidy(daemon);
	hakd_events_tidy(daemon);
	return 0;
}

/* Sections that are new. */
static void add_realms(struct hakd_daemon *daemon)
{
	bool was_there[HAKD_POOLS_MAX];
	int r;

	for (unsigned i = 0; i < HAKD_POOLS_MAX; i++)
		was_there[i] = daemon->realms[i] != NULL;
	r = make_realms(daemon);
	for (unsigned i = 0; i < HAKD_POOLS_MAX; i++)
		if (!was_there[i] && daemon->realms[i] && hakd_realm_start(daemon->realms[i]) < 0)
			r = -EIO;
	if (r < 0)
		hakd_log(HAKD_LOG_ERROR, "not all new pools could be made: %s", strerror(-r));
}

static void reload(struct hakd_daemon *daemon)
{
	hakd_log_set_level((enum hakd_log_level)daemon->config.log_level);
	for (unsigned i = 0; i < HAKD_POOLS_MAX; i++) {
		struct hakd_realm *realm = daemon->realms[i];
		const struct hakd_pool_config *config = realm ? hakd_config_pool(&daemon->config,
										 realm->pool->name)
							      : NULL;

		if (!config)
			continue;
		hakd_realm_configure(realm, config);
		hakd_upkeep_reload(realm);
	}
	add_realms(daemon);
}

bool hakd_daemon_reload(struct hakd_daemon *daemon)
{
	bool is_usable;

	hakd_notify_reloading(&daemon->keeper.notify);
	is_usable = hakd_config_reload(&daemon->config) == 0;
	if (is_usable) {
		reload(daemon);
		hakd_log(HAKD_LOG_INFO, "the configuration is reloaded");
	} else {
		hakd_log(HAKD_LOG_ERROR,
			 "the configuration can't be used: everything stays as it was");
	}
	say_ready(daemon);
	return is_usable;
}

static void on_hangup(uv_signal_t *handle, int number)
{
	(void)number;
	(void)hakd_daemon_reload(handle->data);
}

static void on_watchdog(uv_timer_t *handle)
{
	struct hakd_daemon *daemon = handle->data;

	hakd_notify_ping(&daemon->keeper.notify);
}

static void on_behind(uv_timer_t *handle)
{
	struct hakd_daemon *daemon = handle->data;

	if (hakd_notify_flush(&daemon->keeper.notify))
		uv_timer_stop(handle);
}

void hakd_daemon_catch_up(struct hakd_daemon *daemon)
{
	if (daemon->keeper.notify.first && !uv_is_active((uv_handle_t *)&daemon->behind))
		uv_timer_start(&daemon->behind, on_behind, BEHIND_MS, BEHIND_MS);
}

static void on_idle(uv_timer_t *handle)
{
	struct hakd_daemon *daemon = handle->data;

	hakd_log(HAKD_LOG_INFO, "nobody attached for %u s: stopping", daemon->config.idle_exit);
	uv_stop(&daemon->loop);
}

void hakd_daemon_count_client(struct hakd_daemon *daemon, int change)
{
	daemon->n_clients = (unsigned)((int)daemon->n_clients + change);
	if (daemon->config.idle_exit == 0)
		return;
	if (daemon->n_clients == 0)
		uv_timer_start(&daemon->idle, on_idle, daemon->config.idle_exit * UINT64_C(1000),
			       0);
	else
		uv_timer_stop(&daemon->idle);
}

static void on_connection(uv_poll_t *handle, int status, int events)
{
	(void)events;
	if (status == 0)
		hakd_peer_accept(handle->data);
}

/*
 * Blocked until there are handlers, so that a signal that comes early stops us
 * cleanly too; unblocked then, since we may have been started by a thread that
 * blocks them.
 */
static void mask_signals(int how)
{
	sigset_t signals;

	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGHUP);
	pthread_sigmask(how, &signals, NULL);
}

static void init_loop(struct hakd_daemon *daemon)
{
	uv_loop_init(&daemon->loop);
	daemon->started_at = uv_now(&daemon->loop);
	uv_poll_init(&daemon->loop, &daemon->accept, daemon->listener.fd);
	uv_signal_init(&daemon->loop, &daemon->terminate);
	uv_signal_init(&daemon->loop, &daemon->interrupt);
	uv_signal_init(&daemon->loop, &daemon->hangup);
	uv_timer_init(&daemon->loop, &daemon->idle);
	uv_timer_init(&daemon->loop, &daemon->watchdog);
	uv_timer_init(&daemon->loop, &daemon->behind);
	daemon->accept.data = daemon->terminate.data = daemon->interrupt.data = daemon;
	daemon->hangup.data = daemon->idle.data = daemon;
	daemon->watchdog.data = daemon->behind.data = daemon;
	uv_poll_start(&daemon->accept, UV_READABLE, on_connection);
	uv_signal_start(&daemon->terminate, on_signal, SIGTERM);
	uv_signal_start(&daemon->interrupt, on_signal, SIGINT);
	uv_signal_start(&daemon->hangup, on_hangup, SIGHUP);
	mask_signals(SIG_UNBLOCK);
	hakd_pace_init(daemon);
	hakd_figures_init(daemon);
	hakd_daemon_count_client(daemon, 0);
}

/* Everything that the next daemon needs is kept before anybody relies on this one. */
static void report_ready(struct hakd_daemon *daemon)
{
	uint64_t interval = daemon->keeper.notify.watchdog_ms / 2;

	(void)hakd_notify_barrier(&daemon->keeper.notify);
	say_ready(daemon);
	if (daemon->keeper.notify.watchdog_ms == 0)
		return;
	interval = interval > 0 ? interval : 1;
	hakd_notify_ping(&daemon->keeper.notify);
	uv_timer_start(&daemon->watchdog, on_watchdog, interval, interval);
}

int hakd_daemon_init(struct hakd_daemon *daemon, const struct hakd_config *config,
		     const struct hakd_keeper *keeper)
{
	int r;

	memset(daemon, 0, sizeof(*daemon));
	daemon->config = *config;
	daemon->keeper = *keeper;
	daemon->counters.starts = 1; /* their figures add those before */
	hakd_log_set_level((enum hakd_log_level)config->log_level);
	mask_signals(SIG_BLOCK);
	r = hakd_listener_init(&daemon->listener, config->socket, config->socket_mode,
			       keeper->socket_fd);
	if (r < 0)
		return r;
	r = init_realms(daemon);
	if (r == 0) {
		init_loop(daemon);
		r = start_realms(daemon);
	}
	if (r < 0) {
		hakd_listener_deinit(&daemon->listener);
		return r;
	}
	report_ready(daemon);
	return 0;
}

/* Clients are told before the socket goes: who finds nobody listening then knows why. */
static void end_pools(struct hakd_daemon *daemon)
{
	for (unsigned i = 0; i < HAKD_POOLS_MAX; i++)
		if (daemon->realms[i])
			hakd_realm_end(daemon->realms[i]);
	(void)hakd_notify_barrier(&daemon->keeper.notify);
}

void hakd_daemon_run(struct hakd_daemon *daemon)
{
	hakd_shortage_init(daemon);
	hakd_doing("waiting for events");
	uv_run(&daemon->loop, UV_RUN_DEFAULT);
	hakd_doing("stopping");
	hakd_notify_stopping(&daemon->keeper.notify); /* finds out whether it is heard */
	if (daemon->ends_for_good || !hakd_notify_is_heard(&daemon->keeper.notify))
		end_pools(daemon);
	/* Peers see us go when the process ends; their mapping lives on. */
	hakd_listener_deinit(&daemon->listener);
}
