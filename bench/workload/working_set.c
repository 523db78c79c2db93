/* SPDX-License-Identifier: MIT */
/* One thread replaces random blocks of a working set of 10,000 (its rules: working_set.h). */
#include "bench/support/working_set.h"

#define STEP 1024

static struct bench_set set;

int main(int argc, char **argv)
{
	struct bench_options options;
	double seconds;
	uint64_t n;

	bench_begin(&options, argc, argv, 0, 0, BENCH_SYMBOL);
	bench_set_init(&set, 1);
	n = bench_repeat(&options, STEP, bench_set_pairs, &set, &seconds);
	bench_report("working-set", seconds * 1e9 / (double)n, "ns");
	bench_set_deinit(&set);
	bench_detach();
	return 0;
}
