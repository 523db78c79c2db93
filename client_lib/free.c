/* SPDX-License-Identifier: MIT */
/*
 * Giving blocks back.
 *
 * Blocks of our own slabs leave the magazine in batches, collected by word of
 * free bits, a word by one atomic OR. Blocks that another thread or process
 * claims are collected in the same way, never in a magazine, and leave with
 * the pending hint behind the bits. A collected word remembers the slab's
 * epoch: if the slab has changed hands since, its owner has gone and the
 * blocks went with it.
 */
#include "client_lib/free.h"

#include <errno.h>
#include <string.h>

#include "client_lib/log.h"
#include "client_lib/session.h"

#define PUBLISH_FLUSHES 16u /* flushes of outgoing blocks after which counts are published */

static void report_double(struct hakc_thread *t, const void *block)
{
	hakc_count(t->heap, HAK_STAT_DOUBLE_FREES, 1);
	hakc_log(HAKC_LOG_ERROR, "double free of %p refused", block);
}

static uint64_t key_of(uint32_t slot, uint64_t w)
{
	return slot | (uint64_t)hak_slab_epoch(w) << 48;
}

/* Each bit of twice is a block that was free already; its slab is of cls. */
static void report_doubles(struct hakc_thread *t, uint64_t key, unsigned cls, uint64_t twice)
{
	for (; twice; twice &= twice - 1) {
		uint64_t index = (key >> 32 & 0xffff) * 64 + (unsigned)__builtin_ctzll(twice);

		report_double(t, (void *)(hak_segment_address(&t->heap->segment, (uint32_t)key) +
					  index * hak_classes[cls].size));
	}
}

bool hakc_free_relist(struct hakc_thread *t, uint32_t slot, unsigned cls)
{
	struct hakc_heap *heap = t->heap;
	struct hakc_slab *slab = &heap->slabs[slot];
	hak_u64 *bits = hak_segment_bits(&heap->segment, slot);
	bool empty = hak_slab_is_empty(bits, hak_classes[cls].n_blocks);

	switch ((enum hakc_list)slab->list) {
	case HAKC_LIST_FULL:
		hakc_list_remove(heap, &t->full, slot);
		break;
	case HAKC_LIST_PARTIAL:
		if (!empty)
			return false;
		hakc_list_remove(heap, &t->partial[cls], slot);
		break;
	default:
		return false;
	}
	if (!empty) {
		hakc_list_push(heap, &t->partial[cls], slot, HAKC_LIST_PARTIAL);
	} else if (t->n_empty < HAKC_EMPTY_KEPT) {
		hakc_list_push(heap, &t->empty, slot, HAKC_LIST_EMPTY);
		t->n_empty++;
	} else {
		/* Scribbled over if it can't be retired: out of use until its owner goes. */
		return hak_slab_retire(&heap->segment.slab_words[slot], bits, heap->holder,
				       t->number);
	}
	return false;
}

static void put_slots(struct hakc_heap *heap, uint32_t slot, unsigned cls)
{
	pthread_mutex_lock(&heap->lock);
	hakc_heap_put_slots(heap, slot, hak_classes[cls].n_slots);
	pthread_mutex_unlock(&heap->lock);
}

static bool is_claimed_by(const struct hakc_thread *t, uint64_t w)
{
	return hak_slab_is_mine(w & ~HAK_SLAB_TAGGED, t->mine);
}

/* Sets the bits of one word. Those of a slab that changed hands are dropped. */
static void apply(struct hakc_thread *t, struct hakc_outgoing *o)
{
	struct hakc_heap *heap = t->heap;
	uint32_t slot = (uint32_t)o->key, word = (uint32_t)(o->key >> 32) & 0xffff;
	uint64_t w = hak_slab_load(&t->words[slot]);
	unsigned cls = hak_slab_class(w);
	uint64_t mask = 0;
	uint64_t twice;

	if (hak_slab_state(w) == HAK_SLAB_ACTIVE && cls < HAK_CLASS_COUNT &&
	    hak_slab_epoch(w) == o->key >> 48) /* perhaps cut anew meanwhile, with fewer blocks */
		mask = o->mask & hak_slab_bits_mask(hak_classes[cls].n_blocks, word);
	if (mask != o->mask)
		hakc_thread_count(t, HAK_STAT_LOST_FREES,
				  (uint64_t)__builtin_popcountll(o->mask & ~mask));
	o->mask = 0;
	if (!mask)
		return;
	twice = hak_slab_free(&hak_segment_bits(&heap->segment, slot)[word], mask);
	hakc_thread_count(t, HAK_STAT_FREES, (uint64_t)__builtin_popcountll(mask & ~twice));
	if (__builtin_expect(twice != 0, 0))
		report_doubles(t, o->key, cls, twice);
	if (!is_claimed_by(t, w))
		hak_segment_raise_pending(&heap->segment, slot);
	else if (hakc_free_relist(t, slot, cls))
		put_slots(heap, slot, cls);
}

/*
 * Adds a block of a slab, whose key_of is given. What was collected in its
 * place for another word is freed for it.
 */
static inline void collect(struct hakc_thread *t, struct hakc_batch *batch, uint64_t key,
			   unsigned index, unsigned cls)
{
	unsigned word = index / 64;
	struct hakc_outgoing *o = &batch->words[((uint32_t)key * 5 + word) % HAKC_BATCH_WORDS];
	uint64_t bit = UINT64_C(1) << index % 64;

	key |= (uint64_t)word << 32;
	if (o->key != key) {
		if (o->mask)
			apply(t, o);
		o->key = key;
	} else if (__builtin_expect((o->mask & bit) != 0, 0)) {
		report_doubles(t, key, cls, bit);
	}
	o->mask |= bit;
}

static void flush_batch(struct hakc_thread *t, struct hakc_batch *batch)
{
	for (unsigned i = 0; i < HAKC_BATCH_WORDS; i++)
		if (batch->words[i].mask)
			apply(t, &batch->words[i]);
	batch->n = 0;
	batch->bytes = 0;
	hakc_thread_count(t, HAK_STAT_FLUSHES, 1);
}

/* The head's slot of an address in a slab, by its words; what it says is checked by who uses it. */
static uint32_t head_of(const struct hakc_thread *t, uint32_t slot, uint64_t *ret_word)
{
	uint64_t w = hak_slab_load(&t->words[slot]);
	uint32_t distance = hak_slab_state(w) == HAK_SLAB_BODY ? hak_slab_arg(w) : 0;

	if (distance > 0 && distance <= slot) {
		slot -= distance;
		w = hak_slab_load(&t->words[slot]);
	}
	*ret_word = w;
	return slot;
}

/* Gives a magazine's blocks back to their slabs, all but the last `keep`. */
static void flush_magazine(struct hakc_thread *t, unsigned cls, uint32_t keep)
{
	struct hakc_magazine *m = &t->magazines[cls];
	struct hakc_batch batch = {0};
	uint32_t n = hakc_magazine_count(m);
	uint64_t slot = UINT64_MAX; /* of the block before; what follows is its slab's */
	uint64_t start = 0, key = 0;
	uint32_t n_blocks = 0;

	if (n <= keep)
		return;
	*m->top = m->next;
	for (uint32_t i = 1; i <= n - keep; i++) { /* the oldest, at the bottom */
		uint64_t offset = (uintptr_t)m->bottom[i] - t->base;
		unsigned index;

		if (offset >> HAK_SLOT_LG != slot) {
			uint64_t w;
			uint32_t head = head_of(t, (uint32_t)(slot = offset >> HAK_SLOT_LG), &w);

			start = (uint64_t)head << HAK_SLOT_LG;
			key = key_of(head, w);
			n_blocks = is_claimed_by(t, w) && hak_slab_class(w) == cls
					   ? hak_classes[cls].n_blocks
					   : 0; /* scribbled over */
		}
		index = hak_class_index(m->magic, offset - start);
		if (index < n_blocks)
			collect(t, &batch, key, index, cls);
	}
	memmove(&m->bottom[1], &m->bottom[1 + n - keep], keep * sizeof(m->bottom[0]));
	m->top = m->bottom + keep;
	m->next = *m->top;
	flush_batch(t, &batch);
}

void hakc_free_flush_outgoing(struct hakc_thread *t)
{
	if (t->outgoing.n == 0)
		return;
	hakc_thread_count(t, HAK_STAT_REMOTE_FREES, t->outgoing.n);
	flush_batch(t, &t->outgoing);
	if (++t->n_flushes % PUBLISH_FLUSHES == 0)
		hakc_thread_publish(t);
}

/* Is W another one than when it was located? */
static bool is_changed(const struct hakc_heap *heap, uint32_t slot, uint64_t before)
{
	uint64_t w = hak_slab_load(&heap->segment.slab_words[slot]);

	return ((w ^ before) & ~HAK_SLAB_TAGGED) != 0;
}

/* Frees the block of a span of ours, whose W was w; heap locked. */
static void free_own_span(struct hakc_thread *t, uint32_t slot, uint64_t w, const void *block)
{
	struct hakc_heap *heap = t->heap;

	/* Changed: another thread of ours was faster. */
	if (is_changed(heap, slot, w) || hak_slab_free(hak_segment_bits(&heap->segment, slot), 1)) {
		report_double(t, block);
		return;
	}
	hakc_thread_count(t, HAK_STAT_FREES, 1);
	hakc_heap_retire_span(heap, slot);
}

bool hakc_free_is_cached(struct hakc_thread *t, uint32_t slot)
{
	struct hakc_heap *heap = t->heap;

	if (!hak_load_acquire(&heap->slabs[slot].cached)) /* [order:cached] */
		return false;
	if (hak_slab_claim(hak_segment_bits(&heap->segment, slot), 1))
		report_double(t, (void *)hak_segment_address(&heap->segment, slot));
	return true;
}

/* Takes apart cached spans of n slots, all but the last `keep`. */
static void flush_spans(struct hakc_thread *t, uint32_t n, uint32_t keep)
{
	struct hakc_magazine *m = &t->magazines[HAKC_SPANS_AT + n - 1];

	if (hakc_magazine_count(m) <= keep)
		return;
	pthread_mutex_lock(&t->heap->lock);
	while (hakc_magazine_count(m) > keep) {
		void *block = hakc_magazine_pop(m);
		uint32_t slot = (uint32_t)(((uintptr_t)block - t->base) >> HAK_SLOT_LG);

		t->span_bytes -= n * HAK_SLOT_BYTES;
		free_own_span(t, slot, hak_slab_load(&t->words[slot]), block);
		/* [order:cached] Who finds it 0 and frees the span too sees that W changed. */
		hak_store_release(&t->heap->slabs[slot].cached, 0);
	}
	pthread_mutex_unlock(&t->heap->lock);
}

void hakc_free_flush_all(struct hakc_thread *t)
{
	for (unsigned cls = 0; cls < HAK_CLASS_COUNT; cls++)
		flush_magazine(t, cls, 0);
	for (uint32_t n = 1; n <= HAKC_SPAN_SLOTS_MAX; n++)
		flush_spans(t, n, 0);
	hakc_free_flush_outgoing(t);
	hakc_thread_publish(t);
}

void hakc_free_shrink(struct hakc_thread *t)
{
	for (unsigned i = 0; i < HAKC_MAGAZINES_USED; i++) {
		struct hakc_magazine *m = &t->magazines[i];
		uint32_t half = (uint32_t)(m->end - m->bottom) / 2;

		if (m->used == 0 && i >= HAKC_SPANS_AT) {
			flush_spans(t, i - HAKC_SPANS_AT + 1, hakc_magazine_count(m) / 2);
		} else if (m->used == 0 && half >= 2) {
			flush_magazine(t, i, half);
			m->end = m->bottom + half;
		}
		m->used = 0;
	}
}

static void retire(struct hakc_thread *t, uint32_t slot)
{
	struct hakc_heap *heap = t->heap;
	unsigned cls = hak_slab_class(hak_slab_load(&t->words[slot]));

	if (cls < HAK_CLASS_COUNT &&
	    hak_slab_retire(&t->words[slot], hak_segment_bits(&heap->segment, slot), heap->holder,
			    t->number))
		put_slots(heap, slot, cls);
}

void hakc_free_retire_empty(struct hakc_thread *t, bool all)
{
	struct hakc_heap *heap = t->heap;

	while (t->empty) {
		uint32_t slot = t->empty - 1;

		hakc_list_remove(heap, &t->empty, slot);
		t->n_empty--;
		retire(t, slot);
	}
	for (unsigned cls = 0; all && cls < HAK_CLASS_COUNT; cls++) {
		uint32_t slot = t->current[cls] - 1;

		if (!t->current[cls] || !hak_slab_is_empty(hak_segment_bits(&heap->segment, slot),
							   hak_classes[cls].n_blocks))
			continue;
		t->current[cls] = 0;
		heap->slabs[slot].list = HAKC_LIST_NONE;
		retire(t, slot);
	}
}

/* A block of a slab that this thread claims; the fast path had no room, or it is in a body. */
static void free_local(struct hakc_thread *t, const struct hak_location *l, void *block)
{
	unsigned cls = hak_slab_class(l->word);
	struct hakc_magazine *m = &t->magazines[cls];

	if (m->next == block || hak_segment_is_free(&t->heap->segment, l)) {
		report_double(t, block);
		return;
	}
	if (m->top == m->end) {
		m->used++;
		if (!hakc_magazine_grow(m))
			flush_magazine(t, cls, (uint32_t)(m->end - m->bottom) / 2);
	}
	hakc_magazine_push(m, block);
}

/* A block that another thread or process claims, of the slab at slot whose W is w. */
static inline void free_remote(struct hakc_thread *t, uint32_t slot, uint64_t w, unsigned index)
{
	struct hakc_batch *batch = &t->outgoing;
	unsigned cls = hak_slab_class(w);

	collect(t, batch, key_of(slot, w), index, cls);
	batch->n++;
	batch->bytes += hak_classes[cls].size;
	if (batch->n >= HAKC_OUTGOING_BLOCKS || batch->bytes >= HAKC_OUTGOING_BYTES)
		hakc_free_flush_outgoing(t);
}

/* The block of a span of another process: freed now, the owner will find it. */
static void free_remote_span(struct hakc_thread *t, const struct hak_location *l, void *block)
{
	hakc_thread_count(t, HAK_STAT_REMOTE_FREES, 1);
	if (hak_slab_free(hak_segment_bits(&t->heap->segment, l->slot), 1)) {
		report_double(t, block);
		return;
	}
	hakc_thread_count(t, HAK_STAT_FREES, 1);
	hak_segment_raise_pending(&t->heap->segment, l->slot);
}

/* Is w that of a span of this process, which other processes have not touched? */
static bool is_own_span(const struct hakc_thread *t, uint64_t w)
{
	return hak_slab_state(w) == HAK_SLAB_SPAN && hak_slab_owner(w) == t->heap->holder;
}

/* Keeps the span at slot, whose W is w, if there is room; else it is to be retired. */
static bool keep_span(struct hakc_thread *t, uint32_t slot, uint64_t w, void *block)
{
	uint32_t n = hak_slab_arg(w);
	uint64_t bytes = n * HAK_SLOT_BYTES;
	hak_u32 *cached = &t->heap->slabs[slot].cached;
	struct hakc_magazine *m;

	if (n - 1 >= HAKC_SPAN_SLOTS_MAX || t->span_bytes + bytes > HAKC_SPANS_BYTES)
		return false;
	m = &t->magazines[HAKC_SPANS_AT + n - 1];
	if (m->top == m->end)
		return false;
	/* [order:cached] Of two threads that free it at once, one is told. */
	if (hak_or_acq_rel(cached, 1) ||
	    hak_load_relaxed(hak_segment_bits(&t->heap->segment, slot)) & 1) {
		report_double(t, block);
		return true;
	}
	if (is_changed(t->heap, slot, w)) { /* kept and flushed meanwhile */
		hak_store_relaxed(cached, 0);
		report_double(t, block);
		return true;
	}
	t->span_bytes += bytes;
	hakc_magazine_push(m, block);
	return true;
}

/* The state of a thread of an attached process; doesn't attach: then nothing can be ours. */
static struct hakc_thread *attached_thread(void)
{
	struct hakc_heap *heap;
	bool is_attached;
	int error;

	if (__builtin_expect(hakc_self->heap != NULL, 1))
		return hakc_self;
	heap = hakc_heap();
	pthread_mutex_lock(&heap->lock);
	is_attached = heap->is_attached;
	pthread_mutex_unlock(&heap->lock);
	return is_attached ? hakc_thread_get(&error) : NULL;
}

static void free_block(struct hakc_thread *t, const struct hak_location *l, void *block)
{
	bool is_span = hak_slab_state(l->word) == HAK_SLAB_SPAN;

	if (is_own_span(t, l->word)) {
		pthread_mutex_lock(&t->heap->lock);
		free_own_span(t, l->slot, l->word, block);
		pthread_mutex_unlock(&t->heap->lock);
	} else if (is_span) {
		free_remote_span(t, l, block);
	} else if (hak_slab_is_mine(l->word, t->mine)) {
		free_local(t, l, block);
	} else {
		free_remote(t, l->slot, l->word, l->index);
	}
}

static void refuse(struct hakc_thread *t, const void *block, const char *reason)
{
	hakc_count(t->heap, HAK_STAT_INVALID_FREES, 1);
	hakc_log(HAKC_LOG_ERROR, "free of %p refused: %s", block, reason);
}

/*
 * The second fast path, for which W suffices: a block of a slab's first slot that others
 * claim, and a span that this thread can keep.
 */
static inline bool try_by_word(struct hakc_thread *t, void *block)
{
	uint64_t slot = ((uintptr_t)block - t->base) >> HAK_SLOT_LG;
	uint64_t offset = (uintptr_t)block % HAK_SLOT_BYTES;
	uint64_t w;

	if (slot >= t->n_slots)
		return false;
	w = hak_slab_load(&t->words[slot]);
	if (hak_slab_state(w) == HAK_SLAB_ACTIVE) {
		/* As in hakc_free: classes that don't exist take nothing. */
		const struct hakc_magazine *m = &t->magazines[hak_slab_class(w) % HAKC_MAGAZINES];

		if (is_claimed_by(t, w) || offset * m->magic >= m->limit)
			return false;
		free_remote(t, (uint32_t)slot, w, hak_class_index(m->magic, offset));
		return true;
	}
	return offset == 0 && is_own_span(t, w) && keep_span(t, (uint32_t)slot, w, block);
}

/* Whatever it may be. */
static void free_located(struct hakc_thread *t, void *block)
{
	const struct hak_location l = hak_segment_locate(&t->heap->segment, (uintptr_t)block);

	switch (l.place) {
	case HAK_PLACE_BLOCK:
		free_block(t, &l, block);
		break;
	case HAK_PLACE_FOREIGN:
		hakc_session_free_foreign(t, block);
		break;
	case HAK_PLACE_INTERIOR:
		refuse(t, block, "inside a block, not its begin");
		break;
	case HAK_PLACE_VACANT:
	case HAK_PLACE_TAIL:
		refuse(t, block, "no block is there");
		break;
	}
}

void hakc_free_slow(void *block)
{
	int saved;
	struct hakc_thread *t;

	if (!block || try_by_word(hakc_self, block))
		return;
	saved = errno;
	t = attached_thread();
	if (t)
		free_located(t, block);
	else
		hakc_session_free_foreign(t, block);
	hakc_thread_end_late();
	errno = saved;
}
