/* SPDX-License-Identifier: MIT */
#ifndef HAKC_POOL_H
#define HAKC_POOL_H

/*
 * Pools that a process has opened beside its first one. Each has a heap of its own, with states of
 * its own for each thread, by an index; the calls of hakmem.h about one are those of the first,
 * made in a visit (hakc_thread_visit). By an address the pool is found here.
 */

#include <stdbool.h>

#include "client_lib/thread.h"

struct hakmem_pool;

/* As hakmem_attach and hakmem_detach. */
int hakc_pool_attach_first(const struct hakmem_options *options);
int hakc_pool_detach_first(void);

/* As hakmem_pool_open and hakmem_pool_close. */
int hakc_pool_open(const char *name, const struct hakmem_options *options,
		   struct hakmem_pool **ret_pool);
int hakc_pool_close(struct hakmem_pool *pool);

/* The heap of a pool; NULL is the first one's. */
unsigned hakc_pool_heap(const struct hakmem_pool *pool);

/* The heap of a pool that the address is in, if one that was opened has it; else 0. */
unsigned hakc_pool_of(const void *address);

/* The pool of a heap; NULL: the first one's. */
struct hakmem_pool *hakc_pool_at(unsigned heap);

/* What the pool of a heap was attached or opened with; NULL: nothing, so the environment says it. */
const struct hakmem_options *hakc_pool_options(unsigned heap);

/* Frees a block of another pool than that of the heap that the thread is at; false: it is of none. */
bool hakc_pool_free(void *block);

/*
 * To the pool that the address is in, for calls that are given a block; what is in the first one's
 * goes without a visit. Returns what is to be given to hakc_pool_return.
 */
static inline unsigned hakc_pool_visit(const void *address)
{
	uint64_t slot = ((uintptr_t)address - hakc_self->base) >> HAK_SLOT_LG;
	unsigned heap;

	if (__builtin_expect(slot < hakc_self->n_slots, 1))
		return HAKC_HEAPS_MAX;
	heap = hakc_pool_of(address);
	return heap > 0 ? hakc_thread_visit(heap) : HAKC_HEAPS_MAX;
}

static inline void hakc_pool_return(unsigned from)
{
	if (__builtin_expect(from < HAKC_HEAPS_MAX, 0))
		hakc_thread_visit(from);
}

#endif
