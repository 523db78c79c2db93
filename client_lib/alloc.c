/* SPDX-License-Identifier: MIT */
/*
 * Allocating when the magazine is empty, stage by stage in order of cost:
 *
 *   0    free bits of the thread's current slab of the class
 *   0.5  its partial slabs; slabs that others freed into (pending hints);
 *        slabs that threads which ended have left
 *   1    an EMPTY slab of this thread, cut again if it is of another class
 *   2    an UNUSED slot of a SuperSlab that the process has
 *   3    a refill from the daemon
 *
 * Blocks above the largest class are spans, which the heap makes.
 */
#include "client_lib/alloc.h"

#include <errno.h>

#include "client_lib/free.h"
#include "client_lib/log.h"

/* Moves free blocks of a slab into its class's magazine; false: it has none. */
static bool claim_blocks(struct hakc_thread *t, unsigned cls, uint32_t slot)
{
	const struct hak_class *shape = &hak_classes[cls];
	struct hakc_magazine *m = &t->magazines[cls];
	struct hakc_slab *slab = &t->heap->slabs[slot];
	hak_u64 *bits = hak_segment_bits(&t->heap->segment, slot);
	char *start = (char *)hak_segment_address(&t->heap->segment, slot);
	unsigned n_words = hak_slab_bits_words(shape->n_blocks);
	uint32_t before = m->n;

	for (unsigned tried = 0; tried < n_words && m->n == before; tried++) {
		unsigned i = slab->word;
		uint64_t wanted = 0;
		/* Relaxed: a guess what to claim. */
		uint64_t seen = hak_load_relaxed(&bits[i]) & hak_slab_bits_mask(shape->n_blocks, i);

		for (uint32_t room = m->capacity - m->n; seen && room > 0; room--) {
			wanted |= seen & -seen;
			seen &= seen - 1;
		}
		if (wanted)
			wanted = hak_slab_claim(&bits[i], wanted);
		while (wanted) { /* from the highest, so that the lowest is popped first */
			unsigned bit = 63u - (unsigned)__builtin_clzll(wanted);

			m->block[m->n++] = start + (uint64_t)(i * 64 + bit) * shape->size;
			wanted ^= UINT64_C(1) << bit;
		}
		if (!seen)
			slab->word = (uint8_t)((i + 1) % n_words);
	}
	hakc_count(t->heap, HAK_STAT_CLAIMS, m->n - before);
	return m->n > before;
}

/* A slab of ours that is on no list and that others freed into. */
static void list_freed_into(struct hakc_thread *t, unsigned cls, uint32_t slot)
{
	struct hakc_heap *heap = t->heap;

	if (hak_slab_is_empty(hak_segment_bits(&heap->segment, slot), hak_classes[cls].n_blocks)) {
		hakc_list_push(heap, &t->empty, slot, HAKC_LIST_EMPTY);
		t->n_empty++;
	} else {
		hakc_list_push(heap, &t->partial[cls], slot, HAKC_LIST_PARTIAL);
	}
}

/* One slab with a raised hint: true if the hint was for us and has been dealt with. */
static bool take_hint(struct hakc_thread *t, uint32_t slot)
{
	struct hakc_heap *heap = t->heap;
	uint64_t w = hak_slab_load(&heap->segment.slab_words[slot]);
	struct hakc_slab *slab = &heap->slabs[slot];
	unsigned cls = hak_slab_class(w);

	if (hak_slab_state(w) == HAK_SLAB_SPAN)
		return true; /* its hint has been taken, the caller retires it */
	if (hak_slab_state(w) != HAK_SLAB_ACTIVE || cls >= HAK_CLASS_COUNT)
		return true; /* retired since, or scribbled over */
	if (hak_slab_arg(w) != t->number) {
		/* [order:adopt] We see what the thread that ended did to it. */
		if (hak_slab_arg(w) != 0 || slab->list != HAKC_LIST_UNCLAIMED ||
		    !hak_slab_pass(&heap->segment.slab_words[slot], heap->holder, 0, t->number))
			return false; /* another thread's: the hint is for that one */
		hakc_list_remove(heap, &heap->unclaimed[cls], slot);
		list_freed_into(t, cls, slot);
		hakc_count(heap, HAK_STAT_ADOPTIONS, 1);
		return true;
	}
	if (slab->list == HAKC_LIST_FULL) {
		hakc_list_remove(heap, &t->full, slot);
		list_freed_into(t, cls, slot);
	} else if (slab->list == HAKC_LIST_PARTIAL) {
		hakc_list_remove(heap, &t->partial[cls], slot);
		list_freed_into(t, cls, slot);
	}
	return true;
}

static void take_hints_of(struct hakc_thread *t, uint32_t superslab)
{
	struct hakc_heap *heap = t->heap;
	uint32_t first = superslab * heap->segment.geometry.slots_per_superslab;
	/* Relaxed: which hints to take; taking one acquires. */
	uint32_t hints = hak_load_relaxed(&heap->segment.pending[superslab]);

	while (hints) {
		uint32_t bit = hints & -hints;
		uint32_t slot = first + (uint32_t)__builtin_ctz(hints);

		hints ^= bit;
		if (slot - first >= heap->segment.geometry.slots_per_superslab)
			break; /* no such slot: scribbled over */
		/* Taken first: a free that comes later raises it again. */
		hak_segment_take_pending(&heap->segment, superslab, bit);
		if (!take_hint(t, slot))
			hak_segment_raise_pending(&heap->segment, slot);
		else
			hakc_heap_retire_span(heap, slot);
	}
}

/* Finds slabs and spans that others freed into; heap locked. */
static void take_hints(struct hakc_thread *t)
{
	struct hakc_heap *heap = t->heap;

	/* Backwards: retiring a huge span puts the last one into its place. */
	for (uint32_t i = heap->n_owned; i-- > 0;)
		if (i < heap->n_owned && hak_load_relaxed(&heap->segment.pending[heap->owned[i]]))
			take_hints_of(t, heap->owned[i]);
}

void hakc_alloc_take_hints(struct hakc_thread *t)
{
	pthread_mutex_lock(&t->heap->lock);
	take_hints(t);
	pthread_mutex_unlock(&t->heap->lock);
}

/* Stage 0.5 and what needs the lock: a slab that has free blocks, perhaps. */
static bool find_partial(struct hakc_thread *t, unsigned cls, uint32_t *ret_slot)
{
	struct hakc_heap *heap = t->heap;

	if (!t->partial[cls]) {
		pthread_mutex_lock(&heap->lock);
		take_hints(t);
		if (!t->partial[cls] && heap->unclaimed[cls]) {
			uint32_t slot = heap->unclaimed[cls] - 1;

			hakc_list_remove(heap, &heap->unclaimed[cls], slot);
			if (hak_slab_pass(&heap->segment.slab_words[slot], heap->holder, 0,
					  t->number)) {
				hakc_list_push(heap, &t->partial[cls], slot, HAKC_LIST_PARTIAL);
				hakc_count(heap, HAK_STAT_ADOPTIONS, 1);
			}
		}
		pthread_mutex_unlock(&heap->lock);
	}
	if (!t->partial[cls])
		return false;
	*ret_slot = t->partial[cls] - 1;
	hakc_list_remove(heap, &t->partial[cls], *ret_slot);
	return true;
}

/* Stage 1: an EMPTY slab of the class as it is; the others become UNUSED slots. */
static bool find_empty(struct hakc_thread *t, unsigned cls, uint32_t *ret_slot)
{
	struct hakc_heap *heap = t->heap;

	for (uint32_t at = t->empty; at; at = heap->slabs[at - 1].next) {
		uint64_t w = hak_slab_load(&heap->segment.slab_words[at - 1]);

		if (hak_slab_class(w) != cls)
			continue;
		hakc_list_remove(heap, &t->empty, at - 1);
		t->n_empty--;
		hakc_count(heap, HAK_STAT_STAGE_1, 1);
		*ret_slot = at - 1;
		return true;
	}
	if (t->n_empty) {
		hakc_count(heap, HAK_STAT_STAGE_1, t->n_empty);
		hakc_free_retire_empty(t, false);
	}
	return false;
}

/* Fills the magazine of a class; 0 or a negative errno. */
static int fill_magazine(struct hakc_thread *t, unsigned cls)
{
	struct hakc_heap *heap = t->heap;
	uint32_t slot;
	int r;

	if (t->current[cls] && claim_blocks(t, cls, t->current[cls] - 1)) {
		hakc_count(heap, HAK_STAT_STAGE_0, 1);
		return 0;
	}
	if (t->current[cls]) {
		hakc_list_push(heap, &t->full, t->current[cls] - 1, HAKC_LIST_FULL);
		t->current[cls] = 0;
	}
	while (find_partial(t, cls, &slot)) {
		if (claim_blocks(t, cls, slot)) {
			hakc_count(heap, HAK_STAT_STAGE_0_PARTIAL, 1);
			goto found;
		}
		hakc_list_push(heap, &t->full, slot, HAKC_LIST_FULL);
	}
	if (!find_empty(t, cls, &slot)) {
		pthread_mutex_lock(&heap->lock);
		r = hakc_heap_cut(heap, cls, t->number, &slot);
		pthread_mutex_unlock(&heap->lock);
		if (r < 0)
			return r;
		hakc_debug("thread %u cut slab %u for class %u", t->number, slot, cls);
	}
	if (!claim_blocks(t, cls, slot))
		return -ENOMEM; /* bits that somebody scribbled over */
found:
	t->current[cls] = slot + 1;
	heap->slabs[slot].list = HAKC_LIST_CURRENT;
	return 0;
}

static void *fail(struct hakc_thread *t, int error)
{
	if (t && error == -ENOMEM)
		hakc_count(t->heap, HAK_STAT_OUT_OF_MEMORY, 1);
	errno = -error;
	return NULL;
}

static void *alloc_class(struct hakc_thread *t, unsigned cls)
{
	struct hakc_magazine *m = &t->magazines[cls];

	if (m->n == 0) {
		int r = fill_magazine(t, cls);

		if (r < 0)
			return fail(t, r);
	}
	return m->block[--m->n];
}

static void *alloc_span(struct hakc_thread *t, size_t alignment, size_t size)
{
	struct hakc_heap *heap = t->heap;
	uint32_t slot;
	int r;

	pthread_mutex_lock(&heap->lock);
	take_hints(t);
	r = hakc_heap_alloc_span(heap, size, alignment, &slot);
	pthread_mutex_unlock(&heap->lock);
	if (r < 0)
		return fail(t, r);
	return (void *)hak_segment_address(&heap->segment, slot);
}

void *hakc_alloc_slow(size_t size)
{
	int error;
	struct hakc_thread *t = hakc_thread_get(&error);

	if (!t)
		return fail(NULL, error);
	if (size <= HAK_CLASS_MAX)
		return alloc_class(t, hak_class_of(size));
	return alloc_span(t, 1, size);
}

void *hakc_alloc_aligned(size_t alignment, size_t size)
{
	unsigned cls = hak_class_of_aligned(size, alignment);
	int error;
	struct hakc_thread *t = hakc_thread_get(&error);

	if (!t)
		return fail(NULL, error);
	if (cls < HAK_CLASS_COUNT)
		return alloc_class(t, cls);
	return alloc_span(t, alignment, size ? size : 1);
}
