/* SPDX-License-Identifier: MIT */
#ifndef HAKC_RUN_H
#define HAKC_RUN_H

/* Changing the length of a huge run of ours where it is; slot is its first. */

#include "client_lib/heap.h"

/*
 * Makes way for the run to be n SuperSlabs long: what the process keeps unused behind it goes
 * back. False: it can't be, something lives there. Heap locked.
 */
bool hakc_run_make_way(struct hakc_heap *heap, uint32_t slot, uint32_t n);

/*
 * Makes the run n SuperSlabs long, 1 at least: from free ones behind it, or giving back those at
 * its end. False: it is what it was, or no run of ours. Heap locked.
 */
bool hakc_run_resize(struct hakc_heap *heap, uint32_t slot, uint32_t n);

#endif
