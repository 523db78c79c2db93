/* SPDX-License-Identifier: MIT */
/* The table of size classes, and the class of a size at an alignment. */
#include "tests/support/run.h"

#include "proto/shm/size_class.h"

static void test_classes_grow_by_multiples_of_16(void **state)
{
	(void)state;
	assert_int_equal(hak_classes[0].size, HAK_BLOCK_MIN);
	assert_int_equal(hak_classes[HAK_CLASS_COUNT - 1].size, HAK_CLASS_MAX);
	for (unsigned cls = 0; cls < HAK_CLASS_COUNT; cls++) {
		assert_int_equal(hak_classes[cls].size % HAK_BLOCK_MIN, 0);
		assert_true(cls == 0 || hak_classes[cls].size > hak_classes[cls - 1].size);
	}
}

static bool fits(uint64_t size, uint64_t n_slots)
{
	uint64_t bytes = n_slots * HAK_SLOT_BYTES;

	return bytes % size * 48 <= bytes;
}

static void test_a_slab_takes_the_power_of_two_of_slots_that_wastes_a_48th(void **state)
{
	(void)state;
	for (unsigned cls = 0; cls < HAK_CLASS_COUNT; cls++) {
		uint32_t wanted = 1;

		while (wanted < HAK_RUN_SLOTS && !fits(hak_classes[cls].size, wanted))
			wanted *= 2;
		assert_int_equal(hak_classes[cls].n_slots, wanted);
	}
}

static void test_a_slab_is_full_of_blocks(void **state)
{
	(void)state;
	for (unsigned cls = 0; cls < HAK_CLASS_COUNT; cls++) {
		const struct hak_class *shape = &hak_classes[cls];
		uint64_t bytes = shape->n_slots * HAK_SLOT_BYTES;
		uint64_t used = (uint64_t)shape->n_blocks * shape->size;

		assert_true(shape->n_blocks >= 1 && shape->n_blocks <= HAK_CLASS_BLOCKS);
		assert_true(used <= bytes && bytes - used < shape->size);
		assert_true((bytes - used) * 48 <= bytes);
	}
}

/* All of a SuperSlab is counted: blocks, tails, slots left over, free bits and slab words. */
static void test_a_full_superslab_costs_less_than_3_percent(void **state)
{
	(void)state;
	for (unsigned cls = 3; cls < HAK_CLASS_COUNT; cls++) { /* from 64 bytes on */
		const struct hak_class *shape = &hak_classes[cls];

		for (uint64_t slots = 16; slots <= 32; slots *= 2) {
			uint64_t payload = slots / shape->n_slots * shape->n_blocks * shape->size;
			uint64_t memory = slots * (HAK_SLOT_BYTES + 512 + 8);

			if (memory * 100 >= payload * 103)
				fail_msg("blocks of %u bytes", shape->size);
		}
	}
}

/* By trying every class from the smallest on. */
static unsigned class_by_search(size_t size, size_t alignment)
{
	unsigned cls = 0;

	while (cls < HAK_CLASS_COUNT &&
	       (hak_classes[cls].size < size || hak_classes[cls].size % alignment))
		cls++;
	return cls;
}

static void test_every_size_at_every_alignment_gets_the_smallest_class(void **state)
{
	(void)state;
	for (size_t alignment = 1; alignment <= HAK_CLASS_MAX; alignment *= 2) {
		unsigned wanted = class_by_search(0, alignment);

		for (size_t size = 0; size <= HAK_CLASS_MAX; size++) {
			if (hak_classes[wanted].size < size)
				wanted = class_by_search(size, alignment);
			if (hak_class_of_aligned(size, alignment) != wanted)
				fail_msg("%zu at %zu", size, alignment);
		}
	}
}

static void test_an_alignment_of_16_or_less_costs_nothing(void **state)
{
	(void)state;
	for (size_t size = 0; size <= HAK_CLASS_MAX; size++)
		for (size_t alignment = 1; alignment <= HAK_BLOCK_MIN; alignment *= 2)
			assert_int_equal(hak_class_of_aligned(size, alignment), hak_class_of(size));
}

static void test_what_no_class_holds_has_none(void **state)
{
	(void)state;
	for (size_t alignment = 1; alignment != 0; alignment *= 2) {
		assert_int_equal(hak_class_of_aligned(HAK_CLASS_MAX + 1, alignment),
				 HAK_CLASS_COUNT);
		assert_int_equal(hak_class_of_aligned(SIZE_MAX, alignment), HAK_CLASS_COUNT);
		if (alignment > HAK_CLASS_MAX)
			assert_int_equal(hak_class_of_aligned(1, alignment), HAK_CLASS_COUNT);
	}
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_classes_grow_by_multiples_of_16),
	cmocka_unit_test(test_a_slab_takes_the_power_of_two_of_slots_that_wastes_a_48th),
	cmocka_unit_test(test_a_slab_is_full_of_blocks),
	cmocka_unit_test(test_a_full_superslab_costs_less_than_3_percent),
	cmocka_unit_test(test_every_size_at_every_alignment_gets_the_smallest_class),
	cmocka_unit_test(test_an_alignment_of_16_or_less_costs_nothing),
	cmocka_unit_test(test_what_no_class_holds_has_none),
};

HAKT_MAIN(tests, NULL, NULL)
