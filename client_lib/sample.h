/* SPDX-License-Identifier: MIT */
#ifndef HAKC_SAMPLE_H
#define HAKC_SAMPLE_H

/*
 * The profile: of some blocks, who allocated them (proto/shm/sample.h).
 *
 * Which ones: when a magazine is filled, a token is put among the blocks, at random, for each
 * `interval` bytes of them. A token is a NULL in the stack, so to the fast path the magazine
 * looks empty, and the slow path finds it: this allocation is a sample. It gets a block of a slab
 * that no thread claims, so its free is a slow one too, and puts the token back where the block
 * would go. So tokens come and go in the stack as blocks do, whoever allocates, and each
 * allocation that lives is a sample with the same chance: a sample stands for `interval` bytes of
 * others' and itself. No call counts anything for it; the fast paths don't know of it, on or off.
 *
 * Spans: one that is cut is a sample with the chance size / interval, and leaves a token when it
 * is freed.
 *
 * A thread takes so many samples in a while at most, which bounds what they cost. A token beyond
 * that goes, and the next sample stands for what it would have stood for.
 *
 * Hardened processes take none: nothing is cached in them.
 */

#include "client_lib/thread.h"

/* Bytes between two samples; 0: none are taken. */
static inline uint64_t hakc_sample_interval(const struct hakc_heap *heap)
{
	/* Relaxed: a setting, which may change at any time. */
	return hak_load_relaxed(&heap->segment.header->profile);
}

/* Puts tokens into the magazine of a class that has just been filled. */
void hakc_sample_salt(struct hakc_thread *t, unsigned cls);

/* Is a token next in the magazine, which looks empty? */
static inline bool hakc_sample_is_next(const struct hakc_magazine *m)
{
	return !m->next && m->top != m->bottom;
}

/* Takes a class's token off and allocates for it; NULL: it is no sample after all. */
void *hakc_sample_alloc(struct hakc_thread *t, unsigned cls, size_t alignment, size_t size);

/* Is the span that is to be cut a sample? Takes a token off if one is next for that length. */
bool hakc_sample_wants_span(struct hakc_thread *t, size_t size);

/* The span that was cut at slot is one. */
void hakc_sample_set_span(struct hakc_thread *t, uint32_t slot, size_t size);

/* A sampled block of a slab or span is about to be freed by t. Heap not locked. */
void hakc_sample_free(struct hakc_thread *t, const void *block);

/*
 * A SAMPLED slab of ours got blocks back, or came to us: lists it, or makes its slots unused. Heap
 * locked.
 */
void hakc_sample_relist(struct hakc_heap *heap, uint32_t slot);

#endif
