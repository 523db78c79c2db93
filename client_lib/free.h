/* SPDX-License-Identifier: MIT */
#ifndef HAKC_FREE_H
#define HAKC_FREE_H

#include "client_lib/thread.h"

/* Everything behind the magazine: other threads' blocks, spans, what is no block. */
void hakc_free_slow(void *block);

/* Gives a magazine's blocks back to their slabs, all but the last `keep`. */
void hakc_free_flush_magazine(struct hakc_thread *t, unsigned cls, uint32_t keep);

/* Gives back the outgoing blocks; works with and without the heap's lock. */
void hakc_free_flush_outgoing(struct hakc_thread *t);

/* Both, of all classes. */
void hakc_free_flush_all(struct hakc_thread *t);

/* Makes the kept EMPTY slabs UNUSED, the current ones too if `all`. */
void hakc_free_retire_empty(struct hakc_thread *t, bool all);

/*
 * The fast path: a block of an untagged slab that this thread claims goes into
 * the magazine. What begins no block, or was the last to be freed, does not.
 */
static inline void hakc_free(void *block)
{
	struct hakc_thread *t = hakc_self;
	uint64_t offset = (uintptr_t)block - t->base;

	if (__builtin_expect(offset < t->capacity, 1)) {
		/* Relaxed: if the word is ours, we wrote it. */
		uint64_t w = hak_load_relaxed(&t->words[offset >> HAK_SLOT_LG]);

		if (__builtin_expect((w & HAK_SLAB_MINE_MASK) == t->mine, 1) &&
		    __builtin_expect(hak_slab_class(w) < HAK_CLASS_COUNT, 1)) {
			struct hakc_magazine *m = &t->magazines[hak_slab_class(w)];

			if (m->n < m->capacity && (m->n == 0 || m->block[m->n - 1] != block) &&
			    hak_class_is_start(m->magic, offset & (HAK_SLOT_BYTES - 1)) &&
			    (offset & (HAK_SLOT_BYTES - 1)) < m->end) {
				m->block[m->n++] = block;
				return;
			}
		}
	}
	hakc_free_slow(block);
}

#endif
