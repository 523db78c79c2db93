/* SPDX-License-Identifier: MIT */
/*
 * fork in a program that uses the interposer. The heap's lock is held over the
 * fork, so the child's copy of what it guards is whole. Another thread may
 * have been anywhere: its private lists can't be trusted in the child, but the
 * words of its slabs can, since each changes at once. They become nobody's and
 * are adopted; blocks that lay in the thread's magazines stay allocated, a few
 * hundred KiB at most a thread.
 */
#include "client_lib/malloc/fork.h"

#include <pthread.h>
#include <string.h>

#include "client_lib/list.h"
#include "client_lib/thread.h"

static void before(void)
{
	pthread_mutex_lock(&hakc_heap()->lock);
}

static void after_in_parent(void)
{
	pthread_mutex_unlock(&hakc_heap()->lock);
}

/* A slab whose thread isn't in this process: nobody's from now on. */
static void release_slab(struct hakc_heap *heap, uint32_t slot)
{
	uint64_t w = hak_slab_load(&heap->segment.slab_words[slot]);
	uint32_t thread = hak_slab_thread(w);

	if (hak_slab_state(w) != HAK_SLAB_ACTIVE || thread == 0 || thread == hakc_self->number)
		return;
	if (hak_slab_pass(&heap->segment.slab_words[slot], heap->holder, thread, 0))
		hakc_list_push(heap, &heap->unclaimed[hak_slab_class(w)], slot,
			       HAKC_LIST_UNCLAIMED);
}

static void after_in_child(void)
{
	struct hakc_heap *heap = hakc_heap();
	uint32_t per = heap->segment.geometry.slots_per_superslab;

	/* Idle ones, which are whole, are treated alike: it costs only their caches. */
	heap->idle_thread = 0;
	for (uint32_t i = 0; i < heap->n_threads; i++) {
		struct hakc_thread *t = heap->threads[i];

		if (t == hakc_self)
			continue;
		hakc_thread_forget(heap, t);
	}
	for (uint32_t i = 0; i < heap->n_owned && heap->n_threads > 1; i++)
		for (uint32_t k = 0; k < per && !heap->superslabs[heap->owned[i]].is_huge; k++)
			release_slab(heap, heap->owned[i] * per + k);
	pthread_mutex_unlock(&heap->lock);
}

void hakc_fork_watch(void)
{
	pthread_atfork(before, after_in_parent, after_in_child);
}

/* A program that forks has allocated, if only here. */
__attribute__((constructor)) static void start(void)
{
	int error;

	hakc_thread_get(&error);
}
