/* SPDX-License-Identifier: MIT */
/* OSSP mm: its pool, its lock. Mapped before the fork, so addresses are good in both processes. */
#include <errno.h>
#include <mm.h>

#include "bench/peer/peer.h"

static MM *pool;

int bench_peer_init(size_t pool_bytes)
{
	size_t most = mm_maxsize();

	pool = mm_create(pool_bytes < most ? pool_bytes : most, NULL);
	return pool ? 0 : -ENOMEM;
}

int bench_peer_enter(void)
{
	return 0;
}

void bench_peer_deinit(void)
{
	mm_destroy(pool);
}

void *bench_peer_malloc(size_t bytes)
{
	return mm_malloc(pool, bytes);
}

void bench_peer_free(void *block)
{
	mm_free(pool, block);
}

uint64_t bench_peer_ref(const void *block)
{
	return (uintptr_t)block;
}

void *bench_peer_ptr(uint64_t ref)
{
	return (void *)(uintptr_t)ref;
}
