/* SPDX-License-Identifier: MIT */
/*
 * How threads come and go.
 *
 * A state is bound to its thread from the thread's first slow call to its end,
 * through detach and attach; then the next new thread gets it. At its end a
 * thread flushes what it caches and lets go of its slabs: they become nobody's
 * (thread 0 in W), and another thread of the process adopts them.
 */
#include "client_lib/thread.h"

#include <errno.h>
#include <string.h>

#include "client_lib/alloc.h"
#include "client_lib/free.h"
#include "client_lib/session.h"

static struct hakc_thread nobody; /* all zero for ever: nothing cached, no pool */
__thread struct hakc_thread *hakc_self = &nobody;

static pthread_key_t end_key;
static pthread_once_t key_once = PTHREAD_ONCE_INIT;

static void end_thread(void *state);

static void make_key(void)
{
	if (pthread_key_create(&end_key, end_thread) != 0)
		end_key = (pthread_key_t)-1; /* states are then kept till the process ends */
}

static size_t threads_bytes(void)
{
	return HAKC_THREADS_MAX * sizeof(struct hakc_thread *);
}

/* A state that nobody uses, with its number; heap locked. */
static struct hakc_thread *new_state(struct hakc_heap *heap)
{
	struct hakc_thread *t;

	if (heap->free_thread) {
		t = heap->threads[heap->free_thread - 1];
		heap->free_thread = t->next_free;
		return t;
	}
	if (!heap->threads)
		heap->threads = hakc_private_map(threads_bytes());
	if (!heap->threads || heap->n_threads == HAKC_THREADS_MAX)
		return NULL;
	t = hakc_private_map(sizeof(*t));
	if (!t)
		return NULL;
	heap->threads[heap->n_threads++] = t;
	t->number = heap->n_threads;
	return t;
}

static void enter(struct hakc_thread *t, struct hakc_heap *heap)
{
	t->heap = heap;
	t->base = heap->segment.base;
	t->capacity = heap->segment.geometry.capacity;
	t->words = heap->segment.slab_words;
	t->mine = hak_slab_mine(heap->holder, t->number);
	for (unsigned cls = 0; cls < HAK_CLASS_COUNT; cls++) {
		struct hakc_magazine *m = &t->magazines[cls];
		uint32_t capacity = HAKC_MAGAZINE_BYTES / hak_classes[cls].size;

		m->n = 0;
		m->magic = hak_classes[cls].magic;
		m->end = (uint64_t)hak_classes[cls].n_blocks * hak_classes[cls].size;
		m->capacity = capacity < 2			? 2
			      : capacity > HAKC_MAGAZINE_BLOCKS ? HAKC_MAGAZINE_BLOCKS
								: capacity;
	}
	hakc_count(heap, HAK_STAT_THREADS, 1);
}

/* Everything but who the state is bound to; caches are lost, not flushed. */
static void leave(struct hakc_thread *t)
{
	uint32_t number = t->number;
	uint32_t next_free = t->next_free;

	memset(t, 0, sizeof(*t));
	t->number = number;
	t->next_free = next_free;
}

struct hakc_thread *hakc_thread_get(int *ret_error)
{
	struct hakc_thread *t = hakc_self;
	struct hakc_heap *heap;
	int r = 0;

	if (t->heap)
		return t;
	heap = hakc_heap();
	pthread_once(&key_once, make_key);
	pthread_mutex_lock(&heap->lock);
	if (!heap->is_attached)
		r = hakc_session_attach(heap, NULL);
	if (r == 0 && t->number == 0) { /* new here, or a child of a fork */
		t = new_state(heap);
		if (!t)
			r = -ENOMEM;
	}
	if (r == 0)
		enter(t, heap);
	pthread_mutex_unlock(&heap->lock);
	if (r < 0) {
		*ret_error = r;
		return NULL;
	}
	hakc_self = t;
	if (end_key != (pthread_key_t)-1)
		pthread_setspecific(end_key, t);
	return t;
}

/* Lets go of a list of slabs; heap locked. */
static void release_list(struct hakc_thread *t, uint32_t *list)
{
	struct hakc_heap *heap = t->heap;

	while (*list) {
		uint32_t slot = *list - 1;
		hak_u64 *word = &heap->segment.slab_words[slot];
		uint64_t w = hak_slab_load(word);

		hakc_list_remove(heap, list, slot);
		if (hak_slab_class(w) >= HAK_CLASS_COUNT)
			continue; /* scribbled over */

		const struct hak_class *shape = &hak_classes[hak_slab_class(w)];
		hak_u64 *bits = hak_segment_bits(&heap->segment, slot);

		if (hak_slab_is_empty(bits, shape->n_blocks) &&
		    hak_slab_retire(word, bits, heap->holder, t->number))
			hakc_heap_put_slots(heap, slot, shape->n_slots);
		/* [order:adopt] Who adopts it sees what we did to it. */
		else if (hak_slab_pass(word, heap->holder, t->number, 0))
			hakc_list_push(heap, &heap->unclaimed[hak_slab_class(w)], slot,
				       HAKC_LIST_UNCLAIMED);
	}
}

static void release_slabs(struct hakc_thread *t)
{
	for (unsigned cls = 0; cls < HAK_CLASS_COUNT; cls++) {
		if (t->current[cls]) {
			uint32_t slot = t->current[cls] - 1;

			t->current[cls] = 0;
			hakc_list_push(t->heap, &t->partial[cls], slot, HAKC_LIST_PARTIAL);
		}
		release_list(t, &t->partial[cls]);
	}
	release_list(t, &t->full);
	release_list(t, &t->empty);
	t->n_empty = 0;
}

static void end_thread(void *state)
{
	struct hakc_thread *t = state;
	struct hakc_heap *heap = hakc_heap();

	if (t->number == 0)
		return; /* wiped by a fork */
	if (t->heap) {
		hakc_free_flush_all(t);
		pthread_mutex_lock(&heap->lock);
		release_slabs(t);
		pthread_mutex_unlock(&heap->lock);
	}
	pthread_mutex_lock(&heap->lock);
	leave(t);
	t->next_free = heap->free_thread;
	heap->free_thread = t->number;
	pthread_mutex_unlock(&heap->lock);
	hakc_self = &nobody;
}

int hakc_thread_attach_process(const struct hakmem_options *options)
{
	struct hakc_heap *heap = hakc_heap();
	int r;

	pthread_mutex_lock(&heap->lock);
	r = hakc_session_attach(heap, options);
	pthread_mutex_unlock(&heap->lock);
	return r;
}

int hakc_thread_detach_process(void)
{
	struct hakc_heap *heap = hakc_heap();
	int r;

	pthread_mutex_lock(&heap->lock);
	if (heap->is_attached) {
		for (uint32_t i = 0; i < heap->n_threads; i++) {
			if (!heap->threads[i]->heap)
				continue;
			hakc_free_flush_outgoing(heap->threads[i]);
			leave(heap->threads[i]);
		}
	}
	r = hakc_session_detach(heap);
	pthread_mutex_unlock(&heap->lock);
	return r;
}
