/* SPDX-License-Identifier: MIT */
#ifndef HAKD_BACKING_H
#define HAKD_BACKING_H

/*
 * Work on the memory of reserved SuperSlabs, for worker threads: each call
 * touches only what belongs to its SuperSlabs.
 */

#include "daemon/mem/pool.h"

/*
 * Gives a run of n memory (data and metadata, so that no client takes SIGBUS)
 * and its slab words to owner. 0; -ENOMEM: there is none, nothing has changed.
 */
int hakd_backing_prepare(struct hakd_pool *pool, uint32_t head, uint32_t n, unsigned owner);

/* Takes the slab words of a run from their owner; without keep its memory goes back too. */
void hakd_backing_reset(struct hakd_pool *pool, uint32_t head, uint32_t n, bool keep);

/* Backs and zeroes a client's area. 0 or -ENOMEM. */
int hakd_backing_prepare_area(struct hakd_pool *pool, unsigned holder);

/* Would the machine have some memory left after giving this much away? */
bool hakd_backing_is_available(uint64_t bytes);

#endif
