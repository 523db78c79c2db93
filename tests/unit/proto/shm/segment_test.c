/* SPDX-License-Identifier: MIT */
/*
 * Lookup of every address of a pool: thousands of SuperSlabs, slabs of every
 * class, spans and huge runs are cut by the real transitions, and each answer
 * is compared with one that is worked out by plain division from what was cut.
 */
#include "tests/support/run.h"

#include <stdlib.h>

#include "tests/support/pool.h"

enum { N_SUPERSLABS = 3000, SPAN = -1, NOTHING = -2 };

/* What was cut, a row a slot. */
struct cut {
	int cls; /* or SPAN or NOTHING */
	uint32_t head;
	uint32_t n_slots;
	unsigned epoch;
	unsigned owner;
};

struct world {
	struct hakt_pool pool;
	struct cut *cuts;
	unsigned next_class;
};

static void world_init(struct world *world, unsigned lg, uint32_t n_superslabs)
{
	hakt_pool_init(&world->pool, (uint64_t)n_superslabs << lg, lg);
	world->cuts = calloc(world->pool.segment.geometry.n_slots, sizeof(*world->cuts));
	assert_non_null(world->cuts);
	for (uint32_t i = 0; i < world->pool.segment.geometry.n_slots; i++)
		world->cuts[i].cls = NOTHING;
	world->next_class = 0;
}

static void world_deinit(struct world *world)
{
	free(world->cuts);
	hakt_pool_deinit(&world->pool);
}

static void note_cut(struct world *world, uint32_t head, int cls, uint32_t n_slots)
{
	for (uint32_t i = head; i < head + n_slots; i++) {
		world->cuts[i].cls = cls;
		world->cuts[i].head = head;
		world->cuts[i].n_slots = n_slots;
	}
}

static void grant(struct world *world, uint32_t head, uint32_t n, bool huge, unsigned owner)
{
	uint32_t per = world->pool.segment.geometry.slots_per_superslab;

	hakt_pool_grant(&world->pool, head, n, huge, owner);
	for (uint32_t i = head * per; i < (head + n) * per; i++) {
		world->cuts[i].epoch++;
		world->cuts[i].owner = owner;
	}
}

static void cut_slab(struct world *world, uint32_t slot, unsigned cls)
{
	assert_true(hakt_pool_cut(&world->pool, slot, world->cuts[slot].owner, cls));
	note_cut(world, slot, (int)cls, hak_classes[cls].n_slots);
}

static void cut_span(struct world *world, uint32_t slot, uint32_t n_slots)
{
	assert_true(hakt_pool_cut_span(&world->pool, slot, world->cuts[slot].owner, n_slots));
	note_cut(world, slot, SPAN, n_slots);
}

/* Slabs of the classes in turn, from the SuperSlab's first slot on; the rest stays unused. */
static void fill_with_slabs(struct world *world, uint32_t slot, uint32_t end)
{
	while (slot + hak_classes[world->next_class].n_slots <= end) {
		unsigned cls = world->next_class;

		cut_slab(world, slot, cls);
		slot += hak_classes[cls].n_slots;
		world->next_class = (cls + 1) % HAK_CLASS_COUNT;
	}
}

/* Spans of 1, 2, 3, ... slots with an unused one behind each. */
static void fill_with_spans(struct world *world, uint32_t slot, uint32_t end)
{
	for (uint32_t n = 1; slot + n <= end; slot += ++n)
		cut_span(world, slot, n);
}

/* The whole pool: slabs, spans, unused, never granted, huge runs of 1 to 7 SuperSlabs. */
static void fill(struct world *world, uint32_t shift)
{
	const struct hak_geometry *g = &world->pool.segment.geometry;
	uint32_t per = g->slots_per_superslab;

	for (uint32_t i = 0; i < g->n_superslabs;) {
		uint32_t kind = (i + shift) % 5;
		uint32_t n = kind == 4 ? 1 + i % 7 : 1;
		uint32_t slot = i * per;

		if (i + n > g->n_superslabs)
			n = 1;
		if (kind != 3)
			grant(world, i, n, kind == 4, HAK_HOLDER_FIRST + (i + shift) % 100);
		if (kind == 0)
			fill_with_slabs(world, slot, slot + per);
		if (kind == 1)
			fill_with_spans(world, slot, slot + per);
		if (kind == 4)
			cut_span(world, slot, n * per);
		i += n;
	}
}

static void collect_all(struct world *world)
{
	const struct hak_geometry *g = &world->pool.segment.geometry;

	for (uint32_t i = 0; i < g->n_superslabs; i++) {
		uint64_t s = hak_load_relaxed(&world->pool.superslabs[i]);

		if (hak_superslab_state(s) == HAK_SUPERSLAB_GRANTED)
			hakt_pool_collect(&world->pool, i);
	}
	for (uint32_t i = 0; i < g->n_slots; i++)
		world->cuts[i].cls = NOTHING;
}

static struct hak_location wanted_at(const struct world *world, uint64_t offset)
{
	const struct cut *cut = &world->cuts[offset / HAK_SLOT_BYTES];
	uint64_t start = (uint64_t)cut->head * HAK_SLOT_BYTES;
	struct hak_location l = {.slot = cut->head};

	if (cut->cls == NOTHING) {
		l.place = HAK_PLACE_VACANT;
		l.slot = (uint32_t)(offset / HAK_SLOT_BYTES);
		return l;
	}
	if (cut->cls == SPAN) {
		l.start = start;
		l.bytes = cut->n_slots * HAK_SLOT_BYTES;
	} else {
		l.bytes = hak_classes[cut->cls].size;
		l.index = (uint32_t)((offset - start) / l.bytes);
		l.start = start + l.index * l.bytes;
		if (l.index >= cut->n_slots * HAK_SLOT_BYTES / l.bytes) {
			l.place = HAK_PLACE_TAIL;
			return l;
		}
	}
	l.place = offset == l.start ? HAK_PLACE_BLOCK : HAK_PLACE_INTERIOR;
	return l;
}

static void check_answer(const struct world *world, uint64_t offset, struct hak_location got)
{
	struct hak_location wanted = wanted_at(world, offset);
	const struct cut *head = &world->cuts[wanted.slot]; /* its epoch is the block's */

	if (got.place != wanted.place || got.slot != wanted.slot)
		fail_msg("offset %llx: place %d of slot %u, not %d of %u",
			 (unsigned long long)offset, got.place, got.slot, wanted.place,
			 wanted.slot);
	if (got.place == HAK_PLACE_VACANT)
		return;
	if (hak_slab_epoch(got.word) != head->epoch || hak_slab_owner(got.word) != head->owner)
		fail_msg("offset %llx: epoch or owner wrong", (unsigned long long)offset);
	if (got.place == HAK_PLACE_TAIL)
		return;
	if (got.start != wanted.start || got.bytes != wanted.bytes || got.index != wanted.index)
		fail_msg("offset %llx: another block", (unsigned long long)offset);
}

static void check(const struct world *world, uint64_t offset)
{
	const struct hak_segment *segment = &world->pool.segment;

	check_answer(world, offset, hak_segment_locate_offset(segment, offset));
	check_answer(world, offset, hak_segment_locate(segment, segment->base + offset));
}

/* The first and last byte of every page, with that of both neighbours. */
static void check_pages(const struct world *world)
{
	uint64_t capacity = world->pool.segment.geometry.capacity;

	for (uint64_t at = 0; at < capacity; at += HAK_PAGE_BYTES) {
		check(world, at);
		check(world, at + 1);
		check(world, at + HAK_PAGE_BYTES - 1);
	}
}

static void test_every_page_of_thousands_of_superslabs_is_found(void **state)
{
	(void)state;
	for (unsigned lg = 20; lg <= 21; lg++) {
		struct world world;

		world_init(&world, lg, N_SUPERSLABS);
		fill(&world, 0);
		check_pages(&world);
		world_deinit(&world);
	}
}

static void test_superslabs_granted_again_answer_by_their_new_epoch(void **state)
{
	(void)state;
	for (unsigned lg = 20; lg <= 21; lg++) {
		struct world world;
		unsigned newest = 0;

		world_init(&world, lg, N_SUPERSLABS / 2);
		for (uint32_t round = 0; round < 4; round++) {
			fill(&world, round);
			check_pages(&world);
			collect_all(&world);
			check_pages(&world);
		}
		for (uint32_t i = 0; i < world.pool.segment.geometry.n_slots; i++)
			newest = world.cuts[i].epoch > newest ? world.cuts[i].epoch : newest;
		assert_int_equal(newest, 4);
		world_deinit(&world);
	}
}

static void test_every_byte_of_a_slab_of_every_class_is_found(void **state)
{
	(void)state;
	for (unsigned lg = 20; lg <= 21; lg++) {
		for (unsigned cls = 0; cls < HAK_CLASS_COUNT; cls++) {
			struct world world;
			uint32_t n = hak_classes[cls].n_slots;
			uint32_t last;

			world_init(&world, lg, 4);
			last = world.pool.segment.geometry.n_slots - n;
			grant(&world, 0, 4, false, HAK_HOLDER_FIRST);
			cut_slab(&world, 0, cls);
			cut_slab(&world, last, cls); /* up to the pool's last byte */
			for (uint64_t at = 0; at < n * HAK_SLOT_BYTES; at++) {
				uint64_t again = last * HAK_SLOT_BYTES + at;

				check_answer(&world, at,
					     hak_segment_locate_offset(&world.pool.segment, at));
				if (at % 16 < 2 || at % 16 == 15)
					check(&world, again);
			}
			world_deinit(&world);
		}
	}
}

static void test_blocks_of_whole_pages_begin_at_pages(void **state)
{
	struct world world;

	(void)state;
	world_init(&world, 21, 4);
	grant(&world, 0, 4, false, HAK_HOLDER_FIRST);
	for (unsigned cls = 0; cls < HAK_CLASS_COUNT; cls++) {
		const struct hak_class *shape = &hak_classes[cls];

		if (shape->size % HAK_PAGE_BYTES)
			continue;
		assert_true(hakt_pool_cut(&world.pool, 40, HAK_HOLDER_FIRST, cls));
		for (unsigned i = 0; i < shape->n_blocks; i++) {
			uintptr_t address = hak_segment_address(&world.pool.segment, 40) +
					    (uintptr_t)i * shape->size;
			struct hak_location l = hak_segment_locate(&world.pool.segment, address);

			assert_int_equal(address % HAK_PAGE_BYTES, 0);
			assert_int_equal(l.place, HAK_PLACE_BLOCK);
			assert_int_equal(l.index, i);
		}
		assert_true(hakt_pool_retire(&world.pool, 40, HAK_HOLDER_FIRST));
		assert_int_equal(
			hak_segment_locate_offset(&world.pool.segment, 40 * HAK_SLOT_BYTES).place,
			HAK_PLACE_VACANT);
	}
	world_deinit(&world);
}

static void test_a_span_may_be_the_whole_pool(void **state)
{
	(void)state;
	for (unsigned lg = 20; lg <= 21; lg++) {
		struct world world;

		world_init(&world, lg, N_SUPERSLABS);
		grant(&world, 0, N_SUPERSLABS, true, HAK_HOLDER_FIRST);
		cut_span(&world, 0, world.pool.segment.geometry.n_slots);
		check_pages(&world);
		world_deinit(&world);
	}
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_every_page_of_thousands_of_superslabs_is_found),
	cmocka_unit_test(test_superslabs_granted_again_answer_by_their_new_epoch),
	cmocka_unit_test(test_every_byte_of_a_slab_of_every_class_is_found),
	cmocka_unit_test(test_blocks_of_whole_pages_begin_at_pages),
	cmocka_unit_test(test_a_span_may_be_the_whole_pool),
};

HAKT_MAIN(tests, NULL, NULL)
