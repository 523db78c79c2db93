/* SPDX-License-Identifier: MIT */
/*
 * Freeing without caches: where the block is, whether it is free already, whose it is, whether
 * its guard holds; then its bit is set. Nobody but the thread in W claims the bit, so that one fills
 * the block afterwards. A block that another may claim at once is filled before: where
 * two threads free it at the same instant and a third gets it in between, the second one, which is
 * told, may have filled the third one's block.
 *
 * A process that is killed on the way has freed the block or has not; its guard stays as it was, so that
 * who frees it then is told nothing wrong.
 */
#include "client_lib/hardened.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "client_lib/decay.h"
#include "client_lib/free.h"
#include "client_lib/log.h"
#include "client_lib/session.h"
#include "client_lib/ticket.h"
#include "proto/shm/crossing.h"
#include "proto/shm/guard.h"

enum verdict { FREED, DOUBLE, NOT_OURS };

/* Anything but nothing and 0: who mistypes it shall not be without. */
static bool is_wanted(void)
{
	const char *text = getenv("HAKMEM_HARDENED");

	return text && *text && strcmp(text, "0") != 0;
}

void hakc_hardened_random(void *ret_bytes, size_t n)
{
	int saved = errno;

	if (getrandom(ret_bytes, n, GRND_NONBLOCK) != (ssize_t)n) {
		struct timespec now;
		uint64_t word;

		clock_gettime(CLOCK_MONOTONIC, &now);
		word = (uint64_t)now.tv_nsec * UINT64_C(0x9e3779b97f4a7c15) ^ (uintptr_t)&now;
		for (size_t i = 0; i < n; i++)
			((unsigned char *)ret_bytes)[i] = (unsigned char)(word >> i % 8 * 8);
	}
	errno = saved;
}

void hakc_hardened_init(struct hakc_heap *heap)
{
	/* Relaxed: a setting, which may change at any time for those that come. */
	heap->is_hardened = is_wanted() || hak_load_relaxed(&heap->segment.header->hardened);
	if (heap->is_hardened)
		hakc_hardened_random(&heap->seed, sizeof(heap->seed));
}

void hakc_hardened_enter(struct hakc_thread *t)
{
	t->n_slots = 0;
	for (unsigned i = 0; i < HAKC_MAGAZINES_USED; i++)
		t->magazines[i].end = t->magazines[i].end_max = t->magazines[i].bottom;
	t->random = t->heap->seed + t->number;
}

/* The free block that comes first from a random one on, round the slab's end. */
bool hakc_hardened_claim(struct hakc_thread *t, unsigned cls, uint32_t slot)
{
	const struct hak_class *shape = &hak_classes[cls];
	hak_u64 *bits = hak_segment_bits(&t->heap->segment, slot);
	hak_u32 *tags = hak_segment_tags(&t->heap->segment, slot);
	unsigned n_words = hak_slab_bits_words(shape->n_blocks);
	unsigned at = (unsigned)((hak_mix_next(&t->random) >> 32) * shape->n_blocks >> 32);

	for (unsigned tried = 0; tried <= n_words; tried++) {
		unsigned i = (at / 64 + tried) % n_words;
		/* Relaxed: a guess what to claim. */
		uint64_t seen = hak_load_relaxed(&bits[i]) & hak_slab_bits_mask(shape->n_blocks, i);
		unsigned bit;

		if (tried == 0) /* those before it come last */
			seen &= UINT64_MAX << at % 64;
		if (!seen)
			continue;
		bit = (unsigned)__builtin_ctzll(seen);
		if (!hak_slab_claim(&t->words[slot], &bits[i], &tags[(uint64_t)i * 64],
				    UINT64_C(1) << bit))
			continue;
		hakc_magazine_push(&t->magazines[cls],
				   (char *)hak_segment_address(&t->heap->segment, slot) +
					   ((uint64_t)i * 64 + bit) * shape->size);
		hakc_thread_count(t, HAK_STAT_CLAIMS, 1);
		return true;
	}
	return false;
}

void hakc_hardened_report_overflow(struct hakc_heap *heap, const void *block, uint64_t size)
{
	hakc_count(heap, HAK_STAT_OVERFLOWS, 1);
	hakc_log(HAKC_LOG_ERROR, "overflow: the block of %llu bytes at %p was written past its end",
		 (unsigned long long)size, block);
}

/* Its guard stays. */
static void fill(const struct hakc_heap *heap, const struct hak_location *l, uint64_t bytes)
{
	memset((void *)(heap->segment.base + l->start), HAKC_HARDENED_FILL,
	       bytes < HAKC_HARDENED_FILL_BYTES ? bytes : HAKC_HARDENED_FILL_BYTES);
}

/* The tag's part; from here on nobody takes the block. In a crossing, or of a slab of ours. */
static bool has_right(struct hakc_thread *t, const struct hak_location *l)
{
	unsigned inc = 0;

	if (!(l->word & HAK_SLAB_TAGGED))
		return true;
	switch (hakc_ticket_free(t, l, &inc)) {
	case HAKC_RIGHT_NONE:
		return false;
	case HAKC_RIGHT_LENT:
		return hak_tag_free_foreign(hakc_ticket_tag(t->heap, l), t->heap->holder, inc);
	default:
		return true;
	}
}

/* A block of a slab, or of a span that isn't ours; in a crossing. */
static enum verdict free_bit(struct hakc_thread *t, const struct hak_location *l, uint64_t usable)
{
	struct hakc_heap *heap = t->heap;
	hak_u64 *bits = &hak_segment_bits(&heap->segment, l->slot)[l->index / 64];
	bool is_claimed = hakc_thread_claims(t, l->word);

	if (hak_segment_is_free(&heap->segment, l))
		return DOUBLE;
	if (!has_right(t, l))
		return NOT_OURS;
	if (!is_claimed)
		fill(heap, l, usable);
	if (hak_slab_free(bits, UINT64_C(1) << l->index % 64))
		return DOUBLE;
	hakc_thread_count(t, HAK_STAT_FREES, 1);
	if (is_claimed) {
		fill(heap, l, usable);
	} else {
		hakc_thread_count(t, HAK_STAT_REMOTE_FREES, 1);
		hak_segment_raise_pending(&heap->segment, l->slot);
	}
	return FREED;
}

/* The lock keeps others of ours from taking it apart meanwhile. */
static enum verdict free_own_span(struct hakc_thread *t, const struct hak_location *l)
{
	struct hakc_heap *heap = t->heap;
	enum verdict verdict = FREED;
	struct hak_location now;

	pthread_mutex_lock(&heap->lock);
	now = hak_segment_locate_offset(&heap->segment, l->start);
	if (now.place != HAK_PLACE_BLOCK || ((now.word ^ l->word) & ~HAK_SLAB_TAGGED) != 0 ||
	    hak_segment_is_free(&heap->segment, &now)) {
		verdict = DOUBLE;
	} else if (!has_right(t, &now)) {
		verdict = NOT_OURS;
	} else {
		fill(heap, &now, hak_guard_usable(&heap->segment, &now));
		hakc_free_own_span(t, now.slot, now.word, (void *)(heap->segment.base + now.start));
	}
	pthread_mutex_unlock(&heap->lock);
	return verdict;
}

/* A slab that this thread claims got a block back. */
static void relist(struct hakc_thread *t, const struct hak_location *l)
{
	unsigned cls = hak_slab_class(l->word);

	if (!hakc_thread_claims(t, l->word) || !hakc_free_relist(t, l->slot, cls))
		return;
	pthread_mutex_lock(&t->heap->lock);
	hakc_heap_put_slots(t->heap, l->slot, hak_classes[cls].n_slots);
	pthread_mutex_unlock(&t->heap->lock);
}

static void report(struct hakc_thread *t, const void *block, enum verdict verdict)
{
	if (verdict == DOUBLE)
		hakc_free_report_double(t, block);
	else if (verdict == NOT_OURS)
		hakc_free_refuse(t, block, "it belongs to another, or was freed");
}

void hakc_hardened_free(struct hakc_thread *t, void *block)
{
	struct hakc_heap *heap = t->heap;
	enum verdict verdict = NOT_OURS;
	bool was_whole = true, is_own_span = false;
	struct hak_location l;
	uint64_t usable = 0;

	hakc_decay_check(t);
	hak_crossing_begin(t->crossing);
	l = hak_segment_locate(&heap->segment, (uintptr_t)block);
	if (l.place == HAK_PLACE_BLOCK) {
		is_own_span = hak_slab_state(l.word) == HAK_SLAB_SPAN &&
			      hak_slab_owner(l.word) == heap->holder;
		was_whole = hak_guard_holds(&heap->segment, &l);
		usable = hak_guard_usable(&heap->segment, &l);
		if (!is_own_span)
			verdict = free_bit(t, &l, usable);
	}
	hak_crossing_end(t->crossing);
	if (is_own_span)
		verdict = free_own_span(t, &l);
	if (l.place != HAK_PLACE_BLOCK) {
		hakc_free_refuse_place(t, l.place, block);
		return;
	}
	report(t, block, verdict);
	if (verdict == FREED && !was_whole)
		hakc_hardened_report_overflow(heap, block, usable);
	if (verdict == FREED)
		relist(t, &l);
}
