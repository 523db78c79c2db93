/* SPDX-License-Identifier: MIT */
/*
 * How threads come and go.
 *
 * A state is bound to its thread from the thread's first slow call to its end,
 * through detach and attach. Then it is idle, magazines and slabs and all, and
 * the next new thread gets it. Who lacks memory before that plunders it: its
 * caches are flushed and its slabs become nobody's (thread 0 in W), so that
 * another thread of the process can adopt them.
 */
#include "client_lib/thread.h"

#include <errno.h>
#include <string.h>

#include "client_lib/alloc.h"
#include "client_lib/flush.h"
#include "client_lib/free.h"
#include "client_lib/hardened.h"
#include "client_lib/list.h"
#include "client_lib/session.h"
#include "proto/shm/crossing.h"

#define PLUNDER_LOOKS 8u /* idle states that one shortage looks at */

static struct hakc_thread nobody; /* all zero for ever: nothing cached, no pool */
__thread struct hakc_thread *hakc_self = &nobody;

/* The heap that hakc_self is of; the thread's states of the others, NULL: none. */
static __thread unsigned at_heap __attribute__((tls_model("initial-exec")));
static __thread struct hakc_thread *elsewhere[HAKC_HEAPS_MAX]
	__attribute__((tls_model("initial-exec")));

/* Its state was given back; what frees after that takes one for each call. */
static __thread bool has_ended __attribute__((tls_model("initial-exec")));

static pthread_key_t end_key;
static pthread_once_t key_once = PTHREAD_ONCE_INIT;

static void end_thread(void *state);

unsigned hakc_thread_at(void)
{
	return at_heap;
}

unsigned hakc_thread_visit(unsigned heap)
{
	unsigned from = at_heap;

	elsewhere[from] = hakc_self;
	hakc_self = elsewhere[heap] ? elsewhere[heap] : &nobody;
	at_heap = heap;
	return from;
}

static void make_key(void)
{
	if (pthread_key_create(&end_key, end_thread) != 0)
		end_key = (pthread_key_t)-1; /* states are then kept till the process ends */
}

/* Blocks that a magazine may hold at most. */
static uint32_t magazine_max(unsigned index)
{
	uint64_t size, n;

	if (index >= HAKC_SPANS_AT)
		return (uint32_t)(HAKC_SPANS_BYTES /
				  ((index - HAKC_SPANS_AT + 1) * HAK_SLOT_BYTES));
	size = hak_classes[index].size;
	n = HAKC_MAGAZINE_BYTES / size;
	return n < 2 ? 2 : n > HAKC_MAGAZINE_BLOCKS ? HAKC_MAGAZINE_BLOCKS : (uint32_t)n;
}

static size_t state_bytes(void)
{
	size_t n = 0;

	for (unsigned i = 0; i < HAKC_MAGAZINES_USED; i++)
		n += 1 + magazine_max(i);
	return sizeof(struct hakc_thread) + n * sizeof(void *);
}

/* A state that nobody uses, with its number; heap locked. */
static struct hakc_thread *new_state(struct hakc_heap *heap)
{
	struct hakc_thread *t;

	if (heap->idle_thread) {
		t = heap->threads[heap->idle_thread - 1];
		heap->idle_thread = t->next_idle;
		return t;
	}
	if (!heap->threads)
		heap->threads = hakc_private_map(HAKC_THREADS_MAX * sizeof(t));
	if (!heap->threads || heap->n_threads >= heap->n_threads_max)
		return NULL;
	t = hakc_private_map(state_bytes());
	if (!t)
		return NULL;
	heap->threads[heap->n_threads++] = t;
	t->number = heap->n_threads;
	return t;
}

static void init_magazines(struct hakc_thread *t)
{
	void **room = (void **)(t + 1); /* where the next one's NULL stands */

	for (unsigned i = 0; i < HAKC_MAGAZINES_USED; i++) {
		struct hakc_magazine *m = &t->magazines[i];
		uint32_t most = magazine_max(i);
		uint32_t first = most < HAKC_MAGAZINE_FIRST ? most : HAKC_MAGAZINE_FIRST;

		m->next = NULL;
		m->top = m->bottom = room; /* which has never held anything but NULL */
		m->end_max = room + most;
		m->end = i < HAKC_SPANS_AT ? room + first : m->end_max;
		room = m->end_max + 1;
		if (i < HAK_CLASS_COUNT) {
			m->magic = hak_classes[i].magic;
			m->limit = hak_class_start_limit(&hak_classes[i]);
		}
	}
}

static void init_steps(struct hakc_thread *t)
{
	size_t last = offsetof(struct hakc_thread, magazines[HAKC_MAGAZINES - 1]);

	t->by_steps[0] = (uint16_t)last;
	for (size_t n = 1; n <= HAKC_STEPS; n++)
		t->by_steps[n] = (uint16_t)offsetof(struct hakc_thread,
						    magazines[hak_class_of(n * HAK_BLOCK_MIN)]);
}

void hakc_thread_watch(struct hakc_thread *t, bool is_watched)
{
	t->decay.is_watched = is_watched;
	if (!is_watched) {
		init_steps(t);
		return;
	}
	for (size_t n = 1; n <= HAKC_STEPS; n++)
		t->by_steps[n] = t->by_steps[0];
}

static void enter(struct hakc_thread *t, struct hakc_heap *heap)
{
	t->heap = heap;
	t->base = heap->segment.base;
	t->n_slots = heap->segment.geometry.n_slots;
	t->words = heap->segment.slab_words;
	t->bits = heap->segment.bits;
	t->slabs = heap->slabs;
	/* Of its own, but in a private heap, where nobody looks at it. */
	t->crossing = hak_crossing_of(heap->area, 1 + (t->number - 1) % HAK_CROSSINGS);
	/* Relaxed: the fence of its first crossing comes after it. */
	if (hak_load_relaxed(&heap->area->n_crossings) < t->number)
		hak_store_relaxed(&heap->area->n_crossings, t->number);
	t->mine = hak_slab_mine(heap->holder, t->number);
	t->short_span = hak_slab_short_span(heap->holder, 0);
	init_steps(t);
	init_magazines(t);
	if (heap->is_hardened)
		hakc_hardened_enter(t);
	/* Relaxed: a hint. */
	t->decay.asked = hak_load_relaxed(&heap->segment.header->asked);
	hakc_count(heap, HAK_STAT_THREADS, 1);
}

/* Everything but who the state is bound to; caches are lost, not flushed. */
static void leave(struct hakc_thread *t)
{
	uint32_t number = t->number;
	uint32_t next_idle = t->next_idle;

	memset(t, 0, sizeof(*t));
	t->number = number;
	t->next_idle = next_idle;
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
	if (r == 0 && heap->is_read_only)
		r = -EACCES;
	if (r == 0 && t->number == 0) { /* new here, or a child of a fork */
		t = new_state(heap);
		if (!t)
			r = -ENOMEM;
	}
	if (r == 0 && !t->heap)
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

void hakc_thread_publish(struct hakc_thread *t)
{
	for (unsigned i = 0; i < HAK_STAT_COUNT; i++) {
		uint64_t n = hak_load_relaxed(&t->counts[i]); /* as in hakc_thread_count */

		if (n == 0)
			continue;
		hakc_count(t->heap, (enum hak_stat)i, n);
		hak_store_relaxed(&t->counts[i], 0);
	}
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
		    hak_slab_retire(word, bits, hak_segment_tags(&heap->segment, slot),
				    heap->holder, t->number))
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

static void put_idle(struct hakc_heap *heap, struct hakc_thread *t)
{
	t->idle_slice = heap->decay.slice;
	t->next_idle = heap->idle_thread;
	heap->idle_thread = t->number;
}

/* The calling thread's state of the heap that it is at becomes idle. */
static void end_state(void)
{
	struct hakc_heap *heap = hakc_heap();
	struct hakc_thread *t = hakc_self;

	if (t->number == 0)
		return; /* none, or wiped by a fork */
	if (t->heap) {
		hakc_flush_outgoing(t); /* others wait for these */
		hakc_thread_publish(t);
	}
	pthread_mutex_lock(&heap->lock);
	put_idle(heap, t);
	pthread_mutex_unlock(&heap->lock);
	hakc_self = &nobody;
}

static void end_thread(void *state)
{
	(void)state;
	end_state();
	for (unsigned i = 1; i < HAKC_HEAPS_MAX; i++) {
		unsigned from;

		if (!elsewhere[i])
			continue;
		from = hakc_thread_visit(i);
		end_state();
		hakc_thread_visit(from);
	}
	has_ended = true;
}

void hakc_thread_end_late(void)
{
	struct hakc_thread *t = hakc_self;

	if (!has_ended || !t->heap)
		return;
	pthread_setspecific(end_key, NULL);
	end_thread(t);
}

static bool has_slabs(const struct hakc_thread *t, unsigned cls)
{
	return t->heap && (t->full || t->empty || t->current[cls] || t->partial[cls]);
}

/* An idle state that has slabs, taken off the list; heap locked. */
static struct hakc_thread *find_idle(struct hakc_heap *heap, unsigned cls)
{
	uint32_t *link = &heap->idle_thread;

	for (unsigned i = 0; i < PLUNDER_LOOKS && *link; i++) {
		struct hakc_thread *t = heap->threads[*link - 1];

		if (has_slabs(t, cls)) {
			*link = t->next_idle;
			return t;
		}
		link = &t->next_idle;
	}
	return NULL;
}

bool hakc_thread_plunder(struct hakc_heap *heap, unsigned cls)
{
	struct hakc_thread *t;

	pthread_mutex_lock(&heap->lock);
	t = find_idle(heap, cls);
	pthread_mutex_unlock(&heap->lock);
	if (!t)
		return false;
	hakc_flush_all(t);
	pthread_mutex_lock(&heap->lock);
	release_slabs(t);
	put_idle(heap, t);
	t->idle_slice = UINT64_MAX;
	pthread_mutex_unlock(&heap->lock);
	return true;
}

/* Takes the states that became idle before a slice, and have something, off the list; heap locked. */
static uint32_t take_idle(struct hakc_heap *heap, uint64_t slice)
{
	uint32_t *link = &heap->idle_thread;
	uint32_t list = 0, *last = &list;

	while (*link) {
		struct hakc_thread *t = heap->threads[*link - 1];

		if (!t->heap || t->idle_slice >= slice) {
			link = &t->next_idle;
			continue;
		}
		*link = t->next_idle;
		*last = t->number;
		t->next_idle = 0;
		last = &t->next_idle;
	}
	return list;
}

void hakc_thread_plunder_idle(struct hakc_heap *heap, uint64_t slice)
{
	uint32_t list, *link;

	pthread_mutex_lock(&heap->lock);
	list = take_idle(heap, slice);
	for (uint32_t at = list; at; at = heap->threads[at - 1]->next_idle) {
		struct hakc_thread *t = heap->threads[at - 1];

		pthread_mutex_unlock(&heap->lock);
		hakc_flush_all(t);
		pthread_mutex_lock(&heap->lock);
		release_slabs(t);
		t->idle_slice = UINT64_MAX;
	}
	for (link = &heap->idle_thread; list && *link;) /* behind those that have something */
		link = &heap->threads[*link - 1]->next_idle;
	if (list)
		*link = list;
	pthread_mutex_unlock(&heap->lock);
}

void hakc_thread_plunder_all(struct hakc_heap *heap)
{
	hakc_thread_plunder_idle(heap, UINT64_MAX);
}

void hakc_thread_forget(struct hakc_heap *heap, struct hakc_thread *t)
{
	leave(t);
	put_idle(heap, t);
}

struct hakc_heap *hakc_thread_reads(int *ret_error)
{
	struct hakc_heap *heap = hakc_self->heap;
	int r = 0;

	if (heap)
		return heap;
	heap = hakc_heap();
	pthread_mutex_lock(&heap->lock);
	if (!heap->is_attached)
		r = hakc_session_attach(heap, NULL);
	pthread_mutex_unlock(&heap->lock);
	*ret_error = r;
	return r == 0 ? heap : NULL;
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
			hakc_flush_outgoing(heap->threads[i]);
			hakc_thread_publish(heap->threads[i]);
			leave(heap->threads[i]);
		}
	}
	r = hakc_session_detach(heap);
	pthread_mutex_unlock(&heap->lock);
	return r;
}
