/* SPDX-License-Identifier: MIT */
/*
 * Preloaded into a daemon: what the kernel says of it and of memory, in /proc and /sys/fs/cgroup,
 * is read and watched below the directory that HAKT_ELSEWHERE names.
 */
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/syscall.h>
#include <unistd.h>

#define VISIBLE __attribute__((visibility("default")))

VISIBLE int open(const char *path, int flags, ...);
VISIBLE int open64(const char *path, int flags, ...);
VISIBLE int inotify_add_watch(int fd, const char *path, uint32_t mask);

static const char *find(const char *path, char elsewhere[1024])
{
	static const char *const moved[] = {"/proc/self/cgroup", "/proc/self/mountinfo",
					    "/proc/pressure/", "/sys/fs/cgroup/"};
	const char *root = getenv("HAKT_ELSEWHERE");

	for (unsigned i = 0; root && i < sizeof(moved) / sizeof(moved[0]); i++) {
		if (strncmp(path, moved[i], strlen(moved[i])) != 0)
			continue;
		snprintf(elsewhere, 1024, "%s%s", root, path);
		return elsewhere;
	}
	return path;
}

int open(const char *path, int flags, ...)
{
	char elsewhere[1024];
	va_list arguments;
	unsigned mode;

	va_start(arguments, flags);
	mode = (flags & (O_CREAT | O_TMPFILE)) ? va_arg(arguments, unsigned) : 0;
	va_end(arguments);
	return (int)syscall(SYS_openat, AT_FDCWD, find(path, elsewhere), flags, mode);
}

int open64(const char *path, int flags, ...) __attribute__((alias("open")));

int inotify_add_watch(int fd, const char *path, uint32_t mask)
{
	char elsewhere[1024];

	return (int)syscall(SYS_inotify_add_watch, fd, find(path, elsewhere), mask);
}
