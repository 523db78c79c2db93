/* SPDX-License-Identifier: MIT */
#ifndef HAKC_THREAD_H
#define HAKC_THREAD_H

/*
 * A thread's private state: magazines of free blocks, the slabs that it
 * claims, and the outgoing blocks that others claim.
 *
 * It lies in wiped pages: in a forked child every magazine is empty with no
 * room and the pool has no slots, so both fast paths fall through to the slow
 * ones, which see that the heap is gone. That costs the fast path nothing.
 *
 * A state outlives its thread: with its magazines and slabs it waits for the
 * next thread, so a thread that lives for a moment costs next to nothing. Who
 * lacks memory meanwhile takes its slabs (hakc_thread_plunder).
 */

#include "client_lib/heap.h"
#include "client_lib/magazine.h"
#include "proto/shm/mix.h"

/*
 * Magazines by class; behind the classes one a span length in slots. W of a
 * slab holds its class in 8 bits: the fast path masks with the count, and the
 * rows that nothing uses have no room.
 */
#define HAKC_MAGAZINES	     128u
#define HAKC_SPANS_AT	     HAK_CLASS_COUNT /* magazine of spans of 1 slot, of 2, ... */
#define HAKC_SPAN_SLOTS_MAX  16u	     /* longest span that a thread caches */
#define HAKC_MAGAZINES_USED  (HAKC_SPANS_AT + HAKC_SPAN_SLOTS_MAX)
#define HAKC_STEPS	     64u   /* sizes by steps of 16 bytes that the fast path serves */
#define HAKC_MAGAZINE_BLOCKS 4096u /* blocks at most, and bytes at most */
#define HAKC_MAGAZINE_BYTES  (UINT64_C(1) << 18)  /* of a class; two blocks at least */
#define HAKC_SPANS_BYTES     (UINT64_C(16) << 20) /* of all spans that a thread caches */
#define HAKC_MAGAZINE_FIRST  16u		  /* blocks, before use makes it grow */

/*
 * Blocks that others claim, on their way back: each with its slab's epoch above bit 48, which
 * tells if it is still the same slab. SURE: only we can set its bit, since our process owns the
 * slab, or the block by its tag. Else the tag's inc as it was when the block was freed tells
 * whether it is the same block. Flushed when they are so many, or so many bytes.
 */
#define HAKC_OUTGOING_BLOCKS 256u
#define HAKC_OUTGOING_BYTES  65536u
#define HAKC_OUTGOING_EPOCH  48
#define HAKC_OUTGOING_SURE   58

struct hakc_outgoing {
	uint32_t n;
	uint32_t n_flushes;
	uint64_t bytes;
	void *blocks[HAKC_OUTGOING_BLOCKS];
	uint32_t incs[HAKC_OUTGOING_BLOCKS];
};

/* See decay.c. */
struct hakc_thread_decay {
	uint64_t asked;	    /* of the registry's header, as last seen */
	uint64_t tick;	    /* in which the caches were last looked at */
	uint64_t credit_at; /* when credit was last given, milliseconds */
	uint32_t credit;    /* looks that the thread may still take */
	bool is_watched;
};

/* See sample.c. */
struct hakc_thread_samples {
	uint64_t owed;	    /* bytes that those stood for that were left out */
	uint64_t credit_us; /* what may be spent on samples */
	uint64_t credit_at; /* when it was last given, microseconds */
	uint32_t unasked;   /* samples that are left out before the clock is asked again */
	bool is_busy;	    /* with one */
};

struct hakc_thread {
	/* Read by the fast paths. */
	uintptr_t base;	  /* first: see struct hakc_magazine */
	uint64_t n_slots; /* of the pool, 0: not attached, or hardened */
	hak_u64 *words;
	hak_u64 *bits;
	struct hakc_slab *slabs;
	uint32_t mine;		/* low half of W, see hak_slab_mine */
	uint32_t short_span;	/* see hak_slab_short_span; of 0 slots */
	uint32_t number;	/* 1.. */
	struct hakc_heap *heap; /* NULL: not attached */
	hak_u64 *crossing;	/* this thread's counter, see crossing.h */
	uint64_t span_bytes;	/* in magazines of spans */
	uint32_t n_fills;
	uint32_t next_idle; /* number of the next idle state */
	/* Where a size's magazine is, bytes from here; of 0 steps, one without room. */
	uint16_t by_steps[HAKC_STEPS + 1];
	struct hakc_magazine magazines[HAKC_MAGAZINES] __attribute__((aligned(64)));

	/* Slabs that this thread claims, slot + 1. */
	uint32_t current[HAK_CLASS_COUNT];
	uint32_t partial[HAK_CLASS_COUNT];
	uint32_t full;
	uint32_t empty;
	uint32_t n_empty;

	struct hakc_outgoing outgoing;
	hak_u64 counts[HAK_STAT_COUNT]; /* not yet published */
	struct hakc_thread_decay decay;
	uint64_t idle_slice; /* in which it became idle; UINT64_MAX: it has nothing */
	uint64_t random;     /* of its random numbers, see mix.h */
	struct hakc_thread_samples samples;
};

#define HAKC_EMPTY_KEPT 4u

/*
 * The calling thread's state for the heap that it is at; one that is always empty before its
 * first call there.
 */
extern __thread struct hakc_thread *hakc_self __attribute__((tls_model("initial-exec")));

/*
 * From now on the calling thread's calls are about another heap, which must have been made; returns
 * the index of the one that it was at, to go back there. A thread is at heap 0 but in such visits.
 */
unsigned hakc_thread_visit(unsigned heap);

/* The index of the heap that the calling thread is at. */
unsigned hakc_thread_at(void);

/*
 * Does a block of a slab begin at offset (bytes) of the slab's first slot, whose W is w? False:
 * not there, or not in a slab.
 */
static inline bool hakc_thread_is_start(const struct hakc_thread *t, uint64_t offset, uint64_t w)
{
	/* Classes that don't exist have a row too, whose limit is 0. */
	const struct hakc_magazine *m = &t->magazines[hak_slab_class(w) % HAKC_MAGAZINES];

	return hak_slab_state(w) == HAK_SLAB_ACTIVE && offset * m->magic < m->limit;
}

/*
 * The quick answer for most blocks, by their offset from the base in bytes: true, and the W of
 * the slab. False: hak_segment_locate knows.
 */
static inline bool hakc_thread_sees_block(const struct hakc_thread *t, uint64_t offset,
					  uint64_t *ret_word)
{
	uint64_t slot = offset >> HAK_SLOT_LG;

	if (__builtin_expect(slot >= t->n_slots, 0))
		return false;
	*ret_word = hak_slab_load(&t->words[slot]);
	return hakc_thread_is_start(t, offset % HAK_SLOT_BYTES, *ret_word);
}

/*
 * hak_segment_locate_offset, quick for most blocks: those that begin in their slab's first slot.
 */
static inline void hakc_thread_locate(const struct hakc_thread *t, uint64_t offset,
				      struct hak_location *ret)
{
	uint64_t w;
	unsigned cls;

	if (__builtin_expect(!hakc_thread_sees_block(t, offset, &w), 0)) {
		*ret = hak_segment_locate_offset(&t->heap->segment, offset);
		return;
	}
	cls = hak_slab_class(w);
	ret->place = HAK_PLACE_BLOCK;
	ret->slot = (uint32_t)(offset >> HAK_SLOT_LG);
	ret->index = hak_class_index(t->magazines[cls].magic, offset % HAK_SLOT_BYTES);
	ret->word = w;
	ret->start = offset;
	ret->bytes = hak_classes[cls].size;
}

/*
 * The calling thread's state, attached; attaches the process if it isn't.
 * NULL and *ret_error, a negative errno.
 */
struct hakc_thread *hakc_thread_get(int *ret_error);

/*
 * The heap, attached; attaches the process if it isn't. For calls that only read: also where it is
 * attached for reading, where no thread has a state. NULL and *ret_error.
 */
struct hakc_heap *hakc_thread_reads(int *ret_error);

/* Counts on a slow path; published now and then. */
static inline void hakc_thread_count(struct hakc_thread *t, enum hak_stat stat, uint64_t n)
{
	/* Relaxed, not atomic together: the thread is the only one that writes. */
	hak_store_relaxed(&t->counts[stat], hak_load_relaxed(&t->counts[stat]) + n);
}

/* Is w that of a slab that t claims, TAGGED or not? */
static inline bool hakc_thread_claims(const struct hakc_thread *t, uint64_t w)
{
	return hak_slab_is_mine(w & ~HAK_SLAB_TAGGED, t->mine);
}

/*
 * Is the span of n slots at slot, which lies in t's magazine, t's to give out? Of threads that
 * freed it at the same time, the last to write its number keeps it; a span that was taken apart
 * has another W.
 */
static inline bool hakc_thread_keeps(const struct hakc_thread *t, uint32_t slot, uint32_t n)
{
	/* Relaxed: our own store, or that of another, who then keeps it; [order:keeper] of W. */
	return hak_load_relaxed(&t->slabs[slot].keeper) == t->number &&
	       ((uint32_t)hak_slab_load(&t->words[slot]) & ~(uint32_t)HAK_SLAB_TAGGED) ==
		       (t->short_span | n << HAK_SLAB_THREAD_SHIFT);
}

/* Adds what t has counted to the counters that everybody sees. */
void hakc_thread_publish(struct hakc_thread *t);

/*
 * Empties an idle state that may have memory for cls, or all of them: their
 * slabs are nobody's then, or unused. False: there is none. Heap not locked.
 */
bool hakc_thread_plunder(struct hakc_heap *heap, unsigned cls);
void hakc_thread_plunder_all(struct hakc_heap *heap);

/* Empties those that became idle before a slice. Heap not locked. */
void hakc_thread_plunder_idle(struct hakc_heap *heap, uint64_t slice);

/* From now on small allocations go past the caches' fast path (hakc_alloc_watched), or no more. */
void hakc_thread_watch(struct hakc_thread *t, bool is_watched);

/*
 * After a free: if its thread has ended, gives back what it took for the call. The C library
 * frees buffers of a thread when nobody is told of its end any more.
 */
void hakc_thread_end_late(void);

/* The state of a thread that is gone, in the middle of anything: empty and idle. Heap locked. */
void hakc_thread_forget(struct hakc_heap *heap, struct hakc_thread *t);

struct hakmem_options;

/* Attach and detach, for all threads of the process. */
int hakc_thread_attach_process(const struct hakmem_options *options);
int hakc_thread_detach_process(void);

#endif
