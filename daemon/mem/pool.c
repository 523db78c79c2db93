/* SPDX-License-Identifier: MIT */
/* Making and opening a pool, and the bookkeeping of its SuperSlabs. */
#include "daemon/mem/pool.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/mem/files.h"
#include "daemon/mem/reopen.h"

/*
 * Where pools are mapped in all processes: below the addresses that PIE programs get, and inside
 * what ThreadSanitizer leaves to a program; what that gap has no room for goes to another that is
 * usually free.
 */
static const struct {
	uint64_t from, to;
} gaps[] = {{UINT64_C(0x550000000000), UINT64_C(0x555500000000)},
	    {UINT64_C(0x100000000000), UINT64_C(0x550000000000)}};
#define PLACE_ALIGNMENT (UINT64_C(1) << 30)

/* Where the heap of a pool is mapped: it ends there. */
static uint64_t end_of(const struct hakd_pool *pool)
{
	const struct hak_registry *header = pool->registry;

	return header->base - pool->segment.geometry.data_at + pool->segment.geometry.heap_bytes;
}

uint64_t hakd_pool_place(const struct hak_geometry *g, struct hakd_pool *const *pools, unsigned n)
{
	for (unsigned i = 0; i < sizeof(gaps) / sizeof(gaps[0]); i++) {
		uint64_t at = gaps[i].from;

		for (unsigned k = 0; k < n; k++) {
			uint64_t end = end_of(pools[k]);
			uint64_t begin = end - pools[k]->segment.geometry.heap_bytes;

			if (begin >= at + g->heap_bytes || end <= at)
				continue;
			at = (end + PLACE_ALIGNMENT - 1) & ~(PLACE_ALIGNMENT - 1);
			k = UINT_MAX; /* all of them again */
		}
		if (at + g->heap_bytes < gaps[i].to)
			return at;
	}
	return gaps[1].from; /* it won't be free */
}

static void write_header(struct hakd_pool *pool, const struct hak_geometry *g, uint64_t place)
{
	struct hak_registry *header = pool->registry;

	*header = (struct hak_registry){
		.magic = HAK_REGISTRY_MAGIC,
		.layout_version = HAK_LAYOUT_VERSION,
		.superslab_lg = g->superslab_lg,
		.fingerprint = hak_layout_fingerprint(),
		.generation = pool->generation,
		.capacity = g->capacity,
		.base = place + g->data_at,
	};
	memcpy(header->uuid, pool->uuid, sizeof(header->uuid));
	memcpy(header->pool_name, pool->name, sizeof(header->pool_name));
}

/* What follows from a geometry and its files, which are there. */
static int init_view(struct hakd_pool *pool)
{
	const struct hak_geometry g = pool->segment.geometry;

	pool->has_huge_pieces = UINT64_C(1) << g.superslab_lg == HAKD_HUGE_BYTES;
	hakd_reserve_init(&pool->reserve, pool->limit >> g.superslab_lg);
	hak_segment_init(&pool->segment, &g, pool->registry, pool->heap);
	pool->superslabs = (void *)((char *)pool->registry + HAK_REGISTRY_SUPERSLABS_AT);
	pool->holders = (void *)((char *)pool->registry + HAK_REGISTRY_HOLDERS_AT);
	pool->roots = (void *)((char *)pool->registry + HAK_REGISTRY_ROOTS_AT);
	pool->retain = HAKD_WARM_MAX;
	pool->states = calloc(g.n_superslabs, 1);
	return pool->states ? 0 : -ENOMEM;
}

static struct hakd_pool *alloc_pool(uint64_t limit)
{
	struct hakd_pool *pool = calloc(1, sizeof(*pool));

	if (!pool)
		return NULL;
	pool->registry_fd = pool->registry_reader_fd = -1;
	pool->heap_fd = pool->heap_reader_fd = -1;
	pool->limit = limit;
	return pool;
}

static int finish(struct hakd_pool *pool, int r, struct hakd_pool **ret_pool)
{
	if (r < 0)
		hakd_pool_free(pool);
	else
		*ret_pool = pool;
	return r;
}

int hakd_pool_new(const char *name, uint64_t capacity, uint64_t limit, unsigned superslab_lg,
		  struct hakd_pool *const *others, unsigned n_others, struct hakd_pool **ret_pool)
{
	struct hakd_pool *pool = alloc_pool(limit);
	struct hak_geometry geometry;
	int r;

	if (!pool)
		return -ENOMEM;
	pool->generation = 1;
	snprintf(pool->name, sizeof(pool->name), "%s", name);
	r = hak_geometry_init(&geometry, capacity, superslab_lg);
	if (r == 0)
		r = hakd_files_make(pool, &geometry);
	if (r == 0 && getrandom(pool->uuid, sizeof(pool->uuid), 0) != (ssize_t)sizeof(pool->uuid))
		r = -EIO;
	if (r == 0) {
		write_header(pool, &geometry, hakd_pool_place(&geometry, others, n_others));
		r = init_view(pool);
	}
	return finish(pool, r, ret_pool);
}

int hakd_pool_open(int registry_fd, int heap_fd, uint64_t limit, struct hakd_pool **ret_pool)
{
	struct hakd_pool *pool = alloc_pool(limit);
	int r;

	if (!pool) {
		close(registry_fd);
		close(heap_fd);
		return -ENOMEM;
	}
	r = hakd_files_take_over(pool, registry_fd, heap_fd);
	if (r == 0) {
		const struct hak_registry *header = pool->registry;

		pool->generation = header->generation;
		memcpy(pool->uuid, header->uuid, sizeof(pool->uuid));
		memcpy(pool->name, header->pool_name, sizeof(pool->name));
		if (pool->limit > header->capacity)
			pool->limit = header->capacity;
		r = init_view(pool);
	}
	if (r == 0)
		r = hakd_reopen(pool);
	return finish(pool, r, ret_pool);
}

void hakd_pool_free(struct hakd_pool *pool)
{
	hakd_files_close(pool);
	free(pool->states);
	free(pool);
}

bool hakd_pool_is_in_use(const struct hakd_pool *pool)
{
	unsigned i = HAK_HOLDER_FIRST;

	while (i < HAK_HOLDER_COUNT &&
	       hak_holder_state(hak_load_relaxed(&pool->holders[i].word)) == HAK_HOLDER_FREE)
		i++;
	return i < HAK_HOLDER_COUNT;
}

static uint32_t limit_of(const struct hakd_pool *pool)
{
	return (uint32_t)(pool->limit >> pool->segment.geometry.superslab_lg);
}

uint32_t hakd_pool_set_limit(struct hakd_pool *pool, uint64_t limit)
{
	uint64_t capacity = pool->segment.geometry.capacity;

	pool->limit = limit < capacity ? limit : capacity;
	hakd_reserve_set_limit(&pool->reserve, limit_of(pool));
	return pool->n_taken > limit_of(pool) ? pool->n_taken - limit_of(pool) : 0;
}

void hakd_pool_set_retain(struct hakd_pool *pool, uint64_t bytes)
{
	uint64_t n = bytes >> pool->segment.geometry.superslab_lg;

	pool->retain = n < HAKD_WARM_MAX ? (uint32_t)n : HAKD_WARM_MAX;
}

static void mark(struct hakd_pool *pool, uint32_t head, uint32_t n)
{
	memset(&pool->states[head], HAKD_TAKEN, n);
	pool->n_taken += n;
}

static void unmark(struct hakd_pool *pool, uint32_t head, uint32_t n, enum hakd_state state)
{
	memset(&pool->states[head], state, n);
	pool->n_taken -= n;
	if (head < pool->hint)
		pool->hint = head;
}

/* How many more may be taken if all warm ones are given up for it. */
static uint32_t room(const struct hakd_pool *pool)
{
	return limit_of(pool) > pool->n_taken ? limit_of(pool) - pool->n_taken : 0;
}

/* Not now: does it make sense to ask again when a job has ended? */
static int refusal(const struct hakd_pool *pool)
{
	return pool->n_idle + pool->n_collecting > 0 ? -EAGAIN : -ENOMEM;
}

static uint32_t mark_all(struct hakd_pool *pool, uint32_t n, const uint32_t *superslabs)
{
	for (uint32_t i = 0; i < n; i++)
		mark(pool, superslabs[i], 1);
	return n;
}

uint32_t hakd_pool_take_warm(struct hakd_pool *pool, uint32_t n, uint32_t *superslabs,
			     bool *ret_zeroed)
{
	uint32_t got;

	n = n < room(pool) ? n : room(pool); /* less than that are warm, unless the limit fell */
	got = hakd_warm_take_newest(&pool->kept, n, superslabs);
	*ret_zeroed = got == 0;
	if (got == 0) {
		got = hakd_warm_take_newest(&pool->reserve.warm, n, superslabs);
		hakd_reserve_note(&pool->reserve, n, got);
	}
	return mark_all(pool, got, superslabs);
}

static uint32_t take_cold(struct hakd_pool *pool, uint32_t n, uint32_t *superslabs)
{
	uint32_t total = pool->segment.geometry.n_superslabs;
	uint32_t got = 0;

	for (uint32_t i = 0; i < total && got < n; i++) {
		uint32_t at = (pool->hint + i) % total;

		if (pool->states[at] != HAKD_COLD)
			continue;
		mark(pool, at, 1);
		superslabs[got++] = at;
		if (got == n)
			pool->hint = at + 1;
	}
	return got;
}

int hakd_pool_take(struct hakd_pool *pool, uint32_t *n, uint32_t *superslabs)
{
	uint32_t got;

	assert(hakd_pool_n_warm(pool) == 0 || room(pool) == 0);
	got = take_cold(pool, *n < room(pool) ? *n : room(pool), superslabs);
	if (got == 0)
		return refusal(pool);
	*n = got;
	return 0;
}

/* The same for n at once, more than there is room for. */
static int no_room(const struct hakd_pool *pool, uint32_t n)
{
	return n > room(pool) + pool->n_idle + pool->n_collecting ? -ENOMEM : -EAGAIN;
}

/* Takes n that are cold or warm. */
static void take_at(struct hakd_pool *pool, uint32_t head, uint32_t n)
{
	hakd_warm_forget(&pool->kept, head, n);
	hakd_warm_forget(&pool->reserve.warm, head, n);
	mark(pool, head, n);
}

int hakd_pool_take_run(struct hakd_pool *pool, uint32_t n, uint64_t alignment, uint32_t *ret_head)
{
	uint32_t total = pool->segment.geometry.n_superslabs;
	uint32_t step = (uint32_t)(alignment >> pool->segment.geometry.superslab_lg);
	uint32_t head = 0;

	if (step == 0)
		step = 1;
	if (n == 0 || n > total || n > limit_of(pool))
		return -ENOMEM;
	if (n > room(pool))
		return no_room(pool, n);
	while (head <= total - n) {
		uint32_t length = 0;

		while (length < n && pool->states[head + length] != HAKD_TAKEN)
			length++;
		if (length == n) {
			take_at(pool, head, n);
			*ret_head = head;
			return 0;
		}
		head += length + 1;
		head = (head + step - 1) / step * step;
	}
	return refusal(pool);
}

/* Does a job have this one that is taken? Then it may be free when that ends. */
static bool is_passing(const struct hakd_pool *pool, uint32_t superslab)
{
	uint64_t s = hak_load_relaxed(&pool->superslabs[superslab]); /* the loop's own store */

	if (hak_superslab_state(s) == HAK_SUPERSLAB_BODY)
		s = hak_load_relaxed(&pool->superslabs[superslab - hak_superslab_length(s)]);
	return hak_superslab_state(s) != HAK_SUPERSLAB_GRANTED &&
	       hak_superslab_state(s) != HAK_SUPERSLAB_ORPHAN;
}

int hakd_pool_take_behind(struct hakd_pool *pool, uint32_t first, uint32_t n)
{
	uint32_t total = pool->segment.geometry.n_superslabs;
	bool has_passing = false;

	if (n == 0 || first >= total || n > total - first || n > limit_of(pool))
		return -ENOMEM;
	for (uint32_t i = first; i < first + n; i++) {
		if (pool->states[i] != HAKD_TAKEN)
			continue;
		if (!is_passing(pool, i))
			return -ENOMEM;
		has_passing = true;
	}
	if (n > room(pool))
		return no_room(pool, n);
	if (has_passing)
		return -EAGAIN;
	take_at(pool, first, n);
	return 0;
}

void hakd_pool_put_back(struct hakd_pool *pool, uint32_t head, uint32_t n)
{
	unmark(pool, head, n, HAKD_COLD);
}

static uint32_t take_idle(struct hakd_pool *pool, uint32_t n_kept, uint32_t n_reserve,
			  uint32_t *superslabs)
{
	uint32_t got = hakd_warm_take_oldest(&pool->kept, n_kept, superslabs);

	got += hakd_warm_take_oldest(&pool->reserve.warm, n_reserve, superslabs + got);
	pool->n_idle += got;
	return mark_all(pool, got, superslabs);
}

bool hakd_pool_is_over_limit(const struct hakd_pool *pool)
{
	return hakd_pool_n_warm(pool) > 0 &&
	       pool->n_taken - pool->n_idle + hakd_pool_n_warm(pool) > limit_of(pool);
}

uint32_t hakd_pool_take_over_limit(struct hakd_pool *pool, uint32_t *superslabs)
{
	uint32_t all = pool->n_taken + hakd_pool_n_warm(pool);
	uint32_t over = all > limit_of(pool) ? all - limit_of(pool) : 0;
	uint32_t n_kept = over < pool->kept.n ? over : pool->kept.n;

	return take_idle(pool, n_kept, over - n_kept, superslabs);
}

uint32_t hakd_pool_take_over_retain(struct hakd_pool *pool, uint32_t *superslabs)
{
	uint32_t n = pool->kept.n > pool->retain ? pool->kept.n - pool->retain : 0;

	return take_idle(pool, n, 0, superslabs);
}

uint32_t hakd_pool_take_stale(struct hakd_pool *pool, uint64_t then, uint32_t *superslabs)
{
	uint32_t n_kept = hakd_warm_count_since(&pool->kept, then);

	hakd_reserve_unwanted(&pool->reserve, n_kept);
	return take_idle(pool, n_kept, hakd_reserve_excess(&pool->reserve, pool->kept.n - n_kept),
			 superslabs);
}

uint32_t hakd_pool_take_all_warm(struct hakd_pool *pool, uint32_t *superslabs)
{
	return take_idle(pool, HAKD_WARM_MAX, HAKD_WARM_MAX, superslabs);
}

void hakd_pool_end_idle(struct hakd_pool *pool, uint32_t superslab)
{
	pool->n_idle--;
	unmark(pool, superslab, 1, HAKD_COLD);
}

bool hakd_pool_take_to_fill(struct hakd_pool *pool, uint32_t *ret_superslab)
{
	if (pool->reserve.warm.n >= hakd_reserve_wanted(&pool->reserve, pool->kept.n) ||
	    pool->n_taken + hakd_pool_n_warm(pool) >= limit_of(pool) ||
	    take_cold(pool, 1, ret_superslab) == 0)
		return false;
	pool->n_idle++;
	return true;
}

void hakd_pool_end_fill(struct hakd_pool *pool, uint32_t superslab, uint64_t now)
{
	pool->n_idle--;
	unmark(pool, superslab, 1, HAKD_WARM);
	hakd_warm_put(&pool->reserve.warm, superslab, now);
}

void hakd_pool_grant(struct hakd_pool *pool, uint32_t head, uint32_t n, bool huge, unsigned owner)
{
	assert(pool->states[head] == HAKD_TAKEN);
	hak_superslab_grant_run(&pool->superslabs[head], owner, huge, n);
}

void hakd_pool_extend(struct hakd_pool *pool, uint32_t head, uint32_t n)
{
	hak_superslab_extend_run(&pool->superslabs[head], n);
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

uint32_t hakd_pool_granted_huge(const struct hakd_pool *pool, uint32_t head, unsigned owner)
{
	uint32_t n = hakd_pool_granted(pool, head, owner);

	/* The loop's own store. */
	return n > 0 && hak_superslab_is_huge(hak_load_relaxed(&pool->superslabs[head])) ? n : 0;
}

uint32_t hakd_pool_reclaiming(const struct hakd_pool *pool, uint32_t head, unsigned owner)
{
	uint64_t s = hak_load_relaxed(&pool->superslabs[head]); /* the loop's own store */

	if (hak_superslab_state(s) != HAK_SUPERSLAB_RECLAIMING || hak_superslab_owner(s) != owner)
		return 0;
	return hak_superslab_length(s);
}

/* Counts what is being collected; are its pages to be kept? */
static bool count_collected(struct hakd_pool *pool, uint32_t n)
{
	bool keep = n == 1 && pool->kept.n + pool->n_keeping < pool->retain;

	pool->n_collecting += n;
	pool->n_keeping += keep;
	return keep;
}

bool hakd_pool_begin_collect(struct hakd_pool *pool, uint32_t head, uint32_t n)
{
	uint64_t s = hak_load_relaxed(&pool->superslabs[head]); /* the loop's own store */

	pool->n_orphans -= hak_superslab_state(s) == HAK_SUPERSLAB_ORPHAN ? n : 0;
	hak_superslab_begin_collect(&pool->superslabs[head]);
	return count_collected(pool, n);
}

bool hakd_pool_begin_collect_end(struct hakd_pool *pool, uint32_t head, uint32_t stay)
{
	uint64_t s = hak_load_relaxed(&pool->superslabs[head]); /* the loop's own store */

	hak_superslab_shorten_run(&pool->superslabs[head], stay);
	return count_collected(pool, hak_superslab_length(s) - stay);
}

void hakd_pool_disown(struct hakd_pool *pool, uint32_t head, uint32_t n)
{
	hak_superslab_disown(&pool->superslabs[head]);
	pool->n_waiting += n;
}

void hakd_pool_orphan(struct hakd_pool *pool, uint32_t head, uint32_t n, bool keep)
{
	hak_superslab_orphan(&pool->superslabs[head]);
	pool->n_collecting -= n;
	pool->n_keeping -= keep;
	pool->n_orphans += n;
}

void hakd_pool_name_heir(struct hakd_pool *pool, uint32_t superslab, unsigned owner)
{
	hak_superslab_name_heir(&pool->superslabs[superslab], owner);
}

void hakd_pool_inherit(struct hakd_pool *pool, uint32_t superslab, unsigned owner)
{
	hak_superslab_inherit(&pool->superslabs[superslab], owner);
	pool->n_orphans--;
}

void hakd_pool_end_collect(struct hakd_pool *pool, uint32_t head, uint32_t n, bool keep,
			   uint64_t now)
{
	hak_superslab_end_collect(&pool->superslabs[head]);
	pool->n_collecting -= n;
	pool->n_waiting -= n;
	pool->n_keeping -= keep;
	unmark(pool, head, n, keep ? HAKD_WARM : HAKD_COLD);
	if (keep)
		hakd_warm_put(&pool->kept, head, now);
}

const char *hakd_pool_huge_text(const struct hakd_pool *pool, char text[96])
{
	if (!pool->has_huge_pieces)
		return "none: a SuperSlab of 1 MiB is half a huge page";
	return hakd_huge_text(&pool->huge, text);
}

uint64_t hakd_pool_resident(const struct hakd_pool *pool)
{
	struct stat st;

	return fstat(pool->heap_fd, &st) == 0 ? (uint64_t)st.st_blocks * 512 : 0;
}
