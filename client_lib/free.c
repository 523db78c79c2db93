/* SPDX-License-Identifier: MIT */
/*
 * Giving blocks back.
 *
 * Blocks of our own slabs leave the magazine in batches, those of one word of
 * free bits together by one atomic OR. Blocks that another thread or process
 * claims wait in the outgoing buffer, never in a magazine, and leave it in
 * the same way, with the pending hint behind the bits. An entry of the buffer
 * remembers the slab's epoch: if the slab has changed hands since, its owner
 * has gone and the block went with it.
 */
#include "client_lib/free.h"

#include <string.h>

#include "client_lib/log.h"

_Static_assert(HAKC_OUTGOING_BLOCKS <= 64 && HAKC_MAGAZINE_BLOCKS <= 64,
	       "a batch's entries fit a mask");

static void *block_at(const struct hakc_thread *t, uint32_t slot, unsigned index, uint64_t w)
{
	uint64_t size = hak_slab_state(w) == HAK_SLAB_ACTIVE ? hak_classes[hak_slab_class(w)].size
							     : 0;

	return (void *)(hak_segment_address(&t->heap->segment, slot) + index * size);
}

static void report_double(struct hakc_thread *t, void *block)
{
	hakc_count(t->heap, HAK_STAT_DOUBLE_FREES, 1);
	hakc_log(HAKC_LOG_ERROR, "double free of %p refused", block);
}

static void retire(struct hakc_thread *t, uint32_t slot)
{
	struct hakc_heap *heap = t->heap;
	hak_u64 *word = &heap->segment.slab_words[slot];
	unsigned cls = hak_slab_class(hak_slab_load(word));

	if (cls >= HAK_CLASS_COUNT ||
	    !hak_slab_retire(word, hak_segment_bits(&heap->segment, slot), heap->holder, t->number))
		return; /* scribbled over: out of use until its owner goes */
	pthread_mutex_lock(&heap->lock);
	hakc_heap_put_slots(heap, slot, hak_classes[cls].n_slots);
	pthread_mutex_unlock(&heap->lock);
}

/* A slab of ours got blocks back: which list is it on now? */
static void relist(struct hakc_thread *t, uint32_t slot, unsigned cls)
{
	struct hakc_heap *heap = t->heap;
	struct hakc_slab *slab = &heap->slabs[slot];
	bool empty = hak_slab_is_empty(hak_segment_bits(&heap->segment, slot),
				       hak_classes[cls].n_blocks);

	switch ((enum hakc_list)slab->list) {
	case HAKC_LIST_FULL:
		hakc_list_remove(heap, &t->full, slot);
		break;
	case HAKC_LIST_PARTIAL:
		if (!empty)
			return;
		hakc_list_remove(heap, &t->partial[cls], slot);
		break;
	default:
		return;
	}
	if (!empty) {
		hakc_list_push(heap, &t->partial[cls], slot, HAKC_LIST_PARTIAL);
	} else if (t->n_empty < HAKC_EMPTY_KEPT) {
		hakc_list_push(heap, &t->empty, slot, HAKC_LIST_EMPTY);
		t->n_empty++;
	} else {
		retire(t, slot);
	}
}

/*
 * Sets the bits of a batch, a word at a time. Entries of slabs that changed
 * hands are dropped. `own`: the slabs are claimed by this thread.
 */
static void free_batch(struct hakc_thread *t, const struct hakc_outgoing *batch, uint32_t n,
		       bool own)
{
	struct hakc_heap *heap = t->heap;
	uint64_t done = 0;

	for (uint32_t i = 0; i < n; i++) {
		uint32_t slot = batch[i].slot;
		uint32_t word = batch[i].index / 64;
		uint64_t w = hak_slab_load(&heap->segment.slab_words[slot]);
		uint64_t mask = 0;

		if (done >> i & 1)
			continue;
		for (uint32_t k = i; k < n; k++) {
			uint64_t bit = UINT64_C(1) << batch[k].index % 64;

			if (batch[k].slot != slot || batch[k].index / 64u != word)
				continue;
			done |= UINT64_C(1) << k;
			if (mask & bit)
				report_double(t, block_at(t, slot, batch[k].index, w));
			mask |= bit;
		}
		if (hak_slab_state(w) != HAK_SLAB_ACTIVE || hak_slab_class(w) >= HAK_CLASS_COUNT ||
		    hak_slab_epoch(w) != batch[i].epoch) {
			hakc_count(heap, HAK_STAT_LOST_FREES, (uint64_t)__builtin_popcountll(mask));
			continue;
		}
		uint64_t twice = hak_slab_free(&hak_segment_bits(&heap->segment, slot)[word], mask);

		hakc_count(heap, HAK_STAT_FREES, (uint64_t)__builtin_popcountll(mask & ~twice));
		for (; twice; twice &= twice - 1)
			report_double(t, block_at(t, slot,
						  word * 64 + (unsigned)__builtin_ctzll(twice), w));
		if (own)
			relist(t, slot, hak_slab_class(w));
		else
			hak_segment_raise_pending(&heap->segment, slot);
	}
	hakc_count(heap, HAK_STAT_FLUSHES, 1);
}

void hakc_free_flush_magazine(struct hakc_thread *t, unsigned cls, uint32_t keep)
{
	struct hakc_magazine *m = &t->magazines[cls];
	struct hakc_outgoing batch[HAKC_MAGAZINE_BLOCKS];
	uint32_t n = 0;
	uint32_t n_flushed;

	if (m->n <= keep)
		return;
	n_flushed = m->n - keep; /* the oldest, at the bottom */
	for (uint32_t i = 0; i < n_flushed; i++) {
		struct hak_location l = hak_segment_locate(&t->heap->segment,
							   (uintptr_t)m->block[i]);

		if (l.place == HAK_PLACE_BLOCK && (l.word & HAK_SLAB_MINE_MASK) == t->mine)
			batch[n++] = (struct hakc_outgoing){l.slot, (uint16_t)l.index,
							    (uint16_t)hak_slab_epoch(l.word)};
	}
	memmove(&m->block[0], &m->block[n_flushed], keep * sizeof(m->block[0]));
	m->n = keep;
	free_batch(t, batch, n, true);
}

void hakc_free_flush_outgoing(struct hakc_thread *t)
{
	uint32_t n = t->n_outgoing;

	t->n_outgoing = 0;
	t->outgoing_bytes = 0;
	if (n)
		free_batch(t, t->outgoing, n, false);
}

void hakc_free_flush_all(struct hakc_thread *t)
{
	for (unsigned cls = 0; cls < HAK_CLASS_COUNT; cls++)
		hakc_free_flush_magazine(t, cls, 0);
	hakc_free_flush_outgoing(t);
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

/* Is W another one than when it was located? */
static bool is_changed(const struct hakc_heap *heap, const struct hak_location *l)
{
	uint64_t w = hak_slab_load(&heap->segment.slab_words[l->slot]);

	return ((w ^ l->word) & ~HAK_SLAB_TAGGED) != 0;
}

/* The block of a span, which has no magazine: free it now. */
static void free_span(struct hakc_thread *t, const struct hak_location *l, void *block)
{
	struct hakc_heap *heap = t->heap;
	bool ours = hak_slab_owner(l->word) == heap->holder;

	if (ours)
		pthread_mutex_lock(&heap->lock);
	if (ours && is_changed(heap, l)) { /* another thread of ours was faster */
		report_double(t, block);
	} else if (hak_slab_free(hak_segment_bits(&heap->segment, l->slot), 1)) {
		report_double(t, block);
	} else {
		hakc_count(heap, HAK_STAT_FREES, 1);
		if (ours)
			hakc_heap_retire_span(heap, l->slot);
		else
			hak_segment_raise_pending(&heap->segment, l->slot);
	}
	if (ours)
		pthread_mutex_unlock(&heap->lock);
	else
		hakc_count(heap, HAK_STAT_REMOTE_FREES, 1);
}

static void free_block(struct hakc_thread *t, const struct hak_location *l, void *block)
{
	unsigned cls = hak_slab_class(l->word);
	struct hakc_magazine *m = &t->magazines[cls];

	if (hak_segment_is_free(&t->heap->segment, l)) {
		report_double(t, block);
		return;
	}
	if ((l->word & HAK_SLAB_MINE_MASK) == t->mine) {
		if (m->n > 0 && m->block[m->n - 1] == block) {
			report_double(t, block);
			return;
		}
		if (m->n >= m->capacity)
			hakc_free_flush_magazine(t, cls, m->capacity / 2);
		m->block[m->n++] = block;
		return;
	}
	hakc_count(t->heap, HAK_STAT_REMOTE_FREES, 1);
	t->outgoing[t->n_outgoing++] = (struct hakc_outgoing){l->slot, (uint16_t)l->index,
							      (uint16_t)hak_slab_epoch(l->word)};
	t->outgoing_bytes += l->bytes;
	if (t->n_outgoing == HAKC_OUTGOING_BLOCKS || t->outgoing_bytes >= HAKC_OUTGOING_BYTES)
		hakc_free_flush_outgoing(t);
}

/* The state of a thread of an attached process; doesn't attach: then nothing can be ours. */
static struct hakc_thread *attached_thread(void)
{
	struct hakc_heap *heap = hakc_heap();
	bool is_attached;
	int error;

	if (hakc_self->heap)
		return hakc_self;
	pthread_mutex_lock(&heap->lock);
	is_attached = heap->is_attached;
	pthread_mutex_unlock(&heap->lock);
	return is_attached ? hakc_thread_get(&error) : NULL;
}

void hakc_free_slow(void *block)
{
	struct hakc_thread *t;
	struct hak_location l;

	if (!block)
		return;
	t = attached_thread();
	if (!t) {
		hakc_log(HAKC_LOG_ERROR, "free of %p refused: this process is not attached", block);
		return;
	}
	l = hak_segment_locate(&t->heap->segment, (uintptr_t)block);
	switch (l.place) {
	case HAK_PLACE_BLOCK:
		if (hak_slab_state(l.word) == HAK_SLAB_SPAN)
			free_span(t, &l, block);
		else
			free_block(t, &l, block);
		return;
	case HAK_PLACE_FOREIGN:
		hakc_count(t->heap, HAK_STAT_FOREIGN_FREES, 1);
		hakc_log(HAKC_LOG_ERROR, "free of %p refused: not an address of the pool", block);
		return;
	case HAK_PLACE_VACANT:
	case HAK_PLACE_TAIL:
	case HAK_PLACE_INTERIOR:
		hakc_count(t->heap, HAK_STAT_INVALID_FREES, 1);
		hakc_log(HAKC_LOG_ERROR, "free of %p refused: %s", block,
			 l.place == HAK_PLACE_INTERIOR ? "inside a block, not its begin"
						       : "no block is there");
		return;
	}
}
