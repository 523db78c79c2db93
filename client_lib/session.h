/* SPDX-License-Identifier: MIT */
#ifndef HAKC_SESSION_H
#define HAKC_SESSION_H

/*
 * The process as a client of the daemon: attach, detach, refills. All calls
 * with the heap's lock held.
 */

#include "client_lib/heap.h"

struct hakmem_options;

#define HAKC_REFILL_MAX 64u /* SuperSlabs asked for at once */

/* 0; -EISCONN; or as hakmem_attach says. */
int hakc_session_attach(struct hakc_heap *heap, const struct hakmem_options *options);
int hakc_session_detach(struct hakc_heap *heap);

/* Asks for *n single SuperSlabs, up to HAKC_REFILL_MAX; *n is what came, at least 1. */
int hakc_session_refill(struct hakc_heap *heap, uint32_t *n, uint32_t *superslabs);

/* Asks for a run of n whose address is a multiple of alignment. */
int hakc_session_refill_huge(struct hakc_heap *heap, uint32_t n, uint64_t alignment,
			     uint32_t *ret_superslab);

/* Gives back SuperSlabs in which nothing lives. If the daemon can't be told, it will find out. */
void hakc_session_giveback(struct hakc_heap *heap, const uint32_t *superslabs, uint32_t n);

#endif
