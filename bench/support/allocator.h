/* SPDX-License-Identifier: MIT */
#ifndef BENCH_ALLOCATOR_H
#define BENCH_ALLOCATOR_H

/*
 * The allocator that a workload calls. Each workload is compiled once a form:
 *   -DBENCH_SHARED  hakmem.h, linked with libhakmem.so
 *   -DBENCH_FLOOR   no allocator at all: what loop and call cost (bench/floor)
 *   -DBENCH_PEER    a shared-memory allocator of somebody else (bench/peer)
 *   otherwise       malloc: glibc's, or what LD_PRELOAD puts in its place
 * In every form a call crosses one boundary between two objects, so that no
 * compiler sees both sides of a pair and leaves it out.
 */
#include <stddef.h>

#if defined(BENCH_SHARED)

#include "client_lib/include/hakmem.h"

#define BENCH_SYMBOL	    "hakmem_malloc"
#define bench_malloc(bytes) hakmem_malloc(bytes)
#define bench_free(block)   hakmem_free(block)
#define bench_detach()	    hakmem_detach()

#elif defined(BENCH_FLOOR)

void *bench_floor_malloc(size_t bytes);
void bench_floor_free(void *block);

#define BENCH_SYMBOL	    "bench_floor_malloc"
#define bench_malloc(bytes) bench_floor_malloc(bytes)
#define bench_free(block)   bench_floor_free(block)
#define bench_detach()	    ((void)0)

#elif defined(BENCH_PEER)

#include "bench/peer/peer.h"

#define BENCH_SYMBOL	    NULL
#define bench_malloc(bytes) bench_peer_malloc(bytes)
#define bench_free(block)   bench_peer_free(block)
#define bench_detach()	    ((void)0)

#else

#include <stdlib.h>

#define BENCH_SYMBOL	    "malloc"
#define bench_malloc(bytes) malloc(bytes)
#define bench_free(block)   free(block)
#define bench_detach()	    ((void)0)

#endif

/* What a workload does first with a block: the page is there, and nothing is optimised away. */
static inline void bench_touch(void *block)
{
	*(volatile char *)block = 1;
}

#endif
