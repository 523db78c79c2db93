/* SPDX-License-Identifier: MIT */
/*
 * The file is empty and sealed against writing: a client can store nothing in
 * it. It is opened anew by its name in /proc, which makes another description.
 */
#include "daemon/reclaim/lease.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif

static int make_file(void)
{
	int fd = memfd_create("hakmem-lease", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);

	if (fd < 0 && errno == EINVAL) /* before Linux 6.3 */
		fd = memfd_create("hakmem-lease", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	return fd < 0 ? -errno : fd;
}

static int open_locked(struct hakd_lease *lease, const char *path)
{
	if (fcntl(lease->fd, F_ADD_SEALS,
		  F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) != 0)
		return -errno;
	lease->client_fd = open(path, O_RDONLY | O_CLOEXEC);
	if (lease->client_fd < 0 || flock(lease->client_fd, LOCK_EX | LOCK_NB) != 0)
		return -errno;
	return 0;
}

static void name_file(const struct hakd_lease *lease, char path[32])
{
	snprintf(path, 32, "/proc/self/fd/%d", lease->fd);
}

int hakd_lease_init(struct hakd_lease *lease, int inotify_fd)
{
	char path[32];
	int r;

	*lease = (struct hakd_lease){.fd = make_file(), .client_fd = -1, .watch = -1};
	if (lease->fd < 0)
		return lease->fd;
	name_file(lease, path);
	r = open_locked(lease, path);
	if (r < 0)
		hakd_lease_deinit(lease, inotify_fd);
	else if (inotify_fd >= 0)
		lease->watch = inotify_add_watch(inotify_fd, path, IN_CLOSE_NOWRITE);
	return r;
}

void hakd_lease_take_over(struct hakd_lease *lease, int fd, int inotify_fd)
{
	char path[32];

	*lease = (struct hakd_lease){.fd = fd, .client_fd = -1, .watch = -1};
	name_file(lease, path);
	if (inotify_fd >= 0)
		lease->watch = inotify_add_watch(inotify_fd, path, IN_CLOSE_NOWRITE);
}

void hakd_lease_hand_over(struct hakd_lease *lease)
{
	if (lease->client_fd >= 0)
		close(lease->client_fd);
	lease->client_fd = -1;
}

bool hakd_lease_is_over(const struct hakd_lease *lease)
{
	return flock(lease->fd, LOCK_EX | LOCK_NB) == 0;
}

void hakd_lease_deinit(struct hakd_lease *lease, int inotify_fd)
{
	hakd_lease_hand_over(lease);
	/* One that detached may keep the file: it shall not keep the watch. */
	if (lease->watch >= 0)
		inotify_rm_watch(inotify_fd, lease->watch);
	if (lease->fd >= 0)
		close(lease->fd);
	*lease = (struct hakd_lease){.fd = -1, .client_fd = -1, .watch = -1};
}
