/* SPDX-License-Identifier: MIT */
#ifndef HAKC_HEAP_H
#define HAKC_HEAP_H

/*
 * What a process knows privately about the SuperSlabs granted to it. All of it
 * may vanish with the process, and does so in a forked child: it lives in
 * pages with MADV_WIPEONFORK, where zero means "not attached".
 *
 * One lock, private to the process, guards everything here but the records of
 * slabs that a thread claims. It is taken on slow paths only.
 */

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "client_lib/conn.h"
#include "proto/shm/segment.h"

#define HAKC_NO_SLOT	 UINT32_MAX
#define HAKC_THREADS_MAX 65535u
#define HAKC_STOCK_MAX	 4u /* unused SuperSlabs that a process keeps */

struct hakc_thread;

/* Which private list a slab is on. */
enum hakc_list {
	HAKC_LIST_NONE = 0,
	HAKC_LIST_CURRENT,
	HAKC_LIST_PARTIAL,
	HAKC_LIST_FULL,
	HAKC_LIST_EMPTY,
	HAKC_LIST_UNCLAIMED,
};

/*
 * The private record of a slab, at its head's slot. Written by the claiming
 * thread; of an unclaimed slab under the heap's lock.
 */
struct hakc_slab {
	uint32_t next; /* slot + 1; 0: the last */
	uint32_t prev; /* likewise */
	uint8_t list;  /* enum hakc_list */
	uint8_t word;  /* where the next search for free bits begins */
};

struct hakc_heap {
	pthread_mutex_t lock;
	bool is_attached;
	bool is_connected;
	bool is_at_base; /* the pool is mapped at its own address */
	unsigned holder;
	struct hak_segment segment;
	struct hak_client_area *area;
	struct hakc_conn conn;

	struct hakc_slab *slabs; /* a slot */
	uint32_t *unused;	 /* a SuperSlab: mask of its UNUSED slots */
	uint32_t *position;	 /* a SuperSlab: index in owned + 1 */
	uint32_t *owned;	 /* SuperSlabs granted to us, runs by their head */
	uint32_t n_owned;
	uint32_t n_granted; /* the same, runs counted by their length */
	uint32_t n_stock;   /* of owned: all slots UNUSED */
	uint32_t room_hint; /* index in owned where the last cut was made */
	uint32_t late[64];  /* granted after we gave up waiting: to be given back */
	uint32_t n_late;
	uint32_t unclaimed[HAK_CLASS_COUNT]; /* slabs of threads that ended, slot + 1 */

	struct hakc_thread **threads; /* by number - 1 */
	uint32_t n_threads;	      /* numbers given out so far */
	uint32_t free_thread;	      /* number of an ended thread's state; 0: none */
};

/* The process's heap; never NULL, the same for its whole life. */
struct hakc_heap *hakc_heap(void);

/* Private memory that a forked child finds zeroed; NULL when there is none. */
void *hakc_private_map(size_t bytes);
void hakc_private_unmap(void *memory, size_t bytes);

static inline void hakc_count(struct hakc_heap *heap, enum hak_stat stat, uint64_t n)
{
	hak_add_relaxed(&heap->area->counters[stat], n); /* decides nothing */
}

/* Lists of slabs, linked by their records. */
void hakc_list_push(struct hakc_heap *heap, uint32_t *head, uint32_t slot, enum hakc_list list);
void hakc_list_remove(struct hakc_heap *heap, uint32_t *head, uint32_t slot);

/* All below: with the heap's lock held. */

/* Maps the private tables for a geometry; 0 or -ENOMEM. */
int hakc_heap_init(struct hakc_heap *heap);
void hakc_heap_deinit(struct hakc_heap *heap);

/*
 * Cuts a slab of cls for thread, from UNUSED slots or, where there are none,
 * from a refill. 0 and the head's slot; -ENOMEM or an error of the connection.
 */
int hakc_heap_cut(struct hakc_heap *heap, unsigned cls, uint32_t thread, uint32_t *ret_slot);

/* A span of bytes, more than a class holds, at an alignment (bytes). Same errors. */
int hakc_heap_alloc_span(struct hakc_heap *heap, uint64_t bytes, uint64_t alignment,
			 uint32_t *ret_slot);

/* Slots that were made UNUSED again; SuperSlabs beyond the stock go to the daemon. */
void hakc_heap_put_slots(struct hakc_heap *heap, uint32_t slot, uint32_t n_slots);

/* Takes apart a span of ours whose block is free. False: it was not one. */
bool hakc_heap_retire_span(struct hakc_heap *heap, uint32_t slot);

/* Gives all unused SuperSlabs beyond `keep` to the daemon. */
void hakc_heap_return_stock(struct hakc_heap *heap, uint32_t keep);

#endif
