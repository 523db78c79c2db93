/* SPDX-License-Identifier: MIT */
/*
 * Scans for the dead, row by row, over slabs in every state; and stopped at every
 * instruction, in stepped_scan_test.c.
 */
#include "tests/support/run.h"

#include "proto/shm/scan.h"
#include "tests/support/pool.h"

#define DEAD  7u /* X of docs/recovery.md */
#define OTHER 8u
#define HEIR  9u
#define PER   32u /* slots a SuperSlab */
#define SLAB  0u  /* slot of the slab of blocks of 16 bytes */
#define INC   5u

enum { CLASS_16 = 0, CLASS_WIDE = 67 }; /* the latter takes 8 slots */

static struct hakt_pool pool;
static struct hak_scan found;

static int prepare(void **state)
{
	(void)state;
	hakt_pool_init(&pool, UINT64_C(64) << 20, 21);
	hakt_pool_grant(&pool, 0, 1, false, DEAD);
	found = (struct hak_scan){.n_freed = 0};
	return 0;
}

static int clean_up(void **state)
{
	(void)state;
	hakt_pool_deinit(&pool);
	return 0;
}

static uint64_t word(uint32_t slot)
{
	return hak_slab_load(&pool.segment.slab_words[slot]);
}

static bool is_free(uint32_t slot, unsigned block)
{
	return ~hak_slab_taken_bits(&hak_segment_bits(&pool.segment, slot)[block / 64]) >>
		       block % 64 &
	       1;
}

static hak_u32 *tag(uint32_t slot, unsigned block)
{
	return &hak_segment_tags(&pool.segment, slot)[block];
}

static void set_tagged(uint32_t slot, unsigned owner)
{
	assert_true(hak_slab_set_tagged(&pool.segment.slab_words[slot], owner));
}

/* A tagged slab of owner of which blocks 0 to n - 1 are taken. */
static void cut(uint32_t slot, unsigned owner, unsigned cls, unsigned n)
{
	assert_true(hakt_pool_cut(&pool, slot, owner, cls));
	for (unsigned i = 0; i < n; i++)
		assert_int_not_equal(hakt_pool_claim(&pool, slot, i / 64, UINT64_C(1) << i % 64),
				     0);
	set_tagged(slot, owner);
}

static void hold(uint32_t slot, unsigned block, unsigned holder)
{
	hak_store_relaxed(tag(slot, block), hak_tag_pack(HAK_TAG_OWNED, holder, INC));
}

static bool scan_own(void)
{
	return hak_scan_own(&pool.segment, 0, PER, DEAD, &found);
}

static void scan_held(bool were_killed)
{
	struct hak_holder_set dead = {.words = {0}};

	hak_holder_set_add(&dead, DEAD);
	hak_scan_held(&pool.segment, 0, PER, &dead, were_killed, &found);
}

static bool is_collected(uint32_t slot)
{
	uint64_t w = word(slot);

	return hak_slab_state(w) == HAK_SLAB_UNUSED && hak_slab_owner(w) == HAK_HOLDER_NONE;
}

/* What a block is before a scan, and what it is to be afterwards. */
struct row {
	bool is_free;
	enum hak_tag_state state;
	unsigned holder;
	bool is_free_then;
	enum hak_tag_state state_then;
	unsigned holder_then;
};

static void make_rows(const struct row *rows, unsigned n, unsigned owner)
{
	cut(SLAB, owner, CLASS_16, n);
	for (unsigned i = 0; i < n; i++) {
		hak_store_relaxed(tag(SLAB, i), hak_tag_pack(rows[i].state, rows[i].holder, INC));
		if (rows[i].is_free)
			hak_slab_free(hak_segment_bits(&pool.segment, SLAB), UINT64_C(1) << i);
	}
}

static void check_rows(const struct row *rows, unsigned n)
{
	uint64_t n_freed = 0;

	for (unsigned i = 0; i < n; i++) {
		uint32_t t = hak_tag_load(tag(SLAB, i));

		if (is_free(SLAB, i) != rows[i].is_free_then ||
		    t != hak_tag_pack(rows[i].state_then, rows[i].holder_then, INC))
			fail_msg("row %u: bit %d, tag %08x", i, is_free(SLAB, i), t);
		n_freed += rows[i].is_free_then && !rows[i].is_free;
	}
	assert_int_equal(found.n_freed, n_freed);
}

static void test_a_dead_owners_blocks_are_freed_unless_others_hold_them(void **state)
{
	static const struct row rows[] = {
		{0, HAK_TAG_NONE, 0, 1, HAK_TAG_FREED, 0},
		{0, HAK_TAG_OWNED, DEAD, 1, HAK_TAG_FREED, 0},
		{0, HAK_TAG_OWNED, OTHER, 0, HAK_TAG_OWNED, OTHER},
		{0, HAK_TAG_OWNED, HAK_HOLDER_ROOT, 0, HAK_TAG_OWNED, HAK_HOLDER_ROOT},
		{0, HAK_TAG_FREEING, DEAD, 1, HAK_TAG_FREEING, DEAD},
		{0, HAK_TAG_FREEING, OTHER, 0, HAK_TAG_FREEING, OTHER},
		{0, HAK_TAG_FREED, 0, 1, HAK_TAG_FREED, 0},
		{1, HAK_TAG_NONE, 0, 1, HAK_TAG_NONE, 0},
		{1, HAK_TAG_OWNED, DEAD, 1, HAK_TAG_OWNED, DEAD},
		{1, HAK_TAG_FREEING, OTHER, 1, HAK_TAG_FREEING, OTHER},
		{1, HAK_TAG_FREED, 0, 1, HAK_TAG_FREED, 0},
	};
	const unsigned n = sizeof(rows) / sizeof(rows[0]);

	(void)state;
	make_rows(rows, n, DEAD);
	assert_true(scan_own());
	check_rows(rows, n);
	assert_int_equal(found.n_survived, 3);
	assert_true(scan_own()); /* they survive a second look too */
	check_rows(rows, n);
}

static void test_what_the_dead_held_is_freed_in_others_slabs(void **state)
{
	static const struct row rows[] = {
		{0, HAK_TAG_NONE, 0, 0, HAK_TAG_NONE, 0},
		{0, HAK_TAG_OWNED, DEAD, 1, HAK_TAG_FREEING, DEAD},
		{0, HAK_TAG_OWNED, OTHER, 0, HAK_TAG_OWNED, OTHER},
		{0, HAK_TAG_OWNED, HAK_HOLDER_ROOT, 0, HAK_TAG_OWNED, HAK_HOLDER_ROOT},
		{0, HAK_TAG_FREEING, DEAD, 1, HAK_TAG_FREEING, DEAD},
		{0, HAK_TAG_FREEING, OTHER, 0, HAK_TAG_FREEING, OTHER},
		{0, HAK_TAG_FREED, 0, 0, HAK_TAG_FREED, 0},
		{1, HAK_TAG_OWNED, DEAD, 1, HAK_TAG_OWNED, DEAD},
		{1, HAK_TAG_FREEING, DEAD, 1, HAK_TAG_FREEING, DEAD},
	};
	const unsigned n = sizeof(rows) / sizeof(rows[0]);

	(void)state;
	hakt_pool_collect(&pool, 0);
	hakt_pool_grant(&pool, 0, 1, false, OTHER);
	make_rows(rows, n, OTHER);
	scan_held(false);
	check_rows(rows, n);
	scan_held(false);
	check_rows(rows, n);
}

static void test_blocks_behind_the_first_word_of_bits_are_scanned(void **state)
{
	(void)state;
	cut(SLAB, DEAD, CLASS_16, HAK_CLASS_BLOCKS);
	hold(SLAB, HAK_CLASS_BLOCKS - 1, OTHER);
	assert_true(scan_own());
	assert_int_equal(found.n_survived, 1);
	assert_int_equal(found.n_freed, HAK_CLASS_BLOCKS - 1);
	assert_false(is_free(SLAB, HAK_CLASS_BLOCKS - 1));
	assert_true(is_free(SLAB, HAK_CLASS_BLOCKS - 2));
	hold(SLAB, HAK_CLASS_BLOCKS - 1, DEAD);
	scan_held(false);
	assert_true(is_free(SLAB, HAK_CLASS_BLOCKS - 1));
}

static void test_an_untagged_slab_goes_whole(void **state)
{
	(void)state;
	assert_true(hakt_pool_cut(&pool, SLAB, DEAD, CLASS_16));
	assert_int_equal(hakt_pool_claim(&pool, SLAB, 0, 1), 1);
	hold(SLAB, 0, OTHER); /* what lies there isn't looked at */
	assert_false(scan_own());
	for (uint32_t i = 0; i < PER; i++)
		assert_true(is_collected(i));
	assert_int_equal(found.n_freed + found.n_survived, 0);
}

static void test_a_tagged_slab_without_survivors_goes_and_keeps_its_tags(void **state)
{
	(void)state;
	cut(SLAB, DEAD, CLASS_WIDE, 3);
	assert_false(scan_own());
	for (uint32_t i = 0; i < PER; i++)
		assert_true(is_collected(i));
	assert_true(word(SLAB) & HAK_SLAB_TAGGED);
	assert_int_equal(found.n_freed, 3);
}

static void test_a_slab_with_survivors_is_an_orphan_and_all_else_goes(void **state)
{
	uint32_t length = hak_classes[CLASS_WIDE].n_slots;
	uint64_t w;

	(void)state;
	cut(0, DEAD, CLASS_WIDE, 3);
	cut(length, DEAD, CLASS_16, 3);
	hold(0, 1, OTHER);
	w = word(0);
	assert_true(scan_own());
	assert_int_equal(hak_slab_state(word(0)), HAK_SLAB_ACTIVE);
	assert_int_equal(hak_slab_class(word(0)), CLASS_WIDE);
	assert_int_equal(hak_slab_owner(word(0)), HAK_HOLDER_NONE);
	assert_int_equal(hak_slab_thread(word(0)), 0);
	assert_int_equal(hak_slab_epoch(word(0)), hak_slab_epoch(w));
	assert_true(word(0) & HAK_SLAB_TAGGED);
	for (uint32_t i = 1; i < length; i++) {
		assert_int_equal(hak_slab_state(word(i)), HAK_SLAB_BODY);
		assert_int_equal(hak_slab_arg(word(i)), i);
		assert_int_equal(hak_slab_owner(word(i)), HAK_HOLDER_NONE);
	}
	for (uint32_t i = length; i < PER; i++)
		assert_true(is_collected(i));
	assert_int_equal(found.n_survived, 1);
}

static void test_a_span_that_another_holds_survives(void **state)
{
	(void)state;
	assert_true(hakt_pool_cut_span(&pool, 3, DEAD, 5));
	set_tagged(3, DEAD);
	hold(3, 0, OTHER);
	assert_true(hakt_pool_cut_span(&pool, 8, DEAD, 2));
	set_tagged(8, DEAD);
	assert_true(scan_own());
	assert_int_equal(hak_slab_state(word(3)), HAK_SLAB_SPAN);
	assert_int_equal(hak_slab_arg(word(3)), 5);
	assert_int_equal(hak_slab_owner(word(3)), HAK_HOLDER_NONE);
	assert_int_equal(hak_slab_state(word(7)), HAK_SLAB_BODY);
	assert_true(is_collected(8) && is_collected(9));
}

static void set_word(uint32_t slot, uint64_t w)
{
	hak_store_relaxed(&pool.segment.slab_words[slot], w | HAK_SLAB_TAGGED);
}

static void test_words_that_cannot_be_are_collected(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < PER; i++) {
		switch (i % 8) {
		case 0:
			set_word(i, hak_slab_pack_active(1, DEAD, HAK_CLASS_COUNT, 1));
			break;
		case 1: /* longer than what was granted */
			set_word(i, hak_slab_pack(HAK_SLAB_SPAN, 1, DEAD, PER - i + 1));
			break;
		case 2:
			set_word(i, hak_slab_pack(HAK_SLAB_SPAN, 1, DEAD, 0));
			break;
		case 3:
			set_word(i, hak_slab_pack(HAK_SLAB_SPAN, 1, DEAD, HAK_SLAB_ARG_MAX));
			break;
		case 4:
			set_word(i, UINT64_MAX);
			break;
		case 5: /* the next slot is no body */
			set_word(i, hak_slab_pack(HAK_SLAB_SPAN, 1, DEAD, 2));
			break;
		case 6: /* somebody else's */
			set_word(i, hak_slab_pack_active(1, OTHER, CLASS_16, 1));
			break;
		default:
			set_word(i, hak_slab_pack(HAK_SLAB_BODY, 1, DEAD, 1000));
		}
		hold(i, 0, OTHER);
	}
	scan_held(true);
	assert_int_equal(found.n_freed, 0);
	assert_false(scan_own());
	for (uint32_t i = 0; i < PER; i++)
		assert_true(is_collected(i));
}

static void test_a_span_that_reaches_into_the_next_superslab_is_none(void **state)
{
	uint64_t body = hak_slab_pack(HAK_SLAB_BODY, 1, DEAD, 1);

	(void)state;
	set_word(PER - 1, hak_slab_pack(HAK_SLAB_SPAN, 1, DEAD, 2));
	hold(PER - 1, 0, OTHER);
	set_word(PER, body);
	assert_false(scan_own());
	assert_true(is_collected(PER - 1));
	assert_int_equal(word(PER), body | HAK_SLAB_TAGGED);
}

static uint32_t hints(void)
{
	return hak_load_relaxed(&pool.segment.pending[0]);
}

static void test_where_a_scan_freed_there_is_a_hint(void **state)
{
	(void)state;
	cut(3, DEAD, CLASS_16, 1);
	cut(4, DEAD, CLASS_16, 1);
	assert_true(hakt_pool_cut_span(&pool, 5, DEAD, 2));
	hold(4, 0, DEAD);
	scan_held(false);
	assert_int_equal(hints(), 1u << 4);
	/* A process that was killed may have freed anywhere, and raised none. */
	scan_held(true);
	assert_int_equal(hints(), 1u << 3 | 1u << 4 | 1u << 5);
}

static void test_tags_of_an_untagged_slab_are_not_looked_at(void **state)
{
	(void)state;
	assert_true(hakt_pool_cut(&pool, SLAB, DEAD, CLASS_16));
	assert_int_equal(hakt_pool_claim(&pool, SLAB, 0, 1), 1);
	hold(SLAB, 0, DEAD);
	scan_held(true);
	assert_int_equal(found.n_freed, 0);
	assert_false(is_free(SLAB, 0));
}

/* Three orphans: a slab of two blocks, a wide one of one, a span. */
static void make_orphans(void)
{
	cut(0, DEAD, CLASS_16, 2);
	cut(1, DEAD, CLASS_WIDE, 1);
	assert_true(hakt_pool_cut_span(&pool, 20, DEAD, 3));
	set_tagged(20, DEAD);
	hold(0, 0, OTHER);
	hold(0, 1, OTHER);
	hold(1, 0, OTHER);
	hold(20, 0, OTHER);
	assert_true(scan_own());
	found = (struct hak_scan){.n_freed = 0};
}

static void free_block(uint32_t slot, unsigned block)
{
	assert_true(hak_tag_free_held(tag(slot, block), OTHER));
	assert_int_equal(hak_slab_free(hak_segment_bits(&pool.segment, slot), UINT64_C(1) << block),
			 0);
	hak_segment_raise_pending(&pool.segment, slot);
}

static void test_an_orphan_goes_with_its_last_block(void **state)
{
	uint32_t length = hak_classes[CLASS_WIDE].n_slots;

	(void)state;
	make_orphans();
	hak_scan_orphan(&pool.segment, 0, PER, &found);
	assert_int_equal(found.n_heads, 3);
	assert_int_equal(found.n_vacant, PER - 1 - length - 3);
	assert_false(found.has_changed);

	free_block(0, 0);
	free_block(1, 0);
	found = (struct hak_scan){.n_freed = 0};
	hak_scan_orphan(&pool.segment, 0, PER, &found);
	assert_int_equal(hints(), 0);
	assert_int_equal(found.n_heads, 2);
	assert_int_equal(found.n_vacant, PER - 1 - 3);
	assert_true(found.has_changed);
	for (uint32_t i = 1; i <= length; i++)
		assert_true(is_collected(i));
	assert_int_equal(hak_slab_state(word(0)), HAK_SLAB_ACTIVE);

	free_block(0, 1);
	free_block(20, 0);
	found = (struct hak_scan){.n_freed = 0};
	hak_scan_orphan(&pool.segment, 0, PER, &found);
	assert_int_equal(found.n_heads, 0);
	assert_int_equal(found.n_vacant, PER);
	for (uint32_t i = 0; i < PER; i++)
		assert_true(is_collected(i));
}

static void test_an_heir_gets_slabs_as_they_are_and_all_other_slots_unused(void **state)
{
	uint64_t before[PER];

	(void)state;
	make_orphans();
	free_block(1, 0);
	hak_scan_orphan(&pool.segment, 0, PER, &found);
	for (uint32_t i = 0; i < PER; i++)
		before[i] = word(i);
	hak_scan_inherit(&pool.segment, 0, PER, HEIR);
	for (uint32_t i = 0; i < PER; i++) {
		bool is_slab = i == 0 || (i >= 20 && i < 23);

		assert_int_equal(hak_slab_owner(word(i)), HEIR);
		assert_int_equal(hak_slab_state(word(i)), hak_slab_state(before[i]));
		assert_int_equal(hak_slab_arg(word(i)), hak_slab_arg(before[i]));
		assert_int_equal(word(i) & HAK_SLAB_TAGGED, before[i] & HAK_SLAB_TAGGED);
		assert_int_equal(hak_slab_epoch(word(i)), hak_slab_epoch(before[i]) + !is_slab);
	}
	assert_int_equal(hak_slab_state(word(1)), HAK_SLAB_UNUSED); /* and TAGGED */
	assert_int_equal(hak_slab_thread(word(0)), 0);
}

static void test_an_heir_that_got_it_in_part_gets_the_rest(void **state)
{
	hak_u64 *words = pool.segment.slab_words;
	uint64_t before[PER];

	(void)state;
	for (uint32_t k = 0; k <= PER; k++) {
		clean_up(state);
		prepare(state);
		words = pool.segment.slab_words;
		make_orphans();
		hak_scan_orphan(&pool.segment, 0, PER, &found);
		for (uint32_t i = k; i < PER; i++)
			before[i] = word(i);
		hak_scan_inherit(&pool.segment, 0, PER, HEIR);
		for (uint32_t i = k; i < PER; i++) /* the daemon died before these */
			hak_store_relaxed(&words[i], before[i]);
		if (k > 0) /* by what it says it is the heir's, who is at work there */
			assert_true(hak_slab_pass(&words[0], HEIR, 0, 9));
		for (uint32_t i = 0; i < k; i++)
			before[i] = word(i);
		hak_scan_inherit(&pool.segment, 0, PER, HEIR);
		for (uint32_t i = 0; i < PER; i++) {
			assert_int_equal(hak_slab_owner(word(i)), HEIR);
			assert_true(i >= k || word(i) == before[i]);
			assert_int_equal(hak_slab_state(word(i)), hak_slab_state(before[i]));
		}
	}
}

static void test_an_heir_that_dies_leaves_what_others_hold(void **state)
{
	(void)state;
	make_orphans();
	hak_scan_inherit(&pool.segment, 0, PER, HEIR);
	hold(0, 1, HEIR);
	assert_true(hak_scan_own(&pool.segment, 0, PER, HEIR, &found));
	assert_int_equal(found.n_survived, 3);
	assert_int_equal(found.n_freed, 1);
	assert_true(is_free(0, 1));
	assert_false(is_free(0, 0));
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test_setup_teardown(test_a_dead_owners_blocks_are_freed_unless_others_hold_them,
					prepare, clean_up),
	cmocka_unit_test_setup_teardown(test_what_the_dead_held_is_freed_in_others_slabs, prepare,
					clean_up),
	cmocka_unit_test_setup_teardown(test_blocks_behind_the_first_word_of_bits_are_scanned,
					prepare, clean_up),
	cmocka_unit_test_setup_teardown(test_an_untagged_slab_goes_whole, prepare, clean_up),
	cmocka_unit_test_setup_teardown(
		test_a_tagged_slab_without_survivors_goes_and_keeps_its_tags, prepare, clean_up),
	cmocka_unit_test_setup_teardown(test_a_slab_with_survivors_is_an_orphan_and_all_else_goes,
					prepare, clean_up),
	cmocka_unit_test_setup_teardown(test_a_span_that_another_holds_survives, prepare, clean_up),
	cmocka_unit_test_setup_teardown(test_words_that_cannot_be_are_collected, prepare, clean_up),
	cmocka_unit_test_setup_teardown(test_a_span_that_reaches_into_the_next_superslab_is_none,
					prepare, clean_up),
	cmocka_unit_test_setup_teardown(test_where_a_scan_freed_there_is_a_hint, prepare, clean_up),
	cmocka_unit_test_setup_teardown(test_tags_of_an_untagged_slab_are_not_looked_at, prepare,
					clean_up),
	cmocka_unit_test_setup_teardown(test_an_orphan_goes_with_its_last_block, prepare, clean_up),
	cmocka_unit_test_setup_teardown(
		test_an_heir_gets_slabs_as_they_are_and_all_other_slots_unused, prepare, clean_up),
	cmocka_unit_test_setup_teardown(test_an_heir_that_got_it_in_part_gets_the_rest, prepare,
					clean_up),
	cmocka_unit_test_setup_teardown(test_an_heir_that_dies_leaves_what_others_hold, prepare,
					clean_up),
};

HAKT_MAIN(tests, NULL, NULL)
