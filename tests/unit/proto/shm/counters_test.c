/* SPDX-License-Identifier: MIT */
/* The table of what is counted: names that tools and the wire can rely on. */
#include "tests/support/run.h"

#include <string.h>

#include "proto/shm/counters.h"

static void check_words(const struct hak_counter *table, unsigned n)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789_";

	for (unsigned i = 0; i < n; i++) {
		assert_true(*table[i].name >= 'a' && *table[i].name <= 'z');
		assert_int_equal(strspn(table[i].name, letters), strlen(table[i].name));
		assert_int_equal(strspn(table[i].unit, letters), strlen(table[i].unit));
		assert_true(strlen(table[i].unit) > 0 && strlen(table[i].description) > 0);
		for (unsigned k = 0; k < i; k++) {
			assert_string_not_equal(table[i].name, table[k].name);
			assert_string_not_equal(table[i].description, table[k].description);
		}
	}
}

static void test_names_and_descriptions_are_unique(void **state)
{
	(void)state;
	check_words(hak_client_counters, HAK_STAT_COUNT);
	check_words(hak_daemon_counters, HAK_DAEMON_COUNTER_COUNT);
	check_words(hak_pool_gauges, HAK_GAUGE_COUNT);
}

static void test_a_name_stands_at_its_number(void **state)
{
	(void)state;
	assert_string_equal(hak_client_counters[HAK_STAT_CLAIMS].name, "claims");
	assert_string_equal(hak_client_counters[HAK_STAT_STAGE_0_PARTIAL].name, "stage_0_partial");
	assert_string_equal(hak_client_counters[HAK_STAT_COUNT - 1].name, "samples_left_out");
	assert_string_equal(hak_daemon_counters[HAK_DAEMON_COUNTER_DEATHS].name, "deaths");
	assert_string_equal(hak_pool_gauges[HAK_GAUGE_LIMIT_BYTES].unit, "bytes");
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_names_and_descriptions_are_unique),
	cmocka_unit_test(test_a_name_stands_at_its_number),
};

HAKT_MAIN(tests, NULL, NULL)
