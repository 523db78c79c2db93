/* SPDX-License-Identifier: MIT */
/* APR's relocatable memory, with the fastest of APR's process locks that this system has. */
#include <apr_general.h>
#include <apr_portable.h>
#include <apr_rmm.h>
#include <errno.h>

#include "bench/peer/peer.h"
#include "bench/support/shared_memory.h"

static apr_pool_t *apr_pool;
static apr_proc_mutex_t *mutex;
static apr_anylock_t lock;
static apr_rmm_t *rmm;
static void *memory;

int bench_peer_init(size_t pool_bytes)
{
	memory = bench_shared_memory(pool_bytes);
	if (apr_initialize() != APR_SUCCESS || apr_pool_create(&apr_pool, NULL) != APR_SUCCESS)
		return -ENOMEM;
	if (apr_proc_mutex_create(&mutex, NULL, APR_LOCK_PROC_PTHREAD, apr_pool) != APR_SUCCESS)
		return -ENOTSUP;
	lock.type = apr_anylock_procmutex;
	lock.lock.pm = mutex;
	return apr_rmm_init(&rmm, &lock, memory, pool_bytes, apr_pool) == APR_SUCCESS ? 0 : -EIO;
}

int bench_peer_enter(void)
{
	if (apr_proc_mutex_child_init(&mutex, NULL, apr_pool) != APR_SUCCESS)
		return -EIO;
	lock.lock.pm = mutex;
	return apr_rmm_attach(&rmm, &lock, memory, apr_pool) == APR_SUCCESS ? 0 : -EIO;
}

void bench_peer_deinit(void)
{
	apr_terminate();
}

void *bench_peer_malloc(size_t bytes)
{
	apr_rmm_off_t offset = apr_rmm_malloc(rmm, bytes);

	return offset ? apr_rmm_addr_get(rmm, offset) : NULL;
}

void bench_peer_free(void *block)
{
	apr_rmm_free(rmm, apr_rmm_offset_get(rmm, block));
}

uint64_t bench_peer_ref(const void *block)
{
	return (uintptr_t)block - (uintptr_t)memory;
}

void *bench_peer_ptr(uint64_t ref)
{
	return (char *)memory + ref;
}
