/* SPDX-License-Identifier: MIT */
/* How large the reserve wants to be: it follows demand, within bounds. */
#include "tests/support/run.h"

#include "daemon/mem/reserve.h"

static struct hakd_reserve reserve;

static int prepare(void **state)
{
	(void)state;
	hakd_reserve_init(&reserve, 1024);
	return 0;
}

static void grow_to_64(void)
{
	for (unsigned i = 0; i < 5; i++)
		hakd_reserve_note(&reserve, 64, 0);
	assert_int_equal(reserve.target, 64);
}

static void test_it_starts_small(void **state)
{
	(void)state;
	assert_int_equal(reserve.target, HAKD_RESERVE_FIRST);
	assert_int_equal(reserve.warm.n, 0);
}

static void test_it_is_an_eighth_of_the_limit_at_most(void **state)
{
	static const struct {
		uint64_t limit;
		uint32_t first, most;
	} cases[] = {{1, 0, 0},	  {7, 0, 0},	{8, 1, 1},	 {16, 2, 2},
		     {80, 2, 10}, {512, 2, 64}, {524288, 2, 64}, {UINT64_C(1) << 40, 2, 64}};

	(void)state;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		hakd_reserve_init(&reserve, cases[i].limit);
		assert_int_equal(hakd_reserve_first(&reserve), cases[i].first);
		assert_int_equal(reserve.target, cases[i].first);
		for (unsigned asked = 0; asked < 100; asked++)
			hakd_reserve_note(&reserve, 100, 0);
		assert_int_equal(reserve.target, cases[i].most);
	}
}

static void test_it_doubles_when_it_was_found_empty(void **state)
{
	(void)state;
	hakd_reserve_note(&reserve, 2, 0);
	assert_int_equal(reserve.target, 4);
	hakd_reserve_note(&reserve, 5, 4); /* too little is empty too */
	assert_int_equal(reserve.target, 8);
}

static void test_it_does_not_grow_while_it_suffices(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 1000; i++)
		hakd_reserve_note(&reserve, 2, 2);
	assert_int_equal(reserve.target, HAKD_RESERVE_FIRST);
}

static void test_it_does_not_outgrow_twice_what_was_asked_for(void **state)
{
	(void)state;
	for (uint32_t asked = 1; asked <= 60; asked++) {
		hakd_reserve_note(&reserve, 1, 0);
		assert_true(reserve.target <= 2 * asked || reserve.target == HAKD_RESERVE_FIRST);
	}
	assert_int_equal(reserve.target, 32);
}

static void test_unused_it_goes_back_to_its_first_size(void **state)
{
	unsigned n = 0;

	(void)state;
	grow_to_64();
	hakd_reserve_decay(&reserve); /* the while in which that was asked for */
	assert_int_equal(reserve.target, 64);
	for (; n < 10 && reserve.target > HAKD_RESERVE_FIRST; n++)
		hakd_reserve_decay(&reserve);
	assert_int_equal(n, 3);
	hakd_reserve_decay(&reserve);
	assert_int_equal(reserve.target, HAKD_RESERVE_FIRST);
}

static void test_used_a_little_it_goes_down_to_that(void **state)
{
	(void)state;
	grow_to_64();
	hakd_reserve_decay(&reserve);
	hakd_reserve_note(&reserve, 20, 20);
	hakd_reserve_decay(&reserve);
	assert_int_equal(reserve.target, 20);
}

static void test_used_it_stays(void **state)
{
	(void)state;
	hakd_reserve_note(&reserve, 8, 0);
	hakd_reserve_note(&reserve, 8, 0);
	assert_int_equal(reserve.target, 8);
	for (unsigned i = 0; i < 10; i++) {
		hakd_reserve_note(&reserve, 4, 4);
		hakd_reserve_decay(&reserve);
		assert_int_equal(reserve.target, 8);
	}
}

static void test_counting_does_not_wrap(void **state)
{
	(void)state;
	hakd_reserve_note(&reserve, UINT32_MAX, UINT32_MAX);
	hakd_reserve_note(&reserve, UINT32_MAX, UINT32_MAX);
	assert_true(reserve.asked == UINT32_MAX && reserve.asked_lately == UINT32_MAX);
}

static void test_kept_ones_stand_in_for_all_but_the_first(void **state)
{
	(void)state;
	reserve.target = 10;
	assert_int_equal(hakd_reserve_wanted(&reserve, 0), 10);
	assert_int_equal(hakd_reserve_wanted(&reserve, 6), 4);
	assert_int_equal(hakd_reserve_wanted(&reserve, 9), HAKD_RESERVE_FIRST);
	assert_int_equal(hakd_reserve_wanted(&reserve, 64), HAKD_RESERVE_FIRST);
	for (uint32_t i = 0; i < 10; i++)
		hakd_warm_put(&reserve.warm, i, 0);
	assert_int_equal(hakd_reserve_excess(&reserve, 0), 0);
	assert_int_equal(hakd_reserve_excess(&reserve, 6), 6);
	assert_int_equal(hakd_reserve_excess(&reserve, 64), 8);
}

static void test_what_stood_in_unwanted_is_not_replaced(void **state)
{
	(void)state;
	reserve.target = 20;
	hakd_reserve_unwanted(&reserve, 12);
	assert_int_equal(reserve.target, 8);
	hakd_reserve_unwanted(&reserve, 0);
	assert_int_equal(reserve.target, 8);
	hakd_reserve_unwanted(&reserve, 64);
	assert_int_equal(reserve.target, HAKD_RESERVE_FIRST);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test_setup(test_it_starts_small, prepare),
	cmocka_unit_test_setup(test_it_is_an_eighth_of_the_limit_at_most, prepare),
	cmocka_unit_test_setup(test_it_doubles_when_it_was_found_empty, prepare),
	cmocka_unit_test_setup(test_it_does_not_grow_while_it_suffices, prepare),
	cmocka_unit_test_setup(test_it_does_not_outgrow_twice_what_was_asked_for, prepare),
	cmocka_unit_test_setup(test_unused_it_goes_back_to_its_first_size, prepare),
	cmocka_unit_test_setup(test_used_a_little_it_goes_down_to_that, prepare),
	cmocka_unit_test_setup(test_used_it_stays, prepare),
	cmocka_unit_test_setup(test_counting_does_not_wrap, prepare),
	cmocka_unit_test_setup(test_kept_ones_stand_in_for_all_but_the_first, prepare),
	cmocka_unit_test_setup(test_what_stood_in_unwanted_is_not_replaced, prepare),
};

HAKT_MAIN(tests, NULL, NULL)
