/* SPDX-License-Identifier: MIT */
/* The transitions of the slab word, its free bits, and the tags that claims clear. */
#include "tests/support/run.h"

#include <sys/mman.h>

#include "proto/shm/holders.h"
#include "proto/shm/slab.h"

#define OWNER  7u
#define THREAD 3u

struct run {
	hak_u64 words[HAK_RUN_SLOTS];
	hak_u64 bits[HAK_SLAB_BITS_WORDS];
	hak_u32 tags[HAK_CLASS_BLOCKS];
};

static void grant(struct run *run)
{
	*run = (struct run){0};
	for (unsigned i = 0; i < HAK_RUN_SLOTS; i++)
		hak_slab_grant(&run->words[i], OWNER, true);
}

static void test_a_cut_slab_has_all_its_blocks_free(void **state)
{
	(void)state;
	for (unsigned cls = 0; cls < HAK_CLASS_COUNT; cls++) {
		struct run run;

		grant(&run);
		assert_true(hak_slab_cut(run.words, run.bits, OWNER, cls, THREAD));
		uint64_t w = hak_slab_load(run.words);
		assert_int_equal(hak_slab_state(w), HAK_SLAB_ACTIVE);
		assert_int_equal(hak_slab_class(w), cls);
		assert_true(hak_slab_is_mine(w, hak_slab_mine(OWNER, THREAD)));
		assert_int_equal(hak_slab_thread(w), THREAD);
		assert_true(hak_slab_is_empty(run.bits, hak_classes[cls].n_blocks));
		for (unsigned i = 1; i < HAK_RUN_SLOTS; i++) {
			enum hak_slab_state wanted = i < hak_classes[cls].n_slots ? HAK_SLAB_BODY
										  : HAK_SLAB_UNUSED;

			assert_int_equal(hak_slab_state(hak_slab_load(&run.words[i])), wanted);
		}
	}
}

static void test_a_block_is_claimed_once_and_freed_once(void **state)
{
	struct run run;

	(void)state;
	grant(&run);
	assert_true(hak_slab_cut(run.words, run.bits, OWNER, 0, THREAD));
	assert_int_equal(hak_slab_claim(run.words, &run.bits[0], run.tags, 6), 6);
	assert_int_equal(hak_slab_claim(run.words, &run.bits[0], run.tags, 7), 1);
	assert_int_equal(hak_slab_free(&run.bits[0], 2), 0);
	assert_int_equal(hak_slab_free(&run.bits[0], 6), 2); /* the second free is told */
	assert_int_equal(hak_slab_claim(run.words, &run.bits[0], run.tags, 7), 6);
}

static void test_only_an_empty_slab_is_retired(void **state)
{
	struct run run;

	(void)state;
	grant(&run);
	assert_true(hak_slab_cut(run.words, run.bits, OWNER, 0, THREAD));
	assert_int_equal(hak_slab_claim(run.words, &run.bits[3], run.tags, 1), 1);
	assert_false(hak_slab_retire(run.words, run.bits, run.tags, OWNER, THREAD));
	assert_int_equal(hak_slab_claim(run.words, &run.bits[2], run.tags, UINT64_MAX),
			 UINT64_MAX); /* undone */
	assert_int_equal(hak_slab_free(&run.bits[2], UINT64_MAX), 0);
	assert_int_equal(hak_slab_free(&run.bits[3], 1), 0);
	assert_false(hak_slab_retire(run.words, run.bits, run.tags, OWNER, THREAD + 1));
	assert_true(hak_slab_retire(run.words, run.bits, run.tags, OWNER, THREAD));
	assert_int_equal(hak_slab_state(hak_slab_load(run.words)), HAK_SLAB_UNUSED);
}

static void test_a_cut_over_used_slots_changes_nothing(void **state)
{
	struct run run;

	(void)state;
	grant(&run);
	assert_true(hak_slab_cut(&run.words[2], run.bits, OWNER, 0, THREAD));
	assert_false(hak_slab_cut_span(run.words, run.bits, run.tags, OWNER, 4));
	assert_int_equal(hak_slab_state(hak_slab_load(&run.words[0])), HAK_SLAB_UNUSED);
	assert_int_equal(hak_slab_state(hak_slab_load(&run.words[2])), HAK_SLAB_ACTIVE);
	assert_false(hak_slab_cut(run.words, run.bits, OWNER + 1, 0, THREAD));
	assert_true(hak_slab_cut_span(run.words, run.bits, run.tags, OWNER,
				      2)); /* over bodies of nothing */
}

static void test_a_span_that_its_word_cannot_hold_is_not_cut(void **state)
{
	const uint32_t n = HAK_SLAB_ARG_MAX + 1;    /* the slots of a pool of 1 TiB */
	hak_u64 *words = calloc(n, sizeof(*words)); /* UNUSED, of owner 0 */
	hak_u64 bits = 0;
	hak_u32 tag = 0;

	(void)state;
	assert_non_null(words);
	assert_false(hak_slab_cut_span(words, &bits, &tag, 0, n));
	assert_false(hak_slab_cut_span(words, &bits, &tag, 0, 0));
	assert_int_equal(words[0], 0);
	assert_int_equal(words[1], 0);
	free(words);
}

static void test_every_transition_but_a_cut_keeps_tagged_and_epoch(void **state)
{
	struct run run;

	(void)state;
	grant(&run);
	assert_true(hak_slab_cut(run.words, run.bits, OWNER, 0, THREAD));
	assert_true(hak_slab_set_tagged(run.words, OWNER));
	uint64_t epoch = hak_slab_epoch(hak_slab_load(run.words));
	assert_true(hak_slab_pass(run.words, OWNER, THREAD, 0));
	assert_false(hak_slab_pass(run.words, OWNER, THREAD, 9));
	assert_true(hak_slab_pass(run.words, OWNER, 0, 9));
	assert_true(hak_slab_retire(run.words, run.bits, run.tags, OWNER, 9));
	assert_true(hak_slab_load(run.words) & HAK_SLAB_TAGGED);
	assert_int_equal(hak_slab_epoch(hak_slab_load(run.words)), epoch);
}

static void test_an_epoch_is_never_0(void **state)
{
	hak_u64 word = 0;

	(void)state;
	for (unsigned i = 0; i < 3 * HAK_REF_EPOCH_MAX; i++) {
		hak_slab_grant(&word, OWNER, true);
		assert_int_not_equal(hak_slab_epoch(hak_slab_load(&word)), 0);
		hak_slab_collect(&word);
		assert_int_equal(hak_slab_owner(hak_slab_load(&word)), 0);
	}
}

#define FREEING_3 hak_tag_pack(HAK_TAG_FREEING, OWNER + 1, 3)

static void test_a_claim_in_a_tagged_slab_clears_the_tags_of_what_it_claims(void **state)
{
	struct run run;

	(void)state;
	grant(&run);
	assert_true(hak_slab_cut(run.words, run.bits, OWNER, 0, THREAD));
	assert_true(hak_slab_set_tagged(run.words, OWNER));
	assert_int_equal(hak_slab_claim(run.words, &run.bits[0], run.tags, 1), 1);
	for (unsigned i = 0; i < 4; i++)
		run.tags[i] = FREEING_3;
	/* Of these block 0 isn't free, block 3 not asked for. */
	assert_int_equal(hak_slab_claim(run.words, &run.bits[0], run.tags, 7), 6);
	assert_true(run.tags[0] == FREEING_3);
	assert_true(run.tags[1] == hak_tag_pack(HAK_TAG_NONE, 0, 4));
	assert_true(run.tags[2] == hak_tag_pack(HAK_TAG_NONE, 0, 4));
	assert_true(run.tags[3] == FREEING_3);
}

static void test_a_claim_in_an_untagged_slab_does_not_look_at_tags(void **state)
{
	hak_u32 *tags = mmap(NULL, HAK_CLASS_BLOCKS * sizeof(*tags), PROT_NONE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct run run;

	(void)state;
	assert_true(tags != MAP_FAILED);
	grant(&run);
	assert_true(hak_slab_cut(run.words, run.bits, OWNER, 0, THREAD));
	/* They may have no memory: any access is a crash here. */
	assert_true(hak_slab_claim(run.words, &run.bits[0], tags, UINT64_MAX) == UINT64_MAX);
	hak_slab_free(&run.bits[0], UINT64_MAX);
	assert_true(hak_slab_retire(run.words, run.bits, tags, OWNER, THREAD));
	assert_true(hak_slab_cut_span(run.words, run.bits, tags, OWNER, 2));
	assert_int_equal(munmap(tags, HAK_CLASS_BLOCKS * sizeof(*tags)), 0);
}

static void test_a_retired_slab_has_no_tag_left(void **state)
{
	unsigned n = hak_classes[0].n_blocks;
	struct run run;

	(void)state;
	grant(&run);
	assert_true(hak_slab_cut(run.words, run.bits, OWNER, 0, THREAD));
	assert_true(hak_slab_set_tagged(run.words, OWNER));
	for (unsigned i = 0; i < n; i++)
		run.tags[i] = i % 2 ? FREEING_3 : hak_tag_pack(HAK_TAG_FREED, 0, 3);
	assert_true(hak_slab_retire(run.words, run.bits, run.tags, OWNER, THREAD));
	for (unsigned i = 0; i < n; i++)
		assert_true(run.tags[i] == hak_tag_pack(HAK_TAG_NONE, 0, 4));
}

static void test_a_span_is_cut_and_retired_with_a_cleared_tag(void **state)
{
	struct run run;

	(void)state;
	grant(&run);
	assert_true(hak_slab_cut_span(run.words, run.bits, run.tags, OWNER, 3));
	assert_true(hak_slab_set_tagged(run.words, OWNER));
	run.tags[0] = FREEING_3;
	hak_slab_free(run.bits, 1);
	assert_true(hak_slab_retire_span(run.words, run.bits, run.tags, OWNER));
	assert_true(run.tags[0] == hak_tag_pack(HAK_TAG_NONE, 0, 4));
	run.tags[0] = hak_tag_pack(HAK_TAG_FREED, 0, 4); /* left by a scan of another owner's */
	assert_true(hak_slab_cut_span(run.words, run.bits, run.tags, OWNER, 2));
	assert_true(run.tags[0] == hak_tag_pack(HAK_TAG_NONE, 0, 5));
	assert_int_equal(run.bits[0], 0);
}

static void set_epoch(hak_u64 *word, unsigned epoch, uint64_t flags)
{
	*word = hak_slab_pack(HAK_SLAB_UNUSED, epoch, OWNER, 0) | flags;
}

static unsigned epoch_of(const struct run *run, unsigned slot)
{
	return hak_slab_epoch(run->words[slot]);
}

/* The class with slabs of so many slots. */
static unsigned class_of_slots(unsigned n_slots)
{
	unsigned cls = 0;

	while (hak_classes[cls].n_slots != n_slots)
		assert_true(++cls < HAK_CLASS_COUNT);
	return cls;
}

/* Epochs of four slots that are cut into one slab, flags of the second; what all four get. */
static void expect_epochs(const unsigned before[4], uint64_t flags, unsigned wanted)
{
	struct run run;

	grant(&run);
	for (unsigned i = 0; i < 4; i++)
		set_epoch(&run.words[i], before[i], i == 1 ? flags : 0);
	assert_true(hak_slab_cut(run.words, run.bits, OWNER, class_of_slots(4), THREAD));
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(epoch_of(&run, i), wanted);
		assert_false(run.words[i] & HAK_SLAB_NAMED);
		assert_true((run.words[i] & HAK_SLAB_TAGGED) ==
			    (i == 1 ? flags & HAK_SLAB_TAGGED : 0));
	}
	assert_int_equal(epoch_of(&run, 4), 1); /* no part of it */
}

static void test_slots_that_become_a_slab_get_the_latest_of_their_epochs(void **state)
{
	const unsigned last = HAK_REF_EPOCH_MAX;

	(void)state;
	expect_epochs((unsigned[]){5, 5, 5, 5}, 0, 5);
	expect_epochs((unsigned[]){5, 7, 6, 4}, 0, 7);
	expect_epochs((unsigned[]){4, 5, 6, 9}, 0, 9);
	expect_epochs((unsigned[]){9, 6, 5, 4}, 0, 9);
	/* Round the end: 2 comes after the last. */
	expect_epochs((unsigned[]){last, 2, last - 1, 1}, 0, 2);
	expect_epochs((unsigned[]){2, last, 1, last - 1}, 0, 2);
}

static void test_slots_of_which_refs_were_made_get_an_epoch_that_none_of_them_had(void **state)
{
	const unsigned last = HAK_REF_EPOCH_MAX;

	(void)state;
	expect_epochs((unsigned[]){5, 5, 5, 5}, HAK_SLAB_TAGGED, 6);
	expect_epochs((unsigned[]){5, 5, 5, 5}, HAK_SLAB_NAMED, 6);
	expect_epochs((unsigned[]){5, 4, 9, 6}, HAK_SLAB_TAGGED, 10);
	expect_epochs((unsigned[]){last, last, last, last}, HAK_SLAB_NAMED, 1);
	expect_epochs((unsigned[]){last, 2, last - 1, 1}, HAK_SLAB_TAGGED, 3);
}

static void test_a_span_changes_no_epoch_but_that_of_a_tagged_head(void **state)
{
	struct run run;

	(void)state;
	grant(&run);
	for (unsigned i = 0; i < 4; i++)
		set_epoch(&run.words[i], 4 + i, i == 1 ? HAK_SLAB_NAMED : 0);
	assert_true(hak_slab_cut_span(run.words, run.bits, run.tags, OWNER, 4));
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(epoch_of(&run, i), 4 + i);
	assert_true(run.words[1] & HAK_SLAB_NAMED);
	assert_true(hak_slab_set_tagged(run.words, OWNER));
	assert_true(hak_slab_resize_span(run.words, OWNER, 2));
	hak_slab_free(run.bits, 1);
	assert_true(hak_slab_retire_span(run.words, run.bits, run.tags, OWNER));
	assert_int_equal(epoch_of(&run, 0), 4);
	assert_false(run.words[3] & HAK_SLAB_NAMED); /* a span's bodies have no refs */
	assert_true(hak_slab_cut_span(run.words, run.bits, run.tags, OWNER, 4));
	assert_int_equal(epoch_of(&run, 0), 5);
	for (unsigned i = 1; i < 4; i++)
		assert_int_equal(epoch_of(&run, i), 4 + i);
}

static void test_the_bodies_of_a_tagged_slab_are_named_when_it_is_retired(void **state)
{
	unsigned cls = class_of_slots(4);
	struct run run;

	(void)state;
	for (unsigned is_tagged = 0; is_tagged < 2; is_tagged++) {
		grant(&run);
		assert_true(hak_slab_cut(run.words, run.bits, OWNER, cls, THREAD));
		if (is_tagged)
			assert_true(hak_slab_set_tagged(run.words, OWNER));
		assert_true(hak_slab_retire(run.words, run.bits, run.tags, OWNER, THREAD));
		for (unsigned i = 0; i < HAK_RUN_SLOTS; i++)
			assert_int_equal((run.words[i] & HAK_SLAB_NAMED) != 0,
					 is_tagged && i >= 1 && i < 4);
	}
	/* So a body that becomes a head has no epoch that a ref could have. */
	assert_true(hak_slab_cut(&run.words[2], run.bits, OWNER, 0, THREAD));
	assert_int_equal(epoch_of(&run, 2), epoch_of(&run, 0) + 1);
}

static void test_only_a_slab_or_span_of_its_owner_becomes_tagged(void **state)
{
	struct run run;

	(void)state;
	grant(&run);
	assert_false(hak_slab_set_tagged(run.words, OWNER)); /* unused */
	assert_true(hak_slab_cut(run.words, run.bits, OWNER, class_of_slots(2), THREAD));
	assert_false(hak_slab_set_tagged(run.words, OWNER + 1));
	assert_false(hak_slab_set_tagged(&run.words[1], OWNER)); /* a body */
	assert_false(run.words[0] & HAK_SLAB_TAGGED);
	uint64_t before = run.words[0];
	assert_true(hak_slab_set_tagged(run.words, OWNER));
	assert_true(hak_slab_set_tagged(run.words, OWNER));
	assert_true(run.words[0] == (before | HAK_SLAB_TAGGED));
	assert_false(hak_slab_is_mine(run.words[0], hak_slab_mine(OWNER, THREAD)));
}

static void test_an_orphan_is_nobodys_and_its_heirs_with_all_else_as_it_was(void **state)
{
	struct run run;
	uint64_t slab, span;

	(void)state;
	grant(&run);
	assert_true(hak_slab_cut(run.words, run.bits, OWNER, class_of_slots(2), THREAD));
	assert_true(hak_slab_cut_span(&run.words[2], &run.bits[1], run.tags, OWNER, 3));
	assert_true(hak_slab_set_tagged(run.words, OWNER));
	slab = run.words[0];
	span = run.words[2];
	for (unsigned i = 0; i < 4; i++)
		hak_slab_orphan(&run.words[i]);
	assert_true(run.words[0] == (hak_slab_pack_active(hak_slab_epoch(slab), HAK_HOLDER_NONE,
							  hak_slab_class(slab), 0) |
				     HAK_SLAB_TAGGED));
	assert_int_equal(hak_slab_owner(run.words[1]), HAK_HOLDER_NONE);
	assert_int_equal(hak_slab_arg(run.words[1]), 1);
	assert_int_equal(hak_slab_owner(run.words[2]), HAK_HOLDER_NONE);
	assert_int_equal(hak_slab_arg(run.words[2]), hak_slab_arg(span));
	assert_false(hak_slab_pass(run.words, OWNER, 0, THREAD)); /* it isn't any more */
	for (unsigned i = 0; i < 4; i++)
		hak_slab_inherit(&run.words[i], OWNER + 1);
	assert_true(run.words[0] == (hak_slab_pack_active(hak_slab_epoch(slab), OWNER + 1,
							  hak_slab_class(slab), 0) |
				     HAK_SLAB_TAGGED));
	assert_int_equal(hak_slab_owner(run.words[1]), OWNER + 1);
	assert_int_equal(epoch_of(&run, 2), hak_slab_epoch(span));
	assert_true(hak_slab_pass(run.words, OWNER + 1, 0, THREAD));
}

static void test_a_grant_keeps_tagged_unless_the_tags_are_zero(void **state)
{
	hak_u64 word;

	(void)state;
	for (unsigned is_zero = 0; is_zero < 2; is_zero++) {
		set_epoch(&word, 8, HAK_SLAB_TAGGED | HAK_SLAB_NAMED);
		hak_slab_collect(&word);
		assert_true(word == (hak_slab_pack(HAK_SLAB_UNUSED, 8, HAK_HOLDER_NONE, 0) |
				     HAK_SLAB_TAGGED));
		hak_slab_grant(&word, OWNER, is_zero);
		assert_true(word == (hak_slab_pack(HAK_SLAB_UNUSED, 9, OWNER, 0) |
				     (is_zero ? 0 : HAK_SLAB_TAGGED)));
	}
}

static void test_sizes_find_the_smallest_class_that_holds_them(void **state)
{
	(void)state;
	for (size_t size = 0; size <= HAK_CLASS_MAX; size++) {
		unsigned cls = hak_class_of(size);

		assert_true(cls < HAK_CLASS_COUNT && hak_classes[cls].size >= size);
		assert_true(cls == 0 || hak_classes[cls - 1].size < size);
		if (size > 128)
			assert_true((hak_classes[cls].size - size) * 8 <= hak_classes[cls].size);
	}
}

static void test_division_by_magic_is_exact(void **state)
{
	(void)state;
	for (unsigned cls = 0; cls < HAK_CLASS_COUNT; cls++) {
		const struct hak_class *shape = &hak_classes[cls];

		for (uint64_t at = 0; at < shape->n_slots * HAK_SLOT_BYTES; at++) {
			assert_true(hak_class_index(shape->magic, at) == at / shape->size);
			assert_true(hak_class_is_start(shape->magic, at) ==
				    (at % shape->size == 0));
		}
	}
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_a_cut_slab_has_all_its_blocks_free),
	cmocka_unit_test(test_a_block_is_claimed_once_and_freed_once),
	cmocka_unit_test(test_only_an_empty_slab_is_retired),
	cmocka_unit_test(test_a_cut_over_used_slots_changes_nothing),
	cmocka_unit_test(test_a_span_that_its_word_cannot_hold_is_not_cut),
	cmocka_unit_test(test_every_transition_but_a_cut_keeps_tagged_and_epoch),
	cmocka_unit_test(test_an_epoch_is_never_0),
	cmocka_unit_test(test_a_claim_in_a_tagged_slab_clears_the_tags_of_what_it_claims),
	cmocka_unit_test(test_a_claim_in_an_untagged_slab_does_not_look_at_tags),
	cmocka_unit_test(test_a_retired_slab_has_no_tag_left),
	cmocka_unit_test(test_a_span_is_cut_and_retired_with_a_cleared_tag),
	cmocka_unit_test(test_slots_that_become_a_slab_get_the_latest_of_their_epochs),
	cmocka_unit_test(test_slots_of_which_refs_were_made_get_an_epoch_that_none_of_them_had),
	cmocka_unit_test(test_a_span_changes_no_epoch_but_that_of_a_tagged_head),
	cmocka_unit_test(test_the_bodies_of_a_tagged_slab_are_named_when_it_is_retired),
	cmocka_unit_test(test_only_a_slab_or_span_of_its_owner_becomes_tagged),
	cmocka_unit_test(test_an_orphan_is_nobodys_and_its_heirs_with_all_else_as_it_was),
	cmocka_unit_test(test_a_grant_keeps_tagged_unless_the_tags_are_zero),
	cmocka_unit_test(test_sizes_find_the_smallest_class_that_holds_them),
	cmocka_unit_test(test_division_by_magic_is_exact),
};

HAKT_MAIN(tests, NULL, NULL)
