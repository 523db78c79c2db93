/* SPDX-License-Identifier: MIT */
#include "tests/support/memfd.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/support/run.h"

#ifndef SYS_cachestat
#define SYS_cachestat 451 /* on every architecture */
#endif

int hakt_memfd_open(pid_t daemon, const char *name)
{
	char directory[32], path[300], target[64], wanted[64];
	struct dirent *entry;
	int fd = -1;
	DIR *fds;

	snprintf(directory, sizeof(directory), "/proc/%d/fd", (int)daemon);
	snprintf(wanted, sizeof(wanted), "/memfd:%s (deleted)", name);
	fds = opendir(directory);
	assert_non_null(fds);
	while (fd < 0 && (entry = readdir(fds))) {
		ssize_t n;

		snprintf(path, sizeof(path), "%s/%s", directory, entry->d_name);
		n = readlink(path, target, sizeof(target) - 1);
		target[n > 0 ? n : 0] = '\0';
		if (strcmp(target, wanted) == 0)
			fd = open(path, O_RDWR | O_CLOEXEC);
	}
	closedir(fds);
	assert_true(fd >= 0);
	return fd;
}

uint64_t hakt_memfd_resident(int fd)
{
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	return (uint64_t)st.st_blocks * 512;
}

uint64_t hakt_memfd_resident_in(int fd, uint64_t from, uint64_t to)
{
	const struct {
		uint64_t from, bytes;
	} range = {from, to - from};
	struct {
		uint64_t n_pages, others[4];
	} found;

	/* SEEK_DATA and mincore miss what was given by fallocate and never written. */
	if (syscall(SYS_cachestat, fd, &range, &found, 0) != 0 && errno == ENOSYS)
		skip(); /* before Linux 6.5 */
	return found.n_pages * (uint64_t)sysconf(_SC_PAGESIZE);
}
