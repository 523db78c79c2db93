/* SPDX-License-Identifier: MIT */
/*
 * Giving blocks back.
 *
 * A block of an untagged slab that this thread claims goes into the magazine, one
 * that others claim into the outgoing buffer (flush.c empties both), a span of
 * ours is kept or taken apart, one of another process is freed at once.
 *
 * In a TAGGED slab the tag is asked first, and says whose the block is: of one
 * that is ours by its tag nobody else sets the bit.
 */
#include "client_lib/free.h"

#include <errno.h>
#include <string.h>

#include "client_lib/decay.h"
#include "client_lib/flush.h"
#include "client_lib/hardened.h"
#include "client_lib/list.h"
#include "client_lib/log.h"
#include "client_lib/sample.h"
#include "client_lib/session.h"
#include "client_lib/ticket.h"
#include "proto/shm/crossing.h"

__attribute__((cold, noinline)) void hakc_free_report_double(struct hakc_thread *t,
							     const void *block)
{
	hakc_count(t->heap, HAK_STAT_DOUBLE_FREES, 1);
	hakc_log(HAKC_LOG_ERROR, "double free of %p refused", block);
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

/* Is W another one than when it was located? */
static bool is_changed(const struct hakc_heap *heap, uint32_t slot, uint64_t before)
{
	uint64_t w = hak_slab_load(&heap->segment.slab_words[slot]);

	return ((w ^ before) & ~HAK_SLAB_TAGGED) != 0;
}

/* Frees the block of a span of ours, whose W was w; heap locked. */
void hakc_free_own_span(struct hakc_thread *t, uint32_t slot, uint64_t w, const void *block)
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
	hak_u64 *bits = hak_segment_bits(&heap->segment, slot);
	hak_u32 *keeper = &heap->slabs[slot].keeper;

	if (!hak_load_relaxed(keeper)) /* if it is kept just now: see keep_span */
		return false;
	/* [order:free] Whoever set it after the span was given out had it from who cleared the keeper. */
	if (!(hak_load_acquire(bits) & 1))
		return true;
	if (!hak_load_relaxed(keeper)) /* so: given out since we looked, and freed; not twice */
		return false;
	hak_slab_claim(&t->words[slot], bits, hak_segment_tags(&heap->segment, slot), 1);
	hakc_free_report_double(t, (void *)hak_segment_address(&heap->segment, slot));
	return true;
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
		hakc_decay_check(t);
		m->used++;
		if (m->top == m->end && !hakc_magazine_grow(m))
			hakc_flush_magazine(t, cls, hakc_magazine_room(m) / 2);
	}
	hakc_magazine_push(m, block);
}

/*
 * A block that another thread or process claims, of a slab whose W is w; is_sure and inc: see
 * struct hakc_outgoing.
 */
static inline void free_remote(struct hakc_thread *t, void *block, uint64_t w, bool is_sure,
			       unsigned inc)
{
	struct hakc_outgoing *o = &t->outgoing;

	if (__builtin_expect((w & HAK_SLAB_SAMPLED) != 0, 0))
		hakc_sample_free(t, block);
	o->incs[o->n] = inc;
	o->blocks[o->n++] = (void *)((uintptr_t)block |
				     (uint64_t)hak_slab_epoch(w) << HAKC_OUTGOING_EPOCH |
				     (uint64_t)is_sure << HAKC_OUTGOING_SURE);
	o->bytes += hak_classes[hak_slab_class(w)].size;
	if (o->n == HAKC_OUTGOING_BLOCKS || o->bytes >= HAKC_OUTGOING_BYTES) {
		hakc_decay_check(t);
		hakc_flush_outgoing(t);
	}
}

/* The block of a span of another process, which is ours by its tag: the owner will find it. */
static void free_held_span(struct hakc_thread *t, const struct hak_location *l, void *block)
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

	if (n - 1 >= HAKC_SPAN_SLOTS_MAX || bytes > HAKC_SPANS_BYTES || (w & HAK_SLAB_SAMPLED))
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

	hakc_decay_check(t);
	if (w & HAK_SLAB_SAMPLED)
		hakc_sample_free(t, block);
	pthread_mutex_lock(&t->heap->lock);
	hakc_free_own_span(t, slot, w, block);
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

void hakc_free_refuse(struct hakc_thread *t, const void *block, const char *reason)
{
	hakc_count(t->heap, HAK_STAT_INVALID_FREES, 1);
	hakc_log(HAKC_LOG_ERROR, "free of %p refused: %s", block, reason);
}

void hakc_free_refuse_place(struct hakc_thread *t, enum hak_place place, void *block)
{
	if (place == HAK_PLACE_FOREIGN)
		hakc_session_free_foreign(t, block);
	else if (place == HAK_PLACE_INTERIOR)
		hakc_free_refuse(t, block, "inside a block, not its begin");
	else
		hakc_free_refuse(t, block, "no block is there");
}

/*
 * The block of a span of another process that nobody has taken, as it was when W and inc were looked
 * at. Its owner may make the first ref of it meanwhile, or die.
 */
static void free_lent_span(struct hakc_thread *t, const struct hak_location *l, void *block,
			   unsigned inc)
{
	bool is_ours;
	uint64_t w;

	hak_crossing_begin(t->crossing);
	w = hak_slab_load(&t->words[l->slot]);
	is_ours = ((w ^ l->word) & ~HAK_SLAB_TAGGED) == 0 &&
		  (!(w & HAK_SLAB_TAGGED) ||
		   hak_tag_free_foreign(hakc_ticket_tag(t->heap, l), t->heap->holder, inc));
	if (is_ours)
		free_held_span(t, l, block);
	hak_crossing_end(t->crossing);
	hakc_thread_count(t, HAK_STAT_LOST_FREES, !is_ours);
}

/* A block of a slab or span that may have refs; its tag decides. */
static void free_tagged(struct hakc_thread *t, const struct hak_location *l, void *block)
{
	bool is_span = hak_slab_state(l->word) == HAK_SLAB_SPAN;
	enum hakc_right right = HAKC_RIGHT_NONE;
	unsigned inc = 0;

	if (hak_segment_is_free(&t->heap->segment, l)) {
		hakc_free_report_double(t, block);
		return;
	}
	right = hakc_ticket_free(t, l, &inc);
	if (right == HAKC_RIGHT_NONE)
		hakc_free_refuse(t, block, "it belongs to another, or was freed");
	else if (!is_span && right == HAKC_RIGHT_OWN && hakc_thread_claims(t, l->word))
		free_local(t, l, block);
	else if (!is_span)
		free_remote(t, block, l->word, right != HAKC_RIGHT_LENT, inc);
	else if (right == HAKC_RIGHT_HELD)
		free_held_span(t, l, block);
	else if (right == HAKC_RIGHT_LENT)
		free_lent_span(t, l, block, inc);
	else if (!keep_span(t, l->slot, l->word, block))
		retire_span(t, l->slot, l->word, block);
}

static void free_block(struct hakc_thread *t, const struct hak_location *l, void *block)
{
	if (l->word & HAK_SLAB_TAGGED)
		free_tagged(t, l, block);
	else if (is_own_span(t, l->word))
		retire_span(t, l->slot, l->word, block);
	else if (hak_slab_state(l->word) == HAK_SLAB_SPAN)
		free_lent_span(t, l, block, 0);
	else if (hak_slab_is_mine(l->word, t->mine))
		free_local(t, l, block);
	else
		free_remote(t, block, l->word, hak_slab_owner(l->word) == t->heap->holder, 0);
}

/* Whatever it may be, in an attached process. */
static void free_located(struct hakc_thread *t, void *block)
{
	const struct hak_location l = hak_segment_locate(&t->heap->segment, (uintptr_t)block);

	if (l.place == HAK_PLACE_BLOCK)
		free_block(t, &l, block);
	else
		hakc_free_refuse_place(t, l.place, block);
}

/* What W alone doesn't settle. */
__attribute__((noinline)) static void free_any(void *block)
{
	int saved = errno;
	struct hakc_thread *t = attached_thread();

	if (!t)
		hakc_session_free_foreign(t, block);
	else if (__builtin_expect(t->heap->is_hardened, 0))
		hakc_hardened_free(t, block);
	else
		free_located(t, block);
	hakc_thread_end_late();
	errno = saved;
}

void hakc_free_slow(void *block)
{
	if (block)
		free_any(block);
}

/* A block of a TAGGED slab, in its first slot. */
__attribute__((noinline)) static void free_tagged_start(void *block, struct hakc_thread *t)
{
	int saved = errno; /* memory that is given back may change it */
	struct hak_location l;

	hakc_thread_locate(t, (uintptr_t)block - t->base, &l);
	if (l.place == HAK_PLACE_BLOCK)
		free_block(t, &l, block);
	errno = saved;
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
	} else if ((w & HAK_SLAB_TAGGED) && hakc_thread_is_start(t, offset, w)) {
		free_tagged_start(block, t);
	} else if (hakc_thread_is_start(t, offset, w) && !hak_slab_is_mine(w, t->mine)) {
		free_remote(t, block, w, hak_slab_owner(w) == t->heap->holder, 0);
	} else {
		free_any(block);
	}
}
