/* SPDX-License-Identifier: MIT */
/* The table of counters: names that tools and the wire can rely on. */
#include "tests/support/run.h"

#include <string.h>

#include "proto/shm/stats.h"

static void test_names_are_unique_lower_case_words(void **state)
{
	(void)state;
	for (unsigned i = 0; i < HAK_STAT_COUNT; i++) {
		const char *name = hak_stat_names[i];

		assert_non_null(name);
		assert_true(*name >= 'a' && *name <= 'z');
		assert_int_equal(strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_"),
				 strlen(name));
		for (unsigned k = 0; k < i; k++)
			assert_string_not_equal(name, hak_stat_names[k]);
	}
}

static void test_descriptions_are_unique(void **state)
{
	(void)state;
	for (unsigned i = 0; i < HAK_STAT_COUNT; i++) {
		assert_non_null(hak_stat_descriptions[i]);
		assert_true(strlen(hak_stat_descriptions[i]) > 0);
		for (unsigned k = 0; k < i; k++)
			assert_string_not_equal(hak_stat_descriptions[i], hak_stat_descriptions[k]);
	}
}

static void test_a_name_stands_at_its_number(void **state)
{
	(void)state;
	assert_string_equal(hak_stat_names[HAK_STAT_CLAIMS], "claims");
	assert_string_equal(hak_stat_names[HAK_STAT_STAGE_0_PARTIAL], "stage_0_partial");
	assert_string_equal(hak_stat_names[HAK_STAT_FOREIGN_FREES], "foreign_frees");
	assert_string_equal(hak_stat_names[HAK_STAT_COUNT - 1], "overflows");
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_names_are_unique_lower_case_words),
	cmocka_unit_test(test_descriptions_are_unique),
	cmocka_unit_test(test_a_name_stands_at_its_number),
};

HAKT_MAIN(tests, NULL, NULL)
