/* SPDX-License-Identifier: MIT */
/*
 * Kills a real client at every so many instructions of its transition code, all of them if asked
 * to, and more rarely in the rest, with a daemon and two other clients at work, and audits after
 * each death.
 *
 * crash [--transition N] [--stride N] [--scenario NAME]... [--trace] [--list]
 *
 * The last line: points=N leaked=N anomalies=N hangs=N. 0: the last three are 0, and all points
 * that the scenarios have were reached; 1: not so; 2: it could not run; 77: it may not trace.
 */
#include "tests/support/run.h"

#include <getopt.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/crash/run.h"
#include "tests/crash/symbols.h"
#include "tests/crash/walker.h"
#include "tests/support/daemon.h"
#include "tests/support/process.h"
#include "tests/support/random.h"

#define TRANSITION_FIRST 2u
#define STRIDE_FIRST	 31u /* odd, and no size of any loop */
#define NOT_ALLOWED	 77

static const char help[] = "usage: crash [--transition N] [--stride N] [--scenario NAME]... "
			   "[--trace] [--list]\n";

static struct hakt_run run = {.transition = TRANSITION_FIRST, .stride = STRIDE_FIRST};
static bool is_wanted[64];
static bool wants_some;
static pid_t tracer;
static bool is_over; /* the run has come to its end, good or bad */

/*
 * The same addresses in each run, so that a point can be met again. And a memcpy that copies much
 * by one instruction with a repeat prefix, where the C library can: a loop is a step a line.
 */
static void fix_addresses(char **arguments)
{
	int now = personality(0xffffffff);

	if (now == -1 || now & ADDR_NO_RANDOMIZE ||
	    personality((unsigned long)now | ADDR_NO_RANDOMIZE) == -1)
		return;
	setenv("GLIBC_TUNABLES",
	       "glibc.cpu.x86_rep_movsb_threshold=4096:glibc.cpu.x86_rep_stosb_threshold=4096:"
	       "glibc.cpu.x86_non_temporal_threshold=1073741824",
	       1);
	execv("/proc/self/exe", arguments);
}

static void run_on(unsigned core)
{
	cpu_set_t cores;

	if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
		return;
	CPU_ZERO(&cores);
	CPU_SET(core, &cores);
	sched_setaffinity(0, sizeof(cores), &cores);
}

static bool want(const char *name)
{
	for (unsigned i = 0; i < hakt_n_scenarios; i++)
		if (strcmp(hakt_scenarios[i].name, name) == 0)
			return wants_some = is_wanted[i] = true;
	fprintf(stderr, "crash: no scenario %s\n", name);
	return false;
}

static bool set_stride(unsigned *stride)
{
	char *end;
	unsigned long n = strtoul(optarg, &end, 10);

	if (*end || n < 1 || n > 1000000)
		return false;
	*stride = (unsigned)n;
	return true;
}

static bool read_options(int argc, char **argv)
{
	static const struct option options[] = {{"transition", required_argument, NULL, 't'},
						{"stride", required_argument, NULL, 's'},
						{"scenario", required_argument, NULL, 'n'},
						{"trace", no_argument, NULL, 'x'},
						{"list", no_argument, NULL, 'l'},
						{0}};
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'l') {
			for (unsigned i = 0; i < hakt_n_scenarios; i++)
				puts(hakt_scenarios[i].name);
			exit(0);
		}
		run.only_trace |= c == 'x';
		if (c == '?' || (c == 't' && !set_stride(&run.transition)) ||
		    (c == 's' && !set_stride(&run.stride)) || (c == 'n' && !want(optarg)))
			return false;
	}
	return optind == argc;
}

/* A run of all scenarios has to have been in each step of the protocol. */
static bool has_all_groups(void)
{
	bool all = true;

	for (unsigned i = 0; i < hakt_n_groups; i++) {
		printf("%-16s %6" PRIu64 " points\n", hakt_groups[i].name, run.totals.by_group[i]);
		all &= wants_some || run.totals.by_group[i] > 0;
	}
	return all;
}

/* Whatever ended the run, if only this process ends it. */
static void say_last(void)
{
	const struct hakt_totals *t = &run.totals;

	if (getpid() != tracer)
		return;
	printf("points=%" PRIu64 " leaked=%" PRIu64 " anomalies=%" PRIu64 " hangs=%" PRIu64 "\n",
	       t->points, t->leaked, t->anomalies + !is_over, t->hangs);
	fflush(stdout);
}

static int conclude(bool is_whole)
{
	const struct hakt_totals *t = &run.totals;

	is_whole &= has_all_groups() && t->points >= t->expected;
	is_whole &= wants_some || (t->names > 0 && t->nameless > 0);
	printf("%" PRIu64 " of %" PRIu64 " points, %" PRIu64 " elsewhere than recorded, %" PRIu64
	       " steps missed\nwalkers checked %" PRIu64 " blocks, took %" PRIu64
	       " that victims gave, and came too late for %" PRIu64 "\nnames of the dead: %" PRIu64
	       " withdrawn, %" PRIu64 " not there\n",
	       t->points, t->expected, t->diverged, t->missed, t->hops, t->gifts, t->stale,
	       t->names, t->nameless);
	is_over = true;
	return (is_whole || run.only_trace) && t->leaked + t->anomalies + t->hangs == 0 ? 0 : 1;
}

static bool run_all(void)
{
	for (unsigned i = 0; i < hakt_n_scenarios; i++)
		if ((!wants_some || is_wanted[i]) && !hakt_run_scenario(&run, &hakt_scenarios[i]))
			return false;
	return hakt_run_phase(&run, HAKT_PHASE_END);
}

int main(int argc, char **argv)
{
	struct hakt_daemon hakd;
	uint64_t seed;
	bool is_whole;
	int r;

	fix_addresses(argv);
	if (!read_options(argc, argv)) {
		fputs(help, stderr);
		return 2;
	}
	r = hakt_tracee_try();
	if (r < 0) {
		printf("skipped: a process may not be traced here: %s\n", strerror(-r));
		return NOT_ALLOWED;
	}
	seed = hakt_random_seed();
	run.offset = seed % 1000000;
	hakt_symbols_init();
	hakt_world_init();
	run_on(1); /* daemon and walkers; tracer and victim have the other one */
	/*
	 * Kept for a day: what goes back by the clock would make each victim take another way. So
	 * would a profile; this one is on, and takes no sample by itself (script_sample.c).
	 */
	hakt_daemon_start(&hakd,
			  HAKT_LIST("--capacity", "256M", "--limit", "256M", "--keep", "86400",
				    "--log-level", "warn", "--profile", "1000000G"));
	run.socket = hakd.socket;
	for (unsigned i = 0; i < HAKT_WALKERS; i++)
		run.walkers[i] = hakt_walker_start(i, seed);
	tracer = getpid();
	atexit(say_last);
	run_on(0);
	hakt_watch_init(&run.watch, hakd.socket);
	is_whole = run_all();
	r = conclude(is_whole);
	if (r == 0) {
		hakt_watch_deinit(&run.watch);
		hakt_daemon_stop_empty(&hakd);
	}
	return r;
}
