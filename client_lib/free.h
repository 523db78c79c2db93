/* SPDX-License-Identifier: MIT */
#ifndef HAKC_FREE_H
#define HAKC_FREE_H

#include "client_lib/thread.h"

/*
 * Behind the fast path: what lies in no slot of ours, NULL too; and the rest by its slot's W:
 * blocks that others claim, spans, what is no block.
 */
void hakc_free_slow(void *block);
void hakc_free_by_word(void *block, struct hakc_thread *t);

/*
 * A slab of this thread got blocks back: puts it on the list where it belongs.
 * True: it was EMPTY and has been retired, its slots are the caller's to put.
 */
bool hakc_free_relist(struct hakc_thread *t, uint32_t slot, unsigned cls);

/*
 * Does a thread keep the span at slot, though another process has freed it
 * too? Then that was a double free, which is undone. Heap locked.
 */
bool hakc_free_is_cached(struct hakc_thread *t, uint32_t slot);

/* Counts and logs that a free is refused: of a block, or of what is none and where it is. */
void hakc_free_refuse(struct hakc_thread *t, const void *block, const char *reason);
void hakc_free_refuse_place(struct hakc_thread *t, enum hak_place place, void *block);

/* Counts and logs; in the caches it may be found out late. */
void hakc_free_report_double(struct hakc_thread *t, const void *block);

/* Frees the block of a span of ours, whose W was w; heap locked. */
void hakc_free_own_span(struct hakc_thread *t, uint32_t slot, uint64_t w, const void *block);

/*
 * The fast path: a block of an untagged slab that this thread claims goes into
 * the magazine. What begins no block, or was the last to be freed, does not.
 */
static inline void hakc_free(void *block)
{
	struct hakc_thread *t = hakc_self;
	uint64_t slot = ((uintptr_t)block - t->base) >> HAK_SLOT_LG;

	if (__builtin_expect(slot < t->n_slots, 1)) {
		/* Relaxed: if the word is ours, we wrote it. */
		uint64_t w = hak_load_relaxed(&t->words[slot]);

		if (__builtin_expect(hak_slab_is_mine(w, t->mine), 1)) {
			/* Classes that don't exist have a row too, which takes nothing. */
			struct hakc_magazine *m = &t->magazines[hak_slab_class(w) % HAKC_MAGAZINES];

			if (__builtin_expect(
				    ((uintptr_t)block % HAK_SLOT_BYTES) * m->magic < m->limit, 1) &&
			    __builtin_expect(m->top != m->end && m->next != block, 1)) {
				hakc_magazine_push(m, block);
				return;
			}
		}
		hakc_free_by_word(block, t);
		return;
	}
	hakc_free_slow(block);
}

#endif
