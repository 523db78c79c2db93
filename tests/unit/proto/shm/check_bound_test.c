/* SPDX-License-Identifier: MIT */
/* How long a walk takes over words that somebody scribbled on: check.c is built with support/cut.h. */
#include "tests/support/run.h"

#include "tests/support/pool.h"

#define CAPACITY (UINT64_C(64) << 20)
#define OWNER	 9u

static struct hakt_pool pool;
static uint64_t n_loads;

void hakt_look(void)
{
	n_loads++;
}

void hakt_cut(void)
{
}

/* Slabs of the smallest blocks, in each of which the last tag is wrong. */
static int make_pool(void **state)
{
	const struct hak_geometry *g = &pool.segment.geometry;

	(void)state;
	hakt_pool_init(&pool, CAPACITY, 21);
	hakt_pool_set_holder(&pool, OWNER, HAK_HOLDER_ATTACHED, 1);
	for (uint32_t i = 0; i < g->n_superslabs; i++)
		hakt_pool_grant(&pool, i, 1, false, OWNER);
	for (uint32_t slot = 0; slot < g->n_slots; slot++) {
		assert_true(hakt_pool_cut(&pool, slot, OWNER, 0));
		assert_true(hak_slab_set_tagged(&pool.segment.slab_words[slot], OWNER));
		hak_store_relaxed(
			&hak_segment_tags(&pool.segment, slot)[hak_classes[0].n_blocks - 1],
			hak_tag_pack(HAK_TAG_NONE, OWNER, 1));
	}
	return 0;
}

static int drop_pool(void **state)
{
	(void)state;
	hakt_pool_deinit(&pool);
	return 0;
}

static void test_a_walk_over_nothing_but_damage_is_no_more_than_some_walks_long(void **state)
{
	uint32_t n = pool.segment.geometry.n_slots;
	struct hak_census census = {0};
	uint64_t once = (uint64_t)n * hak_classes[0].n_blocks;

	(void)state;
	n_loads = 0;
	hak_check_pool(&pool.segment, HAK_HOLDER_NONE, &census);
	assert_int_equal(census.anomalies[HAK_ANOMALY_TAG], n);
	/* What comes before patience ends, then two looks a slab. */
	assert_in_range(n_loads, once,
			3 * once + UINT64_C(256) * 64 * (hak_classes[0].n_blocks + 200));
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_a_walk_over_nothing_but_damage_is_no_more_than_some_walks_long),
};

HAKT_MAIN(tests, make_pool, drop_pool)
