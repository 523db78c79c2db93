/* SPDX-License-Identifier: MIT */
/*
 * The pattern of xmalloc-test, written anew: one thread only allocates, another
 * only frees. Blocks of 64 bytes, all of them written, are handed over in
 * batches of 4096, each an allocated block of pointers itself; up to 16 batches
 * wait. Reports millions of frees a second.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "bench/support/allocator.h"
#include "bench/support/bench.h"
#include "bench/support/clock.h"
#include "bench/support/ring.h"

#define BYTES	  64
#define N_BLOCKS  4096
#define N_WAITING 16

struct batch {
	void *blocks[N_BLOCKS];
};

static struct bench_ring ring;
static struct bench_options options;

static void *allocate(size_t bytes)
{
	void *block = bench_malloc(bytes);

	if (!block)
		bench_fail("allocating");
	return block;
}

static void *send_batches(void *argument)
{
	double end;

	(void)argument;
	bench_pin(1);
	end = bench_now() + options.seconds;
	while (bench_now() < end) {
		struct batch *batch = allocate(sizeof(*batch));

		for (int i = 0; i < N_BLOCKS; i++) {
			batch->blocks[i] = allocate(BYTES);
			memset(batch->blocks[i], i, BYTES);
			__asm__ volatile("" : : "r"(batch->blocks[i]) : "memory");
		}
		bench_ring_send(&ring, (uintptr_t)batch);
	}
	bench_ring_send(&ring, 0);
	return NULL;
}

int main(int argc, char **argv)
{
	struct batch *batch;
	pthread_t sender;
	uint64_t n = 0;
	double start;

	bench_begin(&options, argc, argv, 0, 0, BENCH_SYMBOL);
	bench_pin(0);
	bench_ring_init(&ring, N_WAITING);
	start = bench_now();
	errno = pthread_create(&sender, NULL, send_batches, NULL);
	if (errno)
		bench_fail("starting a thread");
	while ((batch = (struct batch *)(uintptr_t)bench_ring_receive(&ring))) {
		for (int i = 0; i < N_BLOCKS; i++)
			bench_free(batch->blocks[i]);
		bench_free(batch);
		n += N_BLOCKS;
	}
	bench_report("xmalloc", (double)n / (bench_now() - start) / 1e6, "M-frees/s");
	pthread_join(sender, NULL);
	bench_detach();
	return 0;
}
