/* SPDX-License-Identifier: MIT */
/* Whom a grace waits for, and until when. The clients' counters are moved by hand. */
#include "tests/support/run.h"

#include "daemon/reclaim/grace.h"
#include "tests/support/pool.h"

#define CLIENT 5u
#define OTHER  6u

static struct hakt_pool pool;
static hak_u64 own;
static struct hakd_grace grace;
static struct hakd_crossers crossers;

static int prepare(void **state)
{
	(void)state;
	hakt_pool_init(&pool, UINT64_C(64) << 20, 21);
	hakt_pool_set_holder(&pool, CLIENT, HAK_HOLDER_ATTACHED, 1);
	hakt_pool_set_holder(&pool, OTHER, HAK_HOLDER_ATTACHED, 1);
	hak_store_relaxed(&own, 0);
	grace = (struct hakd_grace){.has_begun = false};
	crossers = (struct hakd_crossers){&pool.segment, OTHER + 1, &own};
	return 0;
}

static int clean_up(void **state)
{
	(void)state;
	free(grace.crossings);
	hakt_pool_deinit(&pool);
	return 0;
}

static hak_u64 *counter(unsigned holder, uint32_t thread)
{
	struct hak_client_area *area = &pool.segment.areas[holder];

	if (hak_load_relaxed(&area->n_crossings) < thread)
		hak_store_relaxed(&area->n_crossings, thread);
	return hak_crossing_of(area, thread);
}

static void begin(void)
{
	hakd_grace_begin(&grace, &crossers);
}

static bool is_over(void)
{
	return hakd_grace_is_over(&grace, &crossers);
}

static void test_with_nobody_in_a_crossing_it_is_over_at_once(void **state)
{
	(void)state;
	hak_crossing_begin(counter(CLIENT, 1));
	hak_crossing_end(counter(CLIENT, 1));
	begin();
	assert_true(is_over());
	assert_null(grace.crossings);
}

static void test_it_waits_for_the_end_of_a_crossing(void **state)
{
	(void)state;
	hak_crossing_begin(counter(CLIENT, 1));
	begin();
	assert_false(is_over());
	assert_false(is_over());
	hak_crossing_end(counter(CLIENT, 1));
	assert_true(is_over());
}

static void test_the_next_crossing_is_another(void **state)
{
	(void)state;
	hak_crossing_begin(counter(CLIENT, 1));
	begin();
	hak_crossing_end(counter(CLIENT, 1));
	hak_crossing_begin(counter(CLIENT, 1));
	assert_true(is_over());
	begin(); /* which the next grace waits for */
	assert_false(is_over());
}

static void test_a_crossing_that_begins_later_is_not_waited_for(void **state)
{
	(void)state;
	hak_crossing_begin(counter(CLIENT, 1));
	begin();
	hak_crossing_begin(counter(OTHER, 1));
	hak_crossing_begin(counter(CLIENT, 2));
	hak_crossing_end(counter(CLIENT, 1));
	assert_true(is_over());
}

static void test_it_waits_for_all_threads_of_all_clients(void **state)
{
	(void)state;
	for (uint32_t thread = 1; thread <= 100; thread++) {
		hak_crossing_begin(counter(CLIENT, thread));
		hak_crossing_begin(counter(OTHER, thread));
	}
	begin();
	for (uint32_t thread = 1; thread <= 100; thread++) {
		assert_false(is_over());
		hak_crossing_end(counter(CLIENT, thread));
		assert_false(is_over());
		hak_crossing_end(counter(OTHER, thread));
	}
	assert_true(is_over());
}

static void test_the_last_thread_that_may_have_one_is_waited_for(void **state)
{
	(void)state;
	hak_crossing_begin(counter(CLIENT, HAK_CROSSINGS));
	begin();
	assert_false(is_over());
	hak_crossing_end(counter(CLIENT, HAK_CROSSINGS));
	assert_true(is_over());
}

static void test_more_threads_than_there_may_be_are_not_looked_for(void **state)
{
	(void)state;
	/* What lies behind its area is OTHER's: the counters, odd. */
	for (unsigned i = 0; i < HAK_STAT_COUNT; i++)
		hak_store_relaxed(&pool.segment.areas[OTHER].counters[i], 1);
	hak_store_relaxed(&pool.segment.areas[CLIENT].n_crossings, UINT64_MAX);
	begin();
	assert_true(is_over());
}

static void test_a_death_ends_the_crossings_of_the_dead(void **state)
{
	(void)state;
	hak_crossing_begin(counter(CLIENT, 1));
	begin();
	assert_false(is_over());
	hakt_pool_set_holder(&pool, CLIENT, HAK_HOLDER_RECLAIMING, 1);
	assert_true(is_over());
}

static void test_the_next_client_in_its_slot_is_not_taken_for_it(void **state)
{
	(void)state;
	hak_crossing_begin(counter(CLIENT, 1));
	begin();
	hakt_pool_set_holder(&pool, CLIENT, HAK_HOLDER_ATTACHED, 2); /* the counter as it was */
	assert_true(is_over());
}

static void test_the_dead_are_not_waited_for(void **state)
{
	(void)state;
	hak_crossing_begin(counter(CLIENT, 1));
	hak_crossing_begin(counter(OTHER, 1));
	hakt_pool_set_holder(&pool, CLIENT, HAK_HOLDER_RECLAIMING, 1);
	hakt_pool_set_holder(&pool, OTHER, HAK_HOLDER_FREE, 1);
	begin();
	assert_true(is_over());
}

static void test_it_waits_for_the_daemons_own_scan(void **state)
{
	(void)state;
	hak_crossing_begin(&own);
	begin();
	assert_false(is_over());
	hak_crossing_end(&own);
	assert_true(is_over());
}

/* All threads that there can be, of so many clients: more than are in a crossing at any time. */
static void test_what_it_remembers_has_a_bound(void **state)
{
	unsigned n_holders = HAK_HOLDER_FIRST + 20;

	(void)state;
	for (unsigned holder = HAK_HOLDER_FIRST; holder < n_holders; holder++) {
		hakt_pool_set_holder(&pool, holder, HAK_HOLDER_ATTACHED, 1);
		for (uint32_t thread = 1; thread <= HAK_CROSSINGS; thread++)
			hak_store_relaxed(counter(holder, thread), 1);
	}
	crossers.n_holders = n_holders;
	begin();
	assert_in_range(grace.room, 0, 65536);
	assert_false(is_over());
	for (unsigned holder = HAK_HOLDER_FIRST; holder < n_holders; holder++)
		for (uint32_t thread = 1; thread <= HAK_CROSSINGS; thread++) {
			if (holder + 1 == n_holders && thread == HAK_CROSSINGS)
				assert_false(is_over());
			hak_store_relaxed(counter(holder, thread), 2);
		}
	assert_true(is_over());
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test_setup_teardown(test_with_nobody_in_a_crossing_it_is_over_at_once, prepare,
					clean_up),
	cmocka_unit_test_setup_teardown(test_it_waits_for_the_end_of_a_crossing, prepare, clean_up),
	cmocka_unit_test_setup_teardown(test_the_next_crossing_is_another, prepare, clean_up),
	cmocka_unit_test_setup_teardown(test_a_crossing_that_begins_later_is_not_waited_for,
					prepare, clean_up),
	cmocka_unit_test_setup_teardown(test_it_waits_for_all_threads_of_all_clients, prepare,
					clean_up),
	cmocka_unit_test_setup_teardown(test_the_last_thread_that_may_have_one_is_waited_for,
					prepare, clean_up),
	cmocka_unit_test_setup_teardown(test_more_threads_than_there_may_be_are_not_looked_for,
					prepare, clean_up),
	cmocka_unit_test_setup_teardown(test_a_death_ends_the_crossings_of_the_dead, prepare,
					clean_up),
	cmocka_unit_test_setup_teardown(test_the_next_client_in_its_slot_is_not_taken_for_it,
					prepare, clean_up),
	cmocka_unit_test_setup_teardown(test_the_dead_are_not_waited_for, prepare, clean_up),
	cmocka_unit_test_setup_teardown(test_it_waits_for_the_daemons_own_scan, prepare, clean_up),
	cmocka_unit_test_setup_teardown(test_what_it_remembers_has_a_bound, prepare, clean_up),
};

HAKT_MAIN(tests, NULL, NULL)
