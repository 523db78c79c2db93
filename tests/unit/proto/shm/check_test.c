/* SPDX-License-Identifier: MIT */
/* The validator: exact counts of a quiet pool, and each anomaly that is planted in it. */
#include "tests/support/run.h"

#include <string.h>

#include "proto/shm/check.h"
#include "tests/support/pool.h"
#include "tests/support/random.h"

#define MIB   UINT64_C(1048576)
#define OWNER 9u
#define OTHER 10u
#define PER   32u /* slots of a SuperSlab of 2 MiB */

static struct hakt_pool pool;

static int make_pool(void **state)
{
	(void)state;
	hakt_pool_init(&pool, 64 * MIB, 21);
	hakt_pool_set_holder(&pool, OWNER, HAK_HOLDER_ATTACHED, 1);
	return 0;
}

static int drop_pool(void **state)
{
	(void)state;
	hakt_pool_deinit(&pool);
	return 0;
}

static struct hak_census take_census(unsigned owner)
{
	struct hak_census census = {0};

	hak_check_pool(&pool.segment, owner, &census);
	return census;
}

static void claim(uint32_t slot, unsigned word, uint64_t mask)
{
	assert_true(hakt_pool_claim(&pool, slot, word, mask) == mask);
}

static void test_an_empty_pool_counts_nothing(void **state)
{
	struct hak_census zero = {0}, census = take_census(HAK_HOLDER_NONE);

	(void)state;
	assert_memory_equal(&census, &zero, sizeof(zero));
}

static void test_slabs_of_every_class_are_counted_block_by_block(void **state)
{
	uint64_t slots = 0, live_blocks = 0, live_bytes = 0;
	uint32_t slot = 0;

	(void)state;
	hakt_pool_grant(&pool, 0, 24, false, OWNER);
	for (unsigned cls = 0; cls < HAK_CLASS_COUNT; cls++) {
		const struct hak_class *shape = &hak_classes[cls];
		unsigned last = shape->n_blocks - 1u;

		if (slot % PER + shape->n_slots > PER)
			slot = (slot / PER + 1) * PER;
		assert_true(hakt_pool_cut(&pool, slot, OWNER, cls));
		claim(slot, 0, 1);
		claim(slot, last / 64, UINT64_C(1) << last % 64);
		live_blocks += 2;
		live_bytes += 2 * shape->size;
		slots += shape->n_slots;
		slot += shape->n_slots;
	}
	assert_true(slot <= 24 * PER);

	struct hak_census census = take_census(HAK_HOLDER_NONE);

	assert_int_equal(census.superslabs, 24);
	assert_int_equal(census.slabs, HAK_CLASS_COUNT);
	assert_int_equal(census.unused_slots, 24 * PER - slots);
	assert_int_equal(census.spans, 0);
	assert_int_equal(census.live_blocks, live_blocks);
	assert_int_equal(census.live_bytes, live_bytes);
	assert_int_equal(hak_check_anomalies(&census), 0);
}

static void test_spans_and_huge_runs_are_counted(void **state)
{
	(void)state;
	hakt_pool_grant(&pool, 1, 1, false, OWNER);
	hakt_pool_grant(&pool, 2, 5, true, OWNER);
	assert_true(hakt_pool_cut_span(&pool, PER, OWNER, 3));
	assert_true(hakt_pool_cut_span(&pool, PER + 4, OWNER, 2));
	assert_true(hakt_pool_cut_span(&pool, 2 * PER, OWNER, 5 * PER));
	hak_slab_free(hak_segment_bits(&pool.segment, PER + 4), 1); /* not retired yet */

	struct hak_census census = take_census(HAK_HOLDER_NONE);

	assert_int_equal(census.superslabs, 6);
	assert_int_equal(census.spans, 3);
	assert_int_equal(census.unused_slots, PER - 5);
	assert_int_equal(census.live_blocks, 2);
	assert_int_equal(census.live_bytes, (3 + 5 * PER) * HAK_SLOT_BYTES);
	assert_int_equal(hak_check_anomalies(&census), 0);
}

static void test_a_census_of_an_owner_counts_nobody_else(void **state)
{
	(void)state;
	hakt_pool_grant(&pool, 0, 3, false, OWNER);
	hakt_pool_grant(&pool, 3, 4, true, OTHER);
	hakt_pool_grant(&pool, 7, 2, false, OWNER);
	assert_true(hakt_pool_cut_span(&pool, 3 * PER, OTHER, 4 * PER));
	assert_true(hakt_pool_cut(&pool, 7 * PER, OWNER, 0));

	struct hak_census ours = take_census(OWNER), theirs = take_census(OTHER),
			  all = take_census(HAK_HOLDER_NONE);

	assert_int_equal(ours.superslabs, 5);
	assert_int_equal(ours.slabs, 1);
	assert_int_equal(ours.spans, 0);
	assert_int_equal(theirs.superslabs, 4);
	assert_int_equal(theirs.spans, 1);
	assert_int_equal(theirs.unused_slots, 0);
	assert_int_equal(all.superslabs, 9);
	assert_int_equal(take_census(OTHER + 1).superslabs, 0);
}

static void test_one_walk_counts_for_many_holders(void **state)
{
	struct hak_census each[3] = {{0}}, one[3] = {{0}};

	(void)state;
	hakt_pool_grant(&pool, 0, 1, false, OWNER - 1); /* below and above who is asked for */
	hakt_pool_grant(&pool, 1, 3, false, OWNER);
	hakt_pool_grant(&pool, 4, 4, true, OWNER + 2);
	hakt_pool_grant(&pool, 8, 1, false, OWNER + 3);
	hakt_pool_grant(&pool, 9, 2, false, OWNER);
	assert_true(hakt_pool_cut_span(&pool, 4 * PER, OWNER + 2, 4 * PER));
	assert_true(hakt_pool_cut(&pool, 9 * PER, OWNER, 0));
	hak_check_holders(&pool.segment, OWNER, 3, each);
	for (unsigned i = 0; i < 3; i++)
		hak_check_pool(&pool.segment, OWNER + i, &one[i]);
	assert_memory_equal(each, one, sizeof(one));
	assert_int_equal(each[0].superslabs, 5);
	assert_int_equal(each[1].superslabs, 0);
	assert_int_equal(each[2].spans, 1);
}

static void test_what_is_being_collected_is_not_counted(void **state)
{
	(void)state;
	hakt_pool_grant(&pool, 0, 1, false, OWNER);
	hakt_pool_grant(&pool, 1, 1, false, OWNER);
	hak_superslab_begin_collect(&pool.superslabs[0]);
	assert_int_equal(take_census(HAK_HOLDER_NONE).superslabs, 1);
	hakt_pool_collect(&pool, 1);
	assert_int_equal(take_census(HAK_HOLDER_NONE).superslabs, 0);
}

static void test_the_head_of_a_run_tells_how_far_to_go_on(void **state)
{
	struct hak_census census = {0};

	(void)state;
	hakt_pool_grant(&pool, 4, 5, true, OWNER);
	hakt_pool_grant(&pool, 9, 1, false, OWNER);
	assert_int_equal(hak_check_superslab(&pool.segment, 3, &census), 1);
	assert_int_equal(hak_check_superslab(&pool.segment, 4, &census), 5);
	assert_int_equal(hak_check_superslab(&pool.segment, 5, &census), 1);
	assert_int_equal(hak_check_superslab(&pool.segment, 9, &census), 1);
	assert_int_equal(census.superslabs, 6);
}

static void plant_word(uint32_t slot, unsigned state, unsigned owner, uint32_t arg)
{
	hak_store_relaxed(&pool.segment.slab_words[PER + slot],
			  hak_slab_pack((enum hak_slab_state)state, 1, owner, arg));
}

/* Slots 0..7 of SuperSlab 1: a slab, two spans, the rest unused; then one word is changed. */
static void plant(uint32_t slot, unsigned state, unsigned owner, unsigned cls, uint64_t arg)
{
	hakt_pool_grant(&pool, 1, 1, false, OWNER);
	hakt_pool_grant(&pool, 2, 1, false, OWNER);
	assert_true(hakt_pool_cut(&pool, PER, OWNER, 0));
	assert_true(hakt_pool_cut_span(&pool, PER + 1, OWNER, 3));
	assert_true(hakt_pool_cut_span(&pool, PER + 4, OWNER, 3));
	assert_int_equal(hak_check_anomalies(&(struct hak_census){0}), 0);
	plant_word(slot, state, owner, (uint32_t)(cls << 16 | arg));
}

static struct hak_finding last;
static unsigned told;

static bool remember(struct hak_audit *audit, const struct hak_finding *finding)
{
	(void)audit;
	last = *finding;
	told++;
	return true;
}

/* Exactly these, of one kind, the first one at slot; then the SuperSlabs are free again. */
static void expect(enum hak_anomaly kind, uint64_t n, uint32_t slot)
{
	struct hak_census census = take_census(HAK_HOLDER_NONE);
	struct hak_audit audit = {.report = remember};

	told = 0;
	hakt_pool_audit(&pool, &audit);
	assert_memory_equal(&audit.census, &census, sizeof(census));
	assert_int_equal(census.anomalies[kind], n);
	assert_int_equal(hak_check_anomalies(&census), n);
	assert_int_equal(told, n);
	assert_int_equal(last.kind, kind);
	assert_int_equal(last.slot, PER + slot);
	assert_int_equal(last.superslab, 1);
	assert_int_equal(last.owner, OWNER);
	hakt_pool_collect(&pool, 1);
	hakt_pool_collect(&pool, 2);
}

static void test_a_slab_of_another_owner_is_found(void **state)
{
	(void)state;
	plant(0, HAK_SLAB_ACTIVE, OTHER, 0, 1);
	expect(HAK_ANOMALY_OWNER, 1, 0);
	plant(2, HAK_SLAB_BODY, OTHER, 0, 1);
	expect(HAK_ANOMALY_OWNER, 1, 2);
	plant(9, HAK_SLAB_UNUSED, OTHER, 0, 0);
	expect(HAK_ANOMALY_OWNER, 1, 9);
	plant(9, HAK_SLAB_UNUSED, HAK_HOLDER_NONE, 0, 0);
	expect(HAK_ANOMALY_OWNER, 1, 9);
}

static void test_an_impossible_state_is_found(void **state)
{
	(void)state;
	for (unsigned s = HAK_SLAB_BODY + 1; s < 8; s++) {
		plant(8, s, OWNER, 0, 1);
		expect(HAK_ANOMALY_STATE, 1, 8);
	}
}

static void test_a_class_that_does_not_exist_is_found(void **state)
{
	(void)state;
	for (unsigned cls = HAK_CLASS_COUNT; cls < 256; cls++) {
		plant(8, HAK_SLAB_ACTIVE, OWNER, cls, 1);
		expect(HAK_ANOMALY_CLASS, 1, 8);
	}
}

static void test_a_slot_of_a_span_that_is_no_body_of_it_is_found(void **state)
{
	(void)state;
	plant(2, HAK_SLAB_UNUSED, OWNER, 0, 0); /* a span with a hole */
	expect(HAK_ANOMALY_BODY, 1, 2);
	plant(3, HAK_SLAB_BODY, OWNER, 0, 1); /* of another head */
	expect(HAK_ANOMALY_BODY, 1, 3);
}

static void test_a_body_of_nothing_is_an_unused_slot(void **state)
{
	struct hak_census before, after;

	(void)state;
	plant(8, HAK_SLAB_UNUSED, OWNER, 0, 0);
	before = take_census(HAK_HOLDER_NONE);
	plant_word(8, HAK_SLAB_BODY, OWNER, 1);
	plant_word(1, HAK_SLAB_UNUSED, OWNER, 0); /* a span retired, two bodies left behind */
	after = take_census(HAK_HOLDER_NONE);
	assert_int_equal(hak_check_anomalies(&after), 0);
	assert_int_equal(after.unused_slots, before.unused_slots + 3);
	hakt_pool_collect(&pool, 1);
	hakt_pool_collect(&pool, 2);
}

static void test_a_range_beyond_its_superslab_is_found(void **state)
{
	static const uint64_t lengths[] = {0, 2, 33, 1u << 20, HAK_SLAB_ARG_MAX};

	(void)state;
	for (unsigned i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		/* 2: beyond the SuperSlab; the others beyond everything of OWNER's too. */
		plant(PER - 1, HAK_SLAB_SPAN, OWNER, 0, lengths[i]);
		assert_int_equal(take_census(HAK_HOLDER_NONE).spans, 2);
		expect(HAK_ANOMALY_RANGE, 1, PER - 1);
	}
	for (unsigned cls = 0; cls < HAK_CLASS_COUNT; cls++) {
		if (hak_classes[cls].n_slots < 2)
			continue;
		plant(PER - hak_classes[cls].n_slots + 1u, HAK_SLAB_ACTIVE, OWNER, cls, 1);
		expect(HAK_ANOMALY_RANGE, 1, PER - hak_classes[cls].n_slots + 1u);
	}
}

static void test_free_bits_of_no_block_are_found(void **state)
{
	(void)state;
	for (unsigned cls = 0; cls < HAK_CLASS_COUNT; cls++) {
		unsigned n = hak_classes[cls].n_blocks;

		if (n % 64 == 0)
			continue;
		plant(9, HAK_SLAB_UNUSED, OWNER, 0, 0);
		assert_true(hakt_pool_cut(&pool, PER + 9, OWNER, cls));
		hak_slab_free(&hak_segment_bits(&pool.segment, PER + 9)[n / 64], UINT64_C(1)
											 << n % 64);
		expect(HAK_ANOMALY_BITS, 1, 9);
	}
}

static void test_anomalies_are_summed_and_have_texts(void **state)
{
	struct hak_census census = {0};

	(void)state;
	for (unsigned i = 0; i < HAK_ANOMALY_COUNT; i++) {
		census.anomalies[i] = UINT64_C(1) << 2 * i;
		assert_non_null(hak_anomaly_texts[i]);
		assert_true(strlen(hak_anomaly_texts[i]) > 0);
		assert_true(strlen(hak_anomaly_names[i]) > 0);
		for (unsigned k = 0; k < i; k++)
			assert_string_not_equal(hak_anomaly_texts[i], hak_anomaly_texts[k]);
	}
	assert_true(hak_check_anomalies(&census) ==
		    ((UINT64_C(1) << 2 * HAK_ANOMALY_COUNT) - 1) / 3);
}

static void test_a_walk_over_random_words_stays_inside(void **state)
{
	const struct hak_geometry *g = &pool.segment.geometry;
	uint64_t seed = hakt_random_seed();

	(void)state;
	for (uint32_t i = 0; i < g->n_superslabs; i += 4)
		hakt_pool_grant(&pool, i, i % 8 ? 4 : 1, i % 8 != 0, OWNER);
	for (unsigned round = 0; round < 300; round++) {
		struct hak_census census;

		for (uint32_t i = 0; i < g->n_slots; i++) {
			uint64_t r = hakt_random(&seed);

			hak_store_relaxed(
				&pool.segment.slab_words[i],
				round % 2 ? r
					  : hak_slab_pack(r & 3, 1, OWNER,
							  (r >> 8 & 127) << 16 | (r >> 16 & 63)));
		}
		census = take_census(HAK_HOLDER_NONE);
		assert_int_equal(census.superslabs, 4 * 4 + 4);
		assert_true(census.slabs + census.spans + census.unused_slots <= 20 * PER);
		assert_true(hak_check_anomalies(&census) > 0);
	}
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test_setup_teardown(test_an_empty_pool_counts_nothing, make_pool, drop_pool),
	cmocka_unit_test_setup_teardown(test_slabs_of_every_class_are_counted_block_by_block,
					make_pool, drop_pool),
	cmocka_unit_test_setup_teardown(test_spans_and_huge_runs_are_counted, make_pool, drop_pool),
	cmocka_unit_test_setup_teardown(test_a_census_of_an_owner_counts_nobody_else, make_pool,
					drop_pool),
	cmocka_unit_test_setup_teardown(test_one_walk_counts_for_many_holders, make_pool,
					drop_pool),
	cmocka_unit_test_setup_teardown(test_what_is_being_collected_is_not_counted, make_pool,
					drop_pool),
	cmocka_unit_test_setup_teardown(test_the_head_of_a_run_tells_how_far_to_go_on, make_pool,
					drop_pool),
	cmocka_unit_test_setup_teardown(test_a_slab_of_another_owner_is_found, make_pool,
					drop_pool),
	cmocka_unit_test_setup_teardown(test_an_impossible_state_is_found, make_pool, drop_pool),
	cmocka_unit_test_setup_teardown(test_a_class_that_does_not_exist_is_found, make_pool,
					drop_pool),
	cmocka_unit_test_setup_teardown(test_a_slot_of_a_span_that_is_no_body_of_it_is_found,
					make_pool, drop_pool),
	cmocka_unit_test_setup_teardown(test_a_body_of_nothing_is_an_unused_slot, make_pool,
					drop_pool),
	cmocka_unit_test_setup_teardown(test_a_range_beyond_its_superslab_is_found, make_pool,
					drop_pool),
	cmocka_unit_test_setup_teardown(test_free_bits_of_no_block_are_found, make_pool, drop_pool),
	cmocka_unit_test_setup_teardown(test_anomalies_are_summed_and_have_texts, make_pool,
					drop_pool),
	cmocka_unit_test_setup_teardown(test_a_walk_over_random_words_stays_inside, make_pool,
					drop_pool),
};

HAKT_MAIN(tests, NULL, NULL)
