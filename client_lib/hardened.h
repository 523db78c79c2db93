/* SPDX-License-Identifier: MIT */
#ifndef HAKC_HARDENED_H
#define HAKC_HARDENED_H

/*
 * Hardened mode: a process that caches nothing, so that every call reaches the slow path, and finds
 * misuse of the heap at once. docs/security.md says what it finds, docs/decisions/0006 why so.
 *
 * The fast paths don't know of it: the magazines of a hardened thread have no room and it sees no
 * slots, so that an allocation finds nothing cached and a free nothing that it knows.
 */

#include "client_lib/thread.h"

#define HAKC_HARDENED_FILL	 0xdb		     /* what freed blocks are full of */
#define HAKC_HARDENED_FILL_BYTES (UINT64_C(1) << 16) /* at most, from a block's begin */

/* Decides for a process that attaches, once: by HAKMEM_HARDENED, or the pool's setting. */
void hakc_hardened_init(struct hakc_heap *heap);

/* Random bytes: of the kernel if it has some, else what differs from process to process. */
void hakc_hardened_random(void *ret_bytes, size_t n);

/* A thread of a hardened process enters; its magazines have been made. */
void hakc_hardened_enter(struct hakc_thread *t);

/* Moves one free block of a slab of t's, any of them, into the class's magazine; false: it has none. */
bool hakc_hardened_claim(struct hakc_thread *t, unsigned cls, uint32_t slot);

/* Frees a block, or refuses what is none. */
void hakc_hardened_free(struct hakc_thread *t, void *block);

/* Counts and logs that the guard of a block was broken, of which size bytes may be used. */
void hakc_hardened_report_overflow(struct hakc_heap *heap, const void *block, uint64_t size);

#endif
