/* SPDX-License-Identifier: MIT */
/*
 * The table lies in ordinary memory, so a forked child has it: the pools that its parent had open
 * are open to it, and it attaches to each at its first call there. The lock lies in wiped
 * pages, so no child finds it taken.
 */
#include "client_lib/pool.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "client_lib/flush.h"
#include "client_lib/free.h"
#include "client_lib/include/hakmem.h"
#include "client_lib/session.h"
#include "proto/wire/socket_path.h"

struct hakmem_pool {
	unsigned n_opens; /* 0: nobody has opened it */
	char socket[HAK_SOCKET_PATH_MAX];
	char name[HAK_POOL_NAME_BYTES];
	struct hakmem_options options; /* pointing to these */
	/* Where it is mapped; looked at without the lock. */
	hak_u64 base;
	hak_u64 bytes; /* 0: nowhere */
};

/* [0]: the first one's options, if it was attached with some. */
static struct hakmem_pool pools[HAKC_HEAPS_MAX];

static pthread_mutex_t *lock_of_pools;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void make_lock(void)
{
	static pthread_mutex_t fallback = PTHREAD_MUTEX_INITIALIZER;

	lock_of_pools = hakc_private_map(sizeof(*lock_of_pools)); /* zeros are unlocked */
	if (!lock_of_pools)
		lock_of_pools = &fallback;
}

static void lock(void)
{
	pthread_once(&once, make_lock);
	pthread_mutex_lock(lock_of_pools);
}

static void unlock(void)
{
	pthread_mutex_unlock(lock_of_pools);
}

unsigned hakc_pool_heap(const struct hakmem_pool *pool)
{
	return pool ? (unsigned)(pool - pools) : 0;
}

struct hakmem_pool *hakc_pool_at(unsigned heap)
{
	return heap > 0 ? &pools[heap] : NULL;
}

const struct hakmem_options *hakc_pool_options(unsigned heap)
{
	return pools[heap].n_opens > 0 ? &pools[heap].options : NULL;
}

unsigned hakc_pool_of(const void *address)
{
	for (unsigned i = 1; i < HAKC_HEAPS_MAX; i++) {
		/* [order:pool] Its heap is there if its bytes are. */
		uint64_t bytes = hak_load_acquire(&pools[i].bytes);

		/* Relaxed: as above. */
		if (bytes > 0 && (uintptr_t)address - hak_load_relaxed(&pools[i].base) < bytes)
			return i;
	}
	return 0;
}

bool hakc_pool_free(void *block)
{
	unsigned from = hakc_thread_at(), heap = hakc_pool_of(block);

	if (heap == from)
		return false;
	hakc_thread_visit(heap);
	hakc_free(block);
	hakc_thread_visit(from);
	return true;
}

/* Attaches as a client of it, at a heap that nobody uses. */
static int attach(unsigned heap)
{
	struct hakmem_pool *pool = &pools[heap];
	unsigned from;
	int r;

	if (!hakc_heap_at(heap))
		return -ENOMEM;
	from = hakc_thread_visit(heap);
	r = hakc_thread_attach_process(&pool->options);
	if (r == 0) {
		const struct hak_segment *segment = &hakc_heap()->segment;

		hak_store_relaxed(&pool->base, segment->base); /* before its bytes */
		/* [order:pool] The heap is there. */
		hak_store_release(&pool->bytes, segment->geometry.capacity);
	}
	hakc_thread_visit(from);
	return r;
}

static bool is_same(const struct hakmem_pool *a, const struct hakmem_pool *b)
{
	return strcmp(a->socket, b->socket) == 0 && strcmp(a->name, b->name) == 0;
}

/* The heap of the pool, or one that nobody uses; 0: there is none. */
static unsigned find(const struct hakmem_pool *wanted)
{
	unsigned free = 0;

	for (unsigned i = HAKC_HEAPS_MAX - 1; i > 0; i--) {
		if (pools[i].n_opens == 0)
			free = i;
		else if (is_same(&pools[i], wanted))
			return i;
	}
	return free;
}

/* For a child of a fork; the strings are its parent's callers', and may be gone. */
static void keep_first(const struct hakmem_options *options)
{
	struct hakmem_pool *first = &pools[0];

	first->options = *options;
	if (options->socket) /* it was neither too long */
		first->options.socket = strcpy(first->socket, options->socket);
	if (options->pool)
		first->options.pool = strcpy(first->name, options->pool);
	first->n_opens = 1;
}

/* Without the lock: who opens a pool may hold it while it waits for a daemon, and detach never waits. */
int hakc_pool_attach_first(const struct hakmem_options *options)
{
	int r = hakc_thread_attach_process(options);

	if (r == 0 && options)
		keep_first(options);
	return r;
}

int hakc_pool_detach_first(void)
{
	int r = hakc_thread_detach_process();

	if (r == 0)
		pools[0].n_opens = 0;
	return r;
}

int hakc_pool_open(const char *name, const struct hakmem_options *options,
		   struct hakmem_pool **ret_pool)
{
	struct hakmem_pool wanted = {.n_opens = 1};
	struct hakmem_pool *pool;
	unsigned heap;
	int r = hak_socket_path(options ? options->socket : NULL, false, wanted.socket);

	if (r < 0 || !name || !*name || strlen(name) >= sizeof(wanted.name))
		return -EINVAL;
	strcpy(wanted.name, name);
	if (options)
		wanted.options = *options;
	lock();
	heap = find(&wanted);
	pool = &pools[heap];
	if (heap == 0) {
		r = -EMFILE;
	} else if (pool->n_opens > 0) {
		pool->n_opens++;
	} else {
		*pool = wanted;
		pool->options.socket = pool->socket;
		pool->options.pool = pool->name;
		r = attach(heap);
		if (r < 0)
			pool->n_opens = 0;
	}
	unlock();
	if (r == 0)
		*ret_pool = pool;
	return r;
}

int hakc_pool_close(struct hakmem_pool *pool)
{
	unsigned from;

	if (!pool) /* the first one's: hakmem_detach */
		return -EINVAL;
	lock();
	if (pool->n_opens > 1 || pool->n_opens == 0) {
		int r = pool->n_opens > 0 ? 0 : -EINVAL;

		pool->n_opens -= r == 0;
		unlock();
		return r;
	}
	hak_store_relaxed(&pool->bytes, 0); /* nobody else uses it any more */
	from = hakc_thread_visit(hakc_pool_heap(pool));
	if (hakc_self->heap)
		hakc_flush_all(hakc_self);
	(void)hakc_thread_detach_process(); /* a child of a fork may not be attached */
	hakc_thread_visit(from);
	pool->n_opens = 0;
	unlock();
	return 0;
}
