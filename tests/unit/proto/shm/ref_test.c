/* SPDX-License-Identifier: MIT */
/* The three fields of a ref. */
#include "tests/support/run.h"

#include "proto/shm/ref.h"
#include "proto/shm/registry.h"

static void test_a_ref_gives_back_what_it_was_made_of(void **state)
{
	static const unsigned epochs[] = {1, 2, 511, 512, HAK_REF_EPOCH_MAX};
	static const unsigned incs[] = {0, 1, 2, 1u << 17, HAK_REF_INC_MAX};
	uint64_t offset = 0;

	(void)state;
	while (offset < HAK_CAPACITY_MAX) {
		for (unsigned i = 0; i < 25; i++) {
			uint64_t ref = hak_ref_make(offset, epochs[i / 5], incs[i % 5]);

			assert_true(hak_ref_offset(ref) == offset);
			assert_int_equal(hak_ref_epoch(ref), epochs[i / 5]);
			assert_int_equal(hak_ref_inc(ref), incs[i % 5]);
			assert_true(ref != HAK_REF_NONE);
		}
		offset = offset ? offset * 2 + (offset & 32) : 16;
	}
}

static void test_the_fields_of_a_ref_do_not_overlap(void **state)
{
	uint64_t offset = hak_ref_make(HAK_CAPACITY_MAX - 16, 0, 0);
	uint64_t epoch = hak_ref_make(0, HAK_REF_EPOCH_MAX, 0);
	uint64_t inc = hak_ref_make(0, 0, HAK_REF_INC_MAX);

	(void)state;
	assert_true((offset & epoch) == 0 && (offset & inc) == 0 && (epoch & inc) == 0);
	assert_true((offset | epoch | inc) == UINT64_MAX);
	assert_true(offset == UINT64_C(0x0000000fffffffff)); /* the drawing of ref.h */
	assert_true(inc == UINT64_C(0xffffc00000000000));
}

static void test_any_64_bits_have_an_offset_that_a_pool_can_have(void **state)
{
	(void)state;
	for (unsigned bit = 0; bit < 64; bit++) {
		assert_true(hak_ref_offset(UINT64_C(1) << bit) < HAK_CAPACITY_MAX);
		assert_true(hak_ref_epoch(UINT64_C(1) << bit) <= HAK_REF_EPOCH_MAX);
		assert_true(hak_ref_inc(UINT64_C(1) << bit) <= HAK_REF_INC_MAX);
	}
	assert_true(hak_ref_offset(UINT64_MAX) == HAK_CAPACITY_MAX - 16);
}

static void test_no_ref_has_no_epoch(void **state)
{
	(void)state;
	assert_int_equal(hak_ref_epoch(HAK_REF_NONE), 0);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_a_ref_gives_back_what_it_was_made_of),
	cmocka_unit_test(test_the_fields_of_a_ref_do_not_overlap),
	cmocka_unit_test(test_any_64_bits_have_an_offset_that_a_pool_can_have),
	cmocka_unit_test(test_no_ref_has_no_epoch),
};

HAKT_MAIN(tests, NULL, NULL)
