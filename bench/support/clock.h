/* SPDX-License-Identifier: MIT */
#ifndef BENCH_CLOCK_H
#define BENCH_CLOCK_H

/* The clock of all benchmarks: that of the tests, in seconds. */
#include "tests/support/now.h"

static inline double bench_now(void)
{
	return (double)hakt_now_ns() / 1e9;
}

#endif
