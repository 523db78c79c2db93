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

#include "client_lib/link.h"
#include "proto/shm/segment.h"

#define HAKC_THREADS_MAX   65535u
#define HAKC_SLOTS_MAX	   32u	/* slots of a SuperSlab */
#define HAKC_STOCK_FIRST   8u	/* unused SuperSlabs that a process keeps at first, */
#define HAKC_STOCK_MAX	   64u	/* and after it returned some and wanted them back */
#define HAKC_HUGE_KEPT	   4u	/* freed runs of SuperSlabs that a process keeps, */
#define HAKC_HUGE_KEPT_MAX 32u	/* and SuperSlabs of them all together */
#define HAKC_REFILL_MAX	   64u	/* SuperSlabs asked for at once */
#define HAKC_LATE_MAX	   128u /* runs that came unasked for; more: with the next welcome */
#define HAKC_SLICES	   8u	/* of the time that what nobody needs is kept */

struct hakc_thread;
struct hakc_modules;

/* Which private list a slab is on. */
enum hakc_list {
	HAKC_LIST_NONE = 0,
	HAKC_LIST_CURRENT,
	HAKC_LIST_PARTIAL,
	HAKC_LIST_FULL,
	HAKC_LIST_EMPTY,
	HAKC_LIST_UNCLAIMED,
	HAKC_LIST_SAMPLED,
};

/*
 * The private record of a slab, at its head's slot. Written by the claiming
 * thread; of an unclaimed slab under the heap's lock.
 */
struct hakc_slab {
	uint32_t next;	/* slot + 1; 0: the last */
	uint32_t prev;	/* likewise */
	uint8_t list;	/* enum hakc_list */
	uint8_t word;	/* where the next search for free bits begins */
	hak_u32 keeper; /* of a span: the thread that keeps it to allocate it again; 0: none */
};

/* The private record of a SuperSlab that is ours; runs at their head. */
struct hakc_superslab {
	uint32_t unused;   /* a bit a slot: in no slab or span */
	uint32_t dirty;	   /* a bit a slot: may hold something else than zeros */
	uint32_t position; /* index in owned + 1; 0: not ours */
	uint32_t n;	   /* SuperSlabs of the run; 1 unless it is huge */
	uint32_t next;	   /* of those with as long a row of unused slots, index + 1 */
	uint32_t prev;
	uint8_t row; /* length of its longest row of unused slots */
	uint8_t is_huge;
};

/* What is to go back when; see decay.c. */
struct hakc_decay {
	uint64_t keep_ms;
	uint64_t slice;		   /* the current one: time / its length */
	uint32_t low[HAKC_SLICES]; /* least stock in the last ones, by slice % HAKC_SLICES */
	uint32_t spare;		   /* stock beyond stock_max, from caches */
	uint64_t ahead_id;	   /* of the refill asked for ahead when the slice began; 0: none */
};

struct hakc_heap {
	pthread_mutex_t lock;
	bool is_attached;
	bool is_read_only; /* nothing is ours, nothing may be written */
	bool is_at_base;   /* the pool is mapped at its own address */
	bool is_hardened;  /* see hardened.h */
	unsigned holder;
	struct hak_segment segment;
	struct hak_client_area *area;
	struct hakc_link link;
	void *lease; /* mapped as long as we use the pool; a forked child has none */

	struct hakc_slab *slabs;	   /* a slot */
	struct hakc_superslab *superslabs; /* a SuperSlab */
	uint32_t *owned;		   /* SuperSlabs granted to us, runs by their head */
	uint32_t n_owned;
	uint32_t n_granted; /* the same, runs counted by their length */
	uint32_t n_unused;  /* slots in no slab or span */
	uint32_t hint_at;   /* index in owned above which hints were looked for last */
	uint32_t rows[HAKC_SLOTS_MAX + 1]; /* lists of SuperSlabs by `row`, index + 1 */
	uint64_t rows_used;		   /* a bit a list that isn't empty */
	uint32_t n_stock;		   /* wholly unused ones */
	uint32_t stock_max;
	uint32_t stock_low; /* least n_stock in this slice */
	bool has_returned;  /* since the last refill */

	struct {
		uint32_t head;
		uint32_t n;
		uint64_t slice; /* in which it was freed */
	} huge[HAKC_HUGE_KEPT]; /* freed runs, the newest first; n 0: none */
	uint32_t n_huge_kept;	/* SuperSlabs of them */
	struct hakc_decay decay;

	bool is_asked;		      /* a refill is under way that nobody waits for */
	uint64_t asked_id;	      /* its request */
	uint32_t late[HAKC_LATE_MAX]; /* what we have without knowing, by heads: to be given back */
	uint32_t n_late;
	uint32_t extended;		     /* head + 1 of the run that is to be longer; 0: none */
	uint32_t unclaimed[HAK_CLASS_COUNT]; /* slabs of threads that ended, slot + 1 */

	uint32_t sampled[HAK_CLASS_COUNT]; /* SAMPLED slabs that may have free blocks, slot + 1 */
	struct hakc_modules *modules;	   /* see stack.c; NULL: none were asked for */
	hak_u64 modules_version;

	struct hakc_thread **threads; /* by number - 1 */
	uint32_t n_threads_max;
	uint32_t n_threads;   /* numbers given out so far */
	uint32_t idle_thread; /* number of the last ended thread's state; 0: none */
	uint64_t seed;	      /* of the order of allocation, if hardened */
};

/*
 * The heap that the calling thread's calls are about: the process's first, but in a visit
 * to another (hakc_thread_visit). Never NULL, each the same for the process's whole life.
 */
struct hakc_heap *hakc_heap(void);

#define HAKC_HEAPS_MAX 16u

/* The heap of an index, made if it isn't there; NULL: no memory, which doesn't befall the first. */
struct hakc_heap *hakc_heap_at(unsigned index);

static inline void hakc_count(struct hakc_heap *heap, enum hak_stat stat, uint64_t n)
{
	hak_add_relaxed(&heap->area->counters[stat], n); /* decides nothing */
}

/* What is counted with the lock held only. */
static inline void hakc_count_locked(struct hakc_heap *heap, enum hak_stat stat)
{
	hak_u64 *counter = &heap->area->counters[stat];

	hak_store_relaxed(counter, hak_load_relaxed(counter) + 1); /* decides nothing */
}

/* All below: with the heap's lock held. */

/* Maps the private tables for a geometry; 0 or -ENOMEM. */
int hakc_heap_init(struct hakc_heap *heap);
void hakc_heap_deinit(struct hakc_heap *heap);

/* SuperSlabs that were granted to us, one by one; the memory is zeroed or not. */
void hakc_heap_own(struct hakc_heap *heap, const uint32_t *superslabs, uint32_t n, bool zeroed);

/*
 * SuperSlabs of somebody dead that were granted to us: others hold blocks in them. Their slabs are
 * ours and nobody claims them yet.
 */
void hakc_heap_inherit(struct hakc_heap *heap, const uint32_t *superslabs, uint32_t n);

/*
 * Cuts a slab of cls for thread, from unused slots or, where there are none,
 * from a refill. 0 and the head's slot; -ENOMEM or an error of the connection.
 */
int hakc_heap_cut(struct hakc_heap *heap, unsigned cls, uint32_t thread, uint32_t *ret_slot);

/* A span of bytes, more than a class holds, at an alignment (bytes). Same errors. */
int hakc_heap_alloc_span(struct hakc_heap *heap, uint64_t bytes, uint64_t alignment,
			 uint32_t *ret_slot, bool *ret_zeroed);

/* Are there n unused slots in a row, perhaps? */
static inline bool hakc_heap_has_row(const struct hakc_heap *heap, uint64_t n)
{
	return n <= HAKC_SLOTS_MAX && heap->rows_used >> n != 0;
}

/* Slots that were made unused; SuperSlabs beyond the stock go to the daemon. */
void hakc_heap_put_slots(struct hakc_heap *heap, uint32_t slot, uint32_t n_slots);

/* Takes apart a span of ours whose block is free. False: it was not one. */
bool hakc_heap_retire_span(struct hakc_heap *heap, uint32_t slot);

/* Makes a span n_slots long where it is, if the slots behind it are unused. */
bool hakc_heap_resize_span(struct hakc_heap *heap, uint32_t slot, uint32_t n_slots);

/*
 * Gives back those of n SuperSlabs from first on that we keep without need. False, and nothing is
 * given back: something lives there, or so it seems.
 */
bool hakc_heap_make_way(struct hakc_heap *heap, uint32_t first, uint32_t n);

/* Gives all unused SuperSlabs beyond `keep` to the daemon. */
void hakc_heap_return_stock(struct hakc_heap *heap, uint32_t keep);

/* Gives the kept runs that were freed before a slice to the daemon. */
void hakc_heap_return_runs(struct hakc_heap *heap, uint64_t slice);

#endif
