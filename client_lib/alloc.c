/* SPDX-License-Identifier: MIT */
/*
 * Allocating when the magazine is empty, stage by stage in order of cost:
 *
 *   0    free bits of the thread's current slab of the class
 *   0.5  its partial slabs; slabs that others freed into (pending hints);
 *        slabs that threads which ended have left
 *   1    an EMPTY slab of this thread, cut again if it is of another class
 *   2    an unused slot of a SuperSlab that the process has
 *   3    a refill from the daemon, normally asked for before
 *
 * Blocks above the largest class are spans, which the heap makes and of which
 * a thread keeps some that it freed.
 */
#include "client_lib/alloc.h"

#include <errno.h>
#include <string.h>

#include "client_lib/decay.h"
#include "client_lib/flush.h"
#include "client_lib/free.h"
#include "client_lib/hardened.h"
#include "client_lib/list.h"
#include "client_lib/log.h"
#include "client_lib/sample.h"
#include "proto/shm/guard.h"

#define HINT_LOOKS    256u  /* SuperSlabs that one look for hints goes over */
#define LOWEST_LOOKS  4096u /* partial slabs of a class, at most */
#define FILL_ROOM     512u  /* blocks; up to this fills make a magazine grow, then only flushes */
#define SHRINK_FILLS  512u  /* fills after which unused magazines shrink */
#define COLOUR_STEP   11u   /* blocks by which the begin of use differs from slot to slot */
#define PUBLISH_FILLS 64u   /* fills after which counts are published */

/* Adds the blocks of mask behind top, from the highest, so that the lowest is popped first. */
static void **push_blocks(void **top, char *first, uint64_t size, uint64_t mask)
{
	while (mask) {
		unsigned bit = 63u - (unsigned)__builtin_clzll(mask);

		*++top = first + bit * size;
		mask ^= UINT64_C(1) << bit;
	}
	return top;
}

/* The lowest n bits of mask, or all. */
static uint64_t lowest_bits(uint64_t mask, unsigned n)
{
	uint64_t rest = mask;

	if (n >= 64)
		return mask;
	for (; n > 0 && rest; n--)
		rest &= rest - 1;
	return mask & ~rest;
}

/*
 * Moves free blocks of a slab into its class's magazine; false: it has none.
 * Slabs begin at multiples of 64 KiB: were the first block of each the first to
 * be used, all of them would compete for the same lines of the cache. So where
 * a slab's use begins depends on its slot.
 */
static bool claim_blocks(struct hakc_thread *t, unsigned cls, uint32_t slot)
{
	const struct hak_class *shape = &hak_classes[cls];
	struct hakc_magazine *m = &t->magazines[cls];
	struct hakc_slab *slab = &t->heap->slabs[slot];
	const hak_u64 *word = &t->words[slot];
	hak_u64 *bits = hak_segment_bits(&t->heap->segment, slot);
	hak_u32 *tags = hak_segment_tags(&t->heap->segment, slot);
	char *start = (char *)hak_segment_address(&t->heap->segment, slot);
	unsigned n_words = hak_slab_bits_words(shape->n_blocks);
	unsigned wanted = (hakc_magazine_room(m) + 1) / 2; /* room is left for frees */
	uint64_t late = (UINT64_C(1)
			 << slot * COLOUR_STEP % (shape->n_blocks < 64 ? shape->n_blocks : 64)) -
			1;
	void **top = m->top;

	if (__builtin_expect(t->heap->is_hardened, 0))
		return hakc_hardened_claim(t, cls, slot);
	for (unsigned tried = 0; tried < n_words && wanted > 0; tried++) {
		unsigned i = slab->word < n_words ? slab->word : 0;
		char *first = start + (uint64_t)i * 64 * shape->size;
		/* Relaxed: a guess what to claim. */
		uint64_t seen = hak_load_relaxed(&bits[i]) & hak_slab_bits_mask(shape->n_blocks, i);
		uint64_t mask = lowest_bits(seen & ~late, wanted);
		unsigned n = (unsigned)__builtin_popcountll(mask);

		mask |= lowest_bits(seen & late, wanted - n);
		if (mask == seen)
			slab->word = (uint8_t)((i + 1) % n_words);
		if (mask)
			mask = hak_slab_claim(word, &bits[i], &tags[(uint64_t)i * 64], mask);
		wanted -= (unsigned)__builtin_popcountll(mask);
		top = push_blocks(top, first, shape->size, mask & late);
		top = push_blocks(top, first, shape->size, mask & ~late);
	}
	hakc_thread_count(t, HAK_STAT_CLAIMS, (uint64_t)(top - m->top));
	if (top == m->top)
		return false;
	m->top = top;
	m->next = *top;
	return true;
}

/* An unclaimed slab becomes this thread's; heap locked. */
static bool adopt(struct hakc_thread *t, unsigned cls, uint32_t slot)
{
	struct hakc_heap *heap = t->heap;

	hakc_list_remove(heap, &heap->unclaimed[cls], slot);
	/* [order:adopt] We see what the thread that ended did to it. */
	if (!hak_slab_pass(&heap->segment.slab_words[slot], heap->holder, 0, t->number))
		return false;
	hakc_list_push(heap, &t->full, slot, HAKC_LIST_FULL);
	hakc_count_locked(heap, HAK_STAT_ADOPTIONS);
	return true;
}

/* Takes the hint of one slab or span if it is for this thread; heap locked. */
static void take_hint(struct hakc_thread *t, uint32_t superslab, uint32_t slot, uint32_t bit)
{
	struct hakc_heap *heap = t->heap;
	uint64_t w = hak_slab_load(&heap->segment.slab_words[slot]);
	unsigned cls = hak_slab_class(w);
	bool is_slab = hak_slab_state(w) == HAK_SLAB_ACTIVE && cls < HAK_CLASS_COUNT &&
		       hak_slab_owner(w) == heap->holder;

	if (is_slab && (w & HAK_SLAB_SAMPLED)) {
		hak_segment_take_pending(&heap->segment, superslab, bit);
		hakc_sample_relist(heap, slot);
		return;
	}
	if (is_slab && hak_slab_thread(w) != t->number &&
	    (hak_slab_thread(w) != 0 || heap->slabs[slot].list != HAKC_LIST_UNCLAIMED ||
	     !adopt(t, cls, slot)))
		return; /* another thread's, and so is the hint */
	/* Taken before the bits are looked at: a free that comes later raises it again. */
	hak_segment_take_pending(&heap->segment, superslab, bit);
	if (is_slab) {
		if (hakc_free_relist(t, slot, cls))
			hakc_heap_put_slots(heap, slot, hak_classes[cls].n_slots);
	} else if (!hakc_free_is_cached(t, slot)) {
		hakc_heap_retire_span(heap, slot);
	}
}

/* Finds slabs and spans that others freed into, in `looks` SuperSlabs at most; heap locked. */
static void take_hints(struct hakc_thread *t, uint32_t looks)
{
	struct hakc_heap *heap = t->heap;
	uint32_t per = heap->segment.geometry.slots_per_superslab;

	if (looks >= heap->n_owned) {
		looks = heap->n_owned;
		heap->hint_at = 0; /* from the end, so that none is passed over */
	}
	for (uint32_t i = 0; i < looks && heap->n_owned > 0; i++) {
		if (heap->hint_at == 0 || heap->hint_at > heap->n_owned)
			heap->hint_at = heap->n_owned;

		/* Downwards: where one goes back, the last one takes its place, which was seen before. */
		uint32_t superslab = heap->owned[--heap->hint_at];
		/* Relaxed: which hints to take; taking one acquires. */
		uint32_t hints = hak_load_relaxed(&heap->segment.pending[superslab]);

		/* Until it is no longer ours: its last span may have been retired here. */
		for (; hints && heap->superslabs[superslab].position; hints &= hints - 1) {
			uint32_t bit = (uint32_t)__builtin_ctz(hints);

			if (bit < per)
				take_hint(t, superslab, superslab * per + bit, UINT32_C(1) << bit);
		}
	}
}

void hakc_alloc_take_some_hints(struct hakc_thread *t)
{
	take_hints(t, HINT_LOOKS);
}

void hakc_alloc_take_hints(struct hakc_thread *t)
{
	struct hakc_heap *heap = t->heap;
	uint32_t n = 1;

	for (uint32_t done = 0; done < n; done += HINT_LOOKS) {
		pthread_mutex_lock(&heap->lock);
		take_hints(t, HINT_LOOKS);
		n = heap->n_owned;
		pthread_mutex_unlock(&heap->lock);
	}
}

void hakc_alloc_choose_lowest(struct hakc_thread *t)
{
	struct hakc_heap *heap = t->heap;

	for (unsigned cls = 0; cls < HAK_CLASS_COUNT; cls++) {
		uint32_t lowest = t->current[cls], at = t->partial[cls];

		for (uint32_t i = 0; i < LOWEST_LOOKS && at; i++, at = heap->slabs[at - 1].next)
			lowest = at < lowest ? at : lowest;
		if (lowest == t->current[cls])
			continue;
		hakc_list_push(heap, &t->partial[cls], t->current[cls] - 1, HAKC_LIST_PARTIAL);
		hakc_list_remove(heap, &t->partial[cls], lowest - 1);
		heap->slabs[lowest - 1].list = HAKC_LIST_CURRENT;
		t->current[cls] = lowest;
	}
}

/* Stage 0.5 and what needs the lock: are there slabs that have free blocks, perhaps? */
static bool has_partial(struct hakc_thread *t, unsigned cls, bool *ret_has_idle)
{
	struct hakc_heap *heap = t->heap;

	if (t->partial[cls])
		return true;
	pthread_mutex_lock(&heap->lock);
	take_hints(t, HINT_LOOKS);
	while (!t->partial[cls] && heap->unclaimed[cls]) {
		uint32_t slot = heap->unclaimed[cls] - 1;

		if (adopt(t, cls, slot) && hakc_free_relist(t, slot, cls))
			hakc_heap_put_slots(heap, slot, hak_classes[cls].n_slots);
	}
	*ret_has_idle = heap->idle_thread != 0;
	pthread_mutex_unlock(&heap->lock);
	return t->partial[cls] != 0;
}

static bool find_partial(struct hakc_thread *t, unsigned cls, uint32_t *ret_slot)
{
	bool has_idle = false;

	if (!has_partial(t, cls, &has_idle) &&
	    !(has_idle && hakc_thread_plunder(t->heap, cls) && has_partial(t, cls, &has_idle)))
		return false;
	*ret_slot = t->partial[cls] - 1;
	hakc_list_remove(t->heap, &t->partial[cls], *ret_slot);
	return true;
}

/* Stage 1: an EMPTY slab of the class as it is; the others become unused slots. */
static bool find_empty(struct hakc_thread *t, unsigned cls, uint32_t *ret_slot)
{
	struct hakc_heap *heap = t->heap;

	for (uint32_t at = t->empty; at; at = heap->slabs[at - 1].next) {
		uint64_t w = hak_slab_load(&heap->segment.slab_words[at - 1]);

		if (hak_slab_class(w) != cls)
			continue;
		hakc_list_remove(heap, &t->empty, at - 1);
		t->n_empty--;
		hakc_thread_count(t, HAK_STAT_STAGE_1, 1);
		*ret_slot = at - 1;
		return true;
	}
	if (t->n_empty) {
		hakc_thread_count(t, HAK_STAT_STAGE_1, t->n_empty);
		hakc_flush_empty(t, false);
	}
	return false;
}

/* A magazine that is used gets more room; now and then those that aren't lose some. */
static void adapt(struct hakc_thread *t, struct hakc_magazine *m)
{
	m->used++;
	if (hakc_magazine_room(m) < FILL_ROOM)
		hakc_magazine_grow(m);
	t->n_fills++;
	if (t->n_fills % PUBLISH_FILLS == 0)
		hakc_thread_publish(t);
	if (t->n_fills % SHRINK_FILLS == 0)
		hakc_flush_shrink(t);
}

/* A slab or span has been cut, if r says so: before anybody has a block of it. */
static void guard(struct hakc_heap *heap, int r, uint32_t slot)
{
	if (r == 0 && heap->is_hardened)
		hak_slab_mark(&heap->segment.slab_words[slot], heap->holder, HAK_SLAB_GUARDED);
}

/* Fills the magazine of a class; 0 or a negative errno. */
static int fill_magazine(struct hakc_thread *t, unsigned cls)
{
	struct hakc_heap *heap = t->heap;
	bool is_cut = false;
	uint32_t slot;
	int r;

	adapt(t, &t->magazines[cls]);
	if (t->current[cls] && claim_blocks(t, cls, t->current[cls] - 1)) {
		hakc_thread_count(t, HAK_STAT_STAGE_0, 1);
		return 0;
	}
	if (t->current[cls]) {
		hakc_list_push(heap, &t->full, t->current[cls] - 1, HAKC_LIST_FULL);
		t->current[cls] = 0;
	}
	while (find_partial(t, cls, &slot)) {
		if (claim_blocks(t, cls, slot)) {
			hakc_thread_count(t, HAK_STAT_STAGE_0_PARTIAL, 1);
			goto found;
		}
		hakc_list_push(heap, &t->full, slot, HAKC_LIST_FULL);
	}
	if (!find_empty(t, cls, &slot)) {
		pthread_mutex_lock(&heap->lock);
		r = hakc_heap_cut(heap, cls, t->number, &slot);
		guard(heap, r, slot);
		pthread_mutex_unlock(&heap->lock);
		if (r < 0)
			return r;
		is_cut = true;
		hakc_debug("thread %u cut slab %u for class %u", t->number, slot, cls);
	}
	if (!claim_blocks(t, cls, slot))
		return -ENOMEM; /* bits that somebody scribbled over */
	if (is_cut)
		hakc_thread_publish(t);
found:
	t->current[cls] = slot + 1;
	heap->slabs[slot].list = HAKC_LIST_CURRENT;
	return 0;
}

void hakc_alloc_scrape(struct hakc_thread *t)
{
	hakc_flush_all(t);
	hakc_thread_plunder_all(t->heap);
	pthread_mutex_lock(&t->heap->lock);
	take_hints(t, UINT32_MAX);
	pthread_mutex_unlock(&t->heap->lock);
	hakc_flush_empty(t, true);
	pthread_mutex_lock(&t->heap->lock);
	hakc_heap_return_runs(t->heap, UINT64_MAX);
	hakc_heap_return_stock(t->heap, 0);
	pthread_mutex_unlock(&t->heap->lock);
}

static void *fail(struct hakc_thread *t, int error)
{
	if (t && error == -ETIMEDOUT) /* there may be memory, but nobody who grants it */
		error = -ENOMEM;
	if (t && (error == -ENOMEM || error == -EDQUOT))
		hakc_count(t->heap, HAK_STAT_OUT_OF_MEMORY, 1);
	errno = -error;
	return NULL;
}

/* Nothing more is to be had, so what this process holds without need has to do. */
static inline bool is_lack(int r)
{
	return r == -ENOMEM || r == -ESTALE || r == -EDQUOT;
}

static void *alloc_class(struct hakc_thread *t, unsigned cls, size_t alignment, size_t size)
{
	struct hakc_magazine *m = &t->magazines[cls];

	while (!m->next) {
		int r;

		if (__builtin_expect(hakc_sample_is_next(m), 0)) {
			void *block = hakc_sample_alloc(t, cls, alignment, size);

			if (block)
				return block;
			continue;
		}
		hakc_decay_check(t);
		r = fill_magazine(t, cls);

		if (is_lack(r)) {
			hakc_alloc_scrape(t);
			r = fill_magazine(t, cls);
		}
		if (r < 0)
			return fail(t, r);
		hakc_sample_salt(t, cls);
	}
	return hakc_magazine_pop(m);
}

static int cut_span(struct hakc_thread *t, size_t alignment, size_t size, uint32_t *ret_slot,
		    bool *ret_zeroed)
{
	int r;

	pthread_mutex_lock(&t->heap->lock);
	if (!hakc_heap_has_row(t->heap, (size + HAK_SLOT_BYTES - 1) / HAK_SLOT_BYTES))
		take_hints(t, HINT_LOOKS);
	r = hakc_heap_alloc_span(t->heap, size, alignment, ret_slot, ret_zeroed);
	guard(t->heap, r, *ret_slot);
	pthread_mutex_unlock(&t->heap->lock);
	return r;
}

/* A span that the thread kept; NULL: it has none so long, or *ret_lost, freed twice, was one. */
static inline void *take_span(struct hakc_thread *t, size_t size, void **ret_lost)
{
	size_t at = (size - 1) / HAK_SLOT_BYTES; /* slots - 1 */
	struct hakc_magazine *m;
	void *block;
	uint32_t slot;

	*ret_lost = NULL;
	if (at >= HAKC_SPAN_SLOTS_MAX)
		return NULL;
	m = &t->magazines[HAKC_SPANS_AT + at];
	if (!m->next)
		return NULL;
	block = hakc_magazine_pop(m);
	slot = (uint32_t)(((uintptr_t)block - t->base) >> HAK_SLOT_LG);
	t->span_bytes -= (at + 1) * HAK_SLOT_BYTES;
	if (__builtin_expect(!hakc_thread_keeps(t, slot, (uint32_t)at + 1), 0)) {
		*ret_lost = block;
		return NULL;
	}
	/* Relaxed: the block is the caller's before anybody can free it again. */
	hak_store_relaxed(&t->slabs[slot].keeper, 0);
	return block;
}

/* More than the largest class, or at a larger alignment than that. */
static void *alloc_span(struct hakc_thread *t, size_t alignment, size_t size, bool *ret_zeroed)
{
	bool is_sample;
	uint32_t slot;
	int r;

	*ret_zeroed = false;
	if (alignment <= HAK_SLOT_BYTES) {
		void *lost;
		void *block = take_span(t, size, &lost);

		if (block)
			return block;
		if (lost)
			hakc_free_report_double(t, lost);
		if (size <= HAKC_SPAN_SLOTS_MAX * HAK_SLOT_BYTES)
			t->magazines[HAKC_SPANS_AT + (size - 1) / HAK_SLOT_BYTES].used++;
	}
	if (size > SIZE_MAX / 2)
		return fail(t, -ENOMEM);
	is_sample = hakc_sample_wants_span(t, size);
	hakc_decay_check(t);
	r = cut_span(t, alignment, size, &slot, ret_zeroed);
	if (is_lack(r) && size <= t->heap->segment.geometry.capacity) {
		hakc_alloc_scrape(t);
		r = cut_span(t, alignment, size, &slot, ret_zeroed);
	}
	if (r < 0)
		return fail(t, r);
	if (__builtin_expect(is_sample, 0))
		hakc_sample_set_span(t, slot, size);
	return (void *)hak_segment_address(&t->heap->segment, slot);
}

/* The calling thread's state; NULL and errno. */
static struct hakc_thread *attached(void)
{
	struct hakc_thread *t = hakc_self;
	int error;

	if (__builtin_expect(t->heap != NULL, 1))
		return t;
	t = hakc_thread_get(&error);
	return t ? t : fail(NULL, error);
}

/* With room for a guard, where the slab is a GUARDED one: one that we have inherited is not. */
__attribute__((noinline, cold)) static void *alloc_hardened(struct hakc_thread *t, size_t alignment,
							    size_t size, bool *ret_zeroed)
{
	const struct hak_segment *segment = &t->heap->segment;
	size_t room = size <= SIZE_MAX / 2 ? size + HAK_GUARD_BYTES : size;
	unsigned cls = hak_class_of_aligned(room, alignment);
	struct hak_location l;
	void *block;

	*ret_zeroed = false;
	block = cls < HAK_CLASS_COUNT ? alloc_class(t, cls, alignment, size)
				      : alloc_span(t, alignment, room, ret_zeroed);
	if (!block)
		return NULL;
	l = hak_segment_locate(segment, (uintptr_t)block);
	if (l.place == HAK_PLACE_BLOCK) /* else somebody scribbled over its word */
		hak_guard_set(segment, &l, size);
	return block;
}

/* Nothing is cached, perhaps not even attached. */
__attribute__((noinline)) static void *alloc_any(size_t size)
{
	struct hakc_thread *t = attached();
	bool zeroed;

	if (!t)
		return NULL;
	if (__builtin_expect(t->heap->is_hardened, 0))
		return alloc_hardened(t, 1, size, &zeroed);
	if (size <= HAK_CLASS_MAX)
		return alloc_class(t, hak_class_of(size), 1, size);
	return alloc_span(t, 1, size, &zeroed);
}

__attribute__((noinline, cold)) static void *alloc_after_double(struct hakc_thread *t, size_t size,
								void *lost)
{
	hakc_free_report_double(t, lost);
	return alloc_any(size);
}

/* The second fast path: larger classes, and spans that the thread kept. */
void *hakc_alloc_slow(size_t size)
{
	struct hakc_thread *t = hakc_self;

	if (size <= HAK_CLASS_MAX) {
		struct hakc_magazine *m = &t->magazines[hak_class_of(size)];

		if (__builtin_expect(m->next != NULL, 1))
			return hakc_magazine_pop(m);
	} else {
		void *lost;
		void *block = take_span(t, size, &lost);

		if (__builtin_expect(block != NULL, 1))
			return block;
		if (__builtin_expect(lost != NULL, 0))
			return alloc_after_double(t, size, lost);
	}
	return alloc_any(size);
}

void *hakc_alloc_watched(size_t size)
{
	if (hakc_self->decay.is_watched)
		hakc_decay_watch(hakc_self);
	return hakc_alloc_slow(size);
}

void *hakc_alloc_aligned(size_t alignment, size_t size)
{
	unsigned cls = hak_class_of_aligned(size, alignment);
	struct hakc_thread *t = attached();
	bool zeroed;

	if (!t)
		return NULL;
	if (t->heap->is_hardened)
		return alloc_hardened(t, alignment, size, &zeroed);
	if (cls < HAK_CLASS_COUNT)
		return alloc_class(t, cls, alignment, size);
	return alloc_span(t, alignment, size ? size : 1, &zeroed);
}

void *hakc_alloc_zeroed(size_t size)
{
	bool zeroed = false;
	void *block;

	if (size <= HAK_CLASS_MAX) {
		block = hakc_alloc(size);
	} else {
		struct hakc_thread *t = attached();

		block = !t		       ? NULL
			: t->heap->is_hardened ? alloc_hardened(t, 1, size, &zeroed)
					       : alloc_span(t, 1, size, &zeroed);
	}
	if (block && !zeroed)
		memset(block, 0, size);
	return block;
}
