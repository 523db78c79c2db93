/* SPDX-License-Identifier: MIT */
#ifndef HAKD_BACKING_H
#define HAKD_BACKING_H

/*
 * Work on the memory of SuperSlabs that are taken, for worker threads: each
 * call touches only what belongs to its SuperSlabs.
 */

#include "daemon/mem/pool.h"

/*
 * Gives a run of n memory that reads as zeros (data, and metadata with room for
 * its words), so that no client takes SIGBUS. 0; -ENOMEM: there is none, and
 * what was got is given back.
 */
int hakd_backing_fill(struct hakd_pool *pool, uint32_t head, uint32_t n);

/* Gives the slab words of a run that has memory to owner; fit for the loop too. */
void hakd_backing_grant(struct hakd_pool *pool, uint32_t head, uint32_t n, unsigned owner);

/*
 * Takes the slab words of a run from their owner; without keep its memory goes back too. True:
 * some of its tags say something, see hakd_backing_zero_tags.
 */
bool hakd_backing_reset(struct hakd_pool *pool, uint32_t head, uint32_t n, bool keep);

/* After a grace: the tags of a run are zero and have no memory. */
void hakd_backing_zero_tags(struct hakd_pool *pool, uint32_t head, uint32_t n);

/* Gives the memory of a run back. */
void hakd_backing_punch(struct hakd_pool *pool, uint32_t head, uint32_t n);

/*
 * Have a SuperSlab's slab words or hints ever been written? To look at them otherwise would
 * give them a page. True where the kernel doesn't tell.
 */
bool hakd_backing_has_words(const struct hakd_pool *pool, uint32_t superslab);

/* The client has left, nobody reads its area any more: its memory goes. */
void hakd_backing_drop_area(struct hakd_pool *pool, unsigned holder);

/* Backs and zeroes a client's area. 0 or -ENOMEM. */
int hakd_backing_prepare_area(struct hakd_pool *pool, unsigned holder);

/* Bytes that the machine could give away and have some left; UINT64_MAX: not known. */
uint64_t hakd_backing_available(void);

#endif
