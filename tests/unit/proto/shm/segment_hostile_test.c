/* SPDX-License-Identifier: MIT */
/*
 * Lookup over slab words that a hostile client has written. Of the heap only
 * the words themselves are accessible, so a lookup that follows a word out of
 * them ends by SIGSEGV.
 */
#include "tests/support/run.h"

#include "tests/support/pool.h"
#include "tests/support/random.h"

#define CAPACITY (UINT64_C(64) << 20) /* 1024 slots: two pages of words */
#define N_SLOTS	 1024u

static struct hakt_pool pool;

static int make_pool(void **state)
{
	(void)state;
	hakt_pool_init(&pool, CAPACITY, 21);
	hakt_pool_grant(&pool, 0, pool.segment.geometry.n_superslabs, false, HAK_HOLDER_FIRST);
	hakt_pool_guard_words(&pool);
	return 0;
}

static int drop_pool(void **state)
{
	(void)state;
	hakt_pool_deinit(&pool);
	return 0;
}

static int clear(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < N_SLOTS; i++)
		hak_store_relaxed(&pool.segment.slab_words[i], 0);
	return 0;
}

static void plant(uint32_t slot, unsigned state, unsigned cls, uint64_t arg)
{
	hak_store_relaxed(&pool.segment.slab_words[slot],
			  hak_slab_pack((enum hak_slab_state)state, 1, HAK_HOLDER_FIRST,
					(uint32_t)(cls << 16 | arg)));
}

static enum hak_place place_of(uint32_t slot)
{
	return hak_segment_locate_offset(&pool.segment, slot * HAK_SLOT_BYTES).place;
}

static void test_a_body_outside_the_pool_is_vacant(void **state)
{
	static const uint32_t slots[] = {0, 1, 511, 512, N_SLOTS - 1};

	(void)state;
	for (unsigned i = 0; i < sizeof(slots) / sizeof(slots[0]); i++) {
		const uint64_t beyond[] = {slots[i] + 1, slots[i] + 512, N_SLOTS + 1, 1u << 20,
					   HAK_SLAB_ARG_MAX};

		for (unsigned k = 0; k < sizeof(beyond) / sizeof(beyond[0]); k++) {
			plant(slots[i], HAK_SLAB_BODY, 0, beyond[k]);
			assert_int_equal(place_of(slots[i]), HAK_PLACE_VACANT);
		}
	}
}

static void test_a_body_of_itself_is_vacant(void **state)
{
	(void)state;
	plant(7, HAK_SLAB_BODY, 0, 0);
	assert_int_equal(place_of(7), HAK_PLACE_VACANT);
}

static void test_a_body_of_a_body_is_vacant(void **state)
{
	(void)state;
	plant(5, HAK_SLAB_SPAN, 0, 8);
	plant(6, HAK_SLAB_BODY, 0, 1);
	plant(7, HAK_SLAB_BODY, 0, 1);
	assert_int_equal(place_of(6), HAK_PLACE_INTERIOR);
	assert_int_equal(place_of(7), HAK_PLACE_VACANT);
}

static void test_a_body_behind_the_end_of_its_head_is_vacant(void **state)
{
	(void)state;
	plant(5, HAK_SLAB_SPAN, 0, 2);
	plant(6, HAK_SLAB_BODY, 0, 1);
	plant(7, HAK_SLAB_BODY, 0, 2);
	assert_int_equal(place_of(6), HAK_PLACE_INTERIOR);
	assert_int_equal(place_of(7), HAK_PLACE_VACANT);
	for (unsigned cls = 0; cls < HAK_CLASS_COUNT; cls++) {
		uint32_t n = hak_classes[cls].n_slots;

		plant(20, HAK_SLAB_ACTIVE, cls, 1);
		plant(20 + n, HAK_SLAB_BODY, 0, n);
		assert_int_equal(place_of(20 + n), HAK_PLACE_VACANT);
	}
}

static void test_a_body_of_an_unused_slot_is_vacant(void **state)
{
	(void)state;
	plant(6, HAK_SLAB_BODY, 0, 1);
	assert_int_equal(place_of(6), HAK_PLACE_VACANT);
}

static void test_a_span_without_length_is_vacant(void **state)
{
	(void)state;
	plant(6, HAK_SLAB_SPAN, 0, 0);
	assert_int_equal(place_of(6), HAK_PLACE_VACANT);
}

static void test_a_length_beyond_the_pool_is_vacant(void **state)
{
	static const uint32_t slots[] = {0, 1, 512, N_SLOTS - 2, N_SLOTS - 1};

	(void)state;
	for (unsigned i = 0; i < sizeof(slots) / sizeof(slots[0]); i++) {
		uint32_t left = N_SLOTS - slots[i];

		plant(slots[i], HAK_SLAB_SPAN, 0, left);
		assert_int_equal(place_of(slots[i]), HAK_PLACE_BLOCK);
		plant(slots[i], HAK_SLAB_SPAN, 0, left + 1);
		assert_int_equal(place_of(slots[i]), HAK_PLACE_VACANT);
		plant(slots[i], HAK_SLAB_SPAN, 0, HAK_SLAB_ARG_MAX);
		assert_int_equal(place_of(slots[i]), HAK_PLACE_VACANT);
	}
	for (unsigned cls = 0; cls < HAK_CLASS_COUNT; cls++) {
		for (uint32_t left = 1; left < hak_classes[cls].n_slots; left++) {
			plant(N_SLOTS - left, HAK_SLAB_ACTIVE, cls, 1);
			assert_int_equal(place_of(N_SLOTS - left), HAK_PLACE_VACANT);
		}
	}
}

static void test_a_class_that_does_not_exist_is_vacant(void **state)
{
	(void)state;
	for (unsigned cls = HAK_CLASS_COUNT; cls < 256; cls++) {
		plant(9, HAK_SLAB_ACTIVE, cls, 1);
		plant(10, HAK_SLAB_BODY, 0, 1);
		assert_int_equal(place_of(9), HAK_PLACE_VACANT);
		assert_int_equal(place_of(10), HAK_PLACE_VACANT);
	}
}

static void test_states_without_blocks_are_vacant(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 8; i++) {
		if (i == HAK_SLAB_ACTIVE || i == HAK_SLAB_SPAN)
			continue;
		plant(9, i, 0, 1);
		plant(10, HAK_SLAB_BODY, 0, 1);
		assert_int_equal(place_of(9), HAK_PLACE_VACANT);
		assert_int_equal(place_of(10), HAK_PLACE_VACANT);
	}
}

/* Whatever the words say, an answer names a block that lies in the pool and holds the address. */
static void check_sane(uint64_t offset)
{
	struct hak_location l = hak_segment_locate_offset(&pool.segment, offset);

	assert_int_not_equal(l.place, HAK_PLACE_FOREIGN);
	assert_true(l.slot < N_SLOTS);
	if (l.place == HAK_PLACE_VACANT)
		return;
	assert_true(l.slot <= offset / HAK_SLOT_BYTES);
	if (l.place == HAK_PLACE_TAIL)
		return;
	assert_true(l.index < HAK_CLASS_BLOCKS);
	assert_true(l.start >= l.slot * HAK_SLOT_BYTES);
	assert_true(l.start <= offset && offset - l.start < l.bytes);
	assert_true(l.start + l.bytes <= CAPACITY);
	assert_int_equal(l.place == HAK_PLACE_BLOCK, l.start == offset);
}

static void check_all_sane(void)
{
	for (uint32_t slot = 0; slot < N_SLOTS; slot++) {
		check_sane(slot * HAK_SLOT_BYTES);
		check_sane(slot * HAK_SLOT_BYTES + 16);
		check_sane(slot * HAK_SLOT_BYTES + HAK_SLOT_BYTES - 1);
	}
}

static void test_random_words_never_lead_outside(void **state)
{
	uint64_t seed = hakt_random_seed();

	(void)state;
	for (unsigned round = 0; round < 200; round++) {
		for (uint32_t i = 0; i < N_SLOTS; i++)
			hak_store_relaxed(&pool.segment.slab_words[i], hakt_random(&seed));
		check_all_sane();
	}
}

static void test_plausible_random_words_never_lead_outside(void **state)
{
	uint64_t seed = hakt_random_seed();

	(void)state;
	for (unsigned round = 0; round < 200; round++) {
		for (uint32_t i = 0; i < N_SLOTS; i++) {
			uint64_t r = hakt_random(&seed);
			unsigned lg = r >> 8 & 15;

			plant(i, r & 3, (unsigned)(r >> 16) % 80, r >> 32 & ((1u << lg) - 1));
		}
		check_all_sane();
	}
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test_setup(test_a_body_outside_the_pool_is_vacant, clear),
	cmocka_unit_test_setup(test_a_body_of_itself_is_vacant, clear),
	cmocka_unit_test_setup(test_a_body_of_a_body_is_vacant, clear),
	cmocka_unit_test_setup(test_a_body_behind_the_end_of_its_head_is_vacant, clear),
	cmocka_unit_test_setup(test_a_body_of_an_unused_slot_is_vacant, clear),
	cmocka_unit_test_setup(test_a_span_without_length_is_vacant, clear),
	cmocka_unit_test_setup(test_a_length_beyond_the_pool_is_vacant, clear),
	cmocka_unit_test_setup(test_a_class_that_does_not_exist_is_vacant, clear),
	cmocka_unit_test_setup(test_states_without_blocks_are_vacant, clear),
	cmocka_unit_test_setup(test_random_words_never_lead_outside, clear),
	cmocka_unit_test_setup(test_plausible_random_words_never_lead_outside, clear),
};

HAKT_MAIN(tests, make_pool, drop_pool)
