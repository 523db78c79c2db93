/* SPDX-License-Identifier: MIT */
/* The exported calls about a pool that is named: those of hakmem.c, made in a visit to it. */
#include "client_lib/include/hakmem.h"
#include "client_lib/pool.h"

int hakmem_pool_open(const char *name, const struct hakmem_options *options,
		     struct hakmem_pool **ret_pool)
{
	return hakc_pool_open(name, options, ret_pool);
}

int hakmem_pool_close(struct hakmem_pool *pool)
{
	return hakc_pool_close(pool);
}

struct hakmem_pool *hakmem_pool_of(const void *address)
{
	return hakc_pool_at(hakc_pool_of(address));
}

static unsigned visit(const struct hakmem_pool *pool)
{
	return hakc_thread_visit(hakc_pool_heap(pool));
}

/* Makes a call there, whose result the caller's `result` gets. */
#define VISIT(pool, call)                     \
	do {                                  \
		unsigned from_ = visit(pool); \
                                              \
		result = (call);              \
		hakc_thread_visit(from_);     \
	} while (0)

void *hakmem_malloc_in(struct hakmem_pool *pool, size_t size)
{
	void *result;

	VISIT(pool, hakmem_malloc(size));
	return result;
}

void *hakmem_calloc_in(struct hakmem_pool *pool, size_t count, size_t size)
{
	void *result;

	VISIT(pool, hakmem_calloc(count, size));
	return result;
}

void *hakmem_aligned_alloc_in(struct hakmem_pool *pool, size_t alignment, size_t size)
{
	void *result;

	VISIT(pool, hakmem_aligned_alloc(alignment, size));
	return result;
}

void *hakmem_ptr_in(struct hakmem_pool *pool, hakmem_ref_t ref)
{
	void *result;

	VISIT(pool, hakmem_ptr(ref));
	return result;
}

int hakmem_take_in(struct hakmem_pool *pool, hakmem_ref_t ref, void **ret_block)
{
	int result;

	VISIT(pool, hakmem_take(ref, ret_block));
	return result;
}

int hakmem_root_publish_in(struct hakmem_pool *pool, const char *name, hakmem_ref_t ref)
{
	int result;

	VISIT(pool, hakmem_root_publish(name, ref));
	return result;
}

int hakmem_root_publish_list_in(struct hakmem_pool *pool, const char *name,
				const hakmem_ref_t *refs, size_t n)
{
	int result;

	VISIT(pool, hakmem_root_publish_list(name, refs, n));
	return result;
}

int hakmem_root_lookup_in(struct hakmem_pool *pool, const char *name, hakmem_ref_t *ret_ref)
{
	int result;

	VISIT(pool, hakmem_root_lookup(name, ret_ref));
	return result;
}

int hakmem_root_withdraw_in(struct hakmem_pool *pool, const char *name, hakmem_ref_t *ret_ref)
{
	int result;

	VISIT(pool, hakmem_root_withdraw(name, ret_ref));
	return result;
}

int hakmem_is_at_base_in(struct hakmem_pool *pool)
{
	int result;

	VISIT(pool, hakmem_is_at_base());
	return result;
}

int hakmem_trim_in(struct hakmem_pool *pool)
{
	int result;

	VISIT(pool, hakmem_trim());
	return result;
}

int hakmem_stats_in(struct hakmem_pool *pool, struct hakmem_stats *ret_stats, size_t bytes)
{
	int result;

	VISIT(pool, hakmem_stats(ret_stats, bytes));
	return result;
}
