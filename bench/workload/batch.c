/* SPDX-License-Identifier: MIT */
/*
 * batch BYTES: one thread allocates 100 large blocks, touching the first byte
 * of each, then frees them in the same order, again and again. Shows what an
 * allocator does about memory that it could give back to the system. Reports
 * ns a pair.
 */
#include "bench/support/allocator.h"
#include "bench/support/bench.h"

#define N_BLOCKS 100

struct batch {
	uint64_t bytes;
	void *blocks[N_BLOCKS];
};

static void batches(void *state, uint64_t n)
{
	struct batch *batch = state;

	for (uint64_t i = 0; i < n; i++) {
		for (int j = 0; j < N_BLOCKS; j++) {
			batch->blocks[j] = bench_malloc(batch->bytes);
			if (!batch->blocks[j])
				bench_fail("allocating");
			bench_touch(batch->blocks[j]);
		}
		for (int j = 0; j < N_BLOCKS; j++)
			bench_free(batch->blocks[j]);
	}
}

int main(int argc, char **argv)
{
	struct bench_options options;
	struct batch batch;
	double seconds;
	uint64_t n;

	bench_begin(&options, argc, argv, 0, 1, BENCH_SYMBOL);
	batch.bytes = options.numbers[0];
	n = bench_repeat(&options, 1, batches, &batch, &seconds) * N_BLOCKS;
	bench_report("batch", seconds * 1e9 / (double)n, "ns");
	bench_detach();
	return 0;
}
