/* SPDX-License-Identifier: MIT */
#ifndef HAKD_POOL_H
#define HAKD_POOL_H

/*
 * A pool: its two memfds, and which SuperSlabs are whose.
 *
 * A SuperSlab is free, reserved (a grant or a collection is under way) or
 * granted. The registry has the facts, written by the event loop's thread
 * only; `taken` is the loop's private map of what is not free. Work that takes
 * long (backing, resetting, punching) is done by workers on SuperSlabs that
 * are reserved, so nobody else looks at them.
 */

#include <stdbool.h>
#include <stdint.h>

#include "proto/shm/segment.h"

#define HAKD_KEPT_MAX 16u /* returned SuperSlabs whose pages are kept for the next grant */

struct hakd_pool {
	char name[HAK_POOL_NAME_BYTES];
	uint8_t uuid[HAK_UUID_BYTES];
	uint64_t generation;
	uint64_t limit; /* bytes that may be taken or kept at once */
	struct hak_segment segment;
	hak_u64 *superslabs;	    /* the registry's words, writable */
	struct hak_holder *holders; /* likewise */

	int registry_fd;	/* for us */
	int registry_reader_fd; /* opened for reading: for clients */
	int heap_fd;
	void *registry;
	void *heap;

	uint8_t *taken; /* a SuperSlab: not free */
	uint32_t n_taken;
	uint32_t kept[HAKD_KEPT_MAX]; /* free, pages still there; the oldest first */
	uint32_t n_kept;
	uint32_t hint; /* where the search for free ones begins */
};

/* 0, -EINVAL (geometry), or the errno of memfd_create and mmap. */
int hakd_pool_new(const char *name, uint64_t capacity, uint64_t limit, unsigned superslab_lg,
		  struct hakd_pool **ret_pool);
void hakd_pool_free(struct hakd_pool *pool);

/*
 * Reserves up to *n single SuperSlabs; *n is how many it got, 1 at least.
 * -ENOMEM: the limit, the capacity or the machine's memory is reached.
 */
int hakd_pool_reserve(struct hakd_pool *pool, uint32_t *n, uint32_t *superslabs);

/* Reserves a run of n whose first one's offset is a multiple of alignment. */
int hakd_pool_reserve_run(struct hakd_pool *pool, uint32_t n, uint64_t alignment,
			  uint32_t *ret_head);

/* Reserved, and nothing was granted: free again. */
void hakd_pool_unreserve(struct hakd_pool *pool, uint32_t head, uint32_t n);

/* Reserved and prepared: granted from now on. */
void hakd_pool_grant(struct hakd_pool *pool, uint32_t head, uint32_t n, bool huge, unsigned owner);

/* Granted to owner, and the head of a run? Its length; 0: no. Any head may be asked about. */
uint32_t hakd_pool_granted(const struct hakd_pool *pool, uint32_t head, unsigned owner);

/*
 * Granted: reserved for collection. Returns whether the pages shall be kept;
 * to be passed to hakd_backing_reset and hakd_pool_end_collect.
 */
bool hakd_pool_begin_collect(struct hakd_pool *pool, uint32_t head, uint32_t n);
void hakd_pool_end_collect(struct hakd_pool *pool, uint32_t head, uint32_t n, bool keep);

/* Bytes of memory that the heap has. */
uint64_t hakd_pool_resident(const struct hakd_pool *pool);

#endif
