/* SPDX-License-Identifier: MIT */
/*
 * The audit of roots: a block of ROOT's without a root, and a live root without its block, are
 * told alone, each once; what the daemon is at is not.
 */
#include "tests/support/run.h"

#include <pthread.h>
#include <string.h>

#include "proto/shm/check_roots.h"
#include "tests/support/roots.h"

#define LAST  (HAK_ROOT_COUNT - 1)
#define OTHER 2u /* slot of A's where nothing is cut */

static struct hak_finding findings[8];
static unsigned n_findings;
static struct hak_share shares[HAK_HOLDER_COUNT];

static bool add_finding(struct hak_audit *audit, const struct hak_finding *finding)
{
	(void)audit;
	if (n_findings < sizeof(findings) / sizeof(findings[0]))
		findings[n_findings] = *finding;
	n_findings++;
	return true;
}

static struct hak_audit audit_pool(void)
{
	struct hak_audit audit = {.report = add_finding, .shares = shares};

	n_findings = 0;
	memset(shares, 0, sizeof(shares));
	hakt_pool_audit(&hakt_roots_pool, &audit);
	assert_int_equal(hak_check_anomalies(&audit.census), n_findings);
	return audit;
}

static void check_clean(void)
{
	audit_pool();
	if (n_findings > 0)
		fail_msg("%s, slot %u, entry %u", hak_anomaly_names[findings[0].kind],
			 findings[0].slot, findings[0].entry);
}

static uint32_t slot_of(uint64_t ref)
{
	return (uint32_t)(hak_ref_offset(ref) >> HAK_SLOT_LG);
}

/* One finding, of that block. */
static void expect_nameless(uint64_t ref)
{
	struct hak_audit audit = audit_pool();
	struct hak_location l = hak_segment_locate_offset(&hakt_roots_pool.segment,
							  hak_ref_offset(ref));

	assert_int_equal(n_findings, 1);
	assert_int_equal(findings[0].kind, HAK_ANOMALY_NAMELESS);
	assert_int_equal(findings[0].slot, l.slot);
	assert_int_equal(findings[0].block, l.index);
	assert_int_equal(findings[0].word, hak_tag_load(hakt_tag_of(ref)));
	assert_false(findings[0].unless_taken);
	assert_int_equal(audit.lost.blocks, 0);
	assert_int_equal(shares[HAK_HOLDER_ROOT].blocks, 1);
}

/* One finding, of that entry, whose ref ROOT's should be; in that slot. */
static void expect_entry(enum hak_anomaly kind, uint32_t entry, uint64_t ref, uint32_t slot)
{
	uint32_t per = hakt_roots_pool.segment.geometry.slots_per_superslab;

	audit_pool();
	if (n_findings != 1 || findings[0].kind != kind || findings[0].entry != entry)
		fail_msg("%u findings; first: %s, slot %u, entry %u", n_findings,
			 n_findings ? hak_anomaly_names[findings[0].kind] : "-", findings[0].slot,
			 findings[0].entry);
	assert_int_equal(findings[0].word, hak_root_taken(ref));
	assert_int_equal(findings[0].slot, slot);
	assert_int_equal(findings[0].superslab, slot == HAK_NO_SLOT ? 0 : slot / per);
	assert_false(findings[0].unless_taken);
}

static void take_for_root(uint64_t ref)
{
	assert_true(hak_tag_take(hakt_tag_of(ref), HAK_HOLDER_ROOT, hak_ref_inc(ref)));
}

static void set_state(uint32_t entry, enum hak_root_state state)
{
	uint64_t word = hak_load_relaxed(&hakt_roots[entry].word);

	hak_store_relaxed(&hakt_roots[entry].word, hak_root_pack(state, hak_root_generation(word)));
}

static void test_published_blocks_are_clean_and_the_pool_s(void **state)
{
	uint64_t ref;

	(void)state;
	check_clean();
	assert_int_equal(hakt_publish(&hakt_a, "list", hakt_refs, HAKT_N), 0);
	check_clean();
	assert_int_equal(shares[HAK_HOLDER_ROOT].blocks, HAKT_N);
	assert_int_equal(hakt_withdraw(&hakt_c, "list", &ref), 0);
	check_clean();
	assert_int_equal(shares[HAK_HOLDER_ROOT].blocks, 0);
}

static void test_a_block_of_the_pool_that_no_root_names_is_told(void **state)
{
	(void)state;
	for (unsigned i = 0; i < HAKT_N; i++) {
		uint32_t t = hak_tag_load(hakt_tag_of(hakt_refs[i]));

		take_for_root(hakt_refs[i]);
		expect_nameless(hakt_refs[i]);
		hak_store_relaxed(hakt_tag_of(hakt_refs[i]), t);
	}
	check_clean();
}

static void test_a_block_whose_name_was_wiped_is_told(void **state)
{
	(void)state;
	assert_int_equal(hakt_publish(&hakt_a, "x", &hakt_refs[1], 1), 0);
	set_state(0, HAK_ROOT_FREE);
	expect_nameless(hakt_refs[1]);
	set_state(0, HAK_ROOT_LIVE);
	check_clean();
}

static void test_a_member_names_its_block_as_long_as_its_list_has_a_head(void **state)
{
	uint64_t word;

	(void)state;
	assert_int_equal(hakt_publish(&hakt_a, "pair", &hakt_refs[0], 2), 0);
	check_clean();
	/* Another list's head: this one's has gone. */
	word = hak_load_relaxed(&hakt_roots[1].head);
	hak_store_relaxed(&hakt_roots[1].head, word + 1);
	audit_pool();
	assert_int_equal(n_findings, 1);
	assert_int_equal(findings[0].kind, HAK_ANOMALY_NAMELESS);
	assert_int_equal(findings[0].slot, slot_of(hakt_refs[1]));
	hak_store_relaxed(&hakt_roots[1].head, word);
	check_clean();
}

/* A list in that state, of which so many blocks have moved. */
static void check_clean_under_way(enum hak_root_state head, unsigned n_moved)
{
	uint32_t tags[HAKT_N];

	set_state(0, head);
	for (unsigned i = 0; i < HAKT_N; i++) {
		tags[i] = hak_tag_load(hakt_tag_of(hakt_refs[i]));
		if (i < n_moved)
			hak_store_relaxed(
				hakt_tag_of(hakt_refs[i]),
				hak_tag_pack(HAK_TAG_OWNED, HAKT_A, hak_tag_inc(tags[i]) + 1));
	}
	check_clean();
	for (unsigned i = 0; i < HAKT_N; i++)
		hak_store_relaxed(hakt_tag_of(hakt_refs[i]), tags[i]);
}

static void test_a_list_that_is_being_published_or_withdrawn_is_clean(void **state)
{
	(void)state;
	assert_int_equal(hakt_publish(&hakt_a, "list", hakt_refs, HAKT_N), 0);
	for (unsigned n = 0; n <= HAKT_N; n++) {
		check_clean_under_way(HAK_ROOT_PENDING, n);
		check_clean_under_way(HAK_ROOT_LEAVING, n);
	}
	check_clean_under_way(HAK_ROOT_FREE, HAKT_N); /* members without a head */
	set_state(0, HAK_ROOT_LIVE);
	check_clean();
}

static void test_a_live_root_whose_block_is_not_the_pool_s_is_told_once(void **state)
{
	(void)state;
	assert_int_equal(hakt_publish(&hakt_a, "list", hakt_refs, HAKT_N), 0);
	for (unsigned i = 0; i < HAKT_N; i++) {
		uint32_t t = hak_tag_load(hakt_tag_of(hakt_refs[i]));

		hak_store_relaxed(hakt_tag_of(hakt_refs[i]),
				  hak_tag_pack(HAK_TAG_OWNED, HAKT_B, hak_tag_inc(t)));
		expect_entry(HAK_ANOMALY_ROOT, i, hakt_refs[i], slot_of(hakt_refs[i]));
		hak_store_relaxed(hakt_tag_of(hakt_refs[i]),
				  hak_tag_pack(HAK_TAG_OWNED, HAK_HOLDER_ROOT, hak_tag_inc(t) + 1));
		expect_entry(HAK_ANOMALY_ROOT, i, hakt_refs[i], slot_of(hakt_refs[i]));
		hak_store_relaxed(hakt_tag_of(hakt_refs[i]), t);
		check_clean();
	}
}

/* A live root that has that ref. */
static void expect_ref(uint64_t ref, uint32_t slot)
{
	uint64_t word = hak_load_relaxed(&hakt_roots[LAST].word);

	hak_store_relaxed(&hakt_roots[LAST].ref, ref);
	hak_store_relaxed(&hakt_roots[LAST].place, hak_root_place(LAST, 0, 1));
	hak_store_relaxed(&hakt_roots[LAST].head, 1);
	hak_store_relaxed(&hakt_roots[LAST].word, hak_root_pack(HAK_ROOT_LIVE, 1));
	expect_entry(HAK_ANOMALY_ROOT, LAST, ref, slot);
	hak_store_relaxed(&hakt_roots[LAST].word, word);
	check_clean();
}

static void test_a_live_root_without_a_block_is_told_once(void **state)
{
	uint64_t offset = hak_ref_offset(hakt_refs[0]);
	unsigned epoch = hak_ref_epoch(hakt_refs[0]), inc = hak_ref_inc(hakt_refs[0]);

	(void)state;
	assert_int_equal(hakt_publish(&hakt_a, "x", hakt_refs, 1), 0);
	expect_ref(hak_ref_make(offset, epoch + 1, inc), 0); /* of a slab before it */
	expect_ref(hak_ref_make(offset, epoch, inc + 1), 0);
	expect_ref(hakt_refs[2] + 1, HAKT_SPAN_SLOT); /* inside of a block */
	expect_ref(hak_ref_make((uint64_t)OTHER << HAK_SLOT_LG, epoch, inc), OTHER);
	expect_ref(hak_ref_make(hakt_roots_pool.segment.geometry.capacity, epoch, inc),
		   HAK_NO_SLOT);
}

static void test_an_entry_that_cannot_be_is_told_once(void **state)
{
	(void)state;
	assert_int_equal(hakt_publish(&hakt_a, "list", hakt_refs, HAKT_N), 0);
	hak_store_relaxed(&hakt_roots[2].place, hak_root_place(2, 2, HAKT_N));
	audit_pool();
	assert_int_equal(n_findings, 2); /* a head of no list: its block has no name either */
	assert_int_equal(findings[0].kind, HAK_ANOMALY_NAMELESS);
	assert_int_equal(findings[1].kind, HAK_ANOMALY_ENTRY);
	assert_int_equal(findings[1].entry, 2);
	hak_store_relaxed(&hakt_roots[2].place, hak_root_place(0, 2, HAKT_N));
	check_clean();
	hak_store_relaxed(&hakt_roots[LAST].word, hak_root_pack((enum hak_root_state)9, 1));
	hak_store_relaxed(&hakt_roots[LAST].ref, hakt_refs[0]);
	expect_entry(HAK_ANOMALY_ENTRY, LAST, hakt_refs[0], slot_of(hakt_refs[0]));
}

static hak_u32 is_over;
static hak_u32 n_rounds;

/* The daemon: two blocks, by turns in entries of their own, as one list, and the other way. */
static void *publish_and_withdraw(void *context)
{
	uint64_t mine[HAKT_N], ref;
	bool is_right = true;

	(void)context;
	memcpy(mine, hakt_refs, sizeof(mine));
	for (unsigned round = 0; is_right && !hak_load_relaxed(&is_over); round++) {
		unsigned first = round % HAKT_N, n = 1 + round / HAKT_N % HAKT_N;
		uint64_t list[HAKT_N];

		for (unsigned i = 0; i < n; i++)
			list[i] = mine[(first + i) % HAKT_N];
		is_right = hakt_publish(&hakt_a, "list", list, n) == 0 &&
			   hakt_withdraw(&hakt_a, "list", &ref) == 0;
		for (unsigned i = 0; i < n; i++)
			mine[(first + i) % HAKT_N] = hak_root_taken(hak_root_taken(list[i]));
		hak_add_relaxed(&n_rounds, 1);
	}
	return (void *)(uintptr_t)!is_right;
}

static void test_publications_and_withdrawals_meanwhile_are_clean(void **state)
{
	unsigned n_wrong = 0;
	void *failed = NULL;
	pthread_t daemon;

	(void)state;
	hak_store_relaxed(&is_over, 0);
	hak_store_relaxed(&n_rounds, 0);
	assert_int_equal(pthread_create(&daemon, NULL, publish_and_withdraw, NULL), 0);
	for (unsigned i = 0; (i < 5000 || hak_load_relaxed(&n_rounds) < 20000) && n_wrong == 0;
	     i++) {
		struct hak_audit audit = {.report = add_finding};

		n_findings = 0;
		hak_audit_superslab(&hakt_roots_pool.segment, 0, &audit);
		hak_audit_superslab(&hakt_roots_pool.segment, 1, &audit);
		hak_audit_roots(&hakt_roots_pool.segment, &audit);
		n_wrong += n_findings;
	}
	hak_store_relaxed(&is_over, 1);
	assert_int_equal(pthread_join(daemon, &failed), 0);
	assert_null(failed);
	if (n_wrong > 0)
		fail_msg("%s, slot %u, entry %u", hak_anomaly_names[findings[0].kind],
			 findings[0].slot, findings[0].entry);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test_setup_teardown(test_published_blocks_are_clean_and_the_pool_s,
					hakt_roots_start, hakt_roots_stop),
	cmocka_unit_test_setup_teardown(test_a_block_of_the_pool_that_no_root_names_is_told,
					hakt_roots_start, hakt_roots_stop),
	cmocka_unit_test_setup_teardown(test_a_block_whose_name_was_wiped_is_told, hakt_roots_start,
					hakt_roots_stop),
	cmocka_unit_test_setup_teardown(
		test_a_member_names_its_block_as_long_as_its_list_has_a_head, hakt_roots_start,
		hakt_roots_stop),
	cmocka_unit_test_setup_teardown(test_a_list_that_is_being_published_or_withdrawn_is_clean,
					hakt_roots_start, hakt_roots_stop),
	cmocka_unit_test_setup_teardown(test_a_live_root_whose_block_is_not_the_pool_s_is_told_once,
					hakt_roots_start, hakt_roots_stop),
	cmocka_unit_test_setup_teardown(test_a_live_root_without_a_block_is_told_once,
					hakt_roots_start, hakt_roots_stop),
	cmocka_unit_test_setup_teardown(test_an_entry_that_cannot_be_is_told_once, hakt_roots_start,
					hakt_roots_stop),
	cmocka_unit_test_setup_teardown(test_publications_and_withdrawals_meanwhile_are_clean,
					hakt_roots_start, hakt_roots_stop),
};

HAKT_MAIN(tests, NULL, NULL)
