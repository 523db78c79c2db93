/* SPDX-License-Identifier: MIT */
#ifndef HAKT_POOL_H
#define HAKT_POOL_H

/*
 * A pool without a daemon: registry and heap of a real geometry in sparse files
 * without names, mapped by this process and its children. All calls fail the test on error.
 */

#include "proto/shm/check.h"
#include "proto/shm/segment.h"

struct hakt_pool {
	struct hak_segment segment;
	struct hak_registry *registry;
	hak_u64 *superslabs;
	char *heap; /* with an inaccessible page on both sides */
	int registry_fd, heap_fd;
};

void hakt_pool_init(struct hakt_pool *pool, uint64_t capacity, unsigned superslab_lg);
void hakt_pool_deinit(struct hakt_pool *pool);

/* What the daemon writes when a client attaches, dies (RECLAIMING), and is gone (FREE). */
void hakt_pool_set_holder(struct hakt_pool *pool, unsigned holder, enum hak_holder_state state,
			  uint32_t generation);

/* What the daemon does to n SuperSlabs from head on; huge: to a run of n. */
void hakt_pool_grant(struct hakt_pool *pool, uint32_t head, uint32_t n, bool huge, unsigned owner);

/* What the daemon does to a SuperSlab, or to the run whose head it is. */
void hakt_pool_collect(struct hakt_pool *pool, uint32_t head);

/* Cuts a slab of cls, or a span of n_slots, at slot; true as in slab.h. */
bool hakt_pool_cut(struct hakt_pool *pool, uint32_t slot, unsigned owner, unsigned cls);
bool hakt_pool_cut_span(struct hakt_pool *pool, uint32_t slot, unsigned owner, uint32_t n_slots);

/* Claims blocks of mask of one word of the bits of the slab at slot; those that it got. */
uint64_t hakt_pool_claim(struct hakt_pool *pool, uint32_t slot, unsigned word, uint64_t mask);

/* Takes apart an empty slab of thread 1, or a span whose block is free; false: it is neither. */
bool hakt_pool_retire(struct hakt_pool *pool, uint32_t slot, unsigned owner);

/* Audits all SuperSlabs. */
void hakt_pool_audit(struct hakt_pool *pool, struct hak_audit *audit);

/* Leaves the slab words as all that may be touched of the heap: anything else is SIGSEGV. */
void hakt_pool_guard_words(struct hakt_pool *pool);

#endif
