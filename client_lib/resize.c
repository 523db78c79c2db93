/* SPDX-License-Identifier: MIT */
/*
 * Changing the size of a block. A block of a class stays while the new size
 * uses half of it; a span of ours grows into unused slots behind it, or gives
 * up those at its end. Everything else moves.
 */
#include "client_lib/resize.h"

#include <string.h>

#include "client_lib/alloc.h"
#include "client_lib/free.h"

struct hak_location hakc_locate(const void *block)
{
	int error;
	struct hakc_thread *t = hakc_thread_get(&error);

	if (!t)
		return (struct hak_location){.place = HAK_PLACE_FOREIGN};
	return hak_segment_locate(&t->heap->segment, (uintptr_t)block);
}

static bool resize_in_place(const struct hak_location *l, size_t size)
{
	struct hakc_heap *heap = hakc_self->heap;
	uint64_t n = size / HAK_SLOT_BYTES + (size % HAK_SLOT_BYTES != 0);
	bool done;

	if (hak_slab_state(l->word) != HAK_SLAB_SPAN || hak_slab_owner(l->word) != heap->holder ||
	    size <= HAK_CLASS_MAX || n > heap->segment.geometry.slots_per_superslab)
		return false;
	pthread_mutex_lock(&heap->lock);
	done = hakc_heap_resize_span(heap, l->slot, (uint32_t)n);
	pthread_mutex_unlock(&heap->lock);
	return done;
}

void *hakc_resize(const struct hak_location *l, void *block, size_t size)
{
	void *moved;

	if ((size <= l->bytes && size >= l->bytes / 2) || resize_in_place(l, size))
		return block;
	moved = hakc_alloc(size);
	if (!moved)
		return NULL;
	memcpy(moved, block, size < l->bytes ? size : l->bytes);
	hakc_free(block);
	return moved;
}
