/* SPDX-License-Identifier: MIT */
/* The frame around a workload: arguments, the right allocator, repetition, report. */
#include "bench/support/bench.h"

#include <dlfcn.h>
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/support/clock.h"

#define EXIT_USAGE 2
#define EXIT_OTHER 3 /* another allocator than expected */

_Noreturn void bench_fail(const char *what)
{
	fprintf(stderr, "bench: %s failed (%s)\n", what, strerror(errno));
	exit(1);
}

void bench_report(const char *what, double value, const char *unit)
{
	printf("%s %.10g %s\n", what, value, unit);
}

void bench_expect(const char *symbol)
{
	const char *expected = getenv("BENCH_EXPECT");
	char is[PATH_MAX], should[PATH_MAX];
	Dl_info info;
	void *address;

	if (!symbol || !expected)
		return;
	address = dlsym(RTLD_DEFAULT, symbol);
	if (address && dladdr(address, &info) && realpath(info.dli_fname, is) &&
	    realpath(expected, should) && strcmp(is, should) == 0)
		return;
	fprintf(stderr, "bench: %s is not of %s\n", symbol, expected);
	exit(EXIT_OTHER);
}

void bench_pin(unsigned i)
{
	static cpu_set_t allowed; /* of the first call, before anything is pinned */
	static int n;
	cpu_set_t one;

	if (n == 0 && sched_getaffinity(0, sizeof(allowed), &allowed) == 0)
		n = CPU_COUNT(&allowed);
	if (n < 2)
		return;
	i %= (unsigned)n;
	CPU_ZERO(&one);
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, &allowed) && i-- == 0)
			CPU_SET(cpu, &one);
	sched_setaffinity(0, sizeof(one), &one);
}

static _Noreturn void usage(const char *program, int n_words, int n_numbers)
{
	fprintf(stderr, "usage: %s [--seconds S] [--iterations N]%s%s\n", program,
		n_words ? " WORK" : "", n_numbers ? " NUMBER..." : "");
	exit(EXIT_USAGE);
}

void bench_begin(struct bench_options *ret_options, int argc, char **argv, int n_words,
		 int n_numbers, const char *symbol)
{
	static const struct option options[] = {{"seconds", required_argument, NULL, 's'},
						{"iterations", required_argument, NULL, 'i'},
						{NULL, 0, NULL, 0}};
	struct bench_options o = {.seconds = 0.5};
	char *end = "";
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == 's')
			o.seconds = strtod(optarg, &end);
		else if (option == 'i')
			o.iterations = strtoull(optarg, &end, 10);
		if (option == '?' || *end || o.seconds <= 0)
			usage(argv[0], n_words, n_numbers);
	}
	if (argc - optind != n_words + n_numbers)
		usage(argv[0], n_words, n_numbers);
	if (n_words)
		o.word = argv[optind++];
	for (int i = 0; i < n_numbers; i++) {
		o.numbers[i] = strtoull(argv[optind + i], &end, 10);
		if (*end || o.numbers[i] == 0)
			usage(argv[0], n_words, n_numbers);
	}
	bench_expect(symbol);
	*ret_options = o;
}

uint64_t bench_repeat(const struct bench_options *options, uint64_t step,
		      void (*work)(void *state, uint64_t n), void *state, double *ret_seconds)
{
	double start = bench_now(), now = start;
	uint64_t n = 0;

	if (options->iterations) {
		work(state, options->iterations);
		*ret_seconds = bench_now() - start;
		return options->iterations;
	}
	for (double end = start + options->seconds / 10; now < end; now = bench_now())
		work(state, step);
	start = now;
	do {
		work(state, step);
		n += step;
		now = bench_now();
	} while (now < start + options->seconds);
	*ret_seconds = now - start;
	return n;
}
