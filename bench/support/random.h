/* SPDX-License-Identifier: MIT */
#ifndef BENCH_RANDOM_H
#define BENCH_RANDOM_H

/* Random numbers that cost about a nanosecond: xorshift64*. A state is never 0. */
#include <stdint.h>

static inline uint64_t bench_random_seed(uint64_t seed)
{
	uint64_t state = (seed + 1) * UINT64_C(0x9e3779b97f4a7c15);

	return state ? state : 1;
}

static inline uint64_t bench_random(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return (*state * UINT64_C(0x2545f4914f6cdd1d)) >> 16; /* 48 bits */
}

/* From 0 to n - 1 out of the given 24 random bits; n far below 2^24. */
static inline uint32_t bench_scale(uint64_t bits, uint32_t n)
{
	return (uint32_t)(((bits & 0xffffff) * n) >> 24);
}

/* A size from min to max, uniform. */
static inline uint32_t bench_size(uint64_t bits, uint32_t min, uint32_t max)
{
	return min + bench_scale(bits, max - min + 1);
}

#endif
