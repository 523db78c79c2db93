/* SPDX-License-Identifier: MIT */
/* A pool is opened in which blocks outlive their maker, and tags say something. */
#include "tests/unit/daemon/mem/reopened.h"

#include "proto/shm/scan.h"

/* A slab of OWNER's at AT in which OTHER holds a block, and whose other slots were tagged once. */
static uint32_t make_survivor(void)
{
	uint32_t slot = AT * pool->segment.geometry.slots_per_superslab;
	hak_u64 *words = &pool->segment.slab_words[slot];
	hak_u64 *bits = hak_segment_bits(&pool->segment, slot);
	hak_u32 *tags = hak_segment_tags(&pool->segment, slot);

	grant(AT, 1, false);
	for (uint32_t i = 2; i < 5; i++)
		hak_store_relaxed(&words[i], hak_load_relaxed(&words[i]) | HAK_SLAB_TAGGED);
	assert_true(hak_slab_cut(words, bits, OWNER, 0, 1));
	assert_true(hak_slab_set_tagged(words, OWNER));
	assert_int_equal(hak_slab_claim(words, bits, tags, 3), 3);
	hak_store_relaxed(&tags[0], hak_tag_pack(HAK_TAG_OWNED, OTHER, 1));
	return slot;
}

/* The same as an orphan. */
static uint32_t make_orphaned(void)
{
	struct hak_scan found = {.n_heads = 0};
	uint32_t per = pool->segment.geometry.slots_per_superslab;
	uint32_t slot = make_survivor();

	hak_superslab_begin_collect(word(AT));
	assert_true(hak_scan_own(&pool->segment, slot, slot + per, OWNER, &found));
	hak_superslab_orphan(word(AT));
	return slot;
}

static void test_an_heir_that_has_an_orphan_in_part_gets_it_whole(void **state)
{
	uint32_t per = pool->segment.geometry.slots_per_superslab;

	for (uint32_t k = 0; k <= per + 1; k++) { /* nothing, the registry's word, slab words */
		uint64_t before[64];
		uint32_t slot;
		uint64_t w;

		clean_up(state);
		prepare(state);
		slot = make_orphaned();
		for (uint32_t i = 0; i < per; i++)
			before[i] = hak_slab_load(&pool->segment.slab_words[slot + i]);
		if (k > 0)
			hak_superslab_name_heir(word(AT), HEIR);
		hak_scan_inherit(&pool->segment, slot, slot + per, HEIR);
		for (uint32_t i = k > 0 ? k - 1 : 0; i < per; i++) /* where the daemon died */
			hak_store_relaxed(&pool->segment.slab_words[slot + i], before[i]);
		assert_int_equal(reopen(2 * TOTAL * MIB), 0);
		w = hak_slab_load(&pool->segment.slab_words[slot]);
		assert_int_equal(hakd_pool_granted(pool, AT, HEIR), k > 0);
		assert_int_equal(pool->n_orphans, k == 0);
		assert_int_equal(pool->n_taken, 1);
		assert_int_equal(hak_slab_owner(w), k > 0 ? HEIR : HAK_HOLDER_NONE);
		assert_int_equal(hak_slab_epoch(w), hak_slab_epoch(before[0]));
		assert_true(hak_tag_is_held(hak_tag_load(hak_segment_tags(&pool->segment, slot)),
					    OTHER));
		expect_clean();
	}
}

/* Who scribbles over slab words decides for nobody what is whose. */
static void test_slab_words_that_name_somebody_make_nobody_an_heir(void **state)
{
	uint32_t per = pool->segment.geometry.slots_per_superslab;
	uint32_t slot = make_orphaned();

	(void)state;
	hak_scan_inherit(&pool->segment, slot, slot + per, OTHER);
	assert_int_equal(reopen(2 * TOTAL * MIB), 0);
	assert_int_equal(hakd_pool_granted(pool, AT, OTHER), 0);
	assert_int_equal(pool->n_orphans, 1);
}

static void test_tags_stay_until_a_job_has_waited_for_its_grace(void **state)
{
	const hak_u32 *tag;

	for (unsigned is_disowned = 0; is_disowned < 2; is_disowned++) {
		uint32_t slot;

		clean_up(state);
		prepare(state);
		slot = make_survivor();
		hak_superslab_begin_collect(word(AT));
		assert_true(hakd_backing_reset(pool, AT, 1, false));
		if (is_disowned)
			hak_superslab_disown(word(AT));
		assert_int_equal(reopen(2 * TOTAL * MIB), 0);
		tag = hak_segment_tags(&pool->segment, slot);
		assert_int_equal(hakd_pool_reclaiming(pool, AT, is_disowned ? 0 : OWNER), 1);
		assert_int_not_equal(hak_load_relaxed(tag), 0);
		assert_true(hakd_backing_reset(pool, AT, 1, false)); /* there still are any */
	}
}

static void test_what_is_free_has_no_tags(void **state)
{
	uint32_t slot;

	(void)state;
	slot = make_survivor();
	hak_superslab_begin_collect(word(AT));
	hakd_backing_reset(pool, AT, 1, false);
	hak_superslab_end_collect(word(AT)); /* no daemon did: tags go before that */
	assert_int_equal(reopen(2 * TOTAL * MIB), 0);
	assert_int_equal(pool->states[AT], HAKD_COLD);
	assert_int_equal(hak_load_relaxed(hak_segment_tags(&pool->segment, slot)), 0);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test_setup_teardown(test_an_heir_that_has_an_orphan_in_part_gets_it_whole,
					prepare, clean_up),
	cmocka_unit_test_setup_teardown(test_slab_words_that_name_somebody_make_nobody_an_heir,
					prepare, clean_up),
	cmocka_unit_test_setup_teardown(test_tags_stay_until_a_job_has_waited_for_its_grace,
					prepare, clean_up),
	cmocka_unit_test_setup_teardown(test_what_is_free_has_no_tags, prepare, clean_up),
};

HAKT_MAIN(tests, NULL, NULL)
