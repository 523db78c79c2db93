/* SPDX-License-Identifier: MIT */
/* Making a pool's segment, and the bookkeeping of its SuperSlabs. */
#include "daemon/mem/pool.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/mem/backing.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif

/*
 * Where a pool is mapped in all processes: below the addresses that PIE
 * programs get, and inside what ThreadSanitizer leaves to a program. Pools too
 * large for that gap go to another that is usually free.
 */
#define MAP_AT	     UINT64_C(0x550000000000)
#define MAP_END	     UINT64_C(0x555500000000)
#define MAP_AT_LARGE UINT64_C(0x100000000000)

static int make_file(const char *name, uint64_t bytes, mode_t mode)
{
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);
	int r;

	if (fd < 0 && errno == EINVAL) /* before Linux 6.3 */
		fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return -errno;
	/* F_SEAL_SEAL too: a client must not add seals that lock others out. */
	if (ftruncate(fd, (off_t)bytes) == 0 && fchmod(fd, mode) == 0 &&
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0)
		return fd;
	r = -errno;
	close(fd);
	return r;
}

static int open_for_reading(int fd)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static void *map(int fd, uint64_t bytes)
{
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);

	return memory == MAP_FAILED ? NULL : memory;
}

static void write_header(struct hakd_pool *pool, const struct hak_geometry *g)
{
	struct hak_registry *header = pool->registry;
	uint64_t start = MAP_AT + g->heap_bytes < MAP_END ? MAP_AT : MAP_AT_LARGE;

	*header = (struct hak_registry){
		.magic = HAK_REGISTRY_MAGIC,
		.layout_version = HAK_LAYOUT_VERSION,
		.superslab_lg = g->superslab_lg,
		.fingerprint = hak_layout_fingerprint(),
		.generation = pool->generation,
		.capacity = g->capacity,
		.base = start + g->data_at,
	};
	memcpy(header->uuid, pool->uuid, sizeof(header->uuid));
	memcpy(header->pool_name, pool->name, sizeof(header->pool_name));
}

static int open_segment(struct hakd_pool *pool, const struct hak_geometry *g)
{
	int r = pool->registry_fd = make_file("hakmem-registry", g->registry_bytes, 0444);

	if (r >= 0)
		r = pool->registry_reader_fd = open_for_reading(pool->registry_fd);
	if (r >= 0)
		r = pool->heap_fd = make_file("hakmem-heap", g->heap_bytes, 0600);
	if (r < 0)
		return r;
	pool->registry = map(pool->registry_fd, g->registry_bytes);
	pool->heap = pool->registry ? map(pool->heap_fd, g->heap_bytes) : NULL;
	if (!pool->heap)
		return -errno;
	if (getrandom(pool->uuid, sizeof(pool->uuid), 0) != (ssize_t)sizeof(pool->uuid))
		return -EIO;
	write_header(pool, g);
	hak_segment_init(&pool->segment, g, pool->registry, pool->heap);
	pool->superslabs = (void *)((char *)pool->registry + HAK_REGISTRY_SUPERSLABS_AT);
	pool->holders = (void *)((char *)pool->registry + HAK_REGISTRY_HOLDERS_AT);
	return 0;
}

int hakd_pool_new(const char *name, uint64_t capacity, uint64_t limit, unsigned superslab_lg,
		  struct hakd_pool **ret_pool)
{
	struct hakd_pool *pool = calloc(1, sizeof(*pool));
	struct hak_geometry geometry;
	int r;

	if (!pool)
		return -ENOMEM;
	pool->registry_fd = pool->registry_reader_fd = pool->heap_fd = -1;
	pool->generation = 1;
	pool->limit = limit;
	snprintf(pool->name, sizeof(pool->name), "%s", name);
	r = hak_geometry_init(&geometry, capacity, superslab_lg);
	if (r == 0) {
		pool->segment.geometry = geometry;
		r = open_segment(pool, &geometry);
	}
	if (r == 0) {
		pool->taken = calloc(geometry.n_superslabs, 1);
		r = pool->taken ? 0 : -ENOMEM;
	}
	if (r < 0) {
		hakd_pool_free(pool);
		return r;
	}
	*ret_pool = pool;
	return 0;
}

void hakd_pool_free(struct hakd_pool *pool)
{
	const struct hak_geometry *g = &pool->segment.geometry;

	if (pool->registry)
		munmap(pool->registry, g->registry_bytes);
	if (pool->heap)
		munmap(pool->heap, g->heap_bytes);
	if (pool->registry_fd >= 0)
		close(pool->registry_fd);
	if (pool->registry_reader_fd >= 0)
		close(pool->registry_reader_fd);
	if (pool->heap_fd >= 0)
		close(pool->heap_fd);
	free(pool->taken);
	free(pool);
}

static uint64_t superslab_bytes(const struct hakd_pool *pool)
{
	return UINT64_C(1) << pool->segment.geometry.superslab_lg;
}

static void forget_kept(struct hakd_pool *pool, uint32_t at)
{
	pool->n_kept--;
	memmove(&pool->kept[at], &pool->kept[at + 1], (pool->n_kept - at) * sizeof(pool->kept[0]));
}

static void mark(struct hakd_pool *pool, uint32_t head, uint32_t n)
{
	for (uint32_t i = 0; i < pool->n_kept;) {
		if (pool->kept[i] - head < n)
			forget_kept(pool, i);
		else
			i++;
	}
	memset(&pool->taken[head], 1, n);
	pool->n_taken += n;
}

/* How many more may be taken, giving up kept pages for it if need be. */
static uint32_t room(const struct hakd_pool *pool)
{
	uint64_t most = pool->limit / superslab_bytes(pool);

	return most > pool->n_taken ? (uint32_t)(most - pool->n_taken) : 0;
}

/* Punches kept ones until what is taken and kept is within the limit. */
static void trim_kept(struct hakd_pool *pool)
{
	uint64_t most = pool->limit / superslab_bytes(pool);

	while (pool->n_kept > 0 && pool->n_taken + pool->n_kept > most) {
		hakd_backing_reset(pool, pool->kept[0], 1, false);
		forget_kept(pool, 0);
	}
}

int hakd_pool_reserve(struct hakd_pool *pool, uint32_t *n, uint32_t *superslabs)
{
	uint32_t total = pool->segment.geometry.n_superslabs;
	uint32_t wanted = *n < room(pool) ? *n : room(pool);
	uint32_t got = 0;

	if (!hakd_backing_is_available(wanted * superslab_bytes(pool)))
		wanted = hakd_backing_is_available(superslab_bytes(pool)) && wanted ? 1 : 0;
	while (got < wanted && pool->n_kept > 0) { /* the warmest first */
		superslabs[got] = pool->kept[pool->n_kept - 1];
		mark(pool, superslabs[got++], 1);
	}
	for (uint32_t i = 0; i < total && got < wanted; i++) {
		uint32_t at = (pool->hint + i) % total;

		if (pool->taken[at])
			continue;
		mark(pool, at, 1);
		superslabs[got++] = at;
		if (got == wanted)
			pool->hint = at + 1;
	}
	if (got == 0)
		return -ENOMEM;
	trim_kept(pool);
	*n = got;
	return 0;
}

int hakd_pool_reserve_run(struct hakd_pool *pool, uint32_t n, uint64_t alignment,
			  uint32_t *ret_head)
{
	uint32_t total = pool->segment.geometry.n_superslabs;
	uint32_t step = (uint32_t)(alignment >> pool->segment.geometry.superslab_lg);
	uint32_t head = 0;

	if (step == 0)
		step = 1;
	if (n == 0 || n > room(pool) || !hakd_backing_is_available(n * superslab_bytes(pool)))
		return -ENOMEM;
	while (head <= total - n) {
		uint32_t length = 0;

		while (length < n && !pool->taken[head + length])
			length++;
		if (length == n) {
			mark(pool, head, n);
			trim_kept(pool);
			*ret_head = head;
			return 0;
		}
		head += length + 1;
		head = (head + step - 1) / step * step;
	}
	return -ENOMEM;
}

void hakd_pool_unreserve(struct hakd_pool *pool, uint32_t head, uint32_t n)
{
	memset(&pool->taken[head], 0, n);
	pool->n_taken -= n;
	if (head < pool->hint)
		pool->hint = head;
}

void hakd_pool_grant(struct hakd_pool *pool, uint32_t head, uint32_t n, bool huge, unsigned owner)
{
	assert(pool->taken[head]);
	hak_superslab_grant_run(&pool->superslabs[head], owner, huge, n);
}

uint32_t hakd_pool_granted(const struct hakd_pool *pool, uint32_t head, unsigned owner)
{
	uint64_t s;

	if (head >= pool->segment.geometry.n_superslabs)
		return 0;
	s = hak_load_relaxed(&pool->superslabs[head]); /* the loop's own store */
	if (hak_superslab_state(s) != HAK_SUPERSLAB_GRANTED || hak_superslab_owner(s) != owner)
		return 0;
	return hak_superslab_length(s);
}

bool hakd_pool_begin_collect(struct hakd_pool *pool, uint32_t head, uint32_t n)
{
	hak_superslab_begin_collect(&pool->superslabs[head]);
	return n == 1 && pool->n_kept < HAKD_KEPT_MAX;
}

void hakd_pool_end_collect(struct hakd_pool *pool, uint32_t head, uint32_t n, bool keep)
{
	hak_superslab_end_collect(&pool->superslabs[head]);
	hakd_pool_unreserve(pool, head, n);
	if (keep && pool->n_kept < HAKD_KEPT_MAX)
		pool->kept[pool->n_kept++] = head;
	else if (keep)
		hakd_backing_reset(pool, head, n, false);
	trim_kept(pool);
}

uint64_t hakd_pool_resident(const struct hakd_pool *pool)
{
	struct stat st;

	return fstat(pool->heap_fd, &st) == 0 ? (uint64_t)st.st_blocks * 512 : 0;
}
