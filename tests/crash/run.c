/* SPDX-License-Identifier: MIT */
/*
 * One point: a victim is forked and brought to its step; the walkers let go of its blocks; it is
 * killed; the daemon reclaims what it had, which the registry tells; the walkers take back what
 * they had lent to it; the pool is audited, while they go on.
 *
 * At the end of a scenario the walkers free all that they know of and tell what their processes
 * still have: nothing. Then they leave, and the pool has to be empty.
 */
#include "tests/crash/run.h"

#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#include "tests/crash/symbols.h"
#include "tests/support/run.h"

#include "tests/support/ctl.h"

#define RECORDS	   20u /* tries to record a script */
#define GIVE_UP_AT 50u /* anomalies: nothing new is learned from more */

static bool hang(struct hakt_run *run, const char *what)
{
	fprintf(stderr, "crash: hang: %s\n", what);
	run->totals.hangs++;
	return false;
}

/* Waits until a word of each walker is what it is to be. */
static bool wait_walkers(struct hakt_run *run, size_t offset, uint32_t value, const char *what)
{
	const struct timespec nap = {.tv_nsec = 20000};
	int64_t end_ms = hakt_now_ms() + HAKT_HANG_MS;

	for (unsigned i = 0; i < HAKT_WALKERS; i++) {
		const hak_u32 *word = (const void *)((const char *)&hakt_world->walkers[i] +
						     offset);

		while (hakt_get(word) != value) {
			if (hakt_now_ms() > end_ms)
				return hang(run, what);
			nanosleep(&nap, NULL);
		}
	}
	return true;
}

bool hakt_run_phase(struct hakt_run *run, enum hakt_phase kind)
{
	run->phase += HAKT_PHASES - run->phase % HAKT_PHASES + kind;
	hakt_set(&hakt_world->phase, run->phase);
	return wait_walkers(run, offsetof(struct hakt_walker_state, done), run->phase,
			    "walkers do not come to the end of a phase");
}

static uint64_t sum(size_t offset)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < HAKT_WALKERS; i++)
		/* Relaxed: counts, of a phase that is over or only to be shown. */
		n += hak_load_relaxed(
			(const hak_u64 *)(const void *)((const char *)&hakt_world->walkers[i] +
							offset));
	return n;
}

#define SUM(field) sum(offsetof(struct hakt_walker_state, field))

static void blame(struct hakt_run *run, const struct hakt_scenario *scenario,
		  const struct hakt_plan *plan, uint32_t step, const char *what)
{
	char text[128];

	if (run->totals.anomalies + run->totals.leaked < GIVE_UP_AT)
		fprintf(stderr, "crash: %s, step %" PRIu32 " (%s): %s\n", scenario->name, step,
			hakt_symbols_name(plan->steps[step].pc, text, sizeof(text)), what);
}

static bool has_died(struct hakt_run *run, const struct hakt_tracee *t, const char *name)
{
	fprintf(stderr, "crash: %s: the victim ended by itself, status %x\n", name,
		(unsigned)t->status);
	run->totals.anomalies++;
	return false;
}

/* Everybody lets go, it is killed, and all that was its comes back. */
static bool bury(struct hakt_run *run, struct hakt_tracee *t, bool may_come)
{
	hakt_set(&hakt_world->closing, run->life);
	if (!wait_walkers(run, offsetof(struct hakt_walker_state, closed), run->life,
			  "a walker does not let go of the victim's blocks"))
		return false;
	if (hakt_tracee_kill(t) == HAKT_STOP_HANG)
		return hang(run, "the victim does not die");
	if (!hakt_watch_wait_buried(&run->watch, t->pid, may_come))
		return hang(run, "the daemon does not reclaim");
	hakt_set(&hakt_world->buried, run->life);
	return wait_walkers(run, offsetof(struct hakt_walker_state, settled), run->life,
			    "a walker does not take back what it had lent");
}

static void begin_life(struct hakt_run *run)
{
	hakt_set(&hakt_world->life, ++run->life);
}

/* False: it makes no sense to go on. */
static bool run_point(struct hakt_run *run, const struct hakt_scenario *scenario,
		      const struct hakt_plan *plan, uint32_t step)
{
	struct hakt_tracee t;
	struct hakt_verdict verdict;
	enum hakt_stop stop;

	begin_life(run);
	stop = hakt_tracee_start(&t, scenario);
	if (stop == HAKT_STOP_HERE)
		stop = hakt_plan_go(plan, step, &t);
	if (stop == HAKT_STOP_DEAD)
		return has_died(run, &t, scenario->name);
	if (stop == HAKT_STOP_HANG) {
		hakt_tracee_kill(&t);
		return hang(run, "the victim does not get to its step");
	}
	run->totals.diverged += stop == HAKT_STOP_END || t.pc != plan->steps[step].pc;
	if (!bury(run, &t, scenario->attaches))
		return false;
	verdict = hakt_watch_audit(&run->watch);
	run->totals.points++;
	if (plan->steps[step].group != HAKT_GROUP_NONE)
		run->totals.by_group[plan->steps[step].group]++;
	if (verdict.anomalies + verdict.leaked > 0)
		blame(run, scenario, plan, step, "what is told above");
	run->totals.anomalies += verdict.anomalies;
	run->totals.leaked += verdict.leaked;
	return run->totals.anomalies + run->totals.leaked < GIVE_UP_AT;
}

/* What hakmemctl says of the pool when only the tracer is there. */
static void check_empty(struct hakt_run *run)
{
	int exit_code;
	json_t *check = hakt_ctl_judge(run->socket, "check", &exit_code);
	uint64_t live = (uint64_t)json_integer_value(json_object_get(check, "live_blocks"));
	uint64_t superslabs = (uint64_t)json_integer_value(json_object_get(check, "superslabs"));

	if (exit_code != 0 || live > 0 || superslabs > 0) {
		char *text = json_dumps(check, 0);

		fprintf(stderr, "crash: all have left, and hakmemctl check ends with %d: %s\n",
			exit_code, text);
		free(text);
	}
	run->totals.anomalies += exit_code != 0;
	run->totals.leaked += live > 0 ? live : superslabs;
	json_decref(check);
}

/* The walkers free everything; what is left? */
static bool settle_accounts(struct hakt_run *run)
{
	static const enum hakt_phase phases[] = {HAKT_PHASE_DRAIN, HAKT_PHASE_DRAIN,
						 HAKT_PHASE_TRIM, HAKT_PHASE_TRIM};
	uint64_t live, superslabs;

	for (unsigned i = 0; i < sizeof(phases) / sizeof(phases[0]); i++)
		if (!hakt_run_phase(run, phases[i]))
			return false;
	live = SUM(n_live), superslabs = SUM(n_superslabs);
	if (live > 0 || superslabs > 0) {
		fprintf(stderr,
			"crash: walkers freed all, and have %" PRIu64 " blocks in %" PRIu64
			" SuperSlabs\n",
			live, superslabs);
		run->totals.leaked += live > 0 ? live : superslabs;
	}
	if (SUM(n_refused) > 0) {
		fprintf(stderr, "crash: %" PRIu64 " frees of walkers were refused\n",
			SUM(n_refused));
		run->totals.anomalies += SUM(n_refused);
	}
	if (!hakt_run_phase(run, HAKT_PHASE_LEAVE))
		return false;
	check_empty(run);
	return true;
}

static bool record(struct hakt_run *run, const struct hakt_scenario *scenario,
		   struct hakt_plan *plan)
{
	for (unsigned i = 0; i < RECORDS; i++) {
		struct hakt_tracee t;
		enum hakt_stop stop;

		begin_life(run);
		stop = hakt_plan_record(plan, scenario, &t);
		if (stop == HAKT_STOP_DEAD)
			return has_died(run, &t, scenario->name);
		if (!bury(run, &t, true))
			return false;
		if (stop != HAKT_STOP_HERE)
			return stop == HAKT_STOP_END || hang(run, "the script does not end");
		hakt_plan_deinit(plan);
	}
	return hang(run, "the script is too long");
}

bool hakt_run_scenario(struct hakt_run *run, const struct hakt_scenario *scenario)
{
	uint64_t points = run->totals.points, diverged = run->totals.diverged;
	uint64_t expected = 0, progress;
	int64_t start_ms = hakt_now_ms();
	struct hakt_plan plan;
	bool goes_on;

	if (!hakt_run_phase(run, HAKT_PHASE_WALK))
		return false;
	goes_on = record(run, scenario, &plan);
	if (run->only_trace && goes_on)
		hakt_plan_print(&plan);
	for (uint32_t i = 0; i < plan.n_steps && goes_on && !run->only_trace; i++)
		expected += hakt_plan_is_point(&plan, i, run->transition, run->stride);
	run->totals.expected += expected > 0 || run->only_trace ? expected : 1;
	progress = SUM(progress);
	for (uint32_t i = 0; i < plan.n_steps && goes_on && !run->only_trace; i++)
		if (hakt_plan_is_point(&plan, i, run->transition, run->stride))
			goes_on = run_point(run, scenario, &plan, i);
	if (goes_on && expected > 0 && SUM(progress) == progress)
		goes_on = hang(run, "the walkers stand still");
	if (goes_on)
		goes_on = settle_accounts(run);
	run->totals.hops = SUM(n_hops);
	points = run->totals.points - points;
	printf("%-16s %6" PRIu32 " steps, %5" PRIu32 " of transitions; %6" PRIu64
	       " points, %" PRIu64 " elsewhere than recorded; %.1f s, %.2f ms a point\n",
	       scenario->name, plan.n_steps, plan.n_transition, points,
	       run->totals.diverged - diverged, (double)(hakt_now_ms() - start_ms) / 1e3,
	       points ? (double)(hakt_now_ms() - start_ms) / (double)points : 0);
	fflush(stdout);
	hakt_plan_deinit(&plan);
	return goes_on;
}
