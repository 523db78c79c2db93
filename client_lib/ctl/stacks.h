/* SPDX-License-Identifier: MIT */
#ifndef HAKC_CTL_STACKS_H
#define HAKC_CTL_STACKS_H

/*
 * Samples by who took them where: one stack for all samples of a process that have the same frames.
 * What a stack says are sums of what its samples stand for, so estimates.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct hakc_stack {
	uint64_t bytes;	  /* that its samples stand for; at most UINT64_MAX, as objects */
	uint64_t objects; /* likewise, blocks */
	uint64_t samples;
	char name[16]; /* of the program; zeros behind it */
	int32_t pid;   /* 0: of several processes */
	unsigned n_processes;
	unsigned n_gone; /* of these */
	unsigned n_frames;
	uint64_t *frames; /* the innermost first */
};

/* To be zeroed. */
struct hakc_stacks {
	struct hakc_stack *of; /* in no order until they are ranked */
	size_t n;
	size_t room;	       /* of `of` */
	size_t *buckets;       /* index + 1 of the stack there, 0: none; none after ranking */
	size_t n_buckets;      /* a power of 2 */
	struct hakc_stack sum; /* of all; no frames, no processes */
};

void hakc_stacks_deinit(struct hakc_stacks *stacks);

/* Adds `like`, whose frames stay the caller's. 0 or -ENOMEM. */
int hakc_stacks_add(struct hakc_stacks *stacks, const struct hakc_stack *like);

/*
 * The largest first. Unless per_process, stacks of the same program and frames become one. Nothing
 * is added any more.
 */
void hakc_stacks_rank(struct hakc_stacks *stacks, bool per_process);

/* Of 1000 bytes of all, how many are the stack's. */
unsigned hakc_stacks_permille(const struct hakc_stacks *stacks, const struct hakc_stack *stack);

#endif
