/* SPDX-License-Identifier: MIT */
/*
 * The explorer of tests/model/orders.sh: runs a scenario's threads on the machine of machine.c in
 * all ways that differ. No states are stored.
 *
 * A run starts all threads anew and repeats the last one's choices up to where it takes the next:
 * which thread steps, and which store is read. Steps of different words commute, so not all orders
 * are run: a thread is tried elsewhere only where its next step conflicts with one already made
 * that nothing orders (Flanagan and Godefroid, 2005), and not again while nothing conflicts with
 * it (sleep sets). MODEL_ALL: 1 without the first, 2 without both; it takes minutes to hours.
 *
 * Threads are stacks of this process; a thread runs from one step to the next without a break, so
 * what isn't atomic needs no steps: races show by the clocks, in either order.
 */
#include "tests/model/orders/explore.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#include "tests/model/orders/machine.h"

#define DEPTH 400
#define NAMES 64
#define STACK (64 * 1024)

#ifndef MODEL_ALL
#define MODEL_ALL 0
#endif

/* How many of each thread's steps come before something. */
typedef uint16_t steps[MODEL_THREADS];

/* A step of the run: its place in the search. Sets of threads are bits. */
struct node {
	unsigned thread, choice, n_choices;
	unsigned enabled, backtrack, done, sleep;
	unsigned count; /* it is the thread's count-th step */
	struct model_op op;
};

struct thread {
	jmp_buf top, here;
	ucontext_t context;
	struct model_op op; /* the next step */
	bool is_over, has_stopped;
	steps before; /* its next step; its own ones too */
};

static const struct model_scenario *scenario;
static struct thread threads[MODEL_THREADS];
static unsigned n_threads, current = MODEL_THREADS; /* MODEL_THREADS: none, begin() or end() */
static ucontext_t main_context;
static jmp_buf scheduler;

static struct {
	steps load, store; /* before the next one of the location */
} before[MODEL_LOCATIONS];

static struct node nodes[DEPTH];
static unsigned depth, n_nodes; /* of this run; that are given */
static const char *violation;
static unsigned reached;

static struct {
	const void *p;
	const char *name;
} names[NAMES];
static unsigned n_names;

static void die(const char *why)
{
	fprintf(stderr, "explore: %s\n", why);
	exit(2);
}

static const char *name_of(const void *p)
{
	for (unsigned i = 0; i < n_names; i++)
		if (names[i].p == p)
			return names[i].name;
	return NULL;
}

void model_name(const void *p, const char *name)
{
	if (name_of(p))
		return;
	if (n_names == NAMES)
		die("too many names");
	names[n_names].p = p;
	names[n_names++].name = name;
}

/* The threads' side. */

static void leave(void)
{
	if (_setjmp(threads[current].here) == 0)
		_longjmp(scheduler, 1);
}

/* Announces the next step; it has been made when this returns. */
static uint64_t step(struct model_op op)
{
	struct thread *t = &threads[current];

	op.at = op.kind <= MODEL_SWAP ? machine_word_of(op.p, op.size) : machine_location_of(op.p);
	t->op = op;
	leave();
	return t->op.result;
}

uint64_t model_load(const void *p, size_t size, enum model_order order)
{
	if (current == MODEL_THREADS)
		return machine_value(p, size);
	return step((struct model_op){
		.kind = MODEL_LOAD, .p = (void *)(uintptr_t)p, .size = size, .order = order});
}

void model_store(void *p, size_t size, uint64_t v, enum model_order order)
{
	if (current == MODEL_THREADS)
		memcpy(p, &v, size);
	else
		step((struct model_op){
			.kind = MODEL_STORE, .p = p, .size = size, .order = order, .value = v});
}

uint64_t model_rmw(void *p, size_t size, enum model_rmw kind, uint64_t v, enum model_order order)
{
	if (current == MODEL_THREADS) {
		uint64_t found = machine_value(p, size), after = machine_combine(kind, found, v);

		memcpy(p, &after, size);
		return found;
	}
	return step((struct model_op){.kind = MODEL_CHANGE,
				      .p = p,
				      .size = size,
				      .order = order,
				      .rmw = kind,
				      .value = v});
}

bool model_cas(void *p, void *expected, size_t size, uint64_t v, enum model_order order)
{
	uint64_t wanted = machine_value(expected, size), found = machine_value(p, size);

	if (current != MODEL_THREADS)
		found = step((struct model_op){.kind = MODEL_SWAP,
					       .p = p,
					       .size = size,
					       .order = order,
					       .value = v,
					       .expected = wanted});
	else if (found == wanted)
		memcpy(p, &v, size);
	memcpy(expected, &found, size);
	return found == wanted;
}

void model_fence(bool is_seq_cst)
{
	if (current != MODEL_THREADS)
		step((struct model_op){
			.kind = MODEL_FENCE, .p = &scheduler, .is_seq_cst = is_seq_cst});
}

unsigned model_choose(unsigned n)
{
	return (unsigned)step(
		(struct model_op){.kind = MODEL_CHOICE, .p = &threads[current].top, .value = n});
}

void model_join(unsigned thread)
{
	step((struct model_op){.kind = MODEL_JOIN, .p = &threads[thread], .value = thread});
}

void model_die(void)
{
	step((struct model_op){.kind = MODEL_END, .p = &threads[current]});
	abort(); /* nobody steps behind the end */
}

void model_check(bool holds, const char *what)
{
	if (holds)
		return;
	violation = what;
	if (current != MODEL_THREADS)
		leave();
}

static void access_plain(const void *p, bool is_write)
{
	const char *wrong = NULL;

	if (current != MODEL_THREADS)
		wrong = machine_access(machine_location_of(p), current, is_write);
	model_check(!wrong, wrong);
}

void model_read(const void *p)
{
	access_plain(p, false);
}

void model_write(const void *p)
{
	access_plain(p, true);
}

void model_own(const void *p)
{
	access_plain(p, true);
}

void model_stop_unless(bool holds)
{
	if (holds)
		return;
	threads[current].has_stopped = true;
	leave();
}

void model_reach(unsigned outcome)
{
	reached |= 1u << outcome;
}

/* A thread's stack is made once; each run begins at its top, whatever the last one left there. */
static void thread_main(void)
{
	unsigned me = current;

	if (_setjmp(threads[me].top) == 0)
		swapcontext(&threads[me].context, &main_context);
	scenario->threads[current]();
	model_die();
}

static void make_stack(unsigned thread)
{
	struct thread *t = &threads[thread];

	if (t->context.uc_stack.ss_sp)
		return;
	if (getcontext(&t->context) != 0)
		die("getcontext");
	t->context.uc_stack.ss_sp = malloc(STACK);
	t->context.uc_stack.ss_size = STACK;
	if (!t->context.uc_stack.ss_sp)
		die("no memory");
	makecontext(&t->context, thread_main, 0);
	current = thread;
	swapcontext(&main_context, &t->context);
	current = MODEL_THREADS;
}

/* Runs a thread up to its next step. */
static void resume(unsigned thread, jmp_buf from)
{
	current = thread;
	if (_setjmp(scheduler) == 0)
		_longjmp(from, 1);
	current = MODEL_THREADS;
}

/* The search. */

static bool is_store(const struct model_op *op)
{
	return op->kind != MODEL_LOAD && op->kind != MODEL_JOIN;
}

static bool conflict(const struct model_op *a, const struct model_op *b)
{
	return a->at == b->at && (is_store(a) || is_store(b));
}

static bool is_enabled(const struct thread *t)
{
	return !t->is_over && !t->has_stopped &&
	       (t->op.kind != MODEL_JOIN || threads[t->op.value].is_over);
}

/* Before thread's next step: where else in the run it must be tried. */
static void find_conflicts(unsigned thread)
{
	const struct thread *t = &threads[thread];

	if (t->op.kind == MODEL_JOIN || t->op.kind == MODEL_END || t->is_over || t->has_stopped)
		return;
	for (unsigned i = depth; i-- > 0;) {
		struct node *n = &nodes[i];
		unsigned others = 0; /* who lead to the step, from here on */

		if (n->thread == thread || !conflict(&n->op, &t->op) ||
		    n->count <= t->before[n->thread])
			continue;
		for (unsigned j = i + 1; j < depth; j++)
			if (nodes[j].count <= t->before[nodes[j].thread])
				others |= 1u << nodes[j].thread;
		others &= n->enabled;
		if (n->enabled >> thread & 1)
			n->backtrack |= 1u << thread;
		else
			n->backtrack |= others ? others & -others : n->enabled;
		return;
	}
}

/* Which threads still sleep behind this step. */
static unsigned sleepers_after(const struct node *n)
{
	unsigned set = n->sleep | n->done, rest = 0;

	for (unsigned i = 0; i < n_threads; i++)
		if (set >> i & 1 && i != n->thread && !conflict(&threads[i].op, &n->op))
			rest |= 1u << i;
	return rest;
}

static void steps_join(steps to, const steps from)
{
	for (unsigned i = 0; i < MODEL_THREADS; i++)
		if (to[i] < from[i])
			to[i] = from[i];
}

/* A step was made: what it comes behind, and what comes behind it. */
static void order(struct node *n)
{
	struct thread *t = &threads[n->thread];
	bool is_a_store = is_store(&n->op);

	steps_join(t->before, is_a_store ? before[n->op.at].store : before[n->op.at].load);
	n->count = ++t->before[n->thread];
	steps_join(before[n->op.at].store, t->before);
	if (is_a_store)
		steps_join(before[n->op.at].load, t->before);
}

/* A new step of the run. False: nobody can make one, or only threads that sleep. */
static bool extend(unsigned enabled)
{
	struct node *n = &nodes[depth];
	unsigned sleep = depth && MODEL_ALL < 2 ? sleepers_after(n - 1) : 0;

	for (unsigned i = 0; i < n_threads; i++)
		find_conflicts(i);
	if (!(enabled & ~sleep))
		return false;
	if (n_nodes == DEPTH)
		die("too many steps");
	n_nodes++;
	*n = (struct node){.enabled = enabled, .sleep = sleep};
	n->thread = (unsigned)__builtin_ctz(enabled & ~sleep);
	n->backtrack = MODEL_ALL ? enabled : 1u << n->thread;
	return true;
}

static void start(void)
{
	machine_reset();
	memset(before, 0, sizeof(before));
	depth = 0;
	violation = NULL;
	scenario->begin();
	for (unsigned i = 0; i < n_threads; i++) {
		threads[i].is_over = threads[i].has_stopped = false;
		memset(threads[i].before, 0, sizeof(threads[i].before));
	}
	for (unsigned i = 0; i < n_threads && !violation; i++)
		resume(i, threads[i].top);
}

static void run(void)
{
	unsigned enabled, over;

	start();
	while (!violation) {
		enabled = over = 0;
		for (unsigned i = 0; i < n_threads; i++) {
			enabled |= (unsigned)is_enabled(&threads[i]) << i;
			over += threads[i].is_over;
		}
		if (depth == n_nodes && !extend(enabled)) {
			if (over == n_threads)
				scenario->end();
			return;
		}

		struct node *n = &nodes[depth++];
		struct thread *t = &threads[n->thread];

		violation = machine_step(n->thread, &t->op, n->choice, &n->n_choices);
		n->op = t->op;
		order(n);
		if (n->op.kind == MODEL_END)
			t->is_over = true;
		else if (!violation)
			resume(n->thread, t->here);
	}
}

/* The next run's choices. False: all have been made. */
static bool advance(void)
{
	for (; n_nodes; n_nodes--) {
		struct node *n = &nodes[n_nodes - 1];
		unsigned rest;

		if (++n->choice < n->n_choices)
			return true;
		n->done |= 1u << n->thread;
		rest = n->backtrack & ~n->done & ~n->sleep;
		if (rest) {
			n->thread = (unsigned)__builtin_ctz(rest);
			n->choice = 0;
			return true;
		}
	}
	return false;
}

static void say_run(void)
{
	static const char *const kinds[] = {"load",  "store",  "change", "swap",
					    "fence", "choice", "join",	 "end"};

	for (unsigned i = 0; i < depth; i++) {
		const struct model_op *op = &nodes[i].op;
		const char *name = op->kind <= MODEL_SWAP ? name_of(op->p) : "";

		printf("  %*sthread %u: %s %s", 4 * (int)nodes[i].thread, "", nodes[i].thread,
		       kinds[op->kind], name ? name : "?");
		if (op->kind == MODEL_SWAP)
			printf(" %#llx for", (unsigned long long)op->expected);
		if (op->kind >= MODEL_STORE && op->kind <= MODEL_SWAP)
			printf(" %#llx", (unsigned long long)op->value);
		if (op->kind == MODEL_CHOICE)
			printf("%llu", (unsigned long long)op->result);
		else if (op->kind <= MODEL_SWAP && op->kind != MODEL_STORE)
			printf(", it was %#llx", (unsigned long long)op->result);
		printf("\n");
	}
	printf("  violation: %s\n", violation);
}

bool model_explore(const struct model_scenario *to_explore)
{
	unsigned long n_runs = 0;
	unsigned all = (1u << to_explore->n_reached) - 1;

	scenario = to_explore;
	for (n_threads = 0; n_threads < MODEL_THREADS && scenario->threads[n_threads];)
		make_stack(n_threads++);
	n_nodes = n_names = reached = 0;
	do {
		run();
		n_runs++;
	} while (!violation && advance());
	if (violation)
		say_run();
	else if ((reached & all) != all)
		printf("  outcomes that came about: %#x of %#x\n", reached, all);
	printf("%s: %lu runs\n", scenario->name, n_runs);
	return !violation && (reached & all) == all;
}
