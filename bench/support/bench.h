/* SPDX-License-Identifier: MIT */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

/*
 * What every workload's main does: read the arguments, make sure that the
 * allocator is the one that it should be, repeat the work, report.
 */
#include <stdint.h>

struct bench_options {
	double seconds;	     /* how long to repeat */
	uint64_t iterations; /* not 0: exactly so often instead, for counting instructions */
	uint64_t numbers[2]; /* what stands behind the options, as far as it is a number */
	const char *word;    /* and as far as it is none */
};

/*
 * Reads `[--seconds S] [--iterations N] [WORD] [NUMBER]...`, or says how to use
 * the program and ends it. n_words is 0 or 1. Also ends it, with exit code 3,
 * where $BENCH_EXPECT names a library and `symbol` is not found in it: a
 * preload that failed must not be measured as what it isn't.
 */
void bench_begin(struct bench_options *ret_options, int argc, char **argv, int n_words,
		 int n_numbers, const char *symbol);

/* The second half, for programs that read their arguments themselves. */
void bench_expect(const char *symbol);

/*
 * Calls work(state, step) until the time is up, at least once after a warm-up
 * of a tenth of the time. The number of iterations that count, and their time.
 */
uint64_t bench_repeat(const struct bench_options *options, uint64_t step,
		      void (*work)(void *state, uint64_t n), void *state, double *ret_seconds);

/*
 * Keeps the calling thread on the i-th of the cores that the process may use,
 * where there are several: two sides of a ring must not meet on one core.
 */
void bench_pin(unsigned i);

/* One line: what, value, unit. */
void bench_report(const char *what, double value, const char *unit);

/* Says what failed, with errno, and ends the program: half a workload has no time. */
_Noreturn void bench_fail(const char *what) __attribute__((cold));

#endif
