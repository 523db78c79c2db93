/* SPDX-License-Identifier: MIT */
#ifndef HAKC_SESSION_H
#define HAKC_SESSION_H

/*
 * Where a process's memory comes from: the daemon. Attach, detach, refills;
 * all calls but those for private pages and tags with the heap's lock held, also while they
 * wait: other threads go on with what they have got already. The
 * interposer has a source of its own behind these names (malloc/source.c).
 *
 * The daemon may be away, and another one come. All calls then go on with that one, and find what
 * the old one had granted or not taken back; those that ask for memory wait for it, up to
 * HAKMEM_TIMEOUT_MS. Their errors: -ENOMEM; -ETIMEDOUT: no answer; -ESTALE: the pool has ended, or
 * nobody listens who could have it; -EPROTO.
 */

#include "client_lib/thread.h"

/* 0; -EISCONN; or as hakmem_attach says. */
int hakc_session_attach(struct hakc_heap *heap, const struct hakmem_options *options);
int hakc_session_detach(struct hakc_heap *heap);

/*
 * Can the daemon be told something? Doesn't wait. To be asked before SuperSlabs are forgotten that
 * are to be given back: else they are better kept. What is forgotten and doesn't get there is not
 * lost; it is ours again with the next welcome, which this call, the next, and refills look for.
 */
bool hakc_session_is_up(struct hakc_heap *heap);

/* The same, and waits for it. */
int hakc_session_reach(struct hakc_heap *heap);

/*
 * Gets SuperSlabs, one at least, and has the heap own them: those that were
 * asked for ahead, else up to n, waiting for the answer. 0 or a negative errno.
 */
int hakc_session_refill(struct hakc_heap *heap, uint32_t n);

/* Has the heap own what was asked for ahead: if it has come, or, if `waits`, when it comes. */
void hakc_session_take_ahead(struct hakc_heap *heap, bool waits);

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

/* Gives back SuperSlabs in which nothing lives, if the daemon can be told at once. */
void hakc_session_giveback(struct hakc_heap *heap, const uint32_t *superslabs, uint32_t n);

/* Gives the tags of a slab of n blocks memory. 0 or -ENOMEM. May be called without the lock. */
int hakc_session_back_tags(const struct hakc_heap *heap, uint32_t slot, uint32_t n);

/* When a call that begins now gives up, us. */
int64_t hakc_session_deadline(const struct hakc_heap *heap);

/*
 * Asks and waits; replies that others wait for are taken in. 0 and *ret_reply, to be released, also
 * if it carries an error; -ENOTCONN: the daemon may have done it, and the answer is lost:
 * hakc_session_reach_until, then look; or an error as above.
 */
int hakc_session_call(struct hakc_heap *heap, Hak__Request *request, int64_t deadline,
		      Hak__Reply **ret_reply);

int hakc_session_reach_until(struct hakc_heap *heap, int64_t deadline);

/* Says that all may be taken back, and waits until it has, if the daemon is there. */
void hakc_session_bye(struct hakc_heap *heap);

/* A block that is not of the heap is freed; t is NULL where there is no heap. */
void hakc_session_free_foreign(struct hakc_thread *t, void *block);

/* Private memory that a forked child finds zeroed; NULL when there is none. */
void *hakc_private_map(size_t bytes);
void hakc_private_unmap(void *memory, size_t bytes);

#endif
