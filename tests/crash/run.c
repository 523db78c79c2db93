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
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/crash/symbols.h"
#include "tests/support/ctl.h"
#include "tests/support/now.h"
#include "tests/support/process.h"

#define EMPTY_LOOKS 300u /* of 10 ms: then what is left is lost */
#define LOOKS	    500u /* waits between two looks whether all live */
#define LIVES	    5u	 /* victims for a point at most */
#define RECORDS	    20u	 /* tries to record a script */
#define GIVE_UP_AT  50u	 /* anomalies: nothing new is learned from more */

static bool hang(struct hakt_run *run, const char *what)
{
	fprintf(stderr, "crash: hang: %s\n", what);
	run->totals.hangs++;
	return false;
}

/* Has a walker ended? It has said why. */
static bool has_ended(struct hakt_run *run)
{
	for (unsigned i = 0; i < HAKT_WALKERS; i++) {
		siginfo_t ended = {0};

		if (waitid(P_PID, (id_t)run->walkers[i], &ended, WEXITED | WNOHANG | WNOWAIT) ==
			    0 &&
		    !ended.si_pid)
			continue;
		fprintf(stderr, "crash: walker %u has ended\n", i);
		run->totals.anomalies++;
		return true;
	}
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

		for (unsigned n = 1; hakt_get(word) != value; n++) {
			if (n % LOOKS == 0 && has_ended(run))
				return false;
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

/* What a stop says about the rest of the run, if it isn't a place to kill at. */
static bool is_bad(struct hakt_run *run, const struct hakt_tracee *t, enum hakt_stop stop,
		   const char *name)
{
	if (stop == HAKT_STOP_HANG)
		return !hang(run, "the victim does not get on");
	if (stop == HAKT_STOP_DEAD)
		fprintf(stderr, "crash: %s: the victim ended by itself, status %x\n", name,
			(unsigned)t->status);
	if (stop != HAKT_STOP_DEAD && stop != HAKT_STOP_OTHER)
		return false;
	run->totals.anomalies++;
	return true;
}

/* It dies soon after the victim, at a moment that differs each time. */
static bool kill_companion(struct hakt_run *run)
{
	const struct timespec moment = {.tv_nsec = run->life * 13 % 400 * 1000};
	pid_t pid = run->companion;

	run->companion = 0;
	if (pid == 0)
		return true;
	nanosleep(&moment, NULL);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	if (!hakt_watch_wait_buried(&run->watch, pid, true))
		return hang(run, "the daemon does not reclaim what the companion had");
	run->totals.anomalies += hakt_watch_early(&run->watch);
	return true;
}

/* Everybody lets go, it is killed if it isn't dead, and all that was its comes back. */
static bool bury(struct hakt_run *run, struct hakt_tracee *t, bool dives, bool is_dead,
		 bool may_come)
{
	enum hakt_stop stop = HAKT_STOP_DEAD;

	hakt_set(&hakt_world->closing, run->life);
	if (!wait_walkers(run, offsetof(struct hakt_walker_state, closed), run->life,
			  "a walker does not let go of the victim's blocks"))
		return false;
	if (dives)
		hakt_tracee_dive(t);
	if (!is_dead)
		stop = hakt_tracee_kill(t);
	if (stop != HAKT_STOP_DEAD && is_bad(run, t, stop, "kill"))
		return false;
	if (!kill_companion(run))
		return false;
	if (!hakt_watch_wait_buried(&run->watch, t->pid, may_come))
		return hang(run, "the daemon does not reclaim");
	run->totals.anomalies += hakt_watch_early(&run->watch);
	run->totals.anomalies += hakt_watch_names(&run->watch);
	hakt_set(&hakt_world->buried, run->life);
	return wait_walkers(run, offsetof(struct hakt_walker_state, settled), run->life,
			    "a walker does not take back what it had lent");
}

/* False: the companion hangs. */
static bool begin_life(struct hakt_run *run, const struct hakt_scenario *scenario)
{
	const struct timespec nap = {.tv_nsec = 20000};
	int64_t end_ms = hakt_now_ms() + HAKT_HANG_MS;
	pid_t parent = getpid();

	hakt_set(&hakt_world->life, ++run->life);
	if (!scenario->is_double)
		return true;
	run->companion = fork();
	if (run->companion == 0) {
		hakt_process_die_with(parent);
		hakt_companion_run();
	}
	while (hakt_get(&hakt_world->accompanied) != run->life) {
		if (hakt_now_ms() > end_ms)
			return hang(run, "the companion does not get ready");
		nanosleep(&nap, NULL);
	}
	return true;
}

/*
 * Kills one before a step is executed, or in it; *ret_is_there: it got there. False: it makes no
 * sense to go on.
 */
static bool run_life(struct hakt_run *run, const struct hakt_scenario *scenario,
		     const struct hakt_plan *plan, uint32_t step, bool dives, bool *ret_is_there)
{
	struct hakt_totals *totals = &run->totals;
	struct hakt_verdict verdict;
	struct hakt_tracee t;
	enum hakt_stop stop;
	bool is_there, is_trapped;

	if (!begin_life(run, scenario))
		return false;
	stop = hakt_tracee_start(&t, scenario);
	if (stop == HAKT_STOP_HERE)
		stop = hakt_plan_go(plan, step, &t);
	/* A thread that it has started met a breakpoint that was meant for it: so it died there. */
	is_trapped = stop == HAKT_STOP_DEAD && WIFSIGNALED(t.status) &&
		     WTERMSIG(t.status) == SIGTRAP;
	if (!is_trapped && is_bad(run, &t, stop, scenario->name)) {
		blame(run, scenario, plan, step, "on the way there");
		return false;
	}
	is_there = stop == HAKT_STOP_HERE && t.pc == plan->steps[step].pc;
	if (!bury(run, &t, dives && is_there, is_trapped, scenario->attaches)) {
		blame(run, scenario, plan, step, "was killed there");
		return false;
	}
	verdict = hakt_watch_audit(&run->watch);
	totals->points++;
	totals->diverged += !is_there;
	*ret_is_there = is_there;
	if (is_there && plan->steps[step].group != HAKT_GROUP_NONE)
		totals->by_group[plan->steps[step].group]++;
	if (verdict.anomalies + verdict.leaked > 0)
		blame(run, scenario, plan, step, "killed there, and found what is told above");
	totals->anomalies += verdict.anomalies;
	totals->leaked += verdict.leaked;
	return totals->anomalies + totals->leaked < GIVE_UP_AT;
}

/* A victim for a step; if it takes another way, another one, a few times. */
static bool run_point(struct hakt_run *run, const struct hakt_scenario *scenario,
		      const struct hakt_plan *plan, uint32_t step, bool dives)
{
	bool is_there = false;

	for (unsigned i = 0; i < LIVES && !is_there; i++)
		if (!run_life(run, scenario, plan, step, dives, &is_there))
			return false;
	run->totals.missed += !is_there;
	return true;
}

/* All points of a plan. */
static bool run_points(struct hakt_run *run, const struct hakt_scenario *scenario,
		       const struct hakt_plan *plan)
{
	for (uint32_t i = 0; i < plan->n_steps; i++) {
		if (hakt_plan_is_point(plan, i, run->transition, run->stride, run->offset) &&
		    !run_point(run, scenario, plan, i, false))
			return false;
		if (plan->steps[i].is_call && !run_point(run, scenario, plan, i, true))
			return false;
	}
	return true;
}

/* What hakmemctl says when only the tracer is there; graces and orphans take a moment. */
static void check_empty(struct hakt_run *run)
{
	const struct timespec nap = {.tv_nsec = 10000000};
	uint64_t live, superslabs;
	int exit_code;

	for (unsigned i = 0;; i++) {
		json_t *check = hakt_ctl_judge(run->socket, "check", &exit_code);

		live = (uint64_t)json_integer_value(json_object_get(check, "live_blocks"));
		superslabs = (uint64_t)json_integer_value(json_object_get(check, "superslabs")) +
			     (uint64_t)json_integer_value(json_object_get(check, "orphans"));
		if (exit_code != 0 || i == EMPTY_LOOKS) {
			fprintf(stderr, "crash: all have left, and hakmemctl check ends with %d:\n",
				exit_code);
			json_dumpf(check, stderr, 0);
		}
		json_decref(check);
		if (exit_code != 0 || i == EMPTY_LOOKS || live + superslabs == 0)
			break;
		nanosleep(&nap, NULL);
	}
	run->totals.anomalies += exit_code != 0;
	run->totals.leaked += live > 0 ? live : superslabs;
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

		if (!begin_life(run, scenario))
			return false;
		stop = hakt_plan_record(plan, scenario, &t);
		if (is_bad(run, &t, stop, scenario->name) || !bury(run, &t, false, false, true))
			return false;
		if (stop == HAKT_STOP_END)
			return true;
		hakt_plan_deinit(plan);
	}
	return hang(run, "the script is too long");
}

static void show(const struct hakt_run *run, const struct hakt_totals *before,
		 const struct hakt_scenario *scenario, const struct hakt_plan *plan, double seconds)
{
	uint64_t points = run->totals.points - before->points;

	if (run->only_trace)
		hakt_plan_print(plan);
	printf("%-14s %6" PRIu32 " steps, %5" PRIu32 " of transitions, %3" PRIu32
	       " system calls: %6" PRIu64 " points, %" PRIu64 " elsewhere, %" PRIu64
	       " steps missed; %.1f s, %.2f ms each\n",
	       scenario->name, plan->n_steps, plan->n_transition, plan->n_calls, points,
	       run->totals.diverged - before->diverged, run->totals.missed - before->missed,
	       seconds, points ? seconds * 1e3 / (double)points : 0);
	fflush(stdout);
}

bool hakt_run_scenario(struct hakt_run *run, const struct hakt_scenario *scenario)
{
	const struct hakt_totals before = run->totals;
	int64_t start_ms = hakt_now_ms();
	uint64_t progress = SUM(progress);
	struct hakt_plan plan = {0};
	bool goes_on = hakt_run_phase(run, HAKT_PHASE_WALK) && record(run, scenario, &plan);

	run->totals.expected += goes_on ? plan.n_calls : 1;
	for (uint32_t i = 0; i < plan.n_steps && goes_on; i++)
		run->totals.expected += hakt_plan_is_point(&plan, i, run->transition, run->stride,
							   run->offset);
	if (goes_on && !run->only_trace)
		goes_on = run_points(run, scenario, &plan);
	if (goes_on && SUM(progress) == progress)
		goes_on = hang(run, "the walkers stand still");
	if (goes_on)
		goes_on = settle_accounts(run);
	run->totals.hops = SUM(n_hops);
	run->totals.gifts = SUM(n_gifts);
	run->totals.stale = SUM(n_stale);
	run->totals.names = SUM(n_names);
	run->totals.nameless = SUM(n_nameless);
	show(run, &before, scenario, &plan, (double)(hakt_now_ms() - start_ms) / 1e3);
	hakt_plan_deinit(&plan);
	return goes_on;
}
