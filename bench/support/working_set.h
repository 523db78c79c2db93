/* SPDX-License-Identifier: MIT */
#ifndef BENCH_WORKING_SET_H
#define BENCH_WORKING_SET_H

/*
 * 10,000 live blocks of 16 to 1024 bytes, uniform: a random one is freed and
 * its slot refilled with a block of a new random size, of which the first byte
 * is touched. One free and one allocation are a pair. The random numbers are
 * part of the time, about 2 ns.
 */
#include "bench/support/allocator.h"
#include "bench/support/bench.h"
#include "bench/support/random.h"

#define BENCH_SET_SLOTS 10000
#define BENCH_SET_MIN	16
#define BENCH_SET_MAX	1024

struct bench_set {
	uint64_t random;
	void *slots[BENCH_SET_SLOTS];
};

static inline void *bench_set_block(uint64_t bits)
{
	void *block = bench_malloc(bench_size(bits, BENCH_SET_MIN, BENCH_SET_MAX));

	if (!block)
		bench_fail("allocating");
	bench_touch(block);
	return block;
}

static inline void bench_set_init(struct bench_set *set, uint64_t seed)
{
	set->random = bench_random_seed(seed);
	for (int i = 0; i < BENCH_SET_SLOTS; i++)
		set->slots[i] = bench_set_block(bench_random(&set->random));
}

/* For bench_repeat: n pairs. */
static inline void bench_set_pairs(void *state, uint64_t n)
{
	struct bench_set *set = state;

	for (uint64_t i = 0; i < n; i++) {
		uint64_t bits = bench_random(&set->random);
		void **slot = &set->slots[bench_scale(bits >> 24, BENCH_SET_SLOTS)];

		bench_free(*slot);
		*slot = bench_set_block(bits);
	}
}

static inline void bench_set_deinit(struct bench_set *set)
{
	for (int i = 0; i < BENCH_SET_SLOTS; i++)
		bench_free(set->slots[i]);
}

#endif
