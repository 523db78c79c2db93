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

/* splitmix64: Steele, Lea, Flood: Fast splittable pseudorandom number generators (2014). */
static inline uint64_t hakt_random(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

#endif
