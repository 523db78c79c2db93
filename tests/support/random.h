/* SPDX-License-Identifier: MIT */
#ifndef HAKT_RANDOM_H
#define HAKT_RANDOM_H

/*
 * Random numbers for a test. The seed is printed; HAKT_SEED=number in the
 * environment repeats a run.
 */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "proto/shm/mix.h"

static inline uint64_t hakt_random_seed(void)
{
	const char *given = getenv("HAKT_SEED");
	struct timespec now;
	uint64_t seed;

	clock_gettime(CLOCK_REALTIME, &now);
	seed = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
	if (given)
		seed = strtoull(given, NULL, 10);
	printf("HAKT_SEED=%llu\n", (unsigned long long)seed);
	fflush(stdout);
	return seed;
}

static inline uint64_t hakt_random(uint64_t *state)
{
	return hak_mix_next(state);
}

#endif
