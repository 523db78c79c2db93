/* SPDX-License-Identifier: MIT */
/* The loop's bookkeeping of SuperSlabs: what is warm is given up, what is on its way is waited for. */
#include "tests/support/run.h"

#include <errno.h>

#include "daemon/mem/backing.h"
#include "daemon/mem/pool.h"

#define MIB   UINT64_C(1048576)
#define OWNER 7

enum { LIMIT = 16 }; /* SuperSlabs, of 32 that the pool has addresses for */

static struct hakd_pool *pool;
static uint32_t got[2 * HAKD_WARM_MAX];

static int prepare(void **state)
{
	(void)state;
	return hakd_pool_new("default", 64 * MIB, 2 * LIMIT * MIB, 21, NULL, 0, &pool);
}

static int clean_up(void **state)
{
	(void)state;
	hakd_pool_free(pool);
	return 0;
}

/* Fills the reserve until it has enough; how many it got. */
static uint32_t fill(void)
{
	uint32_t superslab, n = 0;

	for (; hakd_pool_take_to_fill(pool, &superslab); n++)
		hakd_pool_end_fill(pool, superslab, 0);
	return n;
}

/* Takes n cold ones and grants them; the first. */
static uint32_t grant(uint32_t n)
{
	uint32_t wanted = n;

	assert_int_equal(hakd_pool_take(pool, &n, got), 0);
	assert_int_equal(n, wanted);
	for (uint32_t i = 0; i < n; i++) {
		assert_int_equal(hakd_backing_fill(pool, got[i], 1), 0);
		hakd_backing_grant(pool, got[i], 1, OWNER);
		hakd_pool_grant(pool, got[i], 1, false, OWNER);
	}
	return got[0];
}

static void collect(uint32_t superslab, uint64_t now)
{
	bool keep = hakd_pool_begin_collect(pool, superslab, 1);

	hakd_backing_reset(pool, superslab, 1, keep);
	hakd_pool_disown(pool, superslab, 1);
	hakd_pool_end_collect(pool, superslab, 1, keep, now);
}

static void test_no_more_are_kept_than_are_to_be(void **state)
{
	uint32_t first = grant(5);

	(void)state;
	hakd_pool_set_retain(pool, 7 * MIB); /* three, and a half */
	for (uint32_t i = 0; i < 4; i++)
		collect(first + i, i);
	assert_int_equal(pool->kept.n, 3);
	assert_int_equal(hakd_pool_take_over_retain(pool, got), 0);
	hakd_pool_set_retain(pool, 2 * MIB);
	assert_int_equal(hakd_pool_take_over_retain(pool, got), 2);
	assert_int_equal(got[0], first); /* the oldest ones */
	assert_int_equal(got[1], first + 1);
	assert_int_equal(pool->n_idle, 2);
	hakd_pool_set_retain(pool, UINT64_MAX);
	collect(first + 4, 9);
	assert_int_equal(pool->kept.n, 2);
}

static void test_kept_ones_come_before_the_reserve_and_are_not_zeroed(void **state)
{
	bool zeroed;
	uint32_t first = grant(1);

	(void)state;
	collect(first, 0);
	assert_int_equal(fill(), 2);
	assert_int_equal(hakd_pool_take_warm(pool, 5, got, &zeroed), 1);
	assert_int_equal(got[0], first);
	assert_false(zeroed);
	assert_int_equal(hakd_pool_take_warm(pool, 5, got, &zeroed), 2);
	assert_true(zeroed);
	assert_int_equal(hakd_pool_take_warm(pool, 5, got, &zeroed), 0);
	assert_int_equal(pool->n_taken, 3);
}

static void test_what_is_taken_again_was_not_taken_twice(void **state)
{
	uint8_t seen[32] = {0};
	bool zeroed;
	uint32_t n = LIMIT;

	(void)state;
	collect(grant(1), 0);
	fill();
	for (unsigned i = 0; i < 3; i++) {
		uint32_t more = hakd_pool_take_warm(pool, 1, got, &zeroed);

		assert_int_equal(more, 1);
		assert_int_equal(seen[got[0]]++, 0);
	}
	assert_int_equal(hakd_pool_take(pool, &n, got), 0);
	assert_int_equal(n, LIMIT - 3);
	for (uint32_t i = 0; i < n; i++)
		assert_int_equal(seen[got[i]]++, 0);
	n = 1;
	assert_int_equal(hakd_pool_take(pool, &n, got), -ENOMEM);
}

static void test_the_reserve_is_not_filled_beyond_the_limit(void **state)
{
	uint32_t superslab;

	(void)state;
	grant(LIMIT - 1);
	assert_int_equal(fill(), 1);
	assert_false(hakd_pool_take_to_fill(pool, &superslab));
}

static void test_a_run_gives_up_what_is_warm_but_no_more(void **state)
{
	uint32_t head, first;

	(void)state;
	first = grant(5);
	for (uint32_t i = 0; i < 5; i++)
		collect(first + i, i);
	assert_int_equal(fill(), 2); /* 7 warm ones at 0..6 */
	assert_int_equal(hakd_pool_take_run(pool, 10, 0, &head), 0);
	assert_int_equal(head, 0); /* all of them are in it */
	assert_int_equal(hakd_pool_n_warm(pool), 0);
	assert_int_equal(hakd_pool_take_over_limit(pool, got), 0);
	hakd_pool_put_back(pool, 0, 10);
	pool->hint = 30; /* two behind everything else */
	assert_int_equal(fill(), 2);
	assert_int_equal(hakd_pool_take_run(pool, 15, 0, &head), 0);
	assert_int_equal(hakd_pool_take_over_limit(pool, got), 1);
	assert_int_equal(got[0], 30);
	assert_int_equal(hakd_pool_n_warm(pool), 1);
	assert_int_equal(pool->n_taken, LIMIT);
}

static void test_a_run_as_long_as_the_limit_is_not_refused_for_a_fill(void **state)
{
	uint32_t superslab, head;

	(void)state;
	assert_true(hakd_pool_take_to_fill(pool, &superslab));
	assert_int_equal(hakd_pool_take_run(pool, LIMIT, 0, &head), -EAGAIN);
	hakd_pool_end_fill(pool, superslab, 0);
	assert_int_equal(hakd_pool_take_run(pool, LIMIT, 0, &head), 0);
}

static void test_the_last_one_is_not_refused_for_a_punch(void **state)
{
	uint32_t first = grant(LIMIT), n = 1, head;

	(void)state;
	collect(first, 5);
	assert_int_equal(hakd_pool_take_stale(pool, 4, got), 0);
	assert_int_equal(hakd_pool_take_stale(pool, 5, got), 1);
	assert_int_equal(got[0], first);
	assert_int_equal(hakd_pool_take(pool, &n, got), -EAGAIN);
	assert_int_equal(hakd_pool_take_run(pool, 1, 0, &head), -EAGAIN);
	assert_int_equal(hakd_pool_take_run(pool, 2, 0, &head), -ENOMEM);
	hakd_pool_end_idle(pool, first);
	assert_int_equal(hakd_pool_take(pool, &n, got), 0);
	assert_int_equal(hakd_pool_take(pool, &n, got), -ENOMEM);
}

static void test_the_last_one_is_not_refused_for_a_collection(void **state)
{
	uint32_t first = grant(LIMIT), n = 1;
	bool zeroed, keep = hakd_pool_begin_collect(pool, first, 1);

	(void)state;
	assert_true(keep);
	assert_int_equal(hakd_pool_take(pool, &n, got), -EAGAIN);
	hakd_pool_disown(pool, first, 1);
	hakd_pool_end_collect(pool, first, 1, keep, 0);
	assert_int_equal(hakd_pool_take_warm(pool, 1, got, &zeroed), 1);
}

static void test_no_more_are_kept_than_the_list_holds(void **state)
{
	uint32_t n_kept = 0, first;

	(void)state;
	hakd_pool_free(pool);
	assert_int_equal(hakd_pool_new("default", 512 * MIB, 512 * MIB, 21, NULL, 0, &pool), 0);
	first = grant(100);
	for (uint32_t i = 0; i < 100; i++) /* all at once, then they end */
		n_kept += hakd_pool_begin_collect(pool, first + i, 1);
	assert_int_equal(n_kept, HAKD_WARM_MAX);
	for (uint32_t i = 0; i < 100; i++) {
		hakd_pool_disown(pool, first + i, 1);
		hakd_pool_end_collect(pool, first + i, 1, i < n_kept, 0);
	}
	assert_int_equal(pool->kept.n, HAKD_WARM_MAX);
	assert_int_equal(pool->n_taken + pool->n_keeping + pool->n_collecting, 0);
}

static uint32_t grant_run(uint32_t n)
{
	uint32_t head;

	assert_int_equal(hakd_pool_take_run(pool, n, 0, &head), 0);
	hakd_pool_grant(pool, head, n, true, OWNER);
	return head;
}

static void test_a_run_is_extended_by_what_is_free_behind_it(void **state)
{
	uint32_t head = grant_run(2), superslab;

	(void)state;
	assert_int_equal(fill(), 2); /* cold ones, from the first on */
	assert_int_equal(hakd_pool_take_behind(pool, head + 2, 4), 0);
	assert_int_equal(hakd_pool_n_warm(pool), 0);
	hakd_pool_extend(pool, head, 4);
	assert_int_equal(hakd_pool_granted_huge(pool, head, OWNER), 6);
	assert_int_equal(hakd_pool_granted_huge(pool, head, OWNER + 1), 0);
	assert_int_equal(pool->n_taken, 6);
	assert_int_equal(hakd_pool_take_behind(pool, head + 6, LIMIT - 6 + 1), -ENOMEM);
	assert_int_equal(hakd_pool_take_behind(pool, head + 6, UINT32_MAX), -ENOMEM);
	assert_int_equal(hakd_pool_take_behind(pool, 32, 1), -ENOMEM);
	assert_true(hakd_pool_take_to_fill(pool, &superslab)); /* a job has it */
	assert_int_equal(superslab, head + 6);
	assert_int_equal(hakd_pool_take_behind(pool, head + 6, 2), -EAGAIN);
	hakd_pool_end_fill(pool, superslab, 0);
	assert_int_equal(hakd_pool_take_behind(pool, head + 6, 2), 0);
	hakd_pool_put_back(pool, head + 6, 2);
	assert_int_equal(grant_run(2), head + 6);
	assert_int_equal(hakd_pool_take_behind(pool, head + 6, 1), -ENOMEM);
	assert_int_equal(hakd_pool_take_behind(pool, head + 7, 1), -ENOMEM);
	assert_int_equal(pool->n_taken, 8);
}

static void test_the_end_of_a_run_is_collected_without_it(void **state)
{
	uint32_t head = grant_run(6);

	(void)state;
	assert_false(hakd_pool_begin_collect_end(pool, head, 2));
	assert_int_equal(hakd_pool_granted_huge(pool, head, OWNER), 2);
	assert_int_equal(hakd_pool_take_behind(pool, head + 2, 1), -EAGAIN);
	assert_int_equal(hakd_pool_take_behind(pool, head + 5, 1), -EAGAIN);
	hakd_pool_disown(pool, head + 2, 4);
	hakd_pool_end_collect(pool, head + 2, 4, false, 0);
	assert_int_equal(pool->n_taken, 2);
	assert_int_equal(pool->n_collecting, 0);
	assert_int_equal(hakd_pool_take_behind(pool, head + 2, LIMIT - 2), 0);
}

static void test_what_waits_for_a_grace_is_not_free_yet(void **state)
{
	uint32_t first = grant(LIMIT), n = 1;
	bool keep = hakd_pool_begin_collect(pool, first, 1);

	(void)state;
	hakd_pool_disown(pool, first, 1);
	assert_int_equal(pool->n_waiting, 1);
	assert_int_equal(hakd_pool_take(pool, &n, got), -EAGAIN);
	assert_int_equal(hakd_pool_take_behind(pool, first, 1), -EAGAIN);
	hakd_pool_end_collect(pool, first, 1, keep, 0);
	assert_int_equal(pool->n_waiting, 0);
	assert_int_equal(pool->n_taken, LIMIT - 1);
}

static void test_an_orphan_is_taken_and_nobody_waits_for_it(void **state)
{
	uint32_t first = grant(LIMIT), n = 1;
	bool keep = hakd_pool_begin_collect(pool, first, 1);

	(void)state;
	hakd_pool_orphan(pool, first, 1, keep);
	assert_int_equal(pool->n_orphans, 1);
	assert_int_equal(pool->n_taken, LIMIT);
	assert_int_equal(pool->n_collecting + pool->n_keeping, 0);
	assert_int_equal(hakd_pool_take(pool, &n, got), -ENOMEM);
	assert_int_equal(hakd_pool_take_behind(pool, first, 1), -ENOMEM);
	assert_int_equal(hakd_pool_granted(pool, first, OWNER), 0);
	hakd_pool_inherit(pool, first, OWNER + 1);
	assert_int_equal(hakd_pool_granted(pool, first, OWNER + 1), 1);
	assert_int_equal(pool->n_orphans, 0);
	assert_int_equal(pool->n_taken, LIMIT);
}

static void test_an_orphan_is_collected_like_what_was_granted(void **state)
{
	uint32_t head = grant_run(3);

	(void)state;
	assert_false(hakd_pool_begin_collect(pool, head, 3));
	hakd_pool_orphan(pool, head, 3, false);
	assert_int_equal(pool->n_orphans, 3);
	assert_int_equal(hakd_pool_take_behind(pool, head, 1), -ENOMEM); /* nobody waits for it */
	assert_int_equal(hakd_pool_take_behind(pool, head + 2, 1), -ENOMEM);
	assert_false(hakd_pool_begin_collect(pool, head, 3));
	assert_int_equal(pool->n_orphans, 0);
	assert_int_equal(pool->n_collecting, 3);
	hakd_pool_disown(pool, head, 3);
	hakd_pool_end_collect(pool, head, 3, false, 0);
	assert_int_equal(pool->n_taken + pool->n_collecting + pool->n_waiting, 0);
}

static void test_filled_memory_is_zero_whatever_was_written_there_before(void **state)
{
	const struct hak_geometry *g = &pool->segment.geometry;
	char *data = (char *)pool->heap + g->data_at;
	uint64_t bytes = UINT64_C(1) << g->superslab_lg;

	(void)state;
	for (uint64_t at = 0; at < bytes; at += 1000)
		data[at] = 1;
	assert_int_equal(hakd_backing_fill(pool, 0, 1), 0);
	for (uint64_t at = 0; at < bytes; at++)
		if (data[at])
			fail_msg("byte %llu is not 0", (unsigned long long)at);
	assert_true(hakd_pool_resident(pool) >= bytes);
	hakd_backing_punch(pool, 0, 1);
	assert_true(hakd_pool_resident(pool) < bytes);
}

static void test_a_limit_that_falls_is_held_as_soon_as_there_is_room(void **state)
{
	uint32_t first = grant(10), n = 1;
	bool zeroed;

	(void)state;
	assert_int_equal(hakd_pool_set_limit(pool, 8 * 2 * MIB), 2);
	assert_int_equal(hakd_pool_take(pool, &n, got), -ENOMEM);
	collect(first, 0); /* kept, and nobody may have it */
	assert_int_equal(hakd_pool_take_warm(pool, 1, got, &zeroed), 0);
	assert_int_equal(hakd_pool_take(pool, &n, got), -ENOMEM);
	assert_true(hakd_pool_is_over_limit(pool));
	assert_int_equal(hakd_pool_take_over_limit(pool, got), 1);
	assert_false(hakd_pool_is_over_limit(pool));
	hakd_pool_end_idle(pool, got[0]);
	collect(first + 1, 0);
	collect(first + 2, 0);
	assert_int_equal(hakd_pool_take_over_limit(pool, got), 1);
	hakd_pool_end_idle(pool, got[0]);
	assert_int_equal(hakd_pool_take_warm(pool, 5, got, &zeroed), 1); /* the eighth */
	assert_int_equal(hakd_pool_set_limit(pool, UINT64_MAX), 0);
	assert_true(pool->limit == 64 * MIB); /* the capacity */
	n = 4;
	assert_int_equal(hakd_pool_take(pool, &n, got), 0);
	assert_int_equal(n, 4);
}

static void test_the_reserve_follows_the_limit(void **state)
{
	(void)state;
	assert_int_equal(hakd_pool_set_limit(pool, 8 * 2 * MIB), 0);
	assert_int_equal(pool->reserve.most, 1);
	assert_int_equal(pool->reserve.target, 1);
	assert_int_equal(fill(), 1);
	assert_int_equal(hakd_pool_set_limit(pool, 32 * 2 * MIB), 0);
	assert_int_equal(pool->reserve.most, 4);
	assert_int_equal(fill(), 1); /* to the first target */
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test_setup_teardown(test_a_limit_that_falls_is_held_as_soon_as_there_is_room,
					prepare, clean_up),
	cmocka_unit_test_setup_teardown(test_the_reserve_follows_the_limit, prepare, clean_up),
	cmocka_unit_test_setup_teardown(test_what_waits_for_a_grace_is_not_free_yet, prepare,
					clean_up),
	cmocka_unit_test_setup_teardown(test_an_orphan_is_taken_and_nobody_waits_for_it, prepare,
					clean_up),
	cmocka_unit_test_setup_teardown(test_an_orphan_is_collected_like_what_was_granted, prepare,
					clean_up),
	cmocka_unit_test_setup_teardown(test_kept_ones_come_before_the_reserve_and_are_not_zeroed,
					prepare, clean_up),
	cmocka_unit_test_setup_teardown(test_no_more_are_kept_than_are_to_be, prepare, clean_up),
	cmocka_unit_test_setup_teardown(test_what_is_taken_again_was_not_taken_twice, prepare,
					clean_up),
	cmocka_unit_test_setup_teardown(test_the_reserve_is_not_filled_beyond_the_limit, prepare,
					clean_up),
	cmocka_unit_test_setup_teardown(test_a_run_gives_up_what_is_warm_but_no_more, prepare,
					clean_up),
	cmocka_unit_test_setup_teardown(test_a_run_as_long_as_the_limit_is_not_refused_for_a_fill,
					prepare, clean_up),
	cmocka_unit_test_setup_teardown(test_the_last_one_is_not_refused_for_a_punch, prepare,
					clean_up),
	cmocka_unit_test_setup_teardown(test_the_last_one_is_not_refused_for_a_collection, prepare,
					clean_up),
	cmocka_unit_test_setup_teardown(test_a_run_is_extended_by_what_is_free_behind_it, prepare,
					clean_up),
	cmocka_unit_test_setup_teardown(test_the_end_of_a_run_is_collected_without_it, prepare,
					clean_up),
	cmocka_unit_test_setup_teardown(test_no_more_are_kept_than_the_list_holds, prepare,
					clean_up),
	cmocka_unit_test_setup_teardown(
		test_filled_memory_is_zero_whatever_was_written_there_before, prepare, clean_up),
};

HAKT_MAIN(tests, NULL, NULL)
