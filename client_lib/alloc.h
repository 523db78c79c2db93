/* SPDX-License-Identifier: MIT */
#ifndef HAKC_ALLOC_H
#define HAKC_ALLOC_H

#include <stddef.h>

#include "client_lib/thread.h"

/* A block, or NULL and errno. Everything behind the fast path. */
void *hakc_alloc_slow(size_t size);

/* The same of a size that the fast path serves; the thread may be watched (decay.c). */
void *hakc_alloc_watched(size_t size);

/* At an alignment, a power of two up to 2 MiB. */
void *hakc_alloc_aligned(size_t alignment, size_t size);

/* A block of zeros; those above the classes are cleared only if they need it. */
void *hakc_alloc_zeroed(size_t size);

/*
 * Gives back all that is held without need, before ENOMEM or when asked to: the
 * caches of this thread and of those that ended, empty slabs, then unused
 * SuperSlabs to the daemon. Heap not locked.
 */
void hakc_alloc_scrape(struct hakc_thread *t);

/* Takes the hints of all SuperSlabs, other threads at the heap in between. Heap not locked. */
void hakc_alloc_take_hints(struct hakc_thread *t);

/* Some of them. Heap locked. */
void hakc_alloc_take_some_hints(struct hakc_thread *t);

/* The next fill of each class begins with the lowest slab that the thread has for it. */
void hakc_alloc_choose_lowest(struct hakc_thread *t);

/*
 * A block of at least size bytes; the fast path. Size 0, and those so large that adding wraps,
 * take 0 steps: no magazine serves them.
 */
static inline void *hakc_alloc(size_t size)
{
	size_t steps = (size + HAK_BLOCK_MIN - 1) / HAK_BLOCK_MIN;

	if (__builtin_expect(steps <= HAKC_STEPS, 1)) {
		struct hakc_thread *t = hakc_self;
		struct hakc_magazine *m = (void *)((char *)t + t->by_steps[steps]);

		if (__builtin_expect(m->next != NULL, 1))
			return hakc_magazine_pop(m);
		return hakc_alloc_watched(size);
	}
	return hakc_alloc_slow(size);
}

#endif
