/* SPDX-License-Identifier: MIT */
/* The demo's ledger: which file is where, whatever dies and is counted in between. */
#include "client_lib/demo/ledger.h"

#include "tests/support/run.h"

#include <fcntl.h>
#include <stdio.h>

#include "client_lib/demo/channel.h"

static struct hakc_ledger ledger;

static int start(void **state)
{
	(void)state;
	hakc_ledger_init(&ledger);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	hakc_ledger_deinit(&ledger);
	return 0;
}

/* Adds so many files, the first is the number that is returned. */
static uint64_t add(unsigned n)
{
	uint64_t first = ledger.n_entries, number;

	for (unsigned i = 0; i < n; i++) {
		char path[32];

		snprintf(path, sizeof(path), "file/%u", i);
		assert_int_equal(hakc_ledger_add(&ledger, path, 0, i, &number), 0);
		assert_int_equal(number, first + i);
	}
	return first;
}

static void hire(void)
{
	int channel = open("/dev/null", O_RDONLY | O_CLOEXEC);

	assert_true(channel >= 0);
	hakc_ledger_hire(&ledger, channel);
}

/* Hands out one that waits; its number. */
static uint64_t hand_out(unsigned worker)
{
	uint64_t number;

	assert_true(hakc_ledger_pop(&ledger, &number));
	hakc_ledger_out(&ledger, number, worker);
	return number;
}

static void check_none_waits(void)
{
	uint64_t number;

	assert_false(hakc_ledger_pop(&ledger, &number));
}

static void test_each_file_is_handed_out_once_while_nobody_dies(void **state)
{
	bool seen[3000] = {false}; /* more than the first space */

	(void)state;
	hire();
	add(3000);
	for (unsigned i = 0; i < 3000; i++) {
		uint64_t number = hand_out(0);

		assert_false(seen[number]);
		seen[number] = true;
		assert_true(hakc_ledger_done(&ledger, number));
	}
	check_none_waits();
	assert_int_equal(ledger.n_done, 3000);
	assert_int_equal(ledger.n_again, 0);
}

static void test_the_worker_with_the_fewest_files_is_chosen_until_all_are_full(void **state)
{
	(void)state;
	assert_int_equal(hakc_ledger_choose(&ledger), -1);
	hire();
	hire();
	add(2 * HAKC_OUT_MAX);
	for (unsigned i = 0; i < 2 * HAKC_OUT_MAX; i++)
		hand_out((unsigned)hakc_ledger_choose(&ledger));
	assert_int_equal(ledger.colleagues[0].n_out, HAKC_OUT_MAX);
	assert_int_equal(ledger.colleagues[1].n_out, HAKC_OUT_MAX);
	assert_int_equal(hakc_ledger_choose(&ledger), -1);
	assert_true(hakc_ledger_done(&ledger, ledger.colleagues[1].out[0]));
	assert_int_equal(hakc_ledger_choose(&ledger), 1);
}

static void test_files_of_a_lost_worker_wait_again_and_no_others(void **state)
{
	uint64_t a, b, c;

	(void)state;
	hire();
	hire();
	add(3);
	a = hand_out(0);
	b = hand_out(0);
	c = hand_out(1);
	assert_true(hakc_ledger_done(&ledger, a));
	hakc_ledger_lose(&ledger, 0);
	assert_int_equal(ledger.entries[c].state, HAKC_ENTRY_OUT);
	assert_int_equal(hand_out(1), b);
	assert_int_equal(ledger.n_again, 1);
	check_none_waits();
}

static void test_a_lost_workers_place_is_for_the_next_one(void **state)
{
	(void)state;
	hire();
	hire();
	hakc_ledger_lose(&ledger, 0);
	assert_int_equal(hakc_ledger_choose(&ledger), 1);
	assert_int_equal(ledger.n_colleagues, 1);
	hire();
	assert_int_equal(ledger.n_colleagues, 2);
	assert_int_equal(hakc_ledger_choose(&ledger), 0);
}

/* Its table was taken after all. */
static void test_a_file_that_is_done_while_it_waits_is_not_handed_out(void **state)
{
	uint64_t number;

	(void)state;
	hire();
	add(1);
	number = hand_out(0);
	hakc_ledger_lose(&ledger, 0);
	assert_true(hakc_ledger_done(&ledger, number));
	check_none_waits();
	assert_int_equal(ledger.n_done, 1);
}

static void test_a_file_that_is_done_at_its_second_worker_leaves_room_there(void **state)
{
	uint64_t number;

	(void)state;
	hire();
	hire();
	add(1);
	number = hand_out(0);
	hakc_ledger_lose(&ledger, 0);
	assert_int_equal(hand_out(1), number);
	assert_true(hakc_ledger_done(&ledger, number));
	assert_int_equal(ledger.colleagues[1].n_out, 0);
	hakc_ledger_lose(&ledger, 1);
	check_none_waits();
}

static void test_done_is_once_and_for_known_files_only(void **state)
{
	uint64_t number = add(1);

	(void)state;
	assert_true(hakc_ledger_done(&ledger, number));
	assert_false(hakc_ledger_done(&ledger, number));
	assert_false(hakc_ledger_done(&ledger, number + 1));
	assert_int_equal(ledger.n_done, 1);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test_setup_teardown(test_each_file_is_handed_out_once_while_nobody_dies, start,
					stop),
	cmocka_unit_test_setup_teardown(
		test_the_worker_with_the_fewest_files_is_chosen_until_all_are_full, start, stop),
	cmocka_unit_test_setup_teardown(test_files_of_a_lost_worker_wait_again_and_no_others, start,
					stop),
	cmocka_unit_test_setup_teardown(test_a_lost_workers_place_is_for_the_next_one, start, stop),
	cmocka_unit_test_setup_teardown(test_a_file_that_is_done_while_it_waits_is_not_handed_out,
					start, stop),
	cmocka_unit_test_setup_teardown(
		test_a_file_that_is_done_at_its_second_worker_leaves_room_there, start, stop),
	cmocka_unit_test_setup_teardown(test_done_is_once_and_for_known_files_only, start, stop),
};

HAKT_MAIN(tests, NULL, NULL)
