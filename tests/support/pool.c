/* SPDX-License-Identifier: MIT */
/* The daemon's side of a pool, without its system calls. */
#include "tests/support/run.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "proto/shm/check_roots.h"
#include "tests/support/pool.h"

/* A file of that size, at `at` or, if that is NULL, anywhere. */
static void *map_file(uint64_t bytes, char *at, int *ret_fd)
{
	void *memory;

	*ret_fd = memfd_create("hakt-pool", MFD_CLOEXEC);
	assert_true(*ret_fd >= 0);
	assert_int_equal(ftruncate(*ret_fd, (off_t)bytes), 0);
	memory = mmap(at, bytes, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_NORESERVE | (at ? MAP_FIXED : 0), *ret_fd, 0);
	assert_true(memory != MAP_FAILED);
	return memory;
}

void hakt_pool_init(struct hakt_pool *pool, uint64_t capacity, unsigned superslab_lg)
{
	struct hak_geometry g;
	char *room;

	assert_int_equal(hak_geometry_init(&g, capacity, superslab_lg), 0);
	pool->registry = map_file(g.registry_bytes, NULL, &pool->registry_fd);
	*pool->registry = (struct hak_registry){
		.magic = HAK_REGISTRY_MAGIC,
		.layout_version = HAK_LAYOUT_VERSION,
		.superslab_lg = superslab_lg,
		.fingerprint = hak_layout_fingerprint(),
		.capacity = capacity,
		.pool_name = "default",
	};
	pool->superslabs = (void *)((char *)pool->registry + HAK_REGISTRY_SUPERSLABS_AT);
	room = mmap(NULL, g.heap_bytes + 2 * HAK_PAGE_BYTES, PROT_NONE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	assert_true(room != MAP_FAILED);
	pool->heap = map_file(g.heap_bytes, room + HAK_PAGE_BYTES, &pool->heap_fd);
	hak_segment_init(&pool->segment, &g, pool->registry, pool->heap);
}

void hakt_pool_deinit(struct hakt_pool *pool)
{
	const struct hak_geometry *g = &pool->segment.geometry;

	assert_int_equal(munmap(pool->registry, g->registry_bytes), 0);
	assert_int_equal(munmap(pool->heap - HAK_PAGE_BYTES, g->heap_bytes + 2 * HAK_PAGE_BYTES),
			 0);
	close(pool->registry_fd);
	close(pool->heap_fd);
}

void hakt_pool_set_holder(struct hakt_pool *pool, unsigned holder, enum hak_holder_state state,
			  uint32_t generation)
{
	struct hak_holder *holders = (void *)((char *)pool->registry + HAK_REGISTRY_HOLDERS_AT);

	/* Behind what was done for or by the holder, as the daemon does. */
	hak_store_release(&holders[holder].word, hak_holder_pack(state, generation));
}

void hakt_pool_grant(struct hakt_pool *pool, uint32_t head, uint32_t n, bool huge, unsigned owner)
{
	uint32_t per = pool->segment.geometry.slots_per_superslab;

	for (uint32_t i = head * per; i < (head + n) * per; i++)
		hak_slab_grant(&pool->segment.slab_words[i], owner, true);
	if (huge)
		hak_superslab_grant_run(&pool->superslabs[head], owner, true, n);
	for (uint32_t i = 0; !huge && i < n; i++)
		hak_superslab_grant_run(&pool->superslabs[head + i], owner, false, 1);
}

void hakt_pool_collect(struct hakt_pool *pool, uint32_t head)
{
	uint32_t per = pool->segment.geometry.slots_per_superslab;
	uint32_t n = hak_superslab_length(hak_load_relaxed(&pool->superslabs[head]));

	hak_superslab_begin_collect(&pool->superslabs[head]);
	for (uint32_t i = head * per; i < (head + n) * per; i++)
		hak_slab_collect(&pool->segment.slab_words[i]);
	hak_superslab_end_collect(&pool->superslabs[head]);
}

bool hakt_pool_cut(struct hakt_pool *pool, uint32_t slot, unsigned owner, unsigned cls)
{
	return hak_slab_cut(&pool->segment.slab_words[slot], hak_segment_bits(&pool->segment, slot),
			    owner, cls, 1);
}

bool hakt_pool_cut_span(struct hakt_pool *pool, uint32_t slot, unsigned owner, uint32_t n_slots)
{
	return hak_slab_cut_span(&pool->segment.slab_words[slot],
				 hak_segment_bits(&pool->segment, slot),
				 hak_segment_tags(&pool->segment, slot), owner, n_slots);
}

uint64_t hakt_pool_claim(struct hakt_pool *pool, uint32_t slot, unsigned word, uint64_t mask)
{
	return hak_slab_claim(&pool->segment.slab_words[slot],
			      &hak_segment_bits(&pool->segment, slot)[word],
			      &hak_segment_tags(&pool->segment, slot)[(uint64_t)word * 64], mask);
}

bool hakt_pool_retire(struct hakt_pool *pool, uint32_t slot, unsigned owner)
{
	hak_u64 *word = &pool->segment.slab_words[slot];
	hak_u64 *bits = hak_segment_bits(&pool->segment, slot);
	hak_u32 *tags = hak_segment_tags(&pool->segment, slot);

	return hak_slab_retire(word, bits, tags, owner, 1) ||
	       hak_slab_retire_span(word, bits, tags, owner);
}

void hakt_pool_audit(struct hakt_pool *pool, struct hak_audit *audit)
{
	for (uint32_t i = 0; i < pool->segment.geometry.n_superslabs;)
		i += hak_audit_superslab(&pool->segment, i, audit);
	hak_audit_roots(&pool->segment, audit);
}

void hakt_pool_guard_words(struct hakt_pool *pool)
{
	const struct hak_geometry *g = &pool->segment.geometry;
	uint64_t end = g->n_slots * sizeof(hak_u64);

	/* Only then do the words end where the guard begins. */
	assert_int_equal(end % HAK_PAGE_BYTES, 0);
	assert_int_equal(mprotect(pool->heap + end, g->heap_bytes - end, PROT_NONE), 0);
}
