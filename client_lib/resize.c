/* SPDX-License-Identifier: MIT */
/*
 * Changing the size of a block. A block of a class stays while the new size
 * uses half of it; a span of ours grows into unused slots behind it, or gives
 * up those at its end. A huge run of ours does the same with SuperSlabs, and
 * does so when an eighth of it is too much. Everything else moves.
 */
#include "client_lib/resize.h"

#include <errno.h>
#include <string.h>

#include "client_lib/alloc.h"
#include "client_lib/free.h"
#include "client_lib/hardened.h"
#include "client_lib/log.h"
#include "client_lib/run.h"
#include "client_lib/ticket.h"
#include "proto/shm/guard.h"
#include "proto/shm/sample.h"

struct hak_location hakc_locate(const void *block)
{
	int error;
	struct hakc_thread *t = hakc_thread_get(&error);

	if (!t)
		return (struct hak_location){.place = HAK_PLACE_FOREIGN};
	return hak_segment_locate(&t->heap->segment, (uintptr_t)block);
}

static uint64_t superslab_bytes(void)
{
	return UINT64_C(1) << hakc_self->heap->segment.geometry.superslab_lg;
}

static uint64_t n_superslabs(uint64_t bytes)
{
	unsigned lg = hakc_self->heap->segment.geometry.superslab_lg;

	return (bytes >> lg) + ((bytes & (superslab_bytes() - 1)) != 0);
}

static bool is_own_span(const struct hak_location *l)
{
	return hak_slab_state(l->word) == HAK_SLAB_SPAN &&
	       hak_slab_owner(l->word) == hakc_self->heap->holder;
}

/* Is the block just right as it is? */
static bool fits(const struct hak_location *l, size_t size)
{
	uint64_t have, n;

	if (size > hak_sample_usable(l))
		return false;
	if (l->bytes <= superslab_bytes() || !is_own_span(l))
		return size >= l->bytes / 2;
	have = n_superslabs(l->bytes);
	n = n_superslabs(size);
	return n == have || (n > 1 && have - n <= n / 8);
}

/* The daemon is waited for twice, if at all; others get at the heap in between. */
static bool resize_run(const struct hak_location *l, size_t size)
{
	struct hakc_heap *heap = hakc_self->heap;
	uint32_t n = (uint32_t)n_superslabs(size);
	bool done;

	pthread_mutex_lock(&heap->lock);
	done = hakc_run_make_way(heap, l->slot, n);
	pthread_mutex_unlock(&heap->lock);
	if (!done)
		return false;
	pthread_mutex_lock(&heap->lock);
	done = hakc_run_resize(heap, l->slot, n);
	pthread_mutex_unlock(&heap->lock);
	return done;
}

static bool resize_span(const struct hak_location *l, size_t size)
{
	struct hakc_heap *heap = hakc_self->heap;
	bool done;

	pthread_mutex_lock(&heap->lock);
	done = hakc_heap_resize_span(heap, l->slot,
				     (uint32_t)((size + HAK_SLOT_BYTES - 1) >> HAK_SLOT_LG));
	pthread_mutex_unlock(&heap->lock);
	return done;
}

static bool resize_in_place(const struct hak_location *l, size_t size)
{
	uint64_t superslab = superslab_bytes();
	bool done = false;
	int saved = errno; /* the daemon's refusal is nobody's business */

	if (!is_own_span(l) || size <= HAK_CLASS_MAX ||
	    size > hakc_self->heap->segment.geometry.capacity ||
	    !hakc_ticket_revoke(hakc_self->heap, l))
		return false;
	/* A run, but one for half a SuperSlab or less: slots of a SuperSlab do for that. */
	if (l->bytes >= superslab && size > superslab / 2)
		done = resize_run(l, size);
	if (!done && size <= superslab)
		done = resize_span(l, size);
	errno = saved;
	return done;
}

size_t hakc_usable(const struct hak_location *l)
{
	return hak_guard_usable(&hakc_self->heap->segment, l);
}

/* As resize_in_place, or it is right as it is; with its guard. */
static bool resize_guarded(const struct hak_location *l, size_t size)
{
	const struct hak_segment *segment = &hakc_self->heap->segment;
	size_t room = size <= SIZE_MAX / 2 ? size + HAK_GUARD_BYTES : size;
	struct hak_location now;

	if (!fits(l, room) && !resize_in_place(l, room))
		return false;
	now = hak_segment_locate_offset(segment, l->start);
	hak_guard_set(segment, &now, size);
	return true;
}

/* Broken, it is told and set again: else the free of the block that has moved would tell it too. */
static void check_guard(const struct hak_location *l, const void *block)
{
	struct hakc_heap *heap = hakc_self->heap;
	uint64_t usable = hak_guard_usable(&heap->segment, l);

	if (hak_guard_holds(&heap->segment, l))
		return;
	hakc_hardened_report_overflow(heap, block, usable);
	hak_guard_set(&heap->segment, l, usable);
}

static void *move(const struct hak_location *l, void *block, size_t size)
{
	size_t usable = hakc_usable(l);
	void *moved = hakc_alloc(size);

	if (!moved)
		return NULL;
	memcpy(moved, block, size < usable ? size : usable);
	hakc_free(block);
	return moved;
}

void *hakc_resize(const struct hak_location *l, void *block, size_t size)
{
	bool is_guarded = hak_guard_is_there(l);
	void *moved;

	if (is_guarded && hak_segment_is_free(&hakc_self->heap->segment, l)) {
		hakc_log(HAKC_LOG_ERROR, "realloc of %p refused: it is free", block);
		errno = EINVAL;
		return NULL;
	}
	if (is_guarded)
		check_guard(l, block);
	if (is_guarded ? resize_guarded(l, size) : fits(l, size) || resize_in_place(l, size))
		return block;
	moved = move(l, block, size);
	if (moved || errno != ENOMEM || size <= hak_sample_usable(l))
		return moved;
	/* What was kept without need has gone back by now. */
	return (is_guarded ? resize_guarded(l, size) : resize_in_place(l, size)) ? block : NULL;
}
