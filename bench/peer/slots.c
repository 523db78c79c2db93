/* SPDX-License-Identifier: MIT */
/* No allocator: 64 byte slots in turn, a region a process. The floor of the two-process rows. */
#include <errno.h>

#include "bench/peer/peer.h"
#include "bench/support/shared_memory.h"
#include "proto/shm/atomic.h"

#define N_SLOTS	  4096
#define N_REGIONS 2

struct pool {
	hak_u32 n_entered;
	_Alignas(64) char slots[N_REGIONS][N_SLOTS][64];
};

static struct pool *pool;
static uint32_t region, next; /* of this process */

int bench_peer_init(size_t pool_bytes)
{
	(void)pool_bytes;
	pool = bench_shared_memory(sizeof(*pool));
	return 0;
}

int bench_peer_enter(void)
{
	region = hak_add_relaxed(&pool->n_entered, 1);
	return region < N_REGIONS ? 0 : -ENOSPC;
}

void bench_peer_deinit(void)
{
}

void *bench_peer_malloc(size_t bytes)
{
	return bytes <= sizeof(pool->slots[0][0]) ? pool->slots[region][next++ % N_SLOTS] : NULL;
}

void bench_peer_free(void *block)
{
	(void)block;
}

uint64_t bench_peer_ref(const void *block)
{
	return (uintptr_t)block - (uintptr_t)pool;
}

void *bench_peer_ptr(uint64_t ref)
{
	return (char *)pool + ref;
}
