/* SPDX-License-Identifier: MIT */
/*
 * One thread allocates 64 bytes, touches the first and frees them, again and
 * again: the shortest way through an allocator. Reports ns a pair.
 */
#include "bench/support/allocator.h"
#include "bench/support/bench.h"

#define BYTES 64
#define STEP  4096

static void pairs(void *state, uint64_t n)
{
	(void)state;
	for (uint64_t i = 0; i < n; i++) {
		void *block = bench_malloc(BYTES);

		if (!block)
			bench_fail("allocating");
		bench_touch(block);
		bench_free(block);
	}
}

int main(int argc, char **argv)
{
	struct bench_options options;
	double seconds;
	uint64_t n;

	bench_begin(&options, argc, argv, 0, 0, BENCH_SYMBOL);
	n = bench_repeat(&options, STEP, pairs, NULL, &seconds);
	bench_report("pair64", seconds * 1e9 / (double)n, "ns");
	bench_detach();
	return 0;
}
