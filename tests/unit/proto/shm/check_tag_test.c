/* SPDX-License-Identifier: MIT */
/* The audit of tags and of orphans: whose each block is, and each way that it can be nobody's. */
#include "tests/support/run.h"

#include <string.h>
#include <sys/mman.h>

#include "proto/shm/check_tag.h"
#include "proto/shm/roots.h"
#include "tests/support/pool.h"

#define MIB	UINT64_C(1048576)
#define ROOT	HAK_HOLDER_ROOT
#define OWNER	9u
#define TAKER	10u
#define LEAVING 11u /* RECLAIMING */
#define GONE	12u /* a holder slot that is free */
#define PER	32u /* slots of a SuperSlab of 2 MiB */

/* Where the healthy pool has what. */
#define SLAB	 0u	    /* tagged, of class 0 */
#define UNTAGGED 1u	    /* of class 0 */
#define SPAN	 2u	    /* of 3 slots, tagged */
#define ORPHAN	 (1u * PER) /* slab of class 0 in a SuperSlab that is an orphan */
#define RUN	 (2u * PER) /* span in a huge orphan, 3 SuperSlabs long */
#define SCANNED	 (5u * PER) /* RECLAIMING, LEAVING's */
#define WAITING	 (6u * PER) /* RECLAIMING, nobody's */
#define BLANK	 (7u * PER) /* granted to OWNER */
#define SMALL	 16u	    /* bytes of class 0 */

static struct hakt_pool pool;
static struct hak_finding findings[8];
static unsigned n_findings;
static struct hak_share shares[HAK_HOLDER_COUNT];

static hak_u64 *word_of(uint32_t slot)
{
	return &pool.segment.slab_words[slot];
}

static hak_u32 *tag_of(uint32_t slot, unsigned block)
{
	return &hak_segment_tags(&pool.segment, slot)[block];
}

static void set(uint32_t slot, unsigned block, uint32_t tag, bool is_free)
{
	hak_u64 *bits = &hak_segment_bits(&pool.segment, slot)[block / 64];
	uint64_t bit = UINT64_C(1) << block % 64;

	hak_store_relaxed(tag_of(slot, block), tag);
	hak_store_relaxed(bits, is_free ? *bits | bit : *bits & ~bit);
}

static uint32_t owned(unsigned holder)
{
	return hak_tag_pack(HAK_TAG_OWNED, holder, 5);
}

static uint32_t freeing(unsigned holder)
{
	return hak_tag_pack(HAK_TAG_FREEING, holder, 5);
}

static uint32_t none(void)
{
	return hak_tag_pack(HAK_TAG_NONE, HAK_HOLDER_NONE, 5);
}

static uint32_t freed(void)
{
	return hak_tag_pack(HAK_TAG_FREED, HAK_HOLDER_NONE, 5);
}

static void fill_slab(void)
{
	set(SLAB, 0, none(), false);
	set(SLAB, 1, owned(OWNER), false);
	set(SLAB, 2, owned(TAKER), false);
	set(SLAB, 3, owned(TAKER), false);
	set(SLAB, 4, owned(ROOT), false);
	set(SLAB, 5, owned(LEAVING), false);
	set(SLAB, 6, freeing(TAKER), false);
	set(SLAB, 7, freeing(LEAVING), false);
	/* What claims clear. */
	set(SLAB, 8, freeing(GONE), true);
	set(SLAB, 9, freed(), true);
	set(SLAB, 10, none(), true);
}

/* A live root, in that entry, for a block of class 0, or a span, that ROOT has. */
static void name_block(uint32_t entry, uint32_t slot, unsigned block)
{
	struct hak_root *roots = (void *)((char *)pool.registry + HAK_REGISTRY_ROOTS_AT);
	uint64_t offset = ((uint64_t)slot << HAK_SLOT_LG) + block * SMALL;

	hak_store_relaxed(&roots[entry].ref, hak_ref_make(offset, hak_slab_epoch(*word_of(slot)),
							  hak_tag_inc(*tag_of(slot, block)) - 1));
	hak_store_relaxed(&roots[entry].place, hak_root_place(entry, 0, 1));
	hak_store_relaxed(&roots[entry].head, 1);
	hak_store_relaxed(&roots[entry].word, hak_root_pack(HAK_ROOT_LIVE, 1));
}

/* As the scan of a dead owner leaves it. */
static void make_orphan(uint32_t slot, uint32_t n, bool huge)
{
	hak_superslab_begin_collect(&pool.superslabs[slot / PER]);
	for (uint32_t i = slot; i < slot + n * PER; i++)
		if (hak_slab_state(*word_of(i)) == HAK_SLAB_UNUSED)
			hak_slab_collect(word_of(i));
		else
			hak_slab_orphan(word_of(i));
	hak_superslab_orphan(&pool.superslabs[slot / PER]);
	assert_int_equal(hak_superslab_is_huge(pool.superslabs[slot / PER]), huge);
}

static int make_healthy_pool(void **state)
{
	(void)state;
	hakt_pool_init(&pool, 64 * MIB, 21);
	hakt_pool_set_holder(&pool, OWNER, HAK_HOLDER_ATTACHED, 1);
	hakt_pool_set_holder(&pool, TAKER, HAK_HOLDER_ATTACHED, 1);
	hakt_pool_set_holder(&pool, LEAVING, HAK_HOLDER_RECLAIMING, 1);
	hakt_pool_grant(&pool, 0, 2, false, OWNER);
	hakt_pool_grant(&pool, RUN / PER, 3, true, LEAVING);
	hakt_pool_grant(&pool, SCANNED / PER, 1, false, LEAVING);
	hakt_pool_grant(&pool, WAITING / PER, 1, false, LEAVING);
	hakt_pool_grant(&pool, BLANK / PER, 1, false, OWNER);
	assert_true(hakt_pool_cut(&pool, SLAB, OWNER, 0));
	assert_true(hak_slab_set_tagged(word_of(SLAB), OWNER));
	fill_slab();
	assert_true(hakt_pool_cut(&pool, UNTAGGED, OWNER, 0));
	hakt_pool_claim(&pool, UNTAGGED, 0, 7);
	assert_true(hakt_pool_cut_span(&pool, SPAN, OWNER, 3));
	assert_true(hak_slab_set_tagged(word_of(SPAN), OWNER));
	set(SPAN, 0, owned(TAKER), false);
	assert_true(hakt_pool_cut(&pool, ORPHAN, OWNER, 0));
	assert_true(hak_slab_set_tagged(word_of(ORPHAN), OWNER));
	set(ORPHAN, 0, owned(TAKER), false);
	set(ORPHAN, 1, freeing(TAKER), false);
	set(ORPHAN, 2, freed(), true);
	make_orphan(ORPHAN, 1, false);
	assert_true(hakt_pool_cut_span(&pool, RUN, LEAVING, 3 * PER));
	assert_true(hak_slab_set_tagged(word_of(RUN), LEAVING));
	set(RUN, 0, owned(ROOT), false);
	make_orphan(RUN, 3, true);
	name_block(0, SLAB, 4);
	name_block(1, RUN, 0);
	assert_true(hakt_pool_cut(&pool, SCANNED, LEAVING, 0));
	assert_true(hak_slab_set_tagged(word_of(SCANNED), LEAVING));
	set(SCANNED, 0, freed(), false);
	hak_superslab_begin_collect(&pool.superslabs[SCANNED / PER]);
	hak_store_relaxed(&pool.superslabs[WAITING / PER],
			  hak_superslab_pack(HAK_SUPERSLAB_RECLAIMING, false, 0, 1, 1));
	return 0;
}

static int drop_pool(void **state)
{
	(void)state;
	hakt_pool_deinit(&pool);
	return 0;
}

static bool add_finding(struct hak_audit *audit, const struct hak_finding *finding)
{
	(void)audit;
	assert_true(n_findings < sizeof(findings) / sizeof(findings[0]));
	findings[n_findings++] = *finding;
	return true;
}

static struct hak_audit audit_pool(void)
{
	struct hak_audit audit = {.report = add_finding, .shares = shares};

	n_findings = 0;
	memset(shares, 0, sizeof(shares));
	hakt_pool_audit(&pool, &audit);
	assert_int_equal(hak_check_anomalies(&audit.census), n_findings);
	return audit;
}

static void check_share(const struct hak_share *share, uint64_t blocks, uint64_t bytes)
{
	assert_int_equal(share->blocks, blocks);
	assert_int_equal(share->bytes, bytes);
}

static void test_blocks_are_counted_for_their_owners_wherever_they_lie(void **state)
{
	struct hak_audit audit = audit_pool();
	uint64_t blocks = 0, bytes = 0;

	(void)state;
	assert_int_equal(n_findings, 0);
	assert_int_equal(audit.census.superslabs, 2);
	assert_int_equal(audit.census.orphans, 4);
	check_share(&shares[OWNER], 2 + 3, 5 * SMALL);
	check_share(&shares[TAKER], 3 + 1 + 2, 5 * SMALL + 3 * HAK_SLOT_BYTES);
	check_share(&shares[LEAVING], 2, 2 * SMALL);
	check_share(&shares[ROOT], 1 + 1, SMALL + 3 * PER * HAK_SLOT_BYTES);
	check_share(&audit.lost, 0, 0);
	for (unsigned i = 0; i < HAK_HOLDER_COUNT; i++) {
		blocks += shares[i].blocks;
		bytes += shares[i].bytes;
	}
	assert_int_equal(blocks, audit.census.live_blocks);
	assert_int_equal(bytes, audit.census.live_bytes);
}

/* One finding, this one, and so many lost blocks of class 0. */
static void expect(enum hak_anomaly kind, uint32_t slot, uint32_t block, uint64_t n_lost)
{
	struct hak_audit audit = audit_pool();

	if (n_findings != 1 || findings[0].kind != kind || findings[0].slot != slot ||
	    findings[0].block != block)
		fail_msg("%u findings; first: %s, slot %u, block %u", n_findings,
			 n_findings ? hak_anomaly_names[findings[0].kind] : "-", findings[0].slot,
			 findings[0].block);
	assert_int_equal(findings[0].superslab, slot / PER);
	check_share(&audit.lost, n_lost, n_lost * SMALL);
}

/* That tag and bit for a block: this is found; then it is as before. */
static void expect_planted(uint32_t slot, unsigned block, uint32_t tag, bool is_free,
			   enum hak_anomaly kind)
{
	uint32_t before = *tag_of(slot, block);
	hak_u64 *bits = &hak_segment_bits(&pool.segment, slot)[block / 64];
	uint64_t bits_before = *bits;

	set(slot, block, tag, is_free);
	expect(kind, slot, block, !is_free);
	assert_true(findings[0].word == tag);
	assert_int_equal(findings[0].block_bytes, SMALL);
	assert_false(findings[0].unless_taken);
	hak_store_relaxed(tag_of(slot, block), before);
	hak_store_relaxed(bits, bits_before);
	audit_pool();
	assert_int_equal(n_findings, 0);
}

static void test_each_tag_that_no_block_can_have_is_told(void **state)
{
	(void)state;
	for (unsigned is_free = 0; is_free < 2; is_free++) {
		expect_planted(SLAB, 70, hak_tag_pack(HAK_TAG_NONE, OWNER, 3), is_free,
			       HAK_ANOMALY_TAG);
		expect_planted(SLAB, 71, hak_tag_pack(HAK_TAG_FREED, OWNER, 3), is_free,
			       HAK_ANOMALY_TAG);
		expect_planted(SLAB, 72, owned(HAK_HOLDER_NONE), is_free, HAK_ANOMALY_TAG);
		expect_planted(SLAB, 73, freeing(HAK_HOLDER_NONE), is_free, HAK_ANOMALY_TAG);
		expect_planted(SLAB, 4095, freeing(ROOT), is_free, HAK_ANOMALY_TAG);
	}
}

static void test_a_block_whose_holder_is_not_there_is_told_as_leaked(void **state)
{
	(void)state;
	expect_planted(SLAB, 0, owned(GONE), false, HAK_ANOMALY_LEAKED);
	expect_planted(SLAB, 4095, freeing(GONE), false, HAK_ANOMALY_LEAKED);
	expect_planted(ORPHAN, 100, owned(GONE), false, HAK_ANOMALY_LEAKED);
	expect_planted(ORPHAN, 100, freeing(GONE), false, HAK_ANOMALY_LEAKED);
}

static void test_a_block_of_the_dead_that_is_not_free_is_nobodys(void **state)
{
	(void)state;
	expect_planted(SLAB, 64, freed(), false, HAK_ANOMALY_NOBODY);
	expect_planted(ORPHAN, 64, freed(), false, HAK_ANOMALY_NOBODY);
	expect_planted(ORPHAN, 64, none(), false, HAK_ANOMALY_NOBODY);
}

static void test_a_free_block_that_has_an_owner_is_told(void **state)
{
	(void)state;
	expect_planted(SLAB, 65, owned(TAKER), true, HAK_ANOMALY_HELD);
	expect_planted(SLAB, 65, owned(GONE), true, HAK_ANOMALY_HELD);
	expect_planted(ORPHAN, 65, owned(ROOT), true, HAK_ANOMALY_HELD);
}

static void test_all_leaked_blocks_of_a_slab_are_counted_and_the_first_is_told(void **state)
{
	(void)state;
	set(SLAB, 200, owned(GONE), false);
	set(SLAB, 20, freed(), false);
	set(SLAB, 3000, freeing(GONE), false);
	expect(HAK_ANOMALY_NOBODY, SLAB, 20, 3);
	assert_int_equal(shares[GONE].blocks, 0);
}

/* Tags of an untagged slab may have no memory: any access is a crash from here on. */
static void forbid_tags(uint32_t slot)
{
	assert_int_equal(mprotect(tag_of(slot, 0), HAK_CLASS_BLOCKS * sizeof(hak_u32), PROT_NONE),
			 0);
}

static void test_tags_of_an_untagged_slab_are_not_touched(void **state)
{
	(void)state;
	forbid_tags(UNTAGGED);
	audit_pool();
	assert_int_equal(n_findings, 0);
}

static void test_an_untagged_slab_of_an_orphan_has_blocks_of_nobody(void **state)
{
	(void)state;
	forbid_tags(ORPHAN + 3);
	hak_store_relaxed(word_of(ORPHAN + 3), hak_slab_pack_active(1, HAK_HOLDER_NONE, 0, 0));
	for (unsigned i = 0; i < 64; i++)
		hak_store_relaxed(&hak_segment_bits(&pool.segment, ORPHAN + 3)[i], UINT64_MAX);
	audit_pool();
	assert_int_equal(n_findings, 0); /* its last block has gone */
	hak_store_relaxed(hak_segment_bits(&pool.segment, ORPHAN + 3), UINT64_MAX - 4);
	expect(HAK_ANOMALY_NOBODY, ORPHAN + 3, 2, 1);
}

static uint64_t with_owner(uint64_t w, unsigned owner)
{
	return (w & ~(UINT64_C(0xfff) << HAK_SLAB_OWNER_SHIFT)) | (uint64_t)owner
									  << HAK_SLAB_OWNER_SHIFT;
}

/* That word of a slot: this is found; then it is as before. */
static void expect_word(uint32_t slot, uint64_t w, enum hak_anomaly kind, bool unless_taken)
{
	uint64_t before = *word_of(slot);

	hak_store_relaxed(word_of(slot), w);
	expect(kind, slot, HAK_NO_BLOCK, 0);
	assert_int_equal(findings[0].unless_taken, unless_taken);
	hak_store_relaxed(word_of(slot), before);
}

static void test_an_owner_in_an_orphan_is_told_unless_it_is_an_heir(void **state)
{
	struct hak_census census = {0};

	(void)state;
	expect_word(ORPHAN, with_owner(*word_of(ORPHAN), OWNER), HAK_ANOMALY_OWNER, true);
	expect_word(ORPHAN + 9, with_owner(*word_of(ORPHAN + 9), OWNER), HAK_ANOMALY_OWNER, true);
	expect_word(RUN + 40, with_owner(*word_of(RUN + 40), OWNER), HAK_ANOMALY_OWNER, true);
	/* While it is inherited all its words may be: one is told, and none where none is asked. */
	for (uint32_t i = 0; i < PER; i++)
		hak_slab_inherit(word_of(ORPHAN + i), TAKER);
	expect(HAK_ANOMALY_OWNER, ORPHAN, HAK_NO_BLOCK, 0);
	hak_check_pool(&pool.segment, HAK_HOLDER_NONE, &census);
	assert_int_equal(hak_check_anomalies(&census), 0);
}

static void test_a_slab_of_nobody_in_what_is_granted_is_told(void **state)
{
	(void)state;
	expect_word(SLAB, with_owner(*word_of(SLAB), HAK_HOLDER_NONE), HAK_ANOMALY_OWNER, false);
	expect_word(SPAN + 1, with_owner(*word_of(SPAN + 1), 0), HAK_ANOMALY_OWNER, false);
	expect_word(BLANK + 1, with_owner(*word_of(BLANK + 1), 0), HAK_ANOMALY_OWNER, false);
}

static void test_a_thread_that_claims_a_slab_of_an_orphan_is_told(void **state)
{
	(void)state;
	expect_word(ORPHAN, *word_of(ORPHAN) | UINT64_C(7) << HAK_SLAB_THREAD_SHIFT,
		    HAK_ANOMALY_STATE, false);
}

static void test_an_orphan_with_an_owner_in_the_registry_is_told(void **state)
{
	(void)state;
	hak_store_relaxed(&pool.superslabs[BLANK / PER],
			  hak_superslab_pack(HAK_SUPERSLAB_ORPHAN, false, OWNER, 1, 1));
	audit_pool();
	assert_int_equal(n_findings, 1);
	assert_int_equal(findings[0].kind, HAK_ANOMALY_RUN);
	assert_int_equal(findings[0].superslab, BLANK / PER);
}

/* A run that becomes an orphan, or waits: its bodies are nobody's before its head is. */
static void test_bodies_that_are_nobodys_before_their_head_are_right_in_a_reclaim(void **state)
{
	(void)state;
	hak_store_relaxed(&pool.superslabs[RUN / PER],
			  hak_superslab_pack(HAK_SUPERSLAB_RECLAIMING, true, LEAVING, 3, 1));
	audit_pool();
	assert_int_equal(n_findings, 0);
	hak_store_relaxed(&pool.superslabs[RUN / PER],
			  hak_superslab_pack(HAK_SUPERSLAB_RECLAIMING, true, OWNER, 3, 1));
	hak_store_relaxed(&pool.superslabs[RUN / PER + 1],
			  hak_superslab_pack(HAK_SUPERSLAB_BODY, true, TAKER, 1, 1));
	audit_pool();
	assert_int_equal(n_findings, 1);
	assert_int_equal(findings[0].kind, HAK_ANOMALY_RUN);
}

static void test_of_a_lost_superslab_taken_blocks_are_their_takers(void **state)
{
	struct hak_audit audit;

	(void)state;
	hakt_pool_set_holder(&pool, OWNER, HAK_HOLDER_FREE, 1);
	set(SLAB, 1, none(), false); /* not OWNER's by its tag */
	audit = audit_pool();
	assert_int_equal(n_findings, 2); /* two SuperSlabs */
	assert_int_equal(findings[0].kind, HAK_ANOMALY_HOLDER);
	assert_int_equal(shares[OWNER].blocks, 0);
	assert_int_equal(shares[TAKER].blocks, 6);
	check_share(&audit.lost, 2 + 3, 5 * SMALL);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test_setup_teardown(test_blocks_are_counted_for_their_owners_wherever_they_lie,
					make_healthy_pool, drop_pool),
	cmocka_unit_test_setup_teardown(test_each_tag_that_no_block_can_have_is_told,
					make_healthy_pool, drop_pool),
	cmocka_unit_test_setup_teardown(test_a_block_whose_holder_is_not_there_is_told_as_leaked,
					make_healthy_pool, drop_pool),
	cmocka_unit_test_setup_teardown(test_a_block_of_the_dead_that_is_not_free_is_nobodys,
					make_healthy_pool, drop_pool),
	cmocka_unit_test_setup_teardown(test_a_free_block_that_has_an_owner_is_told,
					make_healthy_pool, drop_pool),
	cmocka_unit_test_setup_teardown(
		test_all_leaked_blocks_of_a_slab_are_counted_and_the_first_is_told,
		make_healthy_pool, drop_pool),
	cmocka_unit_test_setup_teardown(test_an_untagged_slab_of_an_orphan_has_blocks_of_nobody,
					make_healthy_pool, drop_pool),
	cmocka_unit_test_setup_teardown(test_tags_of_an_untagged_slab_are_not_touched,
					make_healthy_pool, drop_pool),
	cmocka_unit_test_setup_teardown(test_an_owner_in_an_orphan_is_told_unless_it_is_an_heir,
					make_healthy_pool, drop_pool),
	cmocka_unit_test_setup_teardown(test_a_slab_of_nobody_in_what_is_granted_is_told,
					make_healthy_pool, drop_pool),
	cmocka_unit_test_setup_teardown(test_a_thread_that_claims_a_slab_of_an_orphan_is_told,
					make_healthy_pool, drop_pool),
	cmocka_unit_test_setup_teardown(test_an_orphan_with_an_owner_in_the_registry_is_told,
					make_healthy_pool, drop_pool),
	cmocka_unit_test_setup_teardown(
		test_bodies_that_are_nobodys_before_their_head_are_right_in_a_reclaim,
		make_healthy_pool, drop_pool),
	cmocka_unit_test_setup_teardown(test_of_a_lost_superslab_taken_blocks_are_their_takers,
					make_healthy_pool, drop_pool),
};

HAKT_MAIN(tests, NULL, NULL)
