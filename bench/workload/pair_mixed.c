/* SPDX-License-Identifier: MIT */
/*
 * As pair64, but each pair has another size: 16 to 512 bytes, uniform, out of
 * a table of 1024 made beforehand. Reports ns a pair.
 */
#include "bench/support/allocator.h"
#include "bench/support/bench.h"
#include "bench/support/random.h"

#define MIN	16
#define MAX	512
#define N_SIZES 1024
#define STEP	4096

static uint16_t sizes[N_SIZES];

static void pairs(void *state, uint64_t n)
{
	(void)state;
	for (uint64_t i = 0; i < n; i++) {
		void *block = bench_malloc(sizes[i % N_SIZES]);

		if (!block)
			bench_fail("allocating");
		bench_touch(block);
		bench_free(block);
	}
}

int main(int argc, char **argv)
{
	struct bench_options options;
	uint64_t random = bench_random_seed(1);
	double seconds;
	uint64_t n;

	bench_begin(&options, argc, argv, 0, 0, BENCH_SYMBOL);
	for (int i = 0; i < N_SIZES; i++)
		sizes[i] = (uint16_t)bench_size(bench_random(&random), MIN, MAX);
	n = bench_repeat(&options, STEP, pairs, NULL, &seconds);
	bench_report("pair-mixed", seconds * 1e9 / (double)n, "ns");
	bench_detach();
	return 0;
}
