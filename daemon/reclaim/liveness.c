/* SPDX-License-Identifier: MIT */
/*
 * SO_PEERPIDFD names the very process that connected; before Linux 6.5 its pid has to do.
 *
 * That a lease is over has no event of its own. The nearest is inotify's: the
 * kernel tells that the description is closed for good just before it drops the
 * lock, also where a child of a fork holds the socket and nothing hangs up. So
 * the event raises a doubt, and so does a hang-up; a timer that runs while
 * anybody is in doubt tries the locks, and only a lock that it got is a proof.
 */
#include "daemon/reclaim/liveness.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "daemon/net/events.h"
#include "daemon/reclaim/collect.h"
#include "daemon/util/log.h"
#include "daemon/util/probe.h"

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif

/*
 * When leases are looked at: soon after the first doubt, then five times a
 * second, at about 1 us each. Nothing depends on the numbers but how soon the
 * memory of a process that called exec is somebody else's.
 */
#define LOOK_FIRST_MS 10u
#define LOOK_MS	      200u

uint64_t hakd_liveness_start_time(pid_t pid)
{
	unsigned long long start = 0;
	char path[64], text[1024];
	const char *after_name;
	FILE *file;
	size_t n;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	file = fopen(path, "re");
	if (!file)
		return 0;
	n = fread(text, 1, sizeof(text) - 1, file);
	fclose(file);
	text[n] = 0;
	after_name = strrchr(text, ')'); /* a name may hold anything */
	if (after_name)
		sscanf(after_name + 1,
		       " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d "
		       "%*d %llu",
		       &start);
	return start;
}

static int open_pidfd(const struct hakd_peer *peer)
{
	socklen_t length = sizeof(int);
	uint64_t before;
	int fd;

	if (getsockopt(peer->fd, SOL_SOCKET, SO_PEERPIDFD, &fd, &length) == 0)
		return fd;
	before = hakd_liveness_start_time(peer->pid);
	fd = (int)syscall(SYS_pidfd_open, peer->pid, 0);
	if (fd < 0)
		return -errno;
	if (before == 0 || before != hakd_liveness_start_time(peer->pid)) {
		close(fd);
		return -ESRCH;
	}
	return fd;
}

/* Collects a client that is certainly gone. */
static void bury(struct hakd_client *client)
{
	if (client->is_leaving)
		return;
	client->realm->daemon->counters.deaths++;
	HAKD_PROBE(death, client->realm->pool->name, client->holder,
		   client->realm->pool->holders[client->holder].pid);
	hakd_event(client->realm, HAK_EVENT_DIED, client, 0, 0);
	client->is_leaving = true;
	if (!client->is_busy) /* else when its job ends */
		hakd_collect_client(client, NULL, 0);
}

static void on_death(uv_poll_t *handle, int status, int events)
{
	struct hakd_client *client = handle->data;

	(void)status;
	(void)events;
	uv_poll_stop(handle);
	bury(client);
}

/* Looks at the lease of a client in doubt; false: it needn't be looked at again. */
static bool look(struct hakd_client *client)
{
	struct hakd_counters *counters = &client->realm->daemon->counters;

	if (!client->is_in_doubt || client->is_leaving)
		return false;
	counters->leases_looked_at++;
	if (!hakd_lease_is_over(&client->lease))
		return true;
	hakd_log(HAKD_LOG_DEBUG, "client %u lives and has no mapping", client->holder);
	counters->leases_over++;
	bury(client);
	return false;
}

static void on_tick(uv_timer_t *timer)
{
	struct hakd_realm *realm = timer->data;
	unsigned n = 0;

	for (unsigned i = 0; i < HAK_HOLDER_COUNT; i++)
		n += realm->clients[i] && look(realm->clients[i]);
	if (n == 0)
		uv_timer_stop(timer);
}

void hakd_liveness_doubt(struct hakd_client *client)
{
	uv_timer_t *timer = &client->realm->liveness.timer;

	if (client->lease.fd < 0) /* of an earlier daemon's: nothing to look at */
		return;
	client->is_in_doubt = true;
	if (!uv_is_active((uv_handle_t *)timer))
		uv_timer_start(timer, on_tick, LOOK_FIRST_MS, LOOK_MS);
}

/* Of the client with that watch, which may have left; -1: of all. */
static void doubt_watched(struct hakd_realm *realm, int watch)
{
	for (unsigned i = HAK_HOLDER_FIRST; i < realm->n_holders; i++) {
		struct hakd_client *client = realm->clients[i];

		if (client && (watch < 0 || client->lease.watch == watch))
			hakd_liveness_doubt(client);
	}
}

/*
 * One buffer a turn of the loop: a client can close its lease's file again and again, as fast as we
 * read of it.
 */
static void on_closed_leases(uv_poll_t *handle, int status, int events)
{
	struct hakd_realm *realm = handle->data;
	union {
		struct inotify_event align;
		char bytes[4096];
	} buffer;
	ssize_t n = read(realm->liveness.inotify_fd, &buffer, sizeof(buffer));

	(void)status;
	(void)events;
	for (ssize_t at = 0; at < n;) {
		const struct inotify_event *event = (const void *)(buffer.bytes + at);

		if (event->mask & IN_Q_OVERFLOW) /* somebody's event is lost */
			doubt_watched(realm, -1);
		else if (event->mask & IN_CLOSE_NOWRITE)
			doubt_watched(realm, event->wd);
		at += (ssize_t)(sizeof(*event) + event->len);
	}
}

void hakd_liveness_init(struct hakd_realm *realm)
{
	struct hakd_liveness *liveness = &realm->liveness;

	uv_timer_init(realm->loop, &liveness->timer);
	liveness->timer.data = realm;
	liveness->inotify_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (liveness->inotify_fd < 0) {
		hakd_log(HAKD_LOG_WARN, "no inotify (%s): all leases are looked at",
			 strerror(errno));
		return;
	}
	uv_poll_init(realm->loop, &liveness->events, liveness->inotify_fd);
	liveness->events.data = realm;
	uv_poll_start(&liveness->events, UV_READABLE, on_closed_leases);
}

static void watch_pidfd(struct hakd_client *client)
{
	uv_poll_init(client->realm->loop, &client->liveness, client->pidfd);
	client->liveness.data = client;
	uv_poll_start(&client->liveness, UV_READABLE, on_death);
}

/* Has a descriptor of it kept, or, with -1, no longer. */
static void keep(struct hakd_client *client, enum hakd_kept_kind kind, int fd)
{
	const struct hakd_kept kept = {kind, client->realm->number, client->holder,
				       client->generation, fd};

	if (fd >= 0)
		hakd_keeper_store_kept(&client->realm->daemon->keeper, &kept);
	else
		hakd_keeper_forget_kept(&client->realm->daemon->keeper, &kept);
	hakd_daemon_catch_up(client->realm->daemon);
}

int hakd_liveness_watch(struct hakd_client *client, const struct hakd_peer *peer)
{
	int r;

	client->pidfd = open_pidfd(peer);
	if (client->pidfd < 0)
		return client->pidfd;
	r = hakd_lease_init(&client->lease, client->realm->liveness.inotify_fd);
	if (r < 0) {
		close(client->pidfd);
		return r;
	}
	watch_pidfd(client);
	if (client->lease.watch < 0) /* no event will tell */
		hakd_liveness_doubt(client);
	keep(client, HAKD_KEPT_CLIENT, client->pidfd);
	keep(client, HAKD_KEPT_LEASE, client->lease.fd);
	return 0;
}

/*
 * A pidfd of the process that had this pid and began at that time. One that has
 * ended in between is another's, or none: a pid that is no process's is an error
 * of one of three kinds. Where a start isn't known, the pid has to do: at worst
 * a stranger's death is waited for.
 */
static int reopen_pidfd(const struct hak_holder *holder)
{
	int fd = (int)syscall(SYS_pidfd_open, holder->pid, 0);
	uint64_t start;

	if (fd < 0)
		return errno == EINVAL || errno == ENOENT ? -ESRCH : -errno;
	start = hakd_liveness_start_time(holder->pid);
	if (start != 0 && holder->start_time != 0 && start != holder->start_time) {
		close(fd);
		return -ESRCH;
	}
	return fd;
}

/* Of a pidfd that was kept, which names the process itself, whatever has its pid by now. */
static bool has_ended(int pidfd)
{
	struct pollfd p = {.fd = pidfd, .events = POLLIN};

	return poll(&p, 1, 0) > 0;
}

int hakd_liveness_resume(struct hakd_client *client, const struct hak_holder *holder, int pidfd,
			 int lease_fd)
{
	int inotify_fd = client->realm->liveness.inotify_fd;

	if (pidfd >= 0) {
		if (has_ended(pidfd))
			return -ESRCH;
		client->pidfd = pidfd;
	} else if (holder->pid > 0) {
		client->pidfd = reopen_pidfd(holder);
		if (client->pidfd < 0)
			return client->pidfd;
		keep(client, HAKD_KEPT_CLIENT, client->pidfd);
	} /* else of another pid namespace, so only its lease tells */
	if (client->pidfd >= 0)
		watch_pidfd(client);
	if (lease_fd >= 0)
		hakd_lease_take_over(&client->lease, lease_fd, inotify_fd);
	hakd_liveness_doubt(client); /* it may have gone while nobody looked */
	return 0;
}

void hakd_liveness_stop(struct hakd_client *client)
{
	if (client->pidfd >= 0)
		uv_poll_stop(&client->liveness);
}

static void on_closed(uv_handle_t *handle)
{
	struct hakd_client *client = handle->data;

	close(client->pidfd);
	free(client);
}

void hakd_liveness_free_client(struct hakd_client *client)
{
	struct hakd_realm *realm = client->realm;

	if (client->lease.fd >= 0)
		keep(client, HAKD_KEPT_LEASE, -1);
	if (client->pidfd >= 0)
		keep(client, HAKD_KEPT_CLIENT, -1);
	hakd_lease_deinit(&client->lease, realm->liveness.inotify_fd);
	if (client->pidfd >= 0)
		uv_close((uv_handle_t *)&client->liveness, on_closed);
	else
		free(client);
}
