/* SPDX-License-Identifier: MIT */
/* The datagrams of sd_notify(3) and the environment of sd_listen_fds(3), by hand. */
#include "daemon/util/keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/util/log.h"

#define FIRST_FD   3
#define NAME_BYTES 64
#define LEASE	   "lease-%u-%" SCNu32

void hakd_keeper_init_none(struct hakd_keeper *keeper)
{
	*keeper = (struct hakd_keeper){
		.notify_fd = -1, .registry_fd = -1, .heap_fd = -1, .socket_fd = -1};
}

/* Where the descriptor of a name belongs; NULL: not to those that there is one of. */
static int *place_of(struct hakd_keeper *keeper, const char *name)
{
	if (strcmp(name, "registry") == 0)
		return &keeper->registry_fd;
	if (strcmp(name, "heap") == 0)
		return &keeper->heap_fd;
	return strcmp(name, "socket") == 0 ? &keeper->socket_fd : NULL;
}

static int take(struct hakd_keeper *keeper, int fd, const char *name)
{
	struct hakd_kept_lease lease = {.fd = fd};
	int *place = place_of(keeper, name);
	char end;

	if (fcntl(fd, F_SETFD, FD_CLOEXEC) != 0)
		return -errno;
	if (place && *place < 0) {
		*place = fd;
	} else if (place) {
		fprintf(stderr, "hakmemd: two descriptors of the name %s were handed over\n", name);
		return -EPROTO;
	} else if (sscanf(name, LEASE "%c", &lease.holder, &lease.generation, &end) == 2) {
		keeper->leases[keeper->n_leases++] = lease;
	} else {
		hakd_log(HAKD_LOG_WARN, "descriptor %d that was handed over is closed: what is %s?",
			 fd, name);
		close(fd);
	}
	return 0;
}

/* The next name of a list with colons; names that were not given are "unknown". */
static void next_name(const char **list, char name[NAME_BYTES])
{
	size_t n = strcspn(*list, ":");

	snprintf(name, NAME_BYTES, "%.*s", (int)n, **list ? *list : "unknown");
	*list += (*list)[n] ? n + 1 : n;
}

static int take_all(struct hakd_keeper *keeper)
{
	const char *pid = getenv("LISTEN_PID"), *count = getenv("LISTEN_FDS");
	const char *names = getenv("LISTEN_FDNAMES");
	int n, r = 0;

	if (!pid || !count || strtol(pid, NULL, 10) != getpid())
		return 0;
	n = atoi(count);
	keeper->leases = n > 0 ? calloc((size_t)n, sizeof(keeper->leases[0])) : NULL;
	if (n > 0 && !keeper->leases)
		return -ENOMEM;
	if (!names)
		names = "";
	for (int i = 0; i < n && r == 0; i++) {
		char name[NAME_BYTES];

		next_name(&names, name);
		r = take(keeper, FIRST_FD + i, name);
	}
	return r;
}

/* A socket that sends to NOTIFY_SOCKET; -1: there is no such. */
static int connect_notify(void)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	socklen_t length;
	int fd;

	if (!path || (path[0] != '/' && path[0] != '@') || strlen(path) >= sizeof(address.sun_path))
		return -1;
	strcpy(address.sun_path, path);
	length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
	if (path[0] == '@') /* abstract */
		address.sun_path[0] = 0;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&address, length) == 0)
		return fd;
	hakd_log(HAKD_LOG_WARN, "nothing is kept, cannot reach NOTIFY_SOCKET=%s: %s", path,
		 strerror(errno));
	if (fd >= 0)
		close(fd);
	return -1;
}

int hakd_keeper_init(struct hakd_keeper *keeper)
{
	static const char *const variables[] = {"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES",
						"NOTIFY_SOCKET"};
	int r;

	hakd_keeper_init_none(keeper);
	r = take_all(keeper);
	keeper->notify_fd = connect_notify();
	for (unsigned i = 0; i < sizeof(variables) / sizeof(variables[0]); i++)
		unsetenv(variables[i]);
	return r;
}

/* A message, with fd if that is >= 0. */
static int send_message(const struct hakd_keeper *keeper, const char *text, int fd, int flags)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = {.bytes = {0}};
	struct iovec part = {(char *)(uintptr_t)text, strlen(text)};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};

	if (fd >= 0) {
		message.msg_control = &control;
		message.msg_controllen = sizeof(control);
		control.align.cmsg_level = SOL_SOCKET;
		control.align.cmsg_type = SCM_RIGHTS;
		control.align.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&control.align), &fd, sizeof(int));
	}
	while (sendmsg(keeper->notify_fd, &message, MSG_NOSIGNAL | flags) < 0)
		if (errno != EINTR)
			return -errno;
	return 0;
}

static int store(const struct hakd_keeper *keeper, const char *name, int fd, int flags)
{
	char text[NAME_BYTES + 32];
	int r;

	if (keeper->notify_fd < 0)
		return 0;
	snprintf(text, sizeof(text), "FDSTORE=1\nFDNAME=%s\n", name);
	r = send_message(keeper, text, fd, flags);
	if (r < 0)
		hakd_log(HAKD_LOG_WARN, "%s is not kept for the next daemon: %s", name,
			 strerror(-r));
	return r;
}

static void drop(const struct hakd_keeper *keeper, const char *name, int flags)
{
	char text[NAME_BYTES + 32];

	if (keeper->notify_fd < 0)
		return;
	snprintf(text, sizeof(text), "FDSTOREREMOVE=1\nFDNAME=%s\n", name);
	(void)send_message(keeper, text, -1,
			   flags); /* the next daemon drops what it doesn't need */
}

int hakd_keeper_store(const struct hakd_keeper *keeper, const char *name, int fd)
{
	return store(keeper, name, fd, 0);
}

void hakd_keeper_drop(const struct hakd_keeper *keeper, const char *name, int *fd)
{
	if (*fd < 0)
		return;
	close(*fd);
	*fd = -1;
	drop(keeper, name, 0);
}

static void name_lease(const struct hakd_kept_lease *lease, char name[NAME_BYTES])
{
	snprintf(name, NAME_BYTES, "lease-%u-%" PRIu32, lease->holder, lease->generation);
}

void hakd_keeper_drop_lease(const struct hakd_keeper *keeper, struct hakd_kept_lease *lease)
{
	char name[NAME_BYTES];

	name_lease(lease, name);
	hakd_keeper_drop(keeper, name, &lease->fd);
}

void hakd_keeper_store_lease(const struct hakd_keeper *keeper, const struct hakd_kept_lease *lease)
{
	char name[NAME_BYTES];

	name_lease(lease, name);
	(void)store(keeper, name, lease->fd, MSG_DONTWAIT); /* without it: docs/recovery.md */
}

void hakd_keeper_forget_lease(const struct hakd_keeper *keeper, const struct hakd_kept_lease *lease)
{
	char name[NAME_BYTES];

	name_lease(lease, name);
	drop(keeper, name, MSG_DONTWAIT);
}
