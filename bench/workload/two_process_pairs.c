/* SPDX-License-Identifier: MIT */
/*
 * Work that one process does alone, or two at once without meeting each other
 * but in the allocator: pairs of 64 bytes as in pair64.c, and the working set
 * of working_set.h, one a process.
 */
#include "bench/support/working_set.h"
#include "bench/workload/two_process.h"

#define BYTES 64
#define STEP  256 /* the slowest peers take 100 us a pair */

static struct bench_set set;

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

void bench_work_pairs(struct bench_page *page, int i, const struct bench_options *options)
{
	page->n[i] = bench_repeat(options, STEP, pairs, NULL, &page->seconds[i]);
}

void bench_work_set(struct bench_page *page, int i, const struct bench_options *options)
{
	bench_set_init(&set, (uint64_t)i);
	bench_page_start_together(page);
	page->n[i] = bench_repeat(options, STEP / 4, bench_set_pairs, &set, &page->seconds[i]);
}
