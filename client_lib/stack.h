/* SPDX-License-Identifier: MIT */
#ifndef HAKC_STACK_H
#define HAKC_STACK_H

/*
 * Who calls: return addresses, as they are said in the pool, by the number of the file that they lie
 * in and their address in that file (proto/shm/modules.h).
 */

#include "client_lib/heap.h"

struct hakc_modules;

/*
 * The return addresses above the caller, the innermost first; how many. May allocate the first
 * time it is called, by dlopen. Heap not locked.
 */
unsigned hakc_stack_take(uint64_t *frames, unsigned max);

/*
 * The files that this process has loaded, if they are others than the heap knows of; NULL: they
 * aren't, or there is no memory. For hakc_stack_translate, which takes it. Heap not locked: the
 * loader's lock is taken.
 */
struct hakc_modules *hakc_stack_modules(struct hakc_heap *heap);

/* Heap locked. */
void hakc_stack_translate(struct hakc_heap *heap, struct hakc_modules *now, uint64_t *frames,
			  unsigned n);

/* The heap forgets what it knows: another pool has other numbers. Heap locked. */
void hakc_stack_deinit(struct hakc_heap *heap);

#endif
