/* SPDX-License-Identifier: MIT */
/* The list of warm SuperSlabs: its order, and what falls out of it. */
#include "tests/support/run.h"

#include "daemon/mem/warm.h"

static struct hakd_warm warm;
static uint32_t got[HAKD_WARM_MAX];

/* SuperSlabs 10, 11, ... at the times 100, 200, ... */
static int prepare(void **state)
{
	(void)state;
	warm = (struct hakd_warm){0};
	for (uint32_t i = 0; i < 6; i++)
		hakd_warm_put(&warm, 10 + i, 100 * (i + 1));
	return 0;
}

static void check(const uint32_t *expected, uint32_t n)
{
	assert_int_equal(warm.n, n);
	for (uint32_t i = 0; i < n; i++) {
		assert_int_equal(warm.superslabs[i], expected[i]);
		assert_int_equal(warm.since[i], 100 * (expected[i] - 9));
	}
}

static void test_the_newest_are_taken_newest_first(void **state)
{
	(void)state;
	assert_int_equal(hakd_warm_take_newest(&warm, 2, got), 2);
	assert_int_equal(got[0], 15);
	assert_int_equal(got[1], 14);
	check((const uint32_t[]){10, 11, 12, 13}, 4);
}

static void test_the_oldest_are_taken_oldest_first(void **state)
{
	(void)state;
	assert_int_equal(hakd_warm_take_oldest(&warm, 2, got), 2);
	assert_int_equal(got[0], 10);
	assert_int_equal(got[1], 11);
	check((const uint32_t[]){12, 13, 14, 15}, 4);
}

static void test_no_more_are_taken_than_there_are(void **state)
{
	(void)state;
	assert_int_equal(hakd_warm_take_newest(&warm, 0, got), 0);
	assert_int_equal(hakd_warm_take_oldest(&warm, 0, got), 0);
	assert_int_equal(hakd_warm_take_oldest(&warm, 4, got), 4);
	assert_int_equal(hakd_warm_take_newest(&warm, 99, got), 2);
	assert_int_equal(hakd_warm_take_newest(&warm, 99, got), 0);
	assert_int_equal(hakd_warm_take_oldest(&warm, 99, got), 0);
}

static void test_those_of_a_run_are_forgotten(void **state)
{
	(void)state;
	hakd_warm_forget(&warm, 0, 10);
	assert_int_equal(warm.n, 6);
	hakd_warm_forget(&warm, 16, 100);
	assert_int_equal(warm.n, 6);
	hakd_warm_forget(&warm, 11, 3);
	check((const uint32_t[]){10, 14, 15}, 3);
	hakd_warm_forget(&warm, 0, 100);
	assert_int_equal(warm.n, 0);
}

static void test_age_is_counted_from_the_oldest_on(void **state)
{
	(void)state;
	assert_int_equal(hakd_warm_count_since(&warm, 99), 0);
	assert_int_equal(hakd_warm_count_since(&warm, 100), 1);
	assert_int_equal(hakd_warm_count_since(&warm, 350), 3);
	assert_int_equal(hakd_warm_count_since(&warm, UINT64_MAX), 6);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test_setup(test_the_newest_are_taken_newest_first, prepare),
	cmocka_unit_test_setup(test_the_oldest_are_taken_oldest_first, prepare),
	cmocka_unit_test_setup(test_no_more_are_taken_than_there_are, prepare),
	cmocka_unit_test_setup(test_those_of_a_run_are_forgotten, prepare),
	cmocka_unit_test_setup(test_age_is_counted_from_the_oldest_on, prepare),
};

HAKT_MAIN(tests, NULL, NULL)
