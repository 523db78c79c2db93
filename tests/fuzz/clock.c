/* SPDX-License-Identifier: MIT */
/* Before libc's for all that this program links: the kernel's time, and what has been added. */
#include "tests/fuzz/clock.h"

#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "proto/shm/atomic.h"

static hak_u64 added; /* ns; libuv's workers look at the clock too */

__attribute__((visibility("default"))) int clock_gettime(clockid_t id, struct timespec *ret_time)
{
	int r = (int)syscall(SYS_clock_gettime, id, ret_time);
	uint64_t ns;

	if (r != 0 || (id != CLOCK_MONOTONIC && id != CLOCK_MONOTONIC_COARSE))
		return r;
	ns = (uint64_t)ret_time->tv_nsec + hak_load_relaxed(&added); /* orders nothing */
	ret_time->tv_sec += (time_t)(ns / 1000000000);
	ret_time->tv_nsec = (long)(ns % 1000000000);
	return 0;
}

void hakt_clock_pass(uint64_t ms)
{
	hak_store_relaxed(&added, hak_load_relaxed(&added) + ms * 1000000); /* one thread's */
}
