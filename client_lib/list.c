/* SPDX-License-Identifier: MIT */
/* Doubly linked, since a slab leaves its list when something happens to it, wherever it stands. */
#include "client_lib/list.h"

void hakc_list_push(struct hakc_heap *heap, uint32_t *head, uint32_t slot, enum hakc_list list)
{
	struct hakc_slab *slab = &heap->slabs[slot];

	slab->list = (uint8_t)list;
	slab->prev = 0;
	slab->next = *head;
	if (*head)
		heap->slabs[*head - 1].prev = slot + 1;
	*head = slot + 1;
}

void hakc_list_remove(struct hakc_heap *heap, uint32_t *head, uint32_t slot)
{
	struct hakc_slab *slab = &heap->slabs[slot];

	if (slab->prev)
		heap->slabs[slab->prev - 1].next = slab->next;
	else
		*head = slab->next;
	if (slab->next)
		heap->slabs[slab->next - 1].prev = slab->prev;
	slab->list = HAKC_LIST_NONE;
}
