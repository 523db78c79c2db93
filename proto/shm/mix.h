/* SPDX-License-Identifier: MIT */
#ifndef HAK_SHM_MIX_H
#define HAK_SHM_MIX_H

/*
 * splitmix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014): every bit of
 * what goes in changes half of those that come out. For hashes and for random numbers that nobody has
 * to fear somebody's guessing.
 */

#include <stdint.h>

#define HAK_MIX_STEP UINT64_C(0x9e3779b97f4a7c15)

/* Its finalizer. */
static inline uint64_t hak_mix(uint64_t x)
{
	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

/* The next number; any state is a good one to begin with. */
static inline uint64_t hak_mix_next(uint64_t *state)
{
	return hak_mix(*state += HAK_MIX_STEP);
}

#endif
