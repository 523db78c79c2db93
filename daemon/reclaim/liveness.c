/* SPDX-License-Identifier: MIT */
/* SO_PEERPIDFD names the very process that connected; before Linux 6.5 its pid has to do. */
#include "daemon/reclaim/liveness.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "daemon/net/job.h"
#include "daemon/util/log.h"

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif

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

static void on_death(uv_poll_t *handle, int status, int events)
{
	struct hakd_client *client = handle->data;

	(void)status;
	(void)events;
	uv_poll_stop(handle);
	if (client->is_leaving)
		return;
	hakd_log(HAKD_LOG_DEBUG, "client %u died", client->holder);
	client->daemon->counters.deaths++;
	client->is_leaving = true;
	if (!client->is_busy) /* else when its job ends */
		hakd_job_collect_client(client, NULL, 0);
}

int hakd_liveness_watch(struct hakd_client *client, const struct hakd_peer *peer)
{
	client->pidfd = open_pidfd(peer);
	if (client->pidfd < 0)
		return client->pidfd;
	uv_poll_init(&client->daemon->loop, &client->liveness, client->pidfd);
	client->liveness.data = client;
	uv_poll_start(&client->liveness, UV_READABLE, on_death);
	return 0;
}
