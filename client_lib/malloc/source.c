/* SPDX-License-Identifier: MIT */
/*
 * Where the interposer's memory comes from: private anonymous pages, mapped
 * once as a segment of the shape that a shared pool has, so the engine is the
 * same. SuperSlabs are handed out from the bottom; those that come back give
 * up their pages and are handed out again before new ones.
 *
 * After a fork the child goes on with a copy. Of its parent's other threads
 * nothing runs any more: what they kept in magazines is lost, their slabs are
 * found by their words and become nobody's (fork.c).
 */
#include "client_lib/session.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "client_lib/hardened.h"
#include "client_lib/malloc/foreign.h"
#include "client_lib/malloc/fork.h"

#define CAPACITY_MOST  (UINT64_C(1) << 40)
#define CAPACITY_LEAST (UINT64_C(1) << 28)
#define BASE_ALIGNMENT (UINT64_C(1) << 30) /* so alignments up to it can be had */
#define HOLDER	       HAK_HOLDER_FIRST
#define RUN_BODY       UINT32_MAX

static struct {
	uint32_t *runs; /* a SuperSlab: 0 free, else the length of the run that it begins */
	uint32_t n_taken;
	uint32_t lowest; /* none below is free */
} source;

void *hakc_private_map(size_t bytes)
{
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return memory == MAP_FAILED ? NULL : memory;
}

void hakc_private_unmap(void *memory, size_t bytes)
{
	if (memory)
		munmap(memory, bytes);
}

/* A segment with its SuperSlabs at a multiple of BASE_ALIGNMENT; NULL: no room. */
static char *map_segment(const struct hak_geometry *g)
{
	uint64_t bytes = g->heap_bytes + BASE_ALIGNMENT;
	char *room = hakc_private_map(bytes);

	if (!room)
		return NULL;

	uintptr_t base = ((uintptr_t)room + g->data_at + BASE_ALIGNMENT - 1) & -BASE_ALIGNMENT;
	char *heap = (char *)base - g->data_at;

	if (heap > room)
		munmap(room, (size_t)(heap - room));
	if (heap + g->heap_bytes < room + bytes)
		munmap(heap + g->heap_bytes, (size_t)(room + bytes - heap - g->heap_bytes));
	return heap;
}

int hakc_session_attach(struct hakc_heap *heap, const struct hakmem_options *options)
{
	struct hak_geometry g;
	struct hak_registry *registry;
	char *segment = NULL;
	int r;

	(void)options;
	/* A limit on address space (RLIMIT_AS, strict overcommit) may leave less. */
	for (uint64_t capacity = CAPACITY_MOST; capacity >= CAPACITY_LEAST && !segment;
	     capacity /= 4) {
		r = hak_geometry_init(&g, capacity, HAK_SUPERSLAB_LG_MAX);
		if (r < 0)
			return r;
		segment = map_segment(&g);
	}
	registry = hakc_private_map(g.registry_bytes);
	source.runs = hakc_private_map(g.n_superslabs * sizeof(*source.runs));
	if (!segment || !registry || !source.runs)
		return -ENOMEM;
	hak_segment_init(&heap->segment, &g, registry, segment);
	heap->holder = HOLDER;
	heap->area = &heap->segment.areas[HOLDER];
	heap->is_at_base = true;
	hakc_hardened_init(heap);
	if (heap->is_hardened)
		hakc_hardened_random(registry->uuid, sizeof(registry->uuid));
	r = hakc_heap_init(heap);
	if (r < 0)
		return r;
	heap->is_attached = true;
	heap->n_threads_max = HAKC_THREADS_MAX; /* nobody waits for our crossings */
	hakc_fork_watch();
	return 0;
}

int hakc_session_back_tags(const struct hakc_heap *heap, uint32_t slot, uint32_t n)
{
	(void)heap;
	(void)slot;
	(void)n;
	return -ENOTSUP; /* private blocks have no refs */
}

int hakc_session_detach(struct hakc_heap *heap)
{
	(void)heap;
	return -ENOTSUP; /* a process can't do without malloc */
}

static void *superslab_at(const struct hakc_heap *heap, uint32_t index)
{
	return (void *)(heap->segment.base +
			((uint64_t)index << heap->segment.geometry.superslab_lg));
}

static uint64_t superslab_bytes(const struct hakc_heap *heap)
{
	return UINT64_C(1) << heap->segment.geometry.superslab_lg;
}

static void take(struct hakc_heap *heap, uint32_t head, uint32_t n)
{
	uint32_t per = heap->segment.geometry.slots_per_superslab;

	for (uint32_t i = 0; i < n; i++)
		source.runs[head + i] = i ? RUN_BODY : n;
	source.n_taken += n;
	if (head == source.lowest)
		source.lowest += n;
	for (uint32_t i = head * per; i < (head + n) * per; i++)
		hak_slab_grant(&heap->segment.slab_words[i], HOLDER, true);
}

/* A run of n free SuperSlabs at a multiple of step; false: there is none. */
static bool find_run(const struct hakc_heap *heap, uint32_t n, uint32_t step, uint32_t *ret_head)
{
	uint32_t total = heap->segment.geometry.n_superslabs;
	uint32_t head = (source.lowest + step - 1) / step * step;

	while (n <= total && head <= total - n) {
		uint32_t length = 0;

		while (length < n && source.runs[head + length] == 0)
			length++;
		if (length == n) {
			*ret_head = head;
			return true;
		}
		head = (head + length + 1 + step - 1) / step * step;
	}
	return false;
}

bool hakc_session_is_up(struct hakc_heap *heap)
{
	(void)heap;
	return true;
}

int hakc_session_reach(struct hakc_heap *heap)
{
	(void)heap;
	return 0;
}

int hakc_session_refill(struct hakc_heap *heap, uint32_t n)
{
	uint32_t superslabs[HAKC_REFILL_MAX];
	uint32_t got = 0;

	while (got < n && got < HAKC_REFILL_MAX && find_run(heap, 1, 1, &superslabs[got]))
		take(heap, superslabs[got++], 1);
	if (got == 0)
		return -ENOMEM;
	hakc_heap_own(heap, superslabs, got, true);
	return 0;
}

void hakc_session_take_ahead(struct hakc_heap *heap, bool waits)
{
	(void)heap;
	(void)waits;
}

void hakc_session_ask_ahead(struct hakc_heap *heap, uint32_t n)
{
	(void)heap; /* memory is at hand: nobody is to be asked */
	(void)n;
}

int hakc_session_refill_huge(struct hakc_heap *heap, uint32_t n, uint64_t alignment,
			     uint32_t *ret_superslab, bool *ret_zeroed)
{
	uint64_t step = alignment >> heap->segment.geometry.superslab_lg;

	if (alignment > BASE_ALIGNMENT ||
	    !find_run(heap, n, step ? (uint32_t)step : 1, ret_superslab))
		return -ENOMEM;
	take(heap, *ret_superslab, n);
	*ret_zeroed = true;
	return 0;
}

int hakc_session_extend(struct hakc_heap *heap, uint32_t head, uint32_t n)
{
	uint32_t before = source.runs[head];

	if (head + n > heap->segment.geometry.n_superslabs)
		return -ENOMEM;
	for (uint32_t i = head + before; i < head + n; i++)
		if (source.runs[i] != 0)
			return -ENOMEM;
	take(heap, head + before, n - before);
	source.runs[head + before] = RUN_BODY;
	source.runs[head] = n;
	return 0;
}

/* They are zeros when used again, which the caller relies on. */
static void drop_pages(void *memory, size_t bytes)
{
	if (madvise(memory, bytes, MADV_DONTNEED) == 0)
		return;
	munlock(memory, bytes); /* locked pages are not dropped; munmap would unlock them too */
	if (madvise(memory, bytes, MADV_DONTNEED) != 0)
		memset(memory, 0, bytes);
}

/* n from first on are free again. */
static void put(struct hakc_heap *heap, uint32_t first, uint32_t n)
{
	uint32_t per = heap->segment.geometry.slots_per_superslab;

	drop_pages(superslab_at(heap, first), n * superslab_bytes(heap));
	for (uint32_t i = first * per; i < (first + n) * per; i++)
		hak_slab_collect(&heap->segment.slab_words[i]);
	for (uint32_t i = 0; i < n; i++)
		source.runs[first + i] = 0;
	source.n_taken -= n;
	if (first < source.lowest)
		source.lowest = first;
}

void hakc_session_giveback(struct hakc_heap *heap, const uint32_t *superslabs, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		put(heap, superslabs[i], source.runs[superslabs[i]]);
}

void hakc_session_giveback_end(struct hakc_heap *heap, uint32_t head, uint32_t stay)
{
	uint32_t n = source.runs[head] - stay;

	source.runs[head] = stay;
	put(heap, head + stay, n);
}

void hakc_session_free_foreign(struct hakc_thread *t, void *block)
{
	if (t)
		hakc_count(t->heap, HAK_STAT_FOREIGN_FREES, 1);
	hakc_foreign_free(block);
}
