/* SPDX-License-Identifier: MIT */
/*
 * Kills a real daemon between two instructions that its registry, slab words, tags or bits can
 * tell apart, and before and after its system calls; others work beside it. The next daemon goes
 * on with what a keeper kept. Then: the pool is clean, nobody's block is lost or touched, each
 * client has its slot, and when all have died the pool is empty.
 *
 * crash-daemon [--full] [--seconds N] [--scenario NAME]... [--point PLACE:HIT:STEP]
 *
 * A scenario is run once, stepped through all its windows (trace.h), which tells the points; then
 * once a point. Without --full, as many points as there is time for, others in each run. The last
 * line: points=N leaked=N anomalies=N hangs=N. 0: the last three are 0; 1: not so; 2: it could
 * not run; 77: it may not trace.
 */
#include "tests/support/run.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/crash/daemon/lab.h"
#include "tests/crash/daemon/options.h"
#include "tests/crash/daemon/pool.h"
#include "tests/crash/daemon/scenario.h"
#include "tests/crash/daemon/trace.h"
#include "tests/support/keeper.h"
#include "tests/support/now.h"
#include "tests/support/process.h"
#include "tests/support/random.h"

#define HANG_MS	   20000
#define POINTS_MAX 200000u
#define TRIES_MAX  5u
#define GIVE_UP_AT 20u /* findings: nothing new is learned from more */

static const char *const options[] = {"--limit", "64M",		"--capacity", "64M", "--keep",
				      "100",	 "--log-level", "error",      NULL};

static struct hakt_keeper keeper;
static struct hakt_trace trace;
static pid_t actors[HAKT_ACTORS]; /* 0: dead */
static struct {
	uint64_t points, leaked, anomalies, hangs, missed;
} totals;
static struct hakt_target points[POINTS_MAX];
static uint32_t n_points;
static uint32_t found_by_place[HAKT_PLACES_MAX], killed_by_place[HAKT_PLACES_MAX];
static unsigned n_tries = 1; /* naps get longer by it */
static int dies_too;
static struct hakt_crash_options wish = {.seconds = 150};
static pid_t tracer;
static bool is_over; /* the run has come to its end, good or bad */

static void on_child(pid_t pid)
{
	for (unsigned i = 0; i < HAKT_ACTORS; i++)
		if (actors[i] == pid)
			actors[i] = 0;
}

static bool hang(const char *what)
{
	const struct hakt_crash_counts n = hakt_crash_pool_count();

	fprintf(stderr,
		"crash-daemon: hang: %s (%u attached, %u leaving; %u granted, %u reclaimed, %u "
		"orphans)\n",
		what, n.attached, n.reclaiming_holders, n.granted, n.reclaiming, n.orphans);
	totals.hangs++;
	return false;
}

/* A daemon waits for its keeper where it starts. */
static void pump(void)
{
	hakt_keeper_take(&keeper);
	hakt_trace_pump(&trace);
}

typedef bool condition(unsigned argument);

/* Pumps until it holds. False: the daemon was killed at the target meanwhile, or it hangs. */
static bool await(condition *holds, unsigned argument, const char *what)
{
	int64_t end_ms = hakt_now_ms() + HANG_MS;

	while (!holds(argument)) {
		if (trace.is_killed)
			return false;
		if (trace.is_hung || trace.is_lost || hakt_now_ms() > end_ms)
			return hang(what);
		pump();
	}
	return !trace.is_killed;
}

static bool is_dead(unsigned who)
{
	return actors[who] == 0;
}

static bool is_done(unsigned who)
{
	return is_dead(who) || hakt_actor_is_done((enum hakt_who)who);
}

/* Nothing is being collected, and so many are orphans. */
static bool has_orphans(unsigned n)
{
	const struct hakt_crash_counts counts = hakt_crash_pool_count();

	return counts.orphans == n && counts.reclaiming + counts.reclaiming_holders == 0;
}

static bool is_quiet(unsigned argument)
{
	const struct hakt_crash_counts counts = hakt_crash_pool_count();

	(void)argument;
	return counts.reclaiming + counts.reclaiming_holders == 0;
}

/* The daemon has noticed, and nothing is its any more. */
static bool is_buried(unsigned pid)
{
	return hakt_crash_pool_holder((pid_t)pid) == HAK_HOLDER_NONE && is_quiet(0);
}

static bool is_empty(unsigned argument)
{
	const struct hakt_crash_counts n = hakt_crash_pool_count();

	(void)argument;
	return n.attached + n.reclaiming_holders + n.granted + n.reclaiming + n.orphans == 0;
}

/* The keeper has no descriptor of a client of the first pool. */
static bool is_forgotten(unsigned argument)
{
	(void)argument;
	return hakt_keeper_count(&keeper, "c-") + hakt_keeper_count(&keeper, "l-") == 0;
}

static unsigned n_attached(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < HAKT_ACTORS; i++)
		/* [order:stage] */
		n += actors[i] != 0 && hak_load_acquire(&hakt_stage->actors[i].attached);
	return n;
}

/* Whoever has heard that it is attached has a slot, and nobody else. */
static bool has_right_holders(unsigned argument)
{
	(void)argument;
	for (unsigned i = 0; i < HAKT_ACTORS; i++)
		/* [order:stage] */
		if (actors[i] && hak_load_acquire(&hakt_stage->actors[i].attached) &&
		    hakt_crash_pool_holder(actors[i]) == HAK_HOLDER_NONE)
			return false;
	return hakt_crash_pool_count().attached == n_attached();
}

static bool is_ready(unsigned argument)
{
	(void)argument;
	return keeper.n_ready > 0;
}

static bool start_daemon(bool is_traced)
{
	hakt_keeper_fork(&keeper, is_traced ? hakt_trace_enter : NULL, NULL);
	trace.is_killed = false;
	if (is_traced)
		hakt_trace_init(&trace, keeper.daemon.pid);
	else
		trace.pid = keeper.daemon.pid;
	return await(is_ready, 0, "the daemon does not start to serve");
}

static void kill_daemon(void)
{
	hakt_trace_kill(&trace);
	hakt_keeper_take(&keeper);
}

static void kill_actor(unsigned who)
{
	if (actors[who])
		kill(actors[who], SIGKILL);
}

static void kill_that_one(void)
{
	if (dies_too)
		kill_actor((unsigned)dies_too - 1);
}

static bool order(enum hakt_who who, enum hakt_command command, uint32_t argument)
{
	hakt_actor_order(who, command, argument);
	return await(is_done, who, "a client does not get on");
}

static bool attach_all(const struct hakt_scenario *s)
{
	bool attaches = s->acts[0].command == HAKT_ATTACH;

	hakt_stage_clear();
	for (unsigned i = 0; i < HAKT_ACTORS; i++)
		actors[i] = hakt_actor_start((enum hakt_who)i);
	for (unsigned i = attaches ? HAKT_WORKER_0 : HAKT_A; i < HAKT_ACTORS; i++)
		if (!order((enum hakt_who)i, HAKT_ATTACH, 0))
			return false;
	return order(HAKT_WORKER_0, HAKT_WORK, 0) && order(HAKT_WORKER_1, HAKT_WORK, 0);
}

static bool rest(void)
{
	return order(HAKT_WORKER_0, HAKT_REST, 0) && order(HAKT_WORKER_1, HAKT_REST, 0);
}

static bool nap(uint32_t ms)
{
	int64_t end_ms = hakt_now_ms() + (int64_t)ms * n_tries;

	while (hakt_now_ms() < end_ms && !trace.is_killed && !trace.is_lost)
		pump();
	return !trace.is_killed;
}

static bool act(const struct hakt_act *a)
{
	pid_t pid = actors[a->who];

	switch (a->deed) {
	case HAKT_ORDER:
		return order(a->who, a->command, a->argument);
	case HAKT_KILL:
		kill_actor(a->who);
		return await(is_dead, a->who, "a client does not die") &&
		       await(is_buried, (unsigned)pid, "a death");
	case HAKT_AWAIT:
		return await(has_orphans, a->argument, "orphans");
	case HAKT_COUNT:
		trace.is_counting = true;
		return true;
	case HAKT_NAP:
		return nap(a->argument);
	case HAKT_KILL_IDLE:
		kill_daemon();
		kill_actor(a->who);
		return await(is_dead, a->who, "a client does not die");
	case HAKT_RESTART:
		trace.is_counting = true;
		return start_daemon(true);
	}
	return false;
}

/* False: it was killed at its target, or something hangs. */
static bool play(const struct hakt_scenario *s)
{
	bool is_traced = !hakt_scenario_does(s, HAKT_RESTART);

	if (!start_daemon(is_traced) || !attach_all(s) || (!trace.target && !rest()))
		return false;
	trace.is_counting = is_traced && !hakt_scenario_does(s, HAKT_COUNT);
	for (unsigned i = 0; i < HAKT_ACTS_MAX && s->acts[i].command; i++)
		if (!act(&s->acts[i]))
			return false;
	return true;
}

static void blame(const struct hakt_scenario *s, const char *what)
{
	const struct hakt_target *t = trace.target;

	fprintf(stderr, "crash-daemon: %s, %s:%" PRIu32 ":%" PRIu32 ": %s\n", s->name,
		t ? hakt_places[t->place].from : "-", t ? t->hit : 0, t ? t->step : 0, what);
}

/* Counts a fault, if there is one. */
static void judge(const struct hakt_scenario *s, const char *fault)
{
	if (fault)
		blame(s, fault);
	totals.anomalies += fault != NULL;
}

/*
 * A client may have asked ahead of need, and the daemon be at work on that: what is wrong is so
 * after a second, too.
 */
static uint64_t audit(uint64_t *ret_lost)
{
	uint64_t anomalies = 0;

	for (unsigned i = 0; i < 20; i++) {
		anomalies = hakt_crash_pool_audit(ret_lost, i == 19);
		if (anomalies + *ret_lost == 0)
			break;
		usleep(50000);
	}
	return anomalies;
}

/* The living work on, with what they have; all is what it was. */
static bool check_living(const struct hakt_scenario *s)
{
	uint64_t lost, anomalies, broken = 0;

	for (unsigned i = 0; i < HAKT_ACTORS; i++)
		if (!await(is_done, i, "a client does not return from a call"))
			return false;
	if (!await(is_quiet, 0, "collections after a restart") ||
	    !await(has_right_holders, 0, "holders after a restart"))
		return false;
	for (unsigned i = HAKT_A; i <= HAKT_C; i++)
		if (actors[i] && !order((enum hakt_who)i, HAKT_VERIFY, 0))
			return false;
	anomalies = audit(&lost);
	for (unsigned i = 0; i < HAKT_ACTORS; i++)
		broken += hak_load_relaxed(&hakt_stage->actors[i].broken); /* a count */
	if (anomalies + lost + broken > 0)
		blame(s, "anomalies, lost or broken blocks");
	totals.anomalies += anomalies + broken;
	totals.leaked += lost;
	if (hakt_scenario_orders(s, HAKT_POOL_OPEN) && !order(HAKT_B, HAKT_POOL_GROW, 0))
		return false;
	judge(s, hakt_lab_fault(&keeper, s));
	return true;
}

/* Somebody has to take what is published: it outlives all. */
static bool withdraw(void)
{
	kill_actor(HAKT_C);
	if (!await(is_dead, HAKT_C, "a client does not die"))
		return false;
	memset(&hakt_stage->actors[HAKT_C], 0, sizeof(hakt_stage->actors[HAKT_C]));
	actors[HAKT_C] = hakt_actor_start(HAKT_C);
	return order(HAKT_C, HAKT_WITHDRAW, 0);
}

static bool check_end(const struct hakt_scenario *s)
{
	uint64_t lost, anomalies;

	if (strncmp(s->name, "roots", 5) == 0 && !withdraw())
		return false;
	for (unsigned i = 0; i < HAKT_ACTORS; i++)
		kill_actor(i);
	for (unsigned i = 0; i < HAKT_ACTORS; i++)
		if (!await(is_dead, i, "a client does not die"))
			return false;
	if (!await(is_empty, 0, "all are dead, and something is left")) {
		const struct hakt_crash_counts n = hakt_crash_pool_count();

		totals.leaked += n.granted + n.reclaiming + n.orphans;
		return false;
	}
	if (!await(is_forgotten, 0, "all are dead, and the keeper has something of them"))
		return false;
	anomalies = audit(&lost) + hakt_crash_pool_has_tags();
	if (anomalies > 0)
		blame(s, "the empty pool isn't clean");
	totals.anomalies += anomalies;
	judge(s, hakt_lab_end(&keeper, s));
	return true;
}

/* Whatever the first daemon came to; a second one takes over. */
static bool take_over(const struct hakt_scenario *s)
{
	bool goes_on;

	kill_daemon();
	trace.is_counting = false;
	goes_on = start_daemon(false);
	if (goes_on)
		(void)hakt_daemon_status(&keeper.daemon);
	goes_on = goes_on && check_living(s) && check_end(s);
	if (!goes_on)
		blame(s, "hangs");
	kill_daemon();
	return goes_on && totals.anomalies + totals.leaked < GIVE_UP_AT;
}

static void add_point(unsigned place, uint32_t hit, uint32_t step)
{
	const struct hakt_target *last = n_points > 0 ? &points[n_points - 1] : NULL;

	if (last && last->place == place && last->hit == hit && last->step >= step)
		return;
	if (n_points == POINTS_MAX)
		return;
	points[n_points++] = (struct hakt_target){place, hit, step};
}

/* A state that the pool has not had before, or a system call. */
static void on_step(unsigned place, uint32_t hit, uint32_t step, bool is_call)
{
	static uint64_t last;
	static bool was_call;
	uint64_t hash = hakt_crash_pool_hash();

	if (hash != last || is_call || was_call || step == 0)
		add_point(place, hit, step);
	last = hash;
	was_call = is_call;
}

static bool record(const struct hakt_scenario *s)
{
	n_points = 0;
	trace = (struct hakt_trace){.on_step = on_step, .on_child = on_child};
	if (!play(s) && totals.hangs > 0)
		return false;
	if (!take_over(s))
		return false;
	for (uint32_t i = 0; i < n_points; i++)
		found_by_place[points[i].place]++;
	return true;
}

static bool run_point(const struct hakt_scenario *s, const struct hakt_target *target)
{
	trace = (struct hakt_trace){
		.target = target, .on_target = kill_that_one, .on_child = on_child};
	dies_too = s->dies_too;
	(void)play(s);
	totals.missed += !trace.is_killed;
	totals.points += trace.is_killed;
	killed_by_place[target->place] += trace.is_killed;
	return take_over(s);
}

/* In an order that is spread over all, from a start that differs each time. */
static bool run_points(const struct hakt_scenario *s, int64_t end_ms, uint64_t seed)
{
	uint32_t step = n_points * 61 / 100 + 1;

	for (uint32_t a = step, b = n_points; b != 0;) { /* their common divisor is to be 1 */
		uint32_t rest_of = a % b;

		a = b, b = rest_of;
		if (b == 0 && a > 1) {
			a = ++step, b = n_points;
		}
	}
	for (uint32_t i = 0, at = (uint32_t)(seed % n_points); i < n_points; i++) {
		if (!run_point(s, &points[at]))
			return false;
		if (!wish.is_full && hakt_now_ms() > end_ms)
			break;
		at = (uint32_t)(((uint64_t)at + step) % n_points);
	}
	return true;
}

static bool run_scenario(const struct hakt_scenario *s, int64_t share_ms, uint64_t seed)
{
	uint64_t before = totals.points, missed = totals.missed;
	int64_t start_ms = hakt_now_ms(), record_ms;
	bool goes_on;

	if (wish.only.hit > 0)
		return run_point(s, &wish.only);
	goes_on = record(s);
	record_ms = hakt_now_ms() - start_ms;
	if (goes_on && n_points == 0) {
		blame(s, "no points");
		totals.anomalies++;
		return false;
	}
	/* A long recording doesn't take all of its time. */
	share_ms = share_ms > record_ms + share_ms / 2 ? share_ms - record_ms : share_ms / 2;
	goes_on = goes_on && run_points(s, hakt_now_ms() + share_ms, seed);
	printf("%-14s %5" PRIu64 " of %5" PRIu32 " points, %" PRIu64
	       " not met; recorded in %.1f s, "
	       "%.1f s in all\n",
	       s->name, totals.points - before, n_points, totals.missed - missed,
	       (double)record_ms / 1e3, (double)(hakt_now_ms() - start_ms) / 1e3);
	fflush(stdout);
	return goes_on;
}

static bool run_all(uint64_t seed)
{
	unsigned left = 0;
	int64_t end_ms = hakt_now_ms() + wish.seconds * 1000;

	for (unsigned i = 0; i < hakt_n_scenarios; i++)
		left += !wish.wants_some || wish.is_wanted[i];
	for (unsigned i = 0; i < hakt_n_scenarios; i++) {
		if (wish.wants_some && !wish.is_wanted[i])
			continue;
		if (!run_scenario(&hakt_scenarios[i], (end_ms - hakt_now_ms()) / left--,
				  hakt_random(&seed)))
			return false;
	}
	return true;
}

/*
 * What depends on the daemon's timers and on luck comes by a place at the next try, with longer naps;
 * the points of such places are run then.
 */
static bool look_for_missing(void)
{
	for (n_tries = 2; n_tries <= TRIES_MAX; n_tries++) {
		for (unsigned i = 0; i < hakt_n_scenarios; i++) {
			bool was_found[HAKT_PLACES_MAX], is_complete = true;

			for (unsigned p = 0; p < hakt_n_places; p++)
				is_complete &= was_found[p] = found_by_place[p] > 0;
			if (is_complete)
				return true;
			if (!record(&hakt_scenarios[i]))
				return false;
			for (uint32_t p = 0; p < n_points; p++)
				if (!was_found[points[p].place] &&
				    !run_point(&hakt_scenarios[i], &points[p]))
					return false;
		}
	}
	return true;
}

/* A run of all scenarios has to come by each place. */
static bool has_all_places(void)
{
	bool all = true;

	for (unsigned i = 0; i < hakt_n_places; i++) {
		printf("%-28s %5" PRIu32 " of %5" PRIu32 " points\n", hakt_places[i].from,
		       killed_by_place[i], found_by_place[i]);
		all &= wish.wants_some || wish.only.hit > 0 || found_by_place[i] > 0;
	}
	return all;
}

static void say_last(void)
{
	if (getpid() != tracer)
		return;
	printf("points=%" PRIu64 " leaked=%" PRIu64 " anomalies=%" PRIu64 " hangs=%" PRIu64 "\n",
	       totals.points, totals.leaked, totals.anomalies + !is_over, totals.hangs);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	bool is_whole;
	sigset_t child;
	uint64_t seed;

	if (!hakt_crash_options_read(&wish, argc, argv))
		return 2;
	if (!hakt_trace_is_allowed()) {
		printf("skipped: a process may not be traced here\n");
		return 77;
	}
	seed = hakt_random_seed();
	hakt_stage_init();
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	sigprocmask(SIG_BLOCK, &child, NULL);
	hakt_keeper_init(&keeper, options);
	hakt_keeper_listen(&keeper); /* a call that a death meets goes on with the next daemon */
	hakt_keeper_start(&keeper);  /* makes the pool */
	trace.pid = keeper.daemon.pid;
	kill_daemon();
	hakt_crash_pool_init(hakt_keeper_find(&keeper, "registry"),
			     hakt_keeper_find(&keeper, "heap"));
	tracer = getpid();
	atexit(say_last);
	is_whole = run_all(seed) && (wish.wants_some || wish.only.hit > 0 || look_for_missing());
	is_over = true;
	is_whole &= has_all_places();
	for (unsigned i = 0; i < HAKT_ACTORS; i++)
		kill_actor(i);
	hakt_directory_remove(keeper.daemon.directory);
	return is_whole && totals.leaked + totals.anomalies + totals.hangs == 0 ? 0 : 1;
}
