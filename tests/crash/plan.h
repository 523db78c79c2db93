/* SPDX-License-Identifier: MIT */
#ifndef HAKT_CRASH_PLAN_H
#define HAKT_CRASH_PLAN_H

/*
 * Where a scenario's victims are killed: its recorded trace, which of its steps are points, and
 * the shortest way to each.
 */

#include <stdbool.h>
#include <stdint.h>

#include "tests/crash/tracee.h"

/* Kill before the instruction of this step is executed. */
struct hakt_step {
	uint64_t pc;
	uint32_t n;	 /* executed here for the n-th time, from 1 */
	uint32_t anchor; /* step to run to at full speed, by a breakpoint; the rest is stepped */
	uint8_t group;	 /* see symbols.h */
	bool is_call;	 /* a system call: killed in it too */
};

struct hakt_plan {
	struct hakt_step *steps;
	uint32_t n_steps;
	uint32_t n_transition; /* of them: transition code */
	uint32_t n_calls;
};

/*
 * Runs the scenario once, step by step. HAKT_STOP_END; HAKT_STOP_HERE: it is too long, and to be
 * tried again; anything else is what went wrong.
 */
enum hakt_stop hakt_plan_record(struct hakt_plan *plan, const struct hakt_scenario *scenario,
				struct hakt_tracee *t);
void hakt_plan_deinit(struct hakt_plan *plan);

/* Every `transition`-th step of transition code but lookups, every `stride`-th of the rest. */
bool hakt_plan_is_point(const struct hakt_plan *plan, uint32_t step, unsigned transition,
			unsigned stride, uint32_t offset);

/* Lists the functions that the trace is in: their steps, and which of them are transition code. */
void hakt_plan_print(const struct hakt_plan *plan);

/* Takes a victim whose script has just begun to a step. */
enum hakt_stop hakt_plan_go(const struct hakt_plan *plan, uint32_t step, struct hakt_tracee *t);

#endif
