/* SPDX-License-Identifier: MIT */
/*
 * A thread starts, replaces 1000 random blocks of 1000 (8 to 1000 bytes,
 * uniform, first byte touched) that its predecessors have left, and ends; then
 * the next. Shows what a thread's cache costs to make and to unmake. Reports
 * millions of replacements a second, starting and joining threads included.
 */
#include <errno.h>
#include <pthread.h>

#include "bench/support/allocator.h"
#include "bench/support/bench.h"
#include "bench/support/random.h"

#define N_BLOCKS     1000
#define MIN	     8
#define MAX	     1000
#define N_OPERATIONS 1000 /* a thread */

struct churn {
	uint64_t random;
	void *blocks[N_BLOCKS];
};

static void *allocate(uint64_t bits)
{
	void *block = bench_malloc(bench_size(bits, MIN, MAX));

	if (!block)
		bench_fail("allocating");
	bench_touch(block);
	return block;
}

static void *live(void *argument)
{
	struct churn *churn = argument;

	for (int i = 0; i < N_OPERATIONS; i++) {
		uint64_t bits = bench_random(&churn->random);
		void **block = &churn->blocks[bench_scale(bits >> 24, N_BLOCKS)];

		bench_free(*block);
		*block = allocate(bits);
	}
	return NULL;
}

static void threads(void *state, uint64_t n)
{
	pthread_t thread;

	for (uint64_t i = 0; i < n; i++) {
		errno = pthread_create(&thread, NULL, live, state);
		if (errno)
			bench_fail("starting a thread");
		pthread_join(thread, NULL);
	}
}

int main(int argc, char **argv)
{
	static struct churn churn;
	struct bench_options options;
	double seconds;
	uint64_t n;

	bench_begin(&options, argc, argv, 0, 0, BENCH_SYMBOL);
	churn.random = bench_random_seed(1);
	for (int i = 0; i < N_BLOCKS; i++)
		churn.blocks[i] = allocate(bench_random(&churn.random));
	n = bench_repeat(&options, 16, threads, &churn, &seconds) * N_OPERATIONS;
	bench_report("churn", (double)n / seconds / 1e6, "M-ops/s");
	for (int i = 0; i < N_BLOCKS; i++)
		bench_free(churn.blocks[i]);
	bench_detach();
	return 0;
}
