/* SPDX-License-Identifier: MIT */
#ifndef HAKT_CRASH_RUN_H
#define HAKT_CRASH_RUN_H

/* All points of a scenario, one victim each, with walkers beside them. */

#include <stdbool.h>
#include <stdint.h>

#include "tests/crash/plan.h"
#include "tests/crash/watch.h"

struct hakt_totals {
	uint64_t points;   /* victims killed and audited */
	uint64_t expected; /* points that the plans have */
	uint64_t leaked;
	uint64_t anomalies;
	uint64_t hangs;
	uint64_t diverged; /* of the points: not at the instruction that was recorded */
	uint64_t missed;   /* steps that no victim got to */
	uint64_t hops;	   /* blocks that walkers received and checked */
	uint64_t gifts;	   /* blocks that victims gave and walkers took */
	uint64_t stale;	   /* takes by walkers that came too late */
	uint64_t names;	   /* that the dead left, withdrawn by walkers */
	uint64_t nameless; /* lists that had none: their blocks went with the dead */
	uint64_t by_group[16];
};

struct hakt_run {
	struct hakt_watch watch;
	const char *socket;
	pid_t walkers[HAKT_WALKERS];
	pid_t companion; /* 0: there is none */
	uint32_t life;
	uint32_t phase;
	unsigned transition; /* strides */
	unsigned stride;
	uint32_t offset; /* of the first point: differs from run to run, so that all are reached */
	bool only_trace; /* no points: show what the traces go through */
	struct hakt_totals totals;
};

/* Walkers and tracer are there, nobody is traced; runs the scenario. False: it hangs, give up. */
bool hakt_run_scenario(struct hakt_run *run, const struct hakt_scenario *scenario);

/* Has the walkers come to the end of a phase of that kind. */
bool hakt_run_phase(struct hakt_run *run, enum hakt_phase kind);

#endif
