/* SPDX-License-Identifier: MIT */
/* Setting up and taking down; see daemon.h for the parts. */
#include "daemon/daemon.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "daemon/mem/hints.h"
#include "daemon/net/peer.h"
#include "daemon/net/pressure.h"
#include "daemon/net/shortage.h"
#include "daemon/net/trim.h"
#include "daemon/net/upkeep.h"
#include "daemon/reclaim/liveness.h"
#include "daemon/reclaim/resume.h"
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
	char status[160];

	snprintf(status, sizeof(status), "serving %s: limit %llu MiB, keep %u s",
		 daemon->config.socket, (unsigned long long)daemon->pool->limit >> 20,
		 daemon->config.keep);
	hakd_notify_ready(&daemon->keeper.notify, status);
	hakd_daemon_catch_up(daemon);
}

/* What the configuration says of the pool, and may say anew at any time. */
static void apply_config(struct hakd_daemon *daemon)
{
	const struct hakd_config *config = &daemon->config;
	uint32_t over = hakd_pool_set_limit(daemon->pool, config->limit);

	hakd_pool_set_retain(daemon->pool, config->retain);
	hakd_log_set_level((enum hakd_log_level)config->log_level);
	hakd_hints_set_keep(daemon->pool, hakd_config_keep_ms(config));
	if (over > 0)
		hakd_log(HAKD_LOG_WARN,
			 "the limit of %llu MiB is reached: nothing is granted until clients have "
			 "given back %u SuperSlabs",
			 (unsigned long long)daemon->pool->limit >> 20, over);
}

static void on_hangup(uv_signal_t *handle, int number)
{
	struct hakd_daemon *daemon = handle->data;

	(void)number;
	hakd_notify_reloading(&daemon->keeper.notify);
	if (hakd_config_reload(&daemon->config) == 0) {
		apply_config(daemon);
		hakd_upkeep_reload(daemon);
		hakd_log(HAKD_LOG_INFO, "SIGHUP: the configuration is reloaded");
	} else {
		hakd_log(HAKD_LOG_ERROR, "SIGHUP: the configuration can't be used: everything "
					 "stays as it was");
	}
	say_ready(daemon);
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

/* A new pool, which the keeper gets before anybody can attach. */
static int make_pool(struct hakd_daemon *daemon)
{
	const struct hakd_config *config = &daemon->config;
	struct hakd_keeper *keeper = &daemon->keeper;
	int r = hakd_pool_new("default", config->capacity, config->limit, config->superslab_lg,
			      &daemon->pool);

	if (r < 0) {
		fprintf(stderr, "hakmemd: cannot make the pool: %s\n", strerror(-r));
		return r;
	}
	/* One without the other is of a daemon that died in here: nobody attached to it. */
	hakd_keeper_drop(keeper, "registry", &keeper->registry_fd);
	hakd_keeper_drop(keeper, "heap", &keeper->heap_fd);
	hakd_keeper_drop_kept(keeper); /* their generations mean nothing here */
	(void)hakd_keeper_store(keeper, "registry", daemon->pool->registry_fd);
	(void)hakd_keeper_store(keeper, "heap", daemon->pool->heap_fd);
	return 0;
}

static void forget_pool(struct hakd_keeper *keeper)
{
	hakd_keeper_forget(keeper, "registry");
	hakd_keeper_forget(keeper, "heap");
}

/*
 * The pool of an earlier daemon: it goes on as it is, whatever the configuration asks for.
 * 1: that daemon ended it.
 */
static int open_pool(struct hakd_daemon *daemon)
{
	const struct hakd_config *config = &daemon->config;
	struct hakd_keeper *keeper = &daemon->keeper;
	const struct hak_geometry *g;
	int r = hakd_pool_open(keeper->registry_fd, keeper->heap_fd, config->limit, &daemon->pool);

	keeper->registry_fd = keeper->heap_fd = -1; /* the pool's, or closed */
	if (r == 0 && hakd_hints_has_ended(daemon->pool)) {
		hakd_pool_free(daemon->pool);
		forget_pool(keeper);
		return 1;
	}
	if (r < 0) {
		if (r != -EPROTO)
			fprintf(stderr, "hakmemd: cannot take over the pool: %s\n", strerror(-r));
		return r;
	}
	g = &daemon->pool->segment.geometry;
	if (g->capacity != config->capacity || g->superslab_lg != config->superslab_lg)
		hakd_log(HAKD_LOG_WARN,
			 "the pool stays as it was made: capacity %llu MiB, SuperSlabs of %u MiB",
			 (unsigned long long)g->capacity >> 20, 1u << (g->superslab_lg - 20));
	return 0;
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
	hakd_daemon_count_client(daemon, 0);
	hakd_liveness_init(daemon);
	hakd_graces_init(daemon);
	hakd_trims_init(daemon);
	hakd_orphans_init(daemon);
	hakd_pressure_init(daemon);
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
	bool is_handed_over = keeper->registry_fd >= 0 && keeper->heap_fd >= 0;
	int r;

	memset(daemon, 0, sizeof(*daemon));
	daemon->config = *config;
	daemon->keeper = *keeper;
	mask_signals(SIG_BLOCK);
	r = hakd_listener_init(&daemon->listener, config->socket, config->socket_mode,
			       keeper->socket_fd);
	if (r < 0)
		return r;
	r = is_handed_over ? open_pool(daemon) : 1;
	is_handed_over = r == 0;
	if (r > 0)
		r = make_pool(daemon);
	if (r == 0) {
		init_loop(daemon);
		apply_config(daemon);
		r = is_handed_over ? hakd_resume(daemon) : 0;
	}
	if (r < 0) {
		hakd_listener_deinit(&daemon->listener);
		return r;
	}
	hakd_upkeep_init(daemon);
	report_ready(daemon);
	return 0;
}

/* Clients are told before the socket goes: who finds nobody listening then knows why. */
static void end_pool(struct hakd_daemon *daemon)
{
	hakd_hints_end(daemon->pool);
	forget_pool(&daemon->keeper);
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
		end_pool(daemon);
	/* Peers see us go when the process ends; their mapping lives on. */
	hakd_listener_deinit(&daemon->listener);
}
