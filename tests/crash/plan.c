/* SPDX-License-Identifier: MIT */
/*
 * A breakpoint at an instruction that is executed for the first time leads there with one stop,
 * whatever lies before. At the n-th time it takes 2n - 1 stops: one a hit, one to get over it. So
 * the way to a step is a breakpoint at it or at some step before, and then as many steps as are
 * left, whichever takes the fewest stops.
 *
 * The traces are long, so they lie in memory that no victim inherits.
 */
#include "tests/crash/plan.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "tests/crash/symbols.h"

/* No script is meant to be so long. If one is, megabytes are copied: others were in the way. */
#define STEPS_MAX 100000u
#define TABLE_LG  20u /* distinct instructions, with room */
/*
 * A lookup goes through the whole table of names, ten thousand steps that only read. The way to
 * one is as many stops, so points there are few, however many are asked for.
 */
#define LOOKUP_STRIDE 1021u

struct times {
	uint64_t pc;
	uint32_t n;
};

static void *map(size_t bytes)
{
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (memory == MAP_FAILED || madvise(memory, bytes, MADV_DONTFORK) != 0) {
		perror("crash: mmap");
		exit(2);
	}
	return memory;
}

static uint32_t count(struct times *table, uint64_t pc)
{
	uint64_t at = pc * UINT64_C(0x9e3779b97f4a7c15) >> (64 - TABLE_LG);

	while (table[at].pc && table[at].pc != pc)
		at = (at + 1) % (1u << TABLE_LG);
	table[at].pc = pc;
	return ++table[at].n;
}

/* The victim is our fork: its text is ours. */
static bool is_call(uint64_t pc)
{
	uint16_t code;

	memcpy(&code, (const void *)(uintptr_t)pc, sizeof(code));
	return code == 0x050f;
}

static void work_out(struct hakt_plan *plan)
{
	size_t bytes = sizeof(struct times) << TABLE_LG;
	struct times *table = map(bytes);
	uint64_t cost = 0; /* stops to get to the step before */

	for (uint32_t i = 0; i < plan->n_steps; i++) {
		struct hakt_step *s = &plan->steps[i];

		s->n = count(table, s->pc);
		s->group = (uint8_t)hakt_symbols_group(s->pc);
		s->is_call = is_call(s->pc);
		plan->n_calls += s->is_call;
		plan->n_transition += s->group != HAKT_GROUP_NONE;
		if (i > 0 && cost + 1 < 2 * (uint64_t)s->n - 1) {
			s->anchor = s[-1].anchor;
			cost++;
		} else {
			s->anchor = i;
			cost = i > 0 ? 2 * (uint64_t)s->n - 1 : 0;
		}
	}
	munmap(table, bytes);
}

enum hakt_stop hakt_plan_record(struct hakt_plan *plan, const struct hakt_scenario *scenario,
				struct hakt_tracee *t)
{
	enum hakt_stop stop = hakt_tracee_start(t, scenario);

	*plan = (struct hakt_plan){.steps = map(STEPS_MAX * sizeof(struct hakt_step))};
	while (stop == HAKT_STOP_HERE && plan->n_steps < STEPS_MAX) {
		plan->steps[plan->n_steps++].pc = t->pc;
		stop = hakt_tracee_step(t);
	}
	if (stop == HAKT_STOP_END)
		work_out(plan);
	return stop;
}

void hakt_plan_deinit(struct hakt_plan *plan)
{
	if (plan->steps)
		munmap(plan->steps, STEPS_MAX * sizeof(struct hakt_step));
	*plan = (struct hakt_plan){0};
}

bool hakt_plan_is_point(const struct hakt_plan *plan, uint32_t step, unsigned transition,
			unsigned stride, uint32_t offset)
{
	switch (plan->steps[step].group) {
	case HAKT_GROUP_NONE:
		break;
	case HAKT_GROUP_LOOKUP:
		stride = LOOKUP_STRIDE;
		break;
	default:
		stride = transition;
	}
	return (step + offset) % stride == 0;
}

static int compare(const void *a, const void *b)
{
	const struct hakt_step *x = a, *y = b;

	return x->pc < y->pc ? -1 : x->pc > y->pc;
}

void hakt_plan_print(const struct hakt_plan *plan)
{
	struct hakt_step *steps = map((plan->n_steps + 1) * sizeof(*steps));

	memcpy(steps, plan->steps, plan->n_steps * sizeof(*steps));
	qsort(steps, plan->n_steps, sizeof(*steps), compare);
	for (uint32_t i = 0, n; i < plan->n_steps; i += n) {
		char name[128], next[128];

		hakt_symbols_name(steps[i].pc, name, sizeof(name));
		*strchrnul(name, '+') = 0;
		for (n = 1; i + n < plan->n_steps; n++) {
			hakt_symbols_name(steps[i + n].pc, next, sizeof(next));
			*strchrnul(next, '+') = 0;
			if (strcmp(name, next) != 0 && *name != '0')
				break;
			if (*next != '0' && *name == '0')
				break;
		}
		printf("\t%8" PRIu32 "  %-10s %s\n", n,
		       steps[i].group == HAKT_GROUP_NONE ? "-" : hakt_groups[steps[i].group].name,
		       *name == '0' ? "(libraries)" : name);
	}
	munmap(steps, (plan->n_steps + 1) * sizeof(*steps));
}

enum hakt_stop hakt_plan_go(const struct hakt_plan *plan, uint32_t step, struct hakt_tracee *t)
{
	uint32_t at = plan->steps[step].anchor;
	const struct hakt_step *anchor = &plan->steps[at];
	enum hakt_stop stop = hakt_tracee_run_to(t, anchor->pc, anchor->n);

	for (; at < step && stop == HAKT_STOP_HERE; at++)
		stop = hakt_tracee_step(t);
	return stop;
}
