/* SPDX-License-Identifier: MIT */
/* The table of roots: who may publish and withdraw what, what is found, what the audit tells. */
#include "tests/support/run.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/roots.h"

static void test_a_published_block_is_found_by_its_name_and_is_the_pool_s(void **state)
{
	uint64_t ref;

	(void)state;
	assert_int_equal(hakt_lookup("config", &ref), -ENOENT);
	assert_int_equal(hakt_publish(&hakt_a, "config", hakt_refs, 1), 0);
	assert_int_equal(hakt_owner_of(hakt_refs[0]), HAK_HOLDER_ROOT);
	assert_int_equal(hakt_lookup("config", &ref), 0);
	assert_int_equal(ref, hak_root_taken(hakt_refs[0]));
	assert_int_equal(hak_ref_inc(ref), hak_tag_inc(hak_tag_load(hakt_tag_of(ref))));
	assert_int_equal(hakt_lookup("confi", &ref), -ENOENT);
	assert_int_equal(hakt_lookup("config2", &ref), -ENOENT);
	assert_int_equal(hakt_count_flaws(), 0);
	assert_int_equal(hak_root_load(&hakt_roots[0].publisher),
			 HAKT_A | (uint64_t)HAKT_GENERATION << 32);
	assert_int_equal(hak_root_load(&hakt_roots[0].pid), 1000);
	assert_int_equal(hak_root_load(&hakt_roots[0].since), 1700000000);
}

static void test_nobody_takes_or_frees_a_published_block(void **state)
{
	uint64_t ref;

	(void)state;
	assert_int_equal(hakt_publish(&hakt_a, "x", hakt_refs, 1), 0);
	assert_int_equal(hakt_lookup("x", &ref), 0);
	assert_false(hak_tag_take(hakt_tag_of(ref), HAKT_C, hak_ref_inc(ref)));
	assert_false(hak_tag_take(hakt_tag_of(ref), HAKT_C, hak_ref_inc(hakt_refs[0])));
	assert_false(hak_tag_free_local(hakt_tag_of(ref), HAKT_A));
	assert_false(hak_tag_free_held(hakt_tag_of(ref), HAKT_A));
	assert_false(hak_tag_revoke(hakt_tag_of(ref), HAKT_A));
	assert_false(hak_tag_scan_own(hakt_tag_of(ref), HAKT_A));
	assert_false(hak_tag_scan_held(hakt_tag_of(ref), HAKT_A));
	assert_int_equal(hakt_owner_of(ref), HAK_HOLDER_ROOT);
}

static void test_a_withdrawn_block_is_the_client_s_and_its_ref_a_ticket(void **state)
{
	uint64_t ref, gone;
	uint32_t n;

	(void)state;
	assert_int_equal(hakt_publish(&hakt_a, "list", hakt_refs, HAKT_N), 0);
	assert_int_equal(hakt_count_used(), HAKT_N);
	assert_int_equal(
		hak_roots_withdraw(&hakt_roots_pool.segment, hakt_roots, &hakt_c, "list", &ref, &n),
		0);
	assert_int_equal(n, HAKT_N);
	assert_int_equal(hakt_count_of(HAKT_C), HAKT_N);
	assert_int_equal(hakt_count_used(), 0);
	assert_int_equal(hakt_lookup("list", &gone), -ENOENT);
	assert_int_equal(hakt_withdraw(&hakt_c, "list", &gone), -ENOENT);
	assert_int_equal(hak_ref_offset(ref), hak_ref_offset(hakt_refs[0]));
	assert_int_equal(hak_ref_epoch(ref), hak_ref_epoch(hakt_refs[0]));
	assert_true(hak_tag_take(hakt_tag_of(ref), HAKT_A, hak_ref_inc(ref)));
}

static void test_only_good_names_are_taken(void **state)
{
	static const char *const bad[] = {"", "a\nb", "\x7f", "\x1f"};
	char longest[HAK_ROOT_NAME_BYTES + 1];
	char name[HAK_ROOT_NAME_BYTES];
	uint64_t ref, place;

	(void)state;
	memset(longest, 'n', sizeof(longest));
	longest[HAK_ROOT_NAME_BYTES] = 0;
	assert_int_equal(hakt_publish(&hakt_a, longest, hakt_refs, 1), -EINVAL);
	assert_int_equal(hakt_lookup(longest, &ref), -EINVAL);
	assert_int_equal(hakt_withdraw(&hakt_a, longest, &ref), -EINVAL);
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(hakt_publish(&hakt_a, bad[i], hakt_refs, 1), -EINVAL);
		assert_int_equal(hakt_lookup(bad[i], &ref), -EINVAL);
		assert_int_equal(hakt_withdraw(&hakt_a, bad[i], &ref), -EINVAL);
	}
	longest[HAK_ROOT_NAME_BYTES - 1] = 0;
	assert_int_equal(hakt_publish(&hakt_a, longest, hakt_refs, 1), 0);
	assert_int_equal(hakt_lookup(longest, &ref), 0);
	assert_true(hak_roots_read(&hakt_roots_pool.segment, 0, name, &place));
	assert_string_equal(name, longest);
	assert_int_equal(hak_root_place_n(place), 1);
	assert_int_equal(hakt_publish(&hakt_a, " \xc3\xa4/", &hakt_refs[1], 1), 0);
	assert_int_equal(hakt_lookup(" \xc3\xa4/", &ref), 0);
	assert_int_equal(ref, hak_root_taken(hakt_refs[1]));
}

static void test_only_the_owner_may_publish(void **state)
{
	(void)state;
	assert_int_equal(hakt_publish(&hakt_b, "x", &hakt_refs[0], 1), -EPERM);
	assert_int_equal(hakt_publish(&hakt_b, "x", &hakt_refs[1], 1),
			 -EPERM); /* in its slab, but A has it */
	assert_int_equal(hakt_publish(&hakt_c, "x", hakt_refs, HAKT_N), -EPERM);
	assert_int_equal(hakt_count_of(HAKT_A), HAKT_N);
	assert_int_equal(hakt_count_used(), 0);
	assert_int_equal(hakt_publish(&hakt_a, "x", &hakt_refs[1], 1), 0);
	/* In a SuperSlab that it is just giving back nothing is its. */
	hak_superslab_begin_collect(&hakt_roots_pool.superslabs[0]);
	assert_int_equal(hakt_publish(&hakt_a, "y", &hakt_refs[0], 1), -EPERM);
}

static void test_a_void_ref_is_not_published(void **state)
{
	uint64_t ref = hakt_refs[0], other;
	uint64_t offset = hak_ref_offset(ref);

	(void)state;
	other = hak_ref_make(offset, hak_ref_epoch(ref), hak_ref_inc(ref) + 1);
	assert_int_equal(hakt_publish(&hakt_a, "x", &other, 1), -ESTALE);
	other = hak_ref_make(offset, hak_ref_epoch(ref) + 1, hak_ref_inc(ref));
	assert_int_equal(hakt_publish(&hakt_a, "x", &other, 1), -ESTALE);
	other = hakt_ref_at(0, 0, 2);
	hak_segment_bits(&hakt_roots_pool.segment, 0)[0] |= 4; /* the block behind it is free */
	assert_int_equal(hakt_publish(&hakt_a, "x", &other, 1), -ESTALE);
	other = HAK_REF_NONE;
	assert_int_equal(hakt_publish(&hakt_a, "x", &other, 1), -EINVAL);
	other = hak_ref_make(hakt_roots_pool.segment.geometry.capacity, 1, 0);
	assert_int_equal(hakt_publish(&hakt_a, "x", &other, 1), -EINVAL);
	assert_int_equal(hakt_publish(&hakt_a, "x", &other, 0), -EINVAL);
	assert_true(hak_tag_take(hakt_tag_of(ref), HAKT_C, hak_ref_inc(ref)));
	assert_int_equal(hakt_publish(&hakt_a, "x", &ref, 1), -ESTALE);
	assert_true(hak_tag_free_held(hakt_tag_of(ref), HAKT_C));
	other = hakt_ref_at(0, 0, 1);
	assert_int_equal(hakt_publish(&hakt_c, "x", &other, 1), -ESTALE);
	assert_int_equal(hakt_count_used(), 0);
}

static void test_a_block_without_a_tag_is_not_published(void **state)
{
	uint64_t ref;

	(void)state;
	assert_true(hakt_pool_cut(&hakt_roots_pool, 1, HAKT_A, 0));
	assert_int_equal(hakt_pool_claim(&hakt_roots_pool, 1, 0, 1), 1);
	ref = hakt_ref_at(1, 0, 0);
	assert_int_equal(hakt_publish(&hakt_a, "x", &ref, 1), -ESTALE);
	assert_true(hak_slab_set_tagged(&hakt_roots_pool.segment.slab_words[1], HAKT_A));
	assert_int_equal(hakt_publish(&hakt_a, "x", &ref, 1), 0);
}

static void test_a_name_or_a_block_is_published_once(void **state)
{
	const uint64_t twice[] = {hakt_refs[0], hakt_refs[1], hakt_refs[0]};
	uint64_t ref;
	uint32_t at;

	(void)state;
	assert_int_equal(hak_roots_publish(&hakt_roots_pool.segment, hakt_roots, &hakt_a, "list",
					   twice, 3, &at),
			 -EEXIST);
	assert_int_equal(at, 2);
	assert_int_equal(hakt_count_of(HAKT_A), HAKT_N);
	assert_int_equal(hakt_publish(&hakt_a, "x", &hakt_refs[0], 1), 0);
	assert_int_equal(hakt_publish(&hakt_a, "x", &hakt_refs[1], 1), -EEXIST);
	assert_int_equal(hakt_publish(&hakt_b, "x", &hakt_refs[1], 1), -EEXIST);
	assert_int_equal(hakt_publish(&hakt_a, "y", &hakt_refs[0], 1), -EEXIST);
	ref = hak_root_taken(hakt_refs[0]);
	assert_int_equal(hakt_publish(&hakt_a, "y", &ref, 1), -EEXIST);
	assert_int_equal(hakt_count_used(), 1);
	assert_int_equal(hakt_count_of(HAK_HOLDER_ROOT), 1);
}

static void test_a_list_with_one_void_ref_changes_nothing(void **state)
{
	uint64_t list[HAKT_N];
	uint32_t at;

	(void)state;
	for (unsigned wrong = 0; wrong < HAKT_N; wrong++) {
		memcpy(list, hakt_refs, sizeof(list));
		list[wrong] = hak_root_taken(hakt_refs[wrong]);
		assert_int_equal(hak_roots_publish(&hakt_roots_pool.segment, hakt_roots, &hakt_a,
						   "x", list, HAKT_N, &at),
				 -ESTALE);
		assert_int_equal(at, wrong);
		assert_int_equal(hakt_count_used(), 0);
		assert_int_equal(hakt_count_of(HAKT_A), HAKT_N);
		for (unsigned i = 0; i < HAKT_N; i++) /* the tickets are good still */
			assert_int_equal(hak_tag_inc(hak_tag_load(hakt_tag_of(hakt_refs[i]))),
					 hak_ref_inc(hakt_refs[i]));
	}
}

static void test_a_full_table_is_enospc_until_something_is_withdrawn(void **state)
{
	static uint64_t all[HAK_ROOT_COUNT + 1];
	char name[16];
	uint64_t ref;

	(void)state;
	assert_true(hakt_pool_cut(&hakt_roots_pool, 1, HAKT_A, 0));
	assert_true(hak_slab_set_tagged(&hakt_roots_pool.segment.slab_words[1], HAKT_A));
	for (unsigned i = 0; i <= HAK_ROOT_COUNT; i++) {
		hakt_pool_claim(&hakt_roots_pool, 1, i / 64, UINT64_C(1) << i % 64);
		all[i] = hakt_ref_at(1, 0, i);
	}
	assert_int_equal(hakt_publish(&hakt_a, "all", all, HAK_ROOT_COUNT + 1), -ENOSPC);
	assert_int_equal(hakt_count_used(), 0);
	assert_int_equal(hakt_publish(&hakt_a, "most", all, HAK_ROOT_COUNT - 2), 0);
	assert_int_equal(hakt_publish(&hakt_a, "x", &all[HAK_ROOT_COUNT - 2], 3), -ENOSPC);
	assert_int_equal(hakt_owner_of(all[HAK_ROOT_COUNT - 2]), HAKT_A);
	assert_int_equal(hakt_publish(&hakt_a, "x", &all[HAK_ROOT_COUNT - 2], 2), 0);
	assert_int_equal(hakt_publish(&hakt_a, "y", &all[HAK_ROOT_COUNT], 1), -ENOSPC);
	assert_int_equal(hakt_withdraw(&hakt_c, "x", &ref), 0);
	assert_int_equal(hakt_publish(&hakt_a, "y", &all[HAK_ROOT_COUNT], 1), 0);
	assert_int_equal(hakt_withdraw(&hakt_c, "most", &ref), 0);
	assert_int_equal(hakt_count_used(), 1);
	for (unsigned i = 0; i < HAK_ROOT_COUNT; i++) {
		snprintf(name, sizeof(name), "%u", i);
		ref = hakt_ref_at(1, 0, i);
		assert_int_equal(hakt_owner_of(ref), HAKT_C);
		assert_int_equal(hakt_publish(&hakt_c, name, &ref, 1),
				 i < HAK_ROOT_COUNT - 1 ? 0 : -ENOSPC);
	}
}

static void test_the_audit_names_a_live_entry_without_its_block(void **state)
{
	uint64_t ref = 0;

	(void)state;
	assert_int_equal(hakt_publish(&hakt_a, "list", hakt_refs, HAKT_N), 0);
	assert_int_equal(hakt_count_flaws(), 0);
	for (unsigned i = 0; i < HAKT_N; i++) {
		uint32_t t = hak_tag_load(hakt_tag_of(hakt_refs[i]));

		assert_int_equal(hak_roots_examine(&hakt_roots_pool.segment, i, &ref),
				 HAK_ROOT_FLAW_NONE);
		hak_store_relaxed(hakt_tag_of(hakt_refs[i]),
				  hak_tag_pack(HAK_TAG_NONE, 0, hak_tag_inc(t)));
		assert_int_equal(hak_roots_examine(&hakt_roots_pool.segment, i, &ref),
				 HAK_ROOT_FLAW_BLOCK);
		assert_int_equal(ref, hak_root_taken(hakt_refs[i]));
		assert_int_equal(hakt_count_flaws(), 1);
		hak_store_relaxed(hakt_tag_of(hakt_refs[i]), t);
	}
	hak_segment_bits(&hakt_roots_pool.segment, 0)[0] |= 2; /* its block is free */
	assert_int_equal(hak_roots_examine(&hakt_roots_pool.segment, 0, &ref), HAK_ROOT_FLAW_BLOCK);
	hak_segment_bits(&hakt_roots_pool.segment, 0)[0] &= ~UINT64_C(2);
	hak_store_relaxed(&hakt_roots[1].place, hak_root_place(1, 1, HAKT_N));
	assert_int_equal(hak_roots_examine(&hakt_roots_pool.segment, 1, &ref), HAK_ROOT_FLAW_STATE);
	hak_store_relaxed(&hakt_roots[0].word, hak_root_pack((enum hak_root_state)9, 1));
	assert_int_equal(hak_roots_examine(&hakt_roots_pool.segment, 0, &ref), HAK_ROOT_FLAW_STATE);
}

static void test_the_audit_names_a_block_of_the_pool_without_an_entry(void **state)
{
	struct hak_segment *s = &hakt_roots_pool.segment;
	uint64_t offset = hak_ref_offset(hakt_refs[0]);

	(void)state;
	assert_false(hak_roots_is_nameless(s, offset, hakt_tag_of(hakt_refs[0])));
	assert_true(hak_tag_take(hakt_tag_of(hakt_refs[0]), HAK_HOLDER_ROOT,
				 hak_ref_inc(hakt_refs[0])));
	assert_true(hak_roots_is_nameless(s, offset, hakt_tag_of(hakt_refs[0])));
}

static void test_a_withdrawal_of_a_block_that_is_lost_takes_the_name_away(void **state)
{
	uint64_t ref = 0;

	(void)state;
	assert_int_equal(hakt_publish(&hakt_a, "x", hakt_refs, 1), 0);
	hak_store_relaxed(hakt_tag_of(hakt_refs[0]), 0);
	assert_int_equal(hakt_withdraw(&hakt_c, "x", &ref), -ESTALE);
	assert_int_equal(ref, 0);
	assert_int_equal(hakt_count_used(), 0);
	assert_int_not_equal(hakt_owner_of(hakt_refs[0]), HAKT_C);
}

static void test_each_use_of_an_entry_has_words_of_its_own(void **state)
{
	uint64_t ref = hakt_refs[0], seen[2];

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(hakt_publish(&hakt_a, "x", &ref, 1), 0);
		seen[i] = hak_root_load(&hakt_roots[0].word);
		assert_int_equal(hakt_withdraw(&hakt_a, "x", &ref), 0);
	}
	assert_int_equal(hak_root_state(seen[0]), HAK_ROOT_LIVE);
	assert_int_equal(hak_root_state(seen[1]), HAK_ROOT_LIVE);
	assert_int_equal(hak_root_generation(seen[1]), hak_root_generation(seen[0]) + 1);
}

static hak_u32 ends;

/* Two names take turns in one entry, one block as "one", two as "two". */
static void *publish_and_withdraw(void *context)
{
	uint64_t mine[2] = {hakt_refs[0], hakt_refs[1]};

	(void)context;
	for (unsigned i = 0; i < 20000; i++) {
		unsigned n = 1 + i % 2;
		const char *name = n == 1 ? "one" : "two";

		if (hakt_publish(&hakt_a, name, mine, n) != 0 ||
		    hakt_withdraw(&hakt_a, name, &mine[0]) != 0)
			break;
		if (n == 2)
			mine[1] = hak_root_taken(hak_root_taken(mine[1]));
	}
	hak_store_relaxed(&ends, 1);
	return (void *)(uintptr_t)(mine[0] == hakt_refs[0] || mine[1] == hakt_refs[1]);
}

/* Beside a daemon at work; `look` tells how much is wrong. No assertion while it runs. */
static void check_beside_the_daemon(unsigned (*look)(unsigned which))
{
	unsigned n_wrong = 0;
	void *failed = NULL;
	pthread_t daemon;

	ends = 0;
	assert_int_equal(hakt_publish(&hakt_a, "stays", &hakt_refs[2], 1), 0);
	assert_int_equal(pthread_create(&daemon, NULL, publish_and_withdraw, NULL), 0);
	for (unsigned i = 0; !hak_load_relaxed(&ends); i++)
		n_wrong += look(i % 2);
	assert_int_equal(pthread_join(daemon, &failed), 0);
	assert_null(failed);
	assert_int_equal(n_wrong, 0);
}

/* Entry 1 is the one that is used in turn; entry 0 stays. */
static unsigned look_up(unsigned which)
{
	char name[HAK_ROOT_NAME_BYTES];
	uint64_t ref, place;
	unsigned n = 0;

	for (unsigned i = 0; i < 20; i++)
		if (hak_roots_read(&hakt_roots_pool.segment, 1, name, &place))
			n += strcmp(name, hak_root_place_n(place) == 1 ? "one" : "two") != 0;
	if (hakt_lookup(which ? "one" : "two", &ref) == 0)
		n += hak_ref_offset(ref) != hak_ref_offset(hakt_refs[0]);
	return n + (hakt_lookup("stays", &ref) != 0);
}

static void test_a_lookup_beside_the_daemon_sees_one_use_of_an_entry(void **state)
{
	(void)state;
	check_beside_the_daemon(look_up);
}

static unsigned examine(unsigned which)
{
	const struct hak_segment *segment = &hakt_roots_pool.segment;
	uint64_t ref;

	return (hak_roots_examine(segment, 1, &ref) != HAK_ROOT_FLAW_NONE) +
	       hak_roots_is_nameless(segment, hak_ref_offset(hakt_refs[which]),
				     hakt_tag_of(hakt_refs[which]));
}

static void test_an_audit_beside_the_daemon_tells_nothing(void **state)
{
	(void)state;
	check_beside_the_daemon(examine);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test_setup_teardown(
		test_a_published_block_is_found_by_its_name_and_is_the_pool_s, hakt_roots_start,
		hakt_roots_stop),
	cmocka_unit_test_setup_teardown(test_nobody_takes_or_frees_a_published_block,
					hakt_roots_start, hakt_roots_stop),
	cmocka_unit_test_setup_teardown(test_a_withdrawn_block_is_the_client_s_and_its_ref_a_ticket,
					hakt_roots_start, hakt_roots_stop),
	cmocka_unit_test_setup_teardown(test_only_good_names_are_taken, hakt_roots_start,
					hakt_roots_stop),
	cmocka_unit_test_setup_teardown(test_only_the_owner_may_publish, hakt_roots_start,
					hakt_roots_stop),
	cmocka_unit_test_setup_teardown(test_a_void_ref_is_not_published, hakt_roots_start,
					hakt_roots_stop),
	cmocka_unit_test_setup_teardown(test_a_block_without_a_tag_is_not_published,
					hakt_roots_start, hakt_roots_stop),
	cmocka_unit_test_setup_teardown(test_a_name_or_a_block_is_published_once, hakt_roots_start,
					hakt_roots_stop),
	cmocka_unit_test_setup_teardown(test_a_list_with_one_void_ref_changes_nothing,
					hakt_roots_start, hakt_roots_stop),
	cmocka_unit_test_setup_teardown(test_a_full_table_is_enospc_until_something_is_withdrawn,
					hakt_roots_start, hakt_roots_stop),
	cmocka_unit_test_setup_teardown(test_the_audit_names_a_live_entry_without_its_block,
					hakt_roots_start, hakt_roots_stop),
	cmocka_unit_test_setup_teardown(test_the_audit_names_a_block_of_the_pool_without_an_entry,
					hakt_roots_start, hakt_roots_stop),
	cmocka_unit_test_setup_teardown(
		test_a_withdrawal_of_a_block_that_is_lost_takes_the_name_away, hakt_roots_start,
		hakt_roots_stop),
	cmocka_unit_test_setup_teardown(test_each_use_of_an_entry_has_words_of_its_own,
					hakt_roots_start, hakt_roots_stop),
	cmocka_unit_test_setup_teardown(test_an_audit_beside_the_daemon_tells_nothing,
					hakt_roots_start, hakt_roots_stop),
	cmocka_unit_test_setup_teardown(test_a_lookup_beside_the_daemon_sees_one_use_of_an_entry,
					hakt_roots_start, hakt_roots_stop),
};

HAKT_MAIN(tests, NULL, NULL)
