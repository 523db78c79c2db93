/* SPDX-License-Identifier: MIT */
#ifndef HAKC_ALLOC_H
#define HAKC_ALLOC_H

#include <stddef.h>

#include "client_lib/thread.h"

/* A block, or NULL and errno. Everything behind the magazine. */
void *hakc_alloc_slow(size_t size);

/* At an alignment, a power of two up to 2 MiB. */
void *hakc_alloc_aligned(size_t alignment, size_t size);

/* Looks which slabs and spans of this process others freed into. */
void hakc_alloc_take_hints(struct hakc_thread *t);

/* A block of at least size bytes; the fast path. */
static inline void *hakc_alloc(size_t size)
{
	if (__builtin_expect(size <= HAK_CLASS_MAX, 1)) {
		struct hakc_magazine *m = &hakc_self->magazines[hak_class_of(size)];

		if (__builtin_expect(m->n > 0, 1))
			return m->block[--m->n];
	}
	return hakc_alloc_slow(size);
}

#endif
