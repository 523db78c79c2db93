/* SPDX-License-Identifier: MIT */
/* The program's clock_gettime comes before the C library's. */
#include "tests/support/clock.h"

#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "proto/shm/atomic.h"

static hak_u64 now_ms = 1000000;

void hakt_clock_pass(uint64_t ms)
{
	hak_add_relaxed(&now_ms, ms); /* relaxed: nothing else is told by it */
}

uint64_t hakt_clock_now(void)
{
	return hak_load_relaxed(&now_ms); /* as above */
}

int clock_gettime(clockid_t clock, struct timespec *ret)
{
	uint64_t ms = hakt_clock_now();

	if (clock != CLOCK_MONOTONIC_COARSE)
		return (int)syscall(SYS_clock_gettime, clock, ret);
	ret->tv_sec = (time_t)(ms / 1000);
	ret->tv_nsec = (long)(ms % 1000 * 1000000);
	return 0;
}
