/* SPDX-License-Identifier: MIT */
/* The counters of crossings: a word a thread, odd while it is in a crossing. */
#include "tests/support/run.h"

#include <stdbool.h>

#include "proto/shm/crossing.h"

#define LINE  64u
#define LINES (HAK_CROSSINGS / 8)

static struct hak_client_area area;

static size_t place_of(uint32_t thread)
{
	return (size_t)((char *)hak_crossing_of(&area, thread) - (char *)area.crossings);
}

static void test_each_thread_has_a_counter_of_its_own_in_the_area(void **state)
{
	static bool is_used[HAK_CROSSINGS];

	(void)state;
	for (uint32_t thread = 1; thread <= HAK_CROSSINGS; thread++) {
		size_t at = place_of(thread) / sizeof(hak_u64);

		assert_true(at < HAK_CROSSINGS);
		assert_int_equal(place_of(thread) % sizeof(hak_u64), 0);
		assert_false(is_used[at]);
		is_used[at] = true;
	}
}

/* 960 threads don't take each other's cache lines; the area begins at a page. */
static void test_no_two_of_the_first_threads_share_a_cache_line(void **state)
{
	static bool is_used[LINES];

	(void)state;
	assert_int_equal(offsetof(struct hak_client_area, crossings) % LINE, 0);
	assert_int_equal(LINES, 960);
	for (uint32_t thread = 1; thread <= LINES; thread++) {
		size_t line = place_of(thread) / LINE;

		assert_true(line < LINES);
		assert_false(is_used[line]);
		is_used[line] = true;
	}
}

static void test_a_counter_is_odd_in_a_crossing_and_another_after_it(void **state)
{
	hak_u64 *counter = hak_crossing_of(&area, 3);
	uint64_t before = hak_crossing_load(counter);

	(void)state;
	for (unsigned i = 0; i < 100; i++) {
		assert_int_equal(hak_crossing_load(counter) % 2, 0);
		hak_crossing_begin(counter);
		assert_int_equal(hak_crossing_load(counter) % 2, 1);
		hak_crossing_end(counter);
		assert_true(hak_crossing_load(counter) == before + 2);
		before = hak_crossing_load(counter);
	}
	assert_int_equal(hak_crossing_load(hak_crossing_of(&area, 2)), 0);
	assert_int_equal(hak_crossing_load(hak_crossing_of(&area, 4)), 0);
}

static void test_counters_and_crossings_lie_where_the_byte_map_says(void **state)
{
	(void)state;
	assert_int_equal(offsetof(struct hak_client_area, counters), 0);
	assert_int_equal(offsetof(struct hak_client_area, n_crossings), 4032);
	assert_int_equal(offsetof(struct hak_client_area, crossings), 4096);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_each_thread_has_a_counter_of_its_own_in_the_area),
	cmocka_unit_test(test_no_two_of_the_first_threads_share_a_cache_line),
	cmocka_unit_test(test_a_counter_is_odd_in_a_crossing_and_another_after_it),
	cmocka_unit_test(test_counters_and_crossings_lie_where_the_byte_map_says),
};

HAKT_MAIN(tests, NULL, NULL)
