/* SPDX-License-Identifier: MIT */
/*
 * Emptying caches: magazines, outgoing blocks, kept spans, empty slabs.
 *
 * Blocks of our own slabs leave the magazine in batches, collected by word of
 * free bits, a word by one atomic OR. Blocks that another thread or process
 * claims never go into a magazine; they leave in the same way, with the
 * pending hint behind the bits. They remember the slab's epoch: if the slab has
 * changed hands since, its owner has gone and the blocks went with it.
 *
 * Blocks of which only we can set the bit go like that. One that another process
 * has lent us is asked for now, in a crossing: by this time it may have been
 * taken, or its owner may have died and the slab be the heir's.
 */
#include "client_lib/flush.h"

#include <string.h>

#include "client_lib/free.h"
#include "client_lib/list.h"
#include "proto/shm/crossing.h"

#define SMALL_ROOM	64u /* blocks; a magazine without more is soon filled again */
#define PUBLISH_FLUSHES 16u /* flushes of outgoing blocks after which counts are published */

/* Each bit of twice is a block that was free already, of a word of a slab of cls. */
static void report_doubles(struct hakc_thread *t, uint32_t slot, unsigned word, unsigned cls,
			   uint64_t twice)
{
	for (; twice; twice &= twice - 1) {
		uint64_t index = word * 64 + (unsigned)__builtin_ctzll(twice);

		hakc_free_report_double(t, (void *)(hak_segment_address(&t->heap->segment, slot) +
						    index * hak_classes[cls].size));
	}
}

static void put_slots(struct hakc_heap *heap, uint32_t slot, unsigned cls)
{
	pthread_mutex_lock(&heap->lock);
	hakc_heap_put_slots(heap, slot, hak_classes[cls].n_slots);
	pthread_mutex_unlock(&heap->lock);
}

/* Blocks by the word of their free bits, so that those of one word go by one atomic OR. */
#define BATCH_WORDS 32u

struct batch {
	struct batch_word {
		uint64_t mask; /* 0: unused */
		uint32_t slot; /* of the head */
		uint16_t word;
		uint16_t cls;
	} words[BATCH_WORDS];
};

/*
 * Sets the bits of one word; its slab holds blocks that aren't free, so it is what it was. Outgoing
 * ones are told of by a hint, also to ourselves: this may be in a crossing, which has to end soon.
 */
static void apply(struct hakc_thread *t, struct batch_word *b, bool is_outgoing)
{
	struct hakc_heap *heap = t->heap;
	uint64_t twice = hak_slab_free(&hak_segment_bits(&heap->segment, b->slot)[b->word],
				       b->mask);

	hakc_thread_count(t, HAK_STAT_FREES, (uint64_t)__builtin_popcountll(b->mask & ~twice));
	if (__builtin_expect(twice != 0, 0))
		report_doubles(t, b->slot, b->word, b->cls, twice);
	b->mask = 0;
	if (is_outgoing)
		hak_segment_raise_pending(&heap->segment, b->slot);
	else if (hakc_free_relist(t, b->slot, b->cls))
		put_slots(heap, b->slot, b->cls);
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

/* A slab whose blocks are being freed. */
struct opened {
	uint64_t start; /* offset from the base in bytes */
	uint64_t magic;
	uint32_t slot;
	uint16_t cls;
	uint16_t n_blocks; /* 0: it has changed hands, or its words were scribbled over */
	bool asks_tags;
};

#define PLACE_EPOCH 32 /* from slots on */
#define PLACE_SURE  (UINT64_C(1) << (HAKC_OUTGOING_SURE - HAK_SLOT_LG))

/* place: slot of a block, its epoch, SURE, as in an outgoing entry; own_cls: as in free_blocks. */
static inline struct opened open_slab(const struct hakc_thread *t, uint64_t place, unsigned own_cls)
{
	uint64_t w;
	uint32_t slot = head_of(t, (uint32_t)place, &w);
	unsigned cls = hak_slab_class(w);
	struct opened o = {.start = (uint64_t)slot << HAK_SLOT_LG, .slot = slot};
	bool fits = own_cls < HAK_CLASS_COUNT
			    ? cls == own_cls && hakc_thread_claims(t, w)
			    : cls < HAK_CLASS_COUNT && hak_slab_state(w) == HAK_SLAB_ACTIVE &&
				      hak_slab_epoch(w) == (place & ~PLACE_SURE) >> PLACE_EPOCH;

	if (fits) {
		o.cls = (uint16_t)cls;
		o.magic = hak_classes[cls].magic;
		o.n_blocks = hak_classes[cls].n_blocks;
		o.asks_tags = own_cls == HAK_CLASS_COUNT && !(place & PLACE_SURE) &&
			      (w & HAK_SLAB_TAGGED);
	}
	return o;
}

/*
 * Frees n blocks: those of a magazine of own_cls, or outgoing ones with their epochs (own_cls
 * HAK_CLASS_COUNT). Blocks of a slab that changed hands went with their owner.
 */
static void free_blocks(struct hakc_thread *t, void *const *blocks, uint32_t n, unsigned own_cls)
{
	struct batch batch = {0};
	struct opened o = {0};
	struct batch_word *b = NULL; /* of the block before */
	uint64_t place = UINT64_MAX;
	uint32_t lost = 0;

	for (uint32_t i = 0; i < n; i++) {
		uint64_t e = (uintptr_t)blocks[i] - t->base;
		unsigned index;
		uint64_t bit;

		if (!blocks[i]) /* a token, see sample.h */
			continue;
		if (e >> HAK_SLOT_LG != place) {
			place = e >> HAK_SLOT_LG;
			o = open_slab(t, place, own_cls);
			b = NULL;
		}
		index = hak_class_index(o.magic,
					e % (UINT64_C(1) << HAKC_OUTGOING_EPOCH) - o.start);
		if (index >= o.n_blocks ||
		    (o.asks_tags &&
		     !hak_tag_free_foreign(&hak_segment_tags(&t->heap->segment, o.slot)[index],
					   t->heap->holder, t->outgoing.incs[i]))) {
			lost++;
			continue;
		}
		bit = UINT64_C(1) << index % 64;
		if (!b || b->word != index / 64) {
			b = &batch.words[(o.slot * 5 + index / 64) % BATCH_WORDS];
			if (b->mask && (b->slot != o.slot || b->word != index / 64))
				apply(t, b, own_cls == HAK_CLASS_COUNT);
			b->slot = o.slot;
			b->word = (uint16_t)(index / 64);
			b->cls = o.cls;
		}
		if (__builtin_expect((b->mask & bit) != 0, 0))
			report_doubles(t, b->slot, b->word, b->cls, bit);
		b->mask |= bit;
	}
	for (unsigned i = 0; i < BATCH_WORDS; i++)
		if (batch.words[i].mask)
			apply(t, &batch.words[i], own_cls == HAK_CLASS_COUNT);
	hakc_thread_count(t, HAK_STAT_LOST_FREES, lost);
	hakc_thread_count(t, HAK_STAT_FLUSHES, 1);
}

/* Gives a magazine's blocks back to their slabs, the oldest first, all but the last `keep`. */
void hakc_flush_magazine(struct hakc_thread *t, unsigned cls, uint32_t keep)
{
	struct hakc_magazine *m = &t->magazines[cls];
	uint32_t n = hakc_magazine_count(m);

	if (n <= keep)
		return;
	*m->top = m->next;
	free_blocks(t, &m->bottom[1], n - keep, cls);
	memmove(&m->bottom[1], &m->bottom[1 + n - keep], keep * sizeof(m->bottom[0]));
	m->top = m->bottom + keep;
	m->next = *m->top;
}

__attribute__((noinline)) void hakc_flush_outgoing(struct hakc_thread *t)
{
	if (t->outgoing.n == 0)
		return;
	hakc_thread_count(t, HAK_STAT_REMOTE_FREES, t->outgoing.n);
	hak_crossing_begin(t->crossing);
	free_blocks(t, t->outgoing.blocks, t->outgoing.n, HAK_CLASS_COUNT);
	hak_crossing_end(t->crossing);
	t->outgoing.n = 0;
	t->outgoing.bytes = 0;
	if (++t->outgoing.n_flushes % PUBLISH_FLUSHES == 0)
		hakc_thread_publish(t);
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
		if (!block)
			continue;
		if (!hakc_thread_keeps(t, slot, n)) {
			hakc_free_report_double(t, block);
			continue;
		}
		hakc_free_own_span(t, slot, hak_slab_load(&t->words[slot]), block);
		/* [order:keeper] Who finds nobody and frees the span too sees that W changed. */
		hak_store_release(&t->heap->slabs[slot].keeper, 0);
	}
	pthread_mutex_unlock(&t->heap->lock);
}

void hakc_flush_all(struct hakc_thread *t)
{
	for (unsigned cls = 0; cls < HAK_CLASS_COUNT; cls++)
		hakc_flush_magazine(t, cls, 0);
	for (uint32_t n = 1; n <= HAKC_SPAN_SLOTS_MAX; n++)
		flush_spans(t, n, 0);
	hakc_flush_outgoing(t);
	hakc_thread_publish(t);
}

void hakc_flush_shrink(struct hakc_thread *t)
{
	for (unsigned i = 0; i < HAKC_MAGAZINES_USED; i++) {
		struct hakc_magazine *m = &t->magazines[i];
		uint32_t half = hakc_magazine_room(m) / 2;

		if (m->used == 0 && i >= HAKC_SPANS_AT) {
			flush_spans(t, i - HAKC_SPANS_AT + 1, hakc_magazine_count(m) / 2);
		} else if (m->used == 0 && half >= 2) {
			hakc_flush_magazine(t, i, half);
			m->end = m->bottom + half;
		}
		m->used = 0;
	}
}

void hakc_flush_unused(struct hakc_thread *t, bool is_slice)
{
	for (unsigned i = 0; i < HAKC_MAGAZINES_USED; i++) {
		struct hakc_magazine *m = &t->magazines[i];
		uint32_t n = hakc_magazine_count(m), room = hakc_magazine_room(m);
		uint32_t keep = m->used == 0 || room <= SMALL_ROOM ? 0 : is_slice ? n / 2 : n;

		if (i >= HAKC_SPANS_AT)
			flush_spans(t, i - HAKC_SPANS_AT + 1, keep);
		else
			hakc_flush_magazine(t, i, keep);
		if (i < HAKC_SPANS_AT && m->used == 0 && room / 2 >= HAKC_MAGAZINE_FIRST)
			m->end = m->bottom + room / 2;
		m->used = 0;
	}
	hakc_flush_outgoing(t);
	hakc_thread_publish(t);
}

static void retire(struct hakc_thread *t, uint32_t slot)
{
	struct hakc_heap *heap = t->heap;
	unsigned cls = hak_slab_class(hak_slab_load(&t->words[slot]));

	if (cls < HAK_CLASS_COUNT &&
	    hak_slab_retire(&t->words[slot], hak_segment_bits(&heap->segment, slot),
			    hak_segment_tags(&heap->segment, slot), heap->holder, t->number))
		put_slots(heap, slot, cls);
}

void hakc_flush_empty(struct hakc_thread *t, bool all)
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
