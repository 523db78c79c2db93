/* SPDX-License-Identifier: MIT */
#ifndef HAKC_LIST_H
#define HAKC_LIST_H

#include "client_lib/heap.h"

/*
 * Lists of slabs, linked by their private records; a head is a slot + 1, 0 if the list is empty.
 * Those of a thread are its own, the heap's need its lock.
 */
void hakc_list_push(struct hakc_heap *heap, uint32_t *head, uint32_t slot, enum hakc_list list);
void hakc_list_remove(struct hakc_heap *heap, uint32_t *head, uint32_t slot);

#endif
