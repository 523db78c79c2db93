/* SPDX-License-Identifier: MIT */
/*
 * Giving blocks back.
 *
 * Blocks of our own slabs leave the magazine in batches, collected by word of
 * free bits, a word by one atomic OR. Blocks that another thread or process
 * claims never go into a magazine; they leave in the same way, with the
 * pending hint behind the bits. They remember the slab's epoch: if the slab has
 * changed hands since, its owner has gone and the blocks went with it.
 */
#include "client_lib/free.h"

#include <errno.h>
#include <string.h>

#include "client_lib/log.h"
#include "client_lib/session.h"

#define PUBLISH_FLUSHES 16u /* flushes of outgoing blocks after which counts are published */

__attribute__((cold, noinline)) void hakc_free_report_double(struct hakc_thread *t,
							     const void *block)
{
	hakc_count(t->heap, HAK_STAT_DOUBLE_FREES, 1);
	hakc_log(HAKC_LOG_ERROR, "double free of %p refused", block);
}

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
		return hak_slab_retire(&heap->segment.slab_words[slot], bits,
				       hak_segment_tags(&heap->segment, slot), heap->holder,
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

/* Sets the bits of one word; its slab holds blocks that aren't free, so it is what it was. */
static void apply(struct hakc_thread *t, struct batch_word *b)
{
	struct hakc_heap *heap = t->heap;
	uint64_t twice = hak_slab_free(&hak_segment_bits(&heap->segment, b->slot)[b->word],
				       b->mask);

	hakc_thread_count(t, HAK_STAT_FREES, (uint64_t)__builtin_popcountll(b->mask & ~twice));
	if (__builtin_expect(twice != 0, 0))
		report_doubles(t, b->slot, b->word, b->cls, twice);
	b->mask = 0;
	if (!is_claimed_by(t, hak_slab_load(&t->words[b->slot])))
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
};

/* place: slot of a block, the epoch that its slab must have << 32; own_cls: as in free_blocks. */
static inline struct opened open_slab(const struct hakc_thread *t, uint64_t place, unsigned own_cls)
{
	uint64_t w;
	uint32_t slot = head_of(t, (uint32_t)place, &w);
	unsigned cls = hak_slab_class(w);
	struct opened o = {.start = (uint64_t)slot << HAK_SLOT_LG, .slot = slot};
	bool fits = own_cls < HAK_CLASS_COUNT
			    ? cls == own_cls && is_claimed_by(t, w)
			    : cls < HAK_CLASS_COUNT && hak_slab_state(w) == HAK_SLAB_ACTIVE &&
				      hak_slab_epoch(w) == place >> 32;

	if (fits) {
		o.cls = (uint16_t)cls;
		o.magic = hak_classes[cls].magic;
		o.n_blocks = hak_classes[cls].n_blocks;
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

		if (e >> HAK_SLOT_LG != place) {
			place = e >> HAK_SLOT_LG;
			o = open_slab(t, place, own_cls);
			b = NULL;
		}
		index = hak_class_index(o.magic,
					e % (UINT64_C(1) << HAKC_OUTGOING_EPOCH) - o.start);
		if (index >= o.n_blocks) {
			lost++;
			continue;
		}
		bit = UINT64_C(1) << index % 64;
		if (!b || b->word != index / 64) {
			b = &batch.words[(o.slot * 5 + index / 64) % BATCH_WORDS];
			if (b->mask && (b->slot != o.slot || b->word != index / 64))
				apply(t, b);
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
			apply(t, &batch.words[i]);
	hakc_thread_count(t, HAK_STAT_LOST_FREES, lost);
	hakc_thread_count(t, HAK_STAT_FLUSHES, 1);
}

/* Gives a magazine's blocks back to their slabs, the oldest first, all but the last `keep`. */
static void flush_magazine(struct hakc_thread *t, unsigned cls, uint32_t keep)
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

__attribute__((noinline)) void hakc_free_flush_outgoing(struct hakc_thread *t)
{
	if (t->outgoing.n == 0)
		return;
	hakc_thread_count(t, HAK_STAT_REMOTE_FREES, t->outgoing.n);
	free_blocks(t, t->outgoing.blocks, t->outgoing.n, HAK_CLASS_COUNT);
	t->outgoing.n = 0;
	t->outgoing.bytes = 0;
	if (++t->outgoing.n_flushes % PUBLISH_FLUSHES == 0)
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
		hakc_free_report_double(t, block);
		return;
	}
	hakc_thread_count(t, HAK_STAT_FREES, 1);
	hakc_heap_retire_span(heap, slot);
}

bool hakc_free_is_cached(struct hakc_thread *t, uint32_t slot)
{
	struct hakc_heap *heap = t->heap;

	if (!hak_load_relaxed(
		    &heap->slabs[slot].keeper)) /* if it is kept just now: see keep_span */
		return false;
	if (hak_slab_claim(&t->words[slot], hak_segment_bits(&heap->segment, slot),
			   hak_segment_tags(&heap->segment, slot), 1))
		hakc_free_report_double(t, (void *)hak_segment_address(&heap->segment, slot));
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
		if (!hakc_thread_keeps(t, slot, n)) {
			hakc_free_report_double(t, block);
			continue;
		}
		free_own_span(t, slot, hak_slab_load(&t->words[slot]), block);
		/* [order:keeper] Who finds nobody and frees the span too sees that W changed. */
		hak_store_release(&t->heap->slabs[slot].keeper, 0);
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
		uint32_t half = hakc_magazine_room(m) / 2;

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
	    hak_slab_retire(&t->words[slot], hak_segment_bits(&heap->segment, slot),
			    hak_segment_tags(&heap->segment, slot), heap->holder, t->number))
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
		hakc_free_report_double(t, block);
		return;
	}
	if (m->top == m->end) {
		m->used++;
		if (!hakc_magazine_grow(m))
			flush_magazine(t, cls, hakc_magazine_room(m) / 2);
	}
	hakc_magazine_push(m, block);
}

/* A block that another thread or process claims, of a slab whose W is w. */
static inline void free_remote(struct hakc_thread *t, void *block, uint64_t w)
{
	struct hakc_outgoing *o = &t->outgoing;

	o->blocks[o->n++] = (void *)((uintptr_t)block | (uint64_t)hak_slab_epoch(w)
								<< HAKC_OUTGOING_EPOCH);
	o->bytes += hak_classes[hak_slab_class(w)].size;
	if (o->n == HAKC_OUTGOING_BLOCKS || o->bytes >= HAKC_OUTGOING_BYTES)
		hakc_free_flush_outgoing(t);
}

/* The block of a span of another process: freed now, the owner will find it. */
static void free_remote_span(struct hakc_thread *t, const struct hak_location *l, void *block)
{
	hakc_thread_count(t, HAK_STAT_REMOTE_FREES, 1);
	if (hak_slab_free(hak_segment_bits(&t->heap->segment, l->slot), 1)) {
		hakc_free_report_double(t, block);
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

/*
 * Keeps a span of ours at slot, whose W is w, if there is room.
 *
 * No atomic operation, though two threads may free the span at once: both may keep it then, but
 * the later store decides whose it is, and the other finds out before it gives the span out
 * (hakc_thread_keeps). A store that comes when the other has given it out already is a free of
 * a block in use, which nobody can tell from a right one.
 *
 * | meanwhile, by another                | who is told                               |
 * |--------------------------------------|-------------------------------------------|
 * | keeps it too                         | the first to store, when it takes its own |
 * | kept it and took it apart            | we, by W, when we take it                 |
 * | frees it in another process          | the other, by the hint; or we, as above   |
 */
static inline bool keep_span(struct hakc_thread *t, uint32_t slot, uint64_t w, void *block)
{
	uint32_t n = hak_slab_arg(w);
	uint64_t bytes = t->span_bytes + n * HAK_SLOT_BYTES;
	hak_u32 *keeper = &t->slabs[slot].keeper;
	struct hakc_magazine *m;

	if (n - 1 >= HAKC_SPAN_SLOTS_MAX || bytes > HAKC_SPANS_BYTES)
		return false;
	m = &t->magazines[HAKC_SPANS_AT + n - 1];
	/* Relaxed: whether another process has freed it; [order:keeper] a thread of ours. */
	if (hak_load_relaxed(&t->bits[(uint64_t)slot * HAK_SLAB_BITS_WORDS]) & 1 ||
	    hak_load_acquire(keeper) != 0) {
		hakc_free_report_double(t, block);
		return true;
	}
	hak_store_relaxed(keeper, t->number);
	t->span_bytes = bytes;
	hakc_magazine_push(m, block);
	return true;
}

/* Frees a span of ours that isn't kept. */
__attribute__((noinline)) static void retire_span(struct hakc_thread *t, uint32_t slot, uint64_t w,
						  const void *block)
{
	int saved = errno; /* memory that is given back may change it */

	pthread_mutex_lock(&t->heap->lock);
	free_own_span(t, slot, w, block);
	pthread_mutex_unlock(&t->heap->lock);
	errno = saved;
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
		retire_span(t, l->slot, l->word, block);
	} else if (is_span) {
		free_remote_span(t, l, block);
	} else if (hak_slab_is_mine(l->word, t->mine)) {
		free_local(t, l, block);
	} else {
		free_remote(t, block, l->word);
	}
}

static void refuse(struct hakc_thread *t, const void *block, const char *reason)
{
	hakc_count(t->heap, HAK_STAT_INVALID_FREES, 1);
	hakc_log(HAKC_LOG_ERROR, "free of %p refused: %s", block, reason);
}

/* Whatever it may be, in an attached process. */
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

/* What W alone doesn't settle. */
__attribute__((noinline)) static void free_any(void *block)
{
	int saved = errno;
	struct hakc_thread *t = attached_thread();

	if (t)
		free_located(t, block);
	else
		hakc_session_free_foreign(t, block);
	hakc_thread_end_late();
	errno = saved;
}

void hakc_free_slow(void *block)
{
	if (block)
		free_any(block);
}

/* Parts of it call others at their ends only: nothing is to be saved on the way. */
void hakc_free_by_word(void *block, struct hakc_thread *t)
{
	uint32_t slot = (uint32_t)(((uintptr_t)block - t->base) >> HAK_SLOT_LG);
	uint64_t w = hak_slab_load(&t->words[slot]);
	uint64_t offset = (uintptr_t)block % HAK_SLOT_BYTES;

	if ((uint16_t)w == (uint16_t)t->short_span && offset == 0) {
		if (!keep_span(t, slot, w, block))
			retire_span(t, slot, w, block);
	} else if (hakc_thread_is_start(t, offset, w) && !is_claimed_by(t, w)) {
		free_remote(t, block, w);
	} else {
		free_any(block);
	}
}
