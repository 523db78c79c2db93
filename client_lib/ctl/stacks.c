/* SPDX-License-Identifier: MIT */
/*
 * A hash table with open addressing, so that memory goes with different stacks and not with
 * samples. Ranking sorts it: by what is the same, to join that, and then by size.
 */
#include "client_lib/ctl/stacks.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "proto/shm/mix.h"

#define BUCKETS_FIRST 1024u

void hakc_stacks_deinit(struct hakc_stacks *stacks)
{
	for (size_t i = 0; i < stacks->n; i++)
		free(stacks->of[i].frames);
	free(stacks->of);
	free(stacks->buckets);
	*stacks = (struct hakc_stacks){.n = 0};
}

/* By program and frames; pids the last. */
static int compare(const struct hakc_stack *a, const struct hakc_stack *b)
{
	int order = strncmp(a->name, b->name, sizeof(a->name));

	for (unsigned i = 0; order == 0 && i < a->n_frames && i < b->n_frames; i++)
		if (a->frames[i] != b->frames[i])
			order = a->frames[i] < b->frames[i] ? -1 : 1;
	if (order == 0 && a->n_frames != b->n_frames)
		order = a->n_frames < b->n_frames ? -1 : 1;
	return order;
}

static int compare_with_pid(const void *a, const void *b)
{
	const struct hakc_stack *x = a, *y = b;
	int order = compare(x, y);

	return order ? order : (x->pid > y->pid) - (x->pid < y->pid);
}

static int compare_bytes(const void *a, const void *b)
{
	const struct hakc_stack *x = a, *y = b;

	if (x->bytes != y->bytes)
		return x->bytes > y->bytes ? -1 : 1;
	return compare_with_pid(a, b);
}

static uint64_t hash_of(const struct hakc_stack *stack)
{
	uint64_t hash = (uint32_t)stack->pid, words[2];

	memcpy(words, stack->name, sizeof(words));
	hash = hak_mix(hak_mix(hash ^ words[0]) ^ words[1]);
	for (unsigned i = 0; i < stack->n_frames; i++)
		hash = hak_mix(hash ^ stack->frames[i]);
	return hash;
}

/* The bucket that the stack is in, or one for it. */
static size_t *find(const struct hakc_stacks *stacks, const struct hakc_stack *stack)
{
	size_t at = hash_of(stack) & (stacks->n_buckets - 1);

	while (stacks->buckets[at] &&
	       compare_with_pid(&stacks->of[stacks->buckets[at] - 1], stack) != 0)
		at = (at + 1) & (stacks->n_buckets - 1);
	return &stacks->buckets[at];
}

/* Half of the buckets stay free. */
static int make_room(struct hakc_stacks *stacks)
{
	size_t n = stacks->n_buckets ? stacks->n_buckets * 2 : BUCKETS_FIRST;
	struct hakc_stack *of;

	if (stacks->n < stacks->room)
		return 0;
	of = realloc(stacks->of, n / 2 * sizeof(*of));
	if (!of)
		return -ENOMEM;
	stacks->of = of;
	free(stacks->buckets);
	stacks->n_buckets = 0;
	stacks->buckets = calloc(n, sizeof(*stacks->buckets));
	if (!stacks->buckets)
		return -ENOMEM;
	stacks->n_buckets = n;
	stacks->room = n / 2;
	for (size_t i = 0; i < stacks->n; i++)
		*find(stacks, &of[i]) = i + 1;
	return 0;
}

static uint64_t plus(uint64_t a, uint64_t b)
{
	return a + b < a ? UINT64_MAX : a + b;
}

static void add(struct hakc_stack *sum, const struct hakc_stack *stack)
{
	sum->bytes = plus(sum->bytes, stack->bytes);
	sum->objects = plus(sum->objects, stack->objects);
	sum->samples += stack->samples;
}

int hakc_stacks_add(struct hakc_stacks *stacks, const struct hakc_stack *like)
{
	struct hakc_stack *stack;
	size_t *bucket;
	int r = make_room(stacks);

	if (r < 0)
		return r;
	bucket = find(stacks, like);
	if (*bucket) {
		add(&stacks->of[*bucket - 1], like);
		add(&stacks->sum, like);
		return 0;
	}
	stack = &stacks->of[stacks->n];
	*stack = *like;
	stack->frames = malloc(like->n_frames * sizeof(uint64_t) + 1);
	if (!stack->frames)
		return -ENOMEM;
	memcpy(stack->frames, like->frames, like->n_frames * sizeof(uint64_t));
	*bucket = ++stacks->n;
	add(&stacks->sum, like);
	return 0;
}

/* Joins neighbours that differ in nothing but their process. */
static void join(struct hakc_stacks *stacks)
{
	size_t kept = 0;

	for (size_t i = 1; i < stacks->n; i++) {
		struct hakc_stack *into = &stacks->of[kept], *stack = &stacks->of[i];

		if (compare(into, stack) != 0) {
			stacks->of[++kept] = *stack;
			continue;
		}
		add(into, stack);
		into->pid = 0;
		into->n_processes += stack->n_processes;
		into->n_gone += stack->n_gone;
		free(stack->frames);
	}
	stacks->n = stacks->n ? kept + 1 : 0;
}

void hakc_stacks_rank(struct hakc_stacks *stacks, bool per_process)
{
	free(stacks->buckets);
	stacks->buckets = NULL;
	if (stacks->n == 0)
		return;
	if (!per_process) {
		qsort(stacks->of, stacks->n, sizeof(*stacks->of), compare_with_pid);
		join(stacks);
	}
	qsort(stacks->of, stacks->n, sizeof(*stacks->of), compare_bytes);
}

unsigned hakc_stacks_permille(const struct hakc_stacks *stacks, const struct hakc_stack *stack)
{
	double all = (double)stacks->sum.bytes;

	return all > 0 ? (unsigned)((double)stack->bytes / all * 1000 + 0.5) : 0;
}
