/* SPDX-License-Identifier: MIT */
/*
 * Preloaded into a daemon: the time of its event loop is the number of ms in the file that
 * HAKT_STILL names, a uint64_t that a test changes, so that it passes when the test says so.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "proto/shm/atomic.h"

static const hak_u64 *ms; /* NULL: time goes by as ever */

__attribute__((constructor)) static void map(void)
{
	const char *path = getenv("HAKT_STILL");
	int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;

	if (fd < 0)
		return;
	ms = mmap(NULL, sizeof(*ms), PROT_READ, MAP_SHARED, fd, 0);
	close(fd);
	if (ms == MAP_FAILED)
		abort();
}

__attribute__((visibility("default"))) int clock_gettime(clockid_t clock, struct timespec *ret);

int clock_gettime(clockid_t clock, struct timespec *ret)
{
	uint64_t now;

	if (!ms || (clock != CLOCK_MONOTONIC && clock != CLOCK_MONOTONIC_COARSE))
		return (int)syscall(SYS_clock_gettime, clock, ret);
	now = hak_load_relaxed(ms); /* a number by itself */
	ret->tv_sec = (time_t)(now / 1000);
	ret->tv_nsec = (long)(now % 1000) * 1000000;
	return 0;
}
