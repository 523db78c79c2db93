/* SPDX-License-Identifier: MIT */
/* Lookup at the edges of a pool and outside of it; free bits and hints by location. */
#include "tests/support/run.h"

#include <stdlib.h>

#include "tests/support/pool.h"

#define MIB UINT64_C(1048576)

static void test_a_byte_outside_the_pool_is_foreign(void **state)
{
	(void)state;
	for (unsigned lg = 20; lg <= 21; lg++) {
		struct hakt_pool pool;
		const struct hak_segment *segment = &pool.segment;

		hakt_pool_init(&pool, UINT64_C(8) << lg, lg);
		hakt_pool_grant(&pool, 0, 8, true, HAK_HOLDER_FIRST);
		assert_true(
			hakt_pool_cut_span(&pool, 0, HAK_HOLDER_FIRST, segment->geometry.n_slots));
		uint64_t capacity = segment->geometry.capacity;

		assert_int_equal(hak_segment_locate(segment, segment->base).place, HAK_PLACE_BLOCK);
		assert_int_equal(hak_segment_locate(segment, segment->base - 1).place,
				 HAK_PLACE_FOREIGN);
		assert_int_equal(hak_segment_locate(segment, segment->base + capacity - 1).place,
				 HAK_PLACE_INTERIOR);
		assert_int_equal(hak_segment_locate(segment, segment->base + capacity).place,
				 HAK_PLACE_FOREIGN);
		assert_int_equal(hak_segment_locate_offset(segment, capacity).place,
				 HAK_PLACE_FOREIGN);
		assert_int_equal(hak_segment_locate_offset(segment, UINT64_MAX).place,
				 HAK_PLACE_FOREIGN);
		hakt_pool_deinit(&pool);
	}
}

static void test_addresses_of_other_memory_are_foreign(void **state)
{
	static int fixed;
	struct hakt_pool pool;
	const struct hak_segment *segment = &pool.segment;
	void *allocated = malloc(100);

	(void)state;
	hakt_pool_init(&pool, 16 * MIB, 21);
	hakt_pool_grant(&pool, 0, 8, true, HAK_HOLDER_FIRST);
	assert_true(hakt_pool_cut_span(&pool, 0, HAK_HOLDER_FIRST, segment->geometry.n_slots));

	const uintptr_t foreign[] = {0,
				     1,
				     16,
				     (uintptr_t)&fixed,
				     (uintptr_t)&pool,
				     (uintptr_t)allocated,
				     (uintptr_t)segment->slab_words,
				     (uintptr_t)segment->superslabs,
				     (uintptr_t)&test_addresses_of_other_memory_are_foreign,
				     UINTPTR_MAX,
				     UINTPTR_MAX - 15};

	for (unsigned i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++)
		assert_int_equal(hak_segment_locate(segment, foreign[i]).place, HAK_PLACE_FOREIGN);
	free(allocated);
	hakt_pool_deinit(&pool);
}

static void test_a_pool_at_either_end_of_the_address_space_has_ends(void **state)
{
	struct hakt_pool pool;
	uintptr_t bases[2];

	(void)state;
	hakt_pool_init(&pool, UINT64_C(8) << 20, 20);
	hakt_pool_grant(&pool, 0, 8, true, HAK_HOLDER_FIRST);
	assert_true(hakt_pool_cut_span(&pool, 0, HAK_HOLDER_FIRST, pool.segment.geometry.n_slots));
	bases[0] = 2 * MIB;
	bases[1] = (uintptr_t)0 - 8 * MIB;
	for (unsigned i = 0; i < 2; i++) {
		struct hak_segment moved = pool.segment;

		moved.base = bases[i];
		assert_int_equal(hak_segment_locate(&moved, bases[i]).place, HAK_PLACE_BLOCK);
		assert_int_equal(hak_segment_locate(&moved, bases[i] - 1).place, HAK_PLACE_FOREIGN);
		assert_int_equal(hak_segment_locate(&moved, bases[i] + 8 * MIB - 1).place,
				 HAK_PLACE_INTERIOR);
		assert_int_equal(hak_segment_locate(&moved, bases[i] + 8 * MIB).place,
				 HAK_PLACE_FOREIGN);
		assert_int_equal(hak_segment_locate(&moved, 0).place, HAK_PLACE_FOREIGN);
	}
	hakt_pool_deinit(&pool);
}

static void test_the_free_bit_of_a_location_is_its_own(void **state)
{
	struct hakt_pool pool;
	struct hak_segment *segment = &pool.segment;
	unsigned cls = hak_class_of(48);

	(void)state;
	hakt_pool_init(&pool, 4 * MIB, 21);
	hakt_pool_grant(&pool, 0, 2, false, HAK_HOLDER_FIRST);
	assert_true(hakt_pool_cut(&pool, 5, HAK_HOLDER_FIRST, cls));
	hakt_pool_claim(&pool, 5, 2, UINT64_C(1) << 9);
	for (unsigned i = 0; i < hak_classes[cls].n_blocks; i++) {
		struct hak_location l = hak_segment_locate_offset(segment,
								  5 * HAK_SLOT_BYTES + i * 48);

		assert_int_equal(hak_segment_is_free(segment, &l), i != 2 * 64 + 9);
	}
	hakt_pool_deinit(&pool);
}

static void test_a_raised_hint_is_taken_once(void **state)
{
	struct hakt_pool pool;
	struct hak_segment *segment = &pool.segment;

	(void)state;
	for (unsigned lg = 20; lg <= 21; lg++) {
		uint32_t per = 1u << (lg - HAK_SLOT_LG);

		hakt_pool_init(&pool, UINT64_C(4) << lg, lg);
		hak_segment_raise_pending(segment, 2 * per);
		hak_segment_raise_pending(segment, 3 * per - 1);
		hak_segment_raise_pending(segment, 3 * per);
		assert_int_equal(hak_segment_take_pending(segment, 1, UINT32_MAX), 0);
		assert_int_equal(hak_segment_take_pending(segment, 2, 1), 1);
		assert_int_equal(hak_segment_take_pending(segment, 2, UINT32_MAX),
				 UINT32_C(1) << (per - 1));
		assert_int_equal(hak_segment_take_pending(segment, 2, UINT32_MAX), 0);
		assert_int_equal(hak_segment_take_pending(segment, 3, UINT32_MAX), 1);
		hakt_pool_deinit(&pool);
	}
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_a_byte_outside_the_pool_is_foreign),
	cmocka_unit_test(test_addresses_of_other_memory_are_foreign),
	cmocka_unit_test(test_a_pool_at_either_end_of_the_address_space_has_ends),
	cmocka_unit_test(test_the_free_bit_of_a_location_is_its_own),
	cmocka_unit_test(test_a_raised_hint_is_taken_once),
};

HAKT_MAIN(tests, NULL, NULL)
