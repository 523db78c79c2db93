/* SPDX-License-Identifier: MIT */
/* The transitions of the slab word and its free bits. */
#include "tests/support/run.h"

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
	cmocka_unit_test(test_sizes_find_the_smallest_class_that_holds_them),
	cmocka_unit_test(test_division_by_magic_is_exact),
};

HAKT_MAIN(tests, NULL, NULL)
