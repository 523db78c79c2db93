/* SPDX-License-Identifier: MIT */
/* Packed tables: what another process wrote is merged, or refused. */
#include "client_lib/demo/table.h"

#include "tests/support/run.h"

#include <errno.h>
#include <string.h>

/* Two words in one block, as table.c packs them: count, length, letters. */
struct pair {
	struct hakc_packed head;
	struct {
		uint64_t count, length;
		char text[8];
	} words[2];
};

static const struct pair good = {
	.head = {.n_bytes = sizeof(struct pair), .n_distinct = 2, .n_words = 7},
	.words = {{3, 5, "hello"}, {4, 8, {'e', 'v', 'e', 'r', 'y', 'o', 'n', 'e'}}},
};

static int merge(const struct pair *pair, size_t bytes_most, struct hakc_counts *counts)
{
	*counts = (struct hakc_counts){0};
	return hakc_counts_merge(counts, &pair->head, bytes_most);
}

static void check_refused(const struct pair *pair, size_t bytes_most)
{
	struct hakc_counts counts;

	assert_int_equal(merge(pair, bytes_most, &counts), -EBADMSG);
	hakc_counts_deinit(&counts);
}

static void test_a_packed_table_is_merged_word_by_word(void **state)
{
	struct hakc_counts counts;

	(void)state;
	assert_int_equal(merge(&good, sizeof(good), &counts), 0);
	assert_int_equal(hakc_counts_merge(&counts, &good.head, sizeof(good)), 0);
	assert_int_equal(counts.n_distinct, 2);
	assert_int_equal(counts.n_words, 14);
	assert_int_equal(hakc_counts_lookup(&counts, "hello", 5), 6);
	assert_int_equal(hakc_counts_lookup(&counts, "everyone", 8), 8);
	hakc_counts_deinit(&counts);
}

static void test_a_packed_table_longer_than_its_block_is_refused(void **state)
{
	(void)state;
	check_refused(&good, sizeof(good) - 1);
	check_refused(&good, sizeof(good.head) - 1);
}

static void test_a_packed_table_with_other_numbers_is_refused(void **state)
{
	struct pair bad = good;

	(void)state;
	bad.head.n_distinct = 3;
	check_refused(&bad, sizeof(bad));
	bad.head.n_distinct = 1;
	bad.head.n_words = 3;
	check_refused(&bad, sizeof(bad)); /* bytes are left */
	bad = good;
	bad.head.n_words = 8;
	check_refused(&bad, sizeof(bad));
	bad = good;
	bad.head.n_bytes = 8; /* less than the numbers themselves */
	check_refused(&bad, sizeof(bad));
}

static void test_a_packed_word_beyond_the_end_is_refused(void **state)
{
	struct pair bad = good;

	(void)state;
	bad.words[1].length = 9;
	check_refused(&bad, sizeof(bad));
	bad.words[1].length = HAKC_WORD_MAX + 1;
	check_refused(&bad, sizeof(bad));
	bad.words[1].length = UINT64_MAX;
	check_refused(&bad, sizeof(bad));
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_a_packed_table_is_merged_word_by_word),
	cmocka_unit_test(test_a_packed_table_longer_than_its_block_is_refused),
	cmocka_unit_test(test_a_packed_table_with_other_numbers_is_refused),
	cmocka_unit_test(test_a_packed_word_beyond_the_end_is_refused),
};

HAKT_MAIN(tests, NULL, NULL)
