/* SPDX-License-Identifier: MIT */
/* Setting up and taking down; see daemon.h for the parts. */
#include "daemon/daemon.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "daemon/net/peer.h"
#include "daemon/net/upkeep.h"
#include "daemon/reclaim/liveness.h"
#include "daemon/reclaim/resume.h"
#include "daemon/util/crash.h"
#include "daemon/util/log.h"

static void on_signal(uv_signal_t *handle, int number)
{
	struct hakd_daemon *daemon = handle->data;

	hakd_log(HAKD_LOG_INFO, "%s: stopping", number == SIGTERM ? "SIGTERM" : "SIGINT");
	uv_stop(&daemon->loop);
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
	(void)hakd_keeper_store(keeper, "registry", daemon->pool->registry_fd);
	(void)hakd_keeper_store(keeper, "heap", daemon->pool->heap_fd);
	return 0;
}

/* The pool of an earlier daemon: it goes on as it is, whatever the configuration asks for. */
static int open_pool(struct hakd_daemon *daemon)
{
	const struct hakd_config *config = &daemon->config;
	const struct hak_geometry *g;
	int r = hakd_pool_open(daemon->keeper.registry_fd, daemon->keeper.heap_fd, config->limit,
			       &daemon->pool);

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
	uv_timer_init(&daemon->loop, &daemon->idle);
	daemon->accept.data = daemon->terminate.data = daemon->interrupt.data = daemon;
	daemon->idle.data = daemon;
	uv_poll_start(&daemon->accept, UV_READABLE, on_connection);
	uv_signal_start(&daemon->terminate, on_signal, SIGTERM);
	uv_signal_start(&daemon->interrupt, on_signal, SIGINT);
	mask_signals(SIG_UNBLOCK);
	hakd_daemon_count_client(daemon, 0);
	hakd_liveness_init(daemon);
	hakd_graces_init(daemon);
	hakd_orphans_init(daemon);
}

/* Relaxed: clients take it for a hint. 0 would mean that they need not give anything back. */
static void say_keep(struct hakd_daemon *daemon)
{
	uint64_t ms = daemon->config.keep * UINT64_C(1000);

	hak_store_relaxed(&((struct hak_registry *)daemon->pool->registry)->keep_ms, ms ? ms : 1);
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
	r = is_handed_over ? open_pool(daemon) : make_pool(daemon);
	if (r == 0) {
		say_keep(daemon);
		init_loop(daemon);
		r = is_handed_over ? hakd_resume(daemon) : 0;
	}
	if (r < 0) {
		hakd_listener_deinit(&daemon->listener);
		return r;
	}
	hakd_upkeep_init(daemon);
	return 0;
}

void hakd_daemon_run(struct hakd_daemon *daemon)
{
	hakd_doing("waiting for events");
	uv_run(&daemon->loop, UV_RUN_DEFAULT);
	hakd_doing("stopping");
	/* Peers see us go when the process ends; their mapping lives on. */
	hakd_listener_deinit(&daemon->listener);
}
