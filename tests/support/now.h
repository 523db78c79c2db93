/* SPDX-License-Identifier: MIT */
#ifndef HAKT_NOW_H
#define HAKT_NOW_H

/* The time that only goes forward, since some moment. */

#include <stdint.h>
#include <time.h>

static inline uint64_t hakt_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static inline int64_t hakt_now_ms(void)
{
	return (int64_t)(hakt_now_ns() / 1000000);
}

#endif
