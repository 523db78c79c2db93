/* SPDX-License-Identifier: MIT */
/*
 * Memory before a grant, so that running out of it is an answer and not a
 * signal; hole punching after a return. Both are done again without harm,
 * whatever a hostile client has done to the file meanwhile.
 *
 * A SuperSlab of 2 MiB is backed by a huge page if there is one (huge.c), else
 * by fallocate. Its range is punched first: what somebody wrote there after it
 * was taken back must not show up as "zeroed".
 */
#include "daemon/mem/backing.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define SPARE_BYTES (UINT64_C(64) << 20) /* for everybody else on the machine */

uint64_t hakd_backing_available(void)
{
	FILE *file = fopen("/proc/meminfo", "re");
	unsigned long long kib = 0;
	bool is_known = false;
	char line[128];

	if (!file)
		return UINT64_MAX; /* no /proc: then the limit alone decides */
	while (!is_known && fgets(line, sizeof(line), file))
		is_known = sscanf(line, "MemAvailable: %llu kB", &kib) == 1;
	fclose(file);
	if (!is_known)
		return UINT64_MAX;
	return kib * 1024 > SPARE_BYTES ? kib * 1024 - SPARE_BYTES : 0;
}

static int change(int fd, int mode, uint64_t from, uint64_t bytes)
{
	uint64_t end = (from + bytes + HAK_PAGE_BYTES - 1) & ~(HAK_PAGE_BYTES - 1);

	from &= ~(HAK_PAGE_BYTES - 1);
	while (fallocate(fd, mode, (off_t)from, (off_t)(end - from)) != 0)
		if (errno != EINTR)
			return -ENOMEM;
	return 0;
}

static void punch(const struct hakd_pool *pool, uint64_t from, uint64_t bytes)
{
	/* Failing to give memory back loses nothing: it is given with the next grant. */
	(void)change(pool->heap_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, from, bytes);
}

static uint64_t bits_bytes(uint32_t slots)
{
	return (uint64_t)slots * HAK_SLAB_BITS_WORDS * sizeof(hak_u64);
}

void hakd_backing_punch(struct hakd_pool *pool, uint32_t head, uint32_t n)
{
	const struct hak_geometry *g = &pool->segment.geometry;
	uint32_t per = g->slots_per_superslab;

	punch(pool, g->data_at + ((uint64_t)head << g->superslab_lg),
	      (uint64_t)n << g->superslab_lg);
	punch(pool, g->bits_at + bits_bytes(head * per), bits_bytes(n * per));
}

static int fill_data(struct hakd_pool *pool, uint32_t head, uint32_t n)
{
	const struct hak_geometry *g = &pool->segment.geometry;
	uint64_t at = g->data_at + ((uint64_t)head << g->superslab_lg);
	uint64_t end = at + ((uint64_t)n << g->superslab_lg);
	int r = change(pool->heap_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at, end - at);

	if (!pool->has_huge_pieces)
		return r < 0 ? r : change(pool->heap_fd, 0, at, end - at);
	for (; r == 0 && at < end; at += HAKD_HUGE_BYTES)
		if (hakd_huge_try(&pool->huge, pool->heap_fd, (char *)pool->heap + at, at) < 0)
			r = change(pool->heap_fd, 0, at, HAKD_HUGE_BYTES);
	return r;
}

int hakd_backing_fill(struct hakd_pool *pool, uint32_t head, uint32_t n)
{
	const struct hak_geometry *g = &pool->segment.geometry;
	uint32_t per = g->slots_per_superslab;
	int fd = pool->heap_fd;
	int r = change(fd, 0, g->slab_words_at + (uint64_t)head * per * sizeof(hak_u64),
		       (uint64_t)n * per * sizeof(hak_u64));

	if (r == 0)
		r = change(fd, 0, g->pending_at + head * sizeof(hak_u32), n * sizeof(hak_u32));
	if (r == 0)
		r = change(fd, 0, g->bits_at + bits_bytes(head * per), bits_bytes(n * per));
	if (r == 0)
		r = fill_data(pool, head, n);
	if (r < 0)
		hakd_backing_punch(pool, head, n);
	return r;
}

void hakd_backing_grant(struct hakd_pool *pool, uint32_t head, uint32_t n, unsigned owner)
{
	uint32_t per = pool->segment.geometry.slots_per_superslab;

	for (uint32_t i = 0; i < n; i++)
		hak_store_relaxed(&pool->segment.pending[head + i], 0); /* published by the grant */
	for (uint32_t i = 0; i < n * per; i++)
		hak_slab_grant(&pool->segment.slab_words[head * per + i], owner, true);
}

bool hakd_backing_reset(struct hakd_pool *pool, uint32_t head, uint32_t n, bool keep)
{
	uint32_t per = pool->segment.geometry.slots_per_superslab;
	uint64_t all = 0;

	for (uint32_t i = head * per; i < (head + n) * per; i++)
		all |= hak_slab_collect(&pool->segment.slab_words[i]);
	for (uint32_t i = 0; i < n; i++)
		hak_store_relaxed(&pool->segment.pending[head + i], 0); /* nobody's by now */
	if (!keep)
		hakd_backing_punch(pool, head, n);
	return all & HAK_SLAB_TAGGED;
}

void hakd_backing_zero_tags(struct hakd_pool *pool, uint32_t head, uint32_t n)
{
	const struct hak_geometry *g = &pool->segment.geometry;
	uint64_t slots = (uint64_t)n * g->slots_per_superslab;
	uint64_t bytes = slots * HAK_CLASS_BLOCKS * sizeof(hak_u32);
	uint64_t at = (uint64_t)head * g->slots_per_superslab * HAK_CLASS_BLOCKS * sizeof(hak_u32);

	/* To zero them is a must, to give back their memory is not. */
	if (change(pool->heap_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, g->tags_at + at,
		   bytes) < 0)
		memset((char *)pool->segment.tags + at, 0, bytes);
}

static bool has_data(const struct hakd_pool *pool, uint64_t from, uint64_t bytes)
{
	off_t at = lseek(pool->heap_fd, (off_t)from, SEEK_DATA); /* nobody uses its position */

	return at < 0 ? errno != ENXIO : (uint64_t)at < from + bytes;
}

bool hakd_backing_has_words(const struct hakd_pool *pool, uint32_t superslab)
{
	const struct hak_geometry *g = &pool->segment.geometry;
	uint64_t bytes = g->slots_per_superslab * sizeof(hak_u64);

	return has_data(pool, g->slab_words_at + superslab * bytes, bytes) ||
	       has_data(pool, g->pending_at + superslab * sizeof(hak_u32), sizeof(hak_u32));
}

void hakd_backing_drop_area(struct hakd_pool *pool, unsigned holder)
{
	punch(pool, pool->segment.geometry.areas_at + holder * HAK_CLIENT_AREA_BYTES,
	      HAK_CLIENT_AREA_BYTES);
}

int hakd_backing_prepare_area(struct hakd_pool *pool, unsigned holder)
{
	uint64_t at = pool->segment.geometry.areas_at + holder * HAK_CLIENT_AREA_BYTES;

	/*
	 * A hole reads as zeros; what was written there since the last client left goes. If nothing
	 * was, that is spared: a punch walks over all mappings.
	 */
	if (has_data(pool, at, HAK_CLIENT_AREA_BYTES))
		hakd_backing_drop_area(pool, holder);
	return change(pool->heap_fd, 0, at, HAK_CLIENT_AREA_BYTES);
}
