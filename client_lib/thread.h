/* SPDX-License-Identifier: MIT */
#ifndef HAKC_THREAD_H
#define HAKC_THREAD_H

/*
 * A thread's private state: magazines of free blocks, the slabs that it
 * claims, and the outgoing buffer of blocks that others claim.
 *
 * It lies in wiped pages: in a forked child every magazine is empty with no
 * capacity and the pool has no bytes, so both fast paths fall through to the
 * slow ones, which see that the heap is gone. That costs the fast path nothing.
 */

#include "client_lib/heap.h"

#define HAKC_MAGAZINE_BLOCKS 64u
#define HAKC_MAGAZINE_BYTES  16384u /* of free blocks a class, but two blocks at least */
#define HAKC_OUTGOING_BLOCKS 64u
#define HAKC_OUTGOING_BYTES  65536u
#define HAKC_EMPTY_KEPT	     4u

struct hakc_magazine {
	uint32_t n;
	uint32_t capacity;
	uint64_t magic; /* of the class: is an address the begin of a block? */
	uint64_t end;	/* of the last block, bytes from the begin of its slab's first slot */
	void *block[HAKC_MAGAZINE_BLOCKS];
};

/* A block on its way back to a slab: the epoch tells if that is still the same one. */
struct hakc_outgoing {
	uint32_t slot;
	uint16_t index;
	uint16_t epoch;
};

struct hakc_thread {
	/* Read by the fast paths. */
	uintptr_t base;
	uint64_t capacity; /* of the pool, 0: not attached */
	hak_u64 *words;
	uint64_t mine;
	struct hakc_magazine magazines[HAK_CLASS_COUNT];

	struct hakc_heap *heap; /* NULL: not attached */
	uint32_t number;	/* 1.. */
	uint32_t next_free;	/* number of the next ended thread's state */

	/* Slabs that this thread claims, slot + 1. */
	uint32_t current[HAK_CLASS_COUNT];
	uint32_t partial[HAK_CLASS_COUNT];
	uint32_t full;
	uint32_t empty;
	uint32_t n_empty;

	uint32_t n_outgoing;
	uint64_t outgoing_bytes;
	struct hakc_outgoing outgoing[HAKC_OUTGOING_BLOCKS];
};

/* The calling thread's state; one that is always empty before its first call. */
extern __thread struct hakc_thread *hakc_self __attribute__((tls_model("initial-exec")));

/*
 * The calling thread's state, attached; attaches the process if it isn't.
 * NULL and *ret_error, a negative errno.
 */
struct hakc_thread *hakc_thread_get(int *ret_error);

struct hakmem_options;

/* Attach and detach, for all threads of the process. */
int hakc_thread_attach_process(const struct hakmem_options *options);
int hakc_thread_detach_process(void);

#endif
