/* SPDX-License-Identifier: MIT */
/*
 * SAMPLED slabs are the process's, not a thread's: all of it here is done with the heap locked. W
 * names no thread, so nobody's free takes the fast path.
 */
#include "client_lib/sample.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "client_lib/alloc.h"
#include "client_lib/hardened.h"
#include "client_lib/list.h"
#include "client_lib/stack.h"
#include "proto/shm/sample.h"

/* A sample takes one to five microseconds, by what is in the caches: a fiftieth of a thread's time at most. */
#define US_BETWEEN 250u	 /* from one to the next, on average */
#define AT_ONCE	   1024u /* before that counts */
#define UNASKED \
	31u /* without credit the clock costs more than the rest: it isn't asked each time */

static uint64_t next_random(struct hakc_thread *t)
{
	if (!t->random)
		hakc_hardened_random(&t->random, sizeof(t->random));
	return hak_mix_next(&t->random);
}

/* Which magazine of t spans of size bytes go into; HAKC_MAGAZINES_USED: none. */
static unsigned span_magazine(size_t size)
{
	size_t at = (size - 1) / HAK_SLOT_BYTES;

	return at < HAKC_SPAN_SLOTS_MAX ? HAKC_SPANS_AT + (unsigned)at : HAKC_MAGAZINES_USED;
}

static uint64_t span_bytes(unsigned magazine)
{
	return (magazine - HAKC_SPANS_AT + 1) * HAK_SLOT_BYTES;
}

void hakc_sample_salt(struct hakc_thread *t, unsigned cls)
{
	struct hakc_magazine *m = &t->magazines[cls];
	uint64_t interval = hakc_sample_interval(t->heap);
	uint64_t bytes = hakc_magazine_count(m) * hak_classes[cls].size;

	if (interval == 0 || t->heap->is_hardened)
		return;
	/* Rounded up or down with the chance that makes it right on average. */
	for (uint64_t n = (bytes + next_random(t) % interval) / interval; n && m->top != m->end;
	     n--)
		hakc_magazine_insert(m, (uint32_t)(next_random(t) % (hakc_magazine_count(m) + 1)),
				     NULL);
}

static bool has_credit(struct hakc_thread *t)
{
	struct hakc_thread_samples *s = &t->samples;
	struct timespec now;
	uint64_t us;

	if (s->unasked > 0) {
		s->unasked--;
		return false;
	}
	clock_gettime(CLOCK_MONOTONIC, &now);
	us = (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
	s->credit_us += us - s->credit_at;
	s->credit_at = us;
	if (s->credit_us > AT_ONCE * US_BETWEEN)
		s->credit_us = AT_ONCE * US_BETWEEN;
	if (s->credit_us < US_BETWEEN) {
		s->unasked = UNASKED;
		return false;
	}
	s->credit_us -= US_BETWEEN;
	return true;
}

/* May t take a sample now? If it is only too early, the next one stands for these bytes too. */
static bool may_take(struct hakc_thread *t, uint64_t bytes)
{
	if (t->samples.is_busy)
		return false;
	if (has_credit(t))
		return true;
	t->samples.owed += bytes;
	hakc_thread_count(t, HAK_STAT_SAMPLES_LEFT_OUT, 1);
	return false;
}

/* All but the stack, which hakc_stack_translate finishes. */
static struct hakc_modules *describe(struct hakc_thread *t, struct hak_sample *ret, size_t size,
				     unsigned magazine, uint64_t weight)
{
	const struct hak_holder *self = &t->heap->segment.holders[t->heap->holder];
	struct hakc_modules *modules;
	int saved = errno; /* unwinding may change it */

	t->samples.is_busy = true; /* unwinding may allocate, if our caller's malloc is ours */
	ret->weight = weight + t->samples.owed;
	ret->asked = size;
	ret->pid = self->pid;
	memcpy(ret->name, self->name, sizeof(ret->name));
	ret->thread = (uint16_t)t->number;
	ret->magazine = (uint8_t)magazine;
	ret->n_frames = (uint8_t)hakc_stack_take(ret->frames, HAK_SAMPLE_FRAMES);
	modules = hakc_stack_modules(t->heap);
	t->samples.is_busy = false;
	errno = saved;
	return modules;
}

/* A free block of a SAMPLED slab; false: it has none. */
static bool claim(struct hakc_heap *heap, uint32_t slot, unsigned cls, uint32_t *ret_index)
{
	const struct hak_class *shape = &hak_classes[cls];
	const hak_u64 *word = &heap->segment.slab_words[slot];
	hak_u64 *bits = hak_segment_bits(&heap->segment, slot);
	hak_u32 *tags = hak_segment_tags(&heap->segment, slot);

	for (unsigned i = 0; i < hak_slab_bits_words(shape->n_blocks); i++) {
		/* Relaxed: a guess what to claim. */
		uint64_t seen = hak_load_relaxed(&bits[i]) & hak_slab_bits_mask(shape->n_blocks, i);
		uint64_t mask = hak_slab_claim(word, &bits[i], &tags[(uint64_t)i * 64],
					       seen & (0 - seen));

		if (!mask)
			continue;
		*ret_index = i * 64 + (unsigned)__builtin_ctzll(mask);
		return true;
	}
	return false;
}

static void mark(struct hakc_heap *heap, uint32_t slot)
{
	hak_slab_mark(&heap->segment.slab_words[slot], heap->holder, HAK_SLAB_SAMPLED);
}

/* A slab of cls that may have free blocks, a new one if need be; 0 or a negative errno. */
static int find_slab(struct hakc_thread *t, unsigned cls, uint32_t *ret_slot)
{
	struct hakc_heap *heap = t->heap;
	int r = 0;

	if (!heap->sampled[cls])
		hakc_alloc_take_some_hints(t);
	if (!heap->sampled[cls]) {
		r = hakc_heap_cut(heap, cls, 0, ret_slot);
		if (r < 0)
			return r;
		mark(heap, *ret_slot);
		hakc_list_push(heap, &heap->sampled[cls], *ret_slot, HAKC_LIST_SAMPLED);
	}
	*ret_slot = heap->sampled[cls] - 1;
	return r;
}

/* A block for a sample, behind which there is room for its record; false: there is none. */
static bool take_block(struct hakc_thread *t, size_t alignment, size_t size,
		       struct hak_location *ret)
{
	struct hakc_heap *heap = t->heap;
	unsigned cls = hak_class_of_aligned(size + sizeof(struct hak_sample), alignment);
	uint32_t slot, index = 0;
	bool zeroed;

	if (cls >= HAK_CLASS_COUNT) {
		if (hakc_heap_alloc_span(heap, size, alignment, &slot, &zeroed) < 0)
			return false;
		mark(heap, slot);
	} else {
		if (find_slab(t, cls, &slot) < 0)
			return false;
		while (!claim(heap, slot, cls, &index)) {
			hakc_list_remove(heap, &heap->sampled[cls], slot);
			if (find_slab(t, cls, &slot) < 0)
				return false;
		}
	}
	*ret = hak_segment_locate_offset(
		&heap->segment,
		((uint64_t)slot << HAK_SLOT_LG) +
			(cls < HAK_CLASS_COUNT ? index * hak_classes[cls].size : 0));
	return ret->place == HAK_PLACE_BLOCK; /* else somebody scribbled over its word */
}

static void finish(struct hakc_thread *t, struct hakc_modules *modules, struct hak_sample *sample,
		   const struct hak_location *l)
{
	struct hak_sample *at = hak_sample_of(&t->heap->segment, l);

	hakc_stack_translate(t->heap, modules, sample->frames, sample->n_frames);
	if (!at)
		return;
	hak_sample_set(at, sample, l->start);
	t->samples.owed = 0;
	hakc_thread_count(t, HAK_STAT_SAMPLES, 1);
}

void *hakc_sample_alloc(struct hakc_thread *t, unsigned cls, size_t alignment, size_t size)
{
	uint64_t interval = hakc_sample_interval(t->heap);
	uint64_t weight = interval + hak_classes[cls].size;
	struct hakc_modules *modules;
	struct hak_sample sample;
	struct hak_location l;
	bool has_block;

	hakc_magazine_pop(&t->magazines[cls]);
	if (interval == 0 || !may_take(t, interval)) /* its own will be another's block then */
		return NULL;
	modules = describe(t, &sample, size, cls, weight);
	pthread_mutex_lock(&t->heap->lock);
	has_block = take_block(t, alignment, size, &l);
	if (has_block)
		finish(t, modules, &sample, &l);
	else
		hakc_stack_translate(t->heap, modules, sample.frames, 0);
	pthread_mutex_unlock(&t->heap->lock);
	return has_block ? (void *)(t->base + l.start) : NULL;
}

bool hakc_sample_wants_span(struct hakc_thread *t, size_t size)
{
	uint64_t interval = hakc_sample_interval(t->heap);
	unsigned magazine = span_magazine(size);
	bool is_wanted = false;

	if (magazine < HAKC_MAGAZINES_USED && hakc_sample_is_next(&t->magazines[magazine])) {
		hakc_magazine_pop(&t->magazines[magazine]);
		t->span_bytes -= span_bytes(magazine);
		is_wanted = true;
	}
	if (interval == 0 || t->heap->is_hardened)
		return false;
	is_wanted = is_wanted || size >= interval || next_random(t) % interval < size;
	return is_wanted && may_take(t, size > interval ? size : interval);
}

void hakc_sample_set_span(struct hakc_thread *t, uint32_t slot, size_t size)
{
	uint64_t interval = hakc_sample_interval(t->heap);
	struct hak_sample sample;
	struct hakc_modules *modules = describe(t, &sample, size, span_magazine(size),
						size > interval ? size : interval);

	pthread_mutex_lock(&t->heap->lock);
	mark(t->heap, slot);
	const struct hak_location l = hak_segment_locate_offset(&t->heap->segment,
								(uint64_t)slot << HAK_SLOT_LG);
	finish(t, modules, &sample, &l);
	pthread_mutex_unlock(&t->heap->lock);
}

/* Where the block would go: on top of its magazine. */
static void put_token(struct hakc_thread *t, unsigned magazine)
{
	struct hakc_magazine *m = &t->magazines[magazine];

	if (magazine < HAKC_SPANS_AT) {
		if (m->top != m->end)
			hakc_magazine_push(m, NULL);
	} else if (magazine < HAKC_MAGAZINES_USED &&
		   t->span_bytes + span_bytes(magazine) <= HAKC_SPANS_BYTES) {
		t->span_bytes += span_bytes(magazine);
		hakc_magazine_push(m, NULL);
	}
}

void hakc_sample_free(struct hakc_thread *t, const void *block)
{
	const struct hak_segment *segment = &t->heap->segment;
	const struct hak_location l = hak_segment_locate(segment, (uintptr_t)block);
	struct hak_sample *at;
	bool is_own;

	at = l.place == HAK_PLACE_BLOCK ? hak_sample_of(segment, &l) : NULL;
	/* Relaxed: ended before, by a free that came twice. */
	if (!at || hak_load_relaxed(&at->seal) == 0)
		return;
	is_own = hak_slab_owner(l.word) == t->heap->holder && at->thread == (uint16_t)t->number &&
		 at->pid == segment->holders[t->heap->holder].pid;
	hak_sample_end(at);
	if (is_own && !t->heap->is_hardened)
		put_token(t, at->magazine);
}

void hakc_sample_relist(struct hakc_heap *heap, uint32_t slot)
{
	hak_u64 *word = &heap->segment.slab_words[slot];
	hak_u64 *bits = hak_segment_bits(&heap->segment, slot);
	unsigned cls = hak_slab_class(hak_slab_load(word));

	if (heap->slabs[slot].list == HAKC_LIST_SAMPLED)
		hakc_list_remove(heap, &heap->sampled[cls], slot);
	if (hak_slab_is_empty(bits, hak_classes[cls].n_blocks) &&
	    hak_slab_retire(word, bits, hak_segment_tags(&heap->segment, slot), heap->holder, 0))
		hakc_heap_put_slots(heap, slot, hak_classes[cls].n_slots);
	else
		hakc_list_push(heap, &heap->sampled[cls], slot, HAKC_LIST_SAMPLED);
}
