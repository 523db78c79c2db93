/* SPDX-License-Identifier: MIT */
#ifndef BENCH_RING_H
#define BENCH_RING_H

/*
 * A ring of words from one thread to another, which may be of another process:
 * it has no pointers. Each side keeps a copy of what it last saw of the other's
 * index, so that an index crosses the cores once a round, not once a word.
 */
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "proto/shm/atomic.h"

#define BENCH_RING_WORDS 1024
#define BENCH_SPINS	 4000 /* before the core is offered to somebody else */

struct bench_ring {
	_Alignas(128) hak_u64 head; /* written by the sender */
	uint64_t tail_seen;
	uint64_t capacity;	    /* at most BENCH_RING_WORDS */
	_Alignas(128) hak_u64 tail; /* written by the receiver */
	uint64_t head_seen;
	_Alignas(128) uint64_t words[BENCH_RING_WORDS];
};

static inline void bench_relax(unsigned *spins)
{
	if (++*spins % BENCH_SPINS == 0)
		sched_yield();
#if defined(__x86_64__)
	else
		__builtin_ia32_pause();
#endif
}

static inline void bench_ring_init(struct bench_ring *ring, uint64_t capacity)
{
	memset(ring, 0, sizeof(*ring));
	ring->capacity = capacity;
}

/* Sender only: the release publishes the word and what it refers to. */
static inline bool bench_ring_try_send(struct bench_ring *ring, uint64_t word)
{
	uint64_t head = hak_load_relaxed(&ring->head);

	if (head - ring->tail_seen == ring->capacity) {
		ring->tail_seen = hak_load_acquire(&ring->tail);
		if (head - ring->tail_seen == ring->capacity)
			return false;
	}
	ring->words[head % BENCH_RING_WORDS] = word;
	hak_store_release(&ring->head, head + 1);
	return true;
}

/* Receiver only: the acquire is the other half of try_send's release. */
static inline bool bench_ring_try_receive(struct bench_ring *ring, uint64_t *ret_word)
{
	uint64_t tail = hak_load_relaxed(&ring->tail);

	if (tail == ring->head_seen) {
		ring->head_seen = hak_load_acquire(&ring->head);
		if (tail == ring->head_seen)
			return false;
	}
	*ret_word = ring->words[tail % BENCH_RING_WORDS];
	hak_store_release(&ring->tail, tail + 1);
	return true;
}

static inline void bench_ring_send(struct bench_ring *ring, uint64_t word)
{
	for (unsigned spins = 0; !bench_ring_try_send(ring, word);)
		bench_relax(&spins);
}

static inline uint64_t bench_ring_receive(struct bench_ring *ring)
{
	uint64_t word;

	for (unsigned spins = 0; !bench_ring_try_receive(ring, &word);)
		bench_relax(&spins);
	return word;
}

/* Sender only: has everything been taken? */
static inline bool bench_ring_is_empty(struct bench_ring *ring)
{
	return hak_load_acquire(&ring->tail) == hak_load_relaxed(&ring->head);
}

#endif
