/* SPDX-License-Identifier: MIT */
#ifndef HAKT_CRASH_HEAPS_H
#define HAKT_CRASH_HEAPS_H

/*
 * Brings a victim's heap to where its next call takes a certain path. They look at the library's
 * private words, so that a path is taken for certain and not by luck.
 */

#include "tests/crash/victim.h"

/* One more block of v; must succeed. */
void *hakt_add_block(struct hakt_victim *v, size_t size);

/* Allocates until the magazine of size's class is empty: the next one comes from a slab. */
void hakt_empty_magazine(struct hakt_victim *v, size_t size);

/* Until the current slab of the class has no free block either. */
void hakt_exhaust_slab(struct hakt_victim *v, size_t size);

/* Allocates n slabs full and one block of the next; blocks are in v in the order of slabs. */
void hakt_fill_slabs(struct hakt_victim *v, size_t size, unsigned n);

/* Blocks of a slab of the class. */
unsigned hakt_slab_blocks(size_t size);

/* Frees until the magazine of the class is full and can't grow: the next free flushes it. */
void hakt_fill_magazine(struct hakt_victim *v, size_t size);

/* Allocates until the process has no unused slot. */
void hakt_exhaust_slots(struct hakt_victim *v);

/*
 * A run of n SuperSlabs, and as many behind it that the process keeps for its next run: others
 * can't get them before it makes way for itself.
 */
void *hakt_add_run(struct hakt_victim *v, unsigned n);

/* Gives the blocks that wait in magazines to their slabs. */
void hakt_flush(void);

/* A thread that has done work, and has ended; or that waits for ever. */
void hakt_run_thread(struct hakt_victim *v, void (*work)(struct hakt_victim *v), bool ends);

/* Waits until walkers have taken what greet gave, and use nothing that it lent. */
void hakt_get_all_back(void);

#endif
