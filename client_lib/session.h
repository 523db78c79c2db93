/* SPDX-License-Identifier: MIT */
#ifndef HAKC_SESSION_H
#define HAKC_SESSION_H

/*
 * Where a process's memory comes from: the daemon. Attach, detach, refills;
 * all calls but those for private pages and tags with the heap's lock held. The
 * interposer has a source of its own behind these names (malloc/source.c).
 */

#include "client_lib/thread.h"

/* 0; -EISCONN; or as hakmem_attach says. */
int hakc_session_attach(struct hakc_heap *heap, const struct hakmem_options *options);
int hakc_session_detach(struct hakc_heap *heap);

/*
 * Gets SuperSlabs, one at least, and has the heap own them: those that were
 * asked for ahead, else up to n, waiting for the answer. 0 or a negative errno.
 */
int hakc_session_refill(struct hakc_heap *heap, uint32_t n);

/* Asks for n and doesn't wait; the next slow path that needs memory has them. */
void hakc_session_ask_ahead(struct hakc_heap *heap, uint32_t n);

/* Asks for a run of n whose address is a multiple of alignment, and waits. */
int hakc_session_refill_huge(struct hakc_heap *heap, uint32_t n, uint64_t alignment,
			     uint32_t *ret_superslab, bool *ret_zeroed);

/*
 * Asks for a run of ours to be n SuperSlabs long, where it is, and waits. 0 or a negative errno:
 * as far as we are concerned it is what it was.
 */
int hakc_session_extend(struct hakc_heap *heap, uint32_t head, uint32_t n);

/* Gives back the end of a run, what is behind its first `stay`; as below. */
void hakc_session_giveback_end(struct hakc_heap *heap, uint32_t head, uint32_t stay);

/* Gives back SuperSlabs in which nothing lives. If the daemon can't be told, it will find out. */
void hakc_session_giveback(struct hakc_heap *heap, const uint32_t *superslabs, uint32_t n);

/* Gives the tags of a slab of n blocks memory. 0 or -ENOMEM. May be called without the lock. */
int hakc_session_back_tags(const struct hakc_heap *heap, uint32_t slot, uint32_t n);

/*
 * Asks and waits; replies that others wait for are taken in. 0 and *ret_reply, to be released, also
 * if it carries an error; or a negative errno.
 */
int hakc_session_call(struct hakc_heap *heap, Hak__Request *request, Hak__Reply **ret_reply);

/* A block that is not of the heap is freed; t is NULL where there is no heap. */
void hakc_session_free_foreign(struct hakc_thread *t, void *block);

/* Private memory that a forked child finds zeroed; NULL when there is none. */
void *hakc_private_map(size_t bytes);
void hakc_private_unmap(void *memory, size_t bytes);

#endif
