/* SPDX-License-Identifier: MIT */
/*
 * Huge blocks that grow and shrink where they are, with a real daemon.
 */
#include "tests/support/run.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "client_lib/include/hakmem.h"
#include "tests/support/daemon.h"
#include "tests/support/process.h"

#define MIB	  UINT64_C(1048576)
#define SUPERSLAB (2 * MIB)

enum { LIMIT = 32 }; /* SuperSlabs, of 64 that the pool has addresses for */

static struct hakt_daemon hakd;

static int start(void **state)
{
	(void)state;
	hakt_daemon_start(&hakd,
			  HAKT_LIST("--limit", "64M", "--capacity", "128M", "--log-level", "warn"));
	hakt_daemon_wait_reserve(&hakd, 2); /* so that the first run begins at the bottom */
	return 0;
}

static int stop(void **state)
{
	(void)state;
	hakmem_detach();
	return hakt_daemon_stop_empty(&hakd);
}

static void fill(char *block, size_t from, size_t to, unsigned seed)
{
	for (size_t i = from; i < to; i += 509)
		block[i] = (char)(i * 7 + seed);
}

static bool is_filled(const char *block, size_t size, unsigned seed)
{
	for (size_t i = 0; i < size; i += 509)
		if (block[i] != (char)(i * 7 + seed))
			return false;
	return true;
}

static char *allocate(size_t size, unsigned seed)
{
	char *block = hakmem_malloc(size);

	assert_non_null(block);
	fill(block, 0, size, seed);
	return block;
}

/* Grows a filled block, fills what is new, and sees that it all is there. */
static char *grow(char *block, size_t from, size_t to, unsigned seed)
{
	char *grown = hakmem_realloc(block, to);

	assert_non_null(grown);
	assert_true(hakmem_usable_size(grown) >= to);
	assert_true(is_filled(grown, from, seed));
	fill(grown, (from + 508) / 509 * 509, to, seed);
	assert_true(is_filled(grown, to, seed));
	return grown;
}

static struct hakmem_stats stats(void)
{
	struct hakmem_stats s;

	assert_int_equal(hakmem_stats(&s, sizeof(s)), 0);
	return s;
}

/* The daemon and this process agree about what is granted, and nothing is strange. */
static void check_granted(unsigned n)
{
	struct hakt_status s = hakt_daemon_status(&hakd);

	assert_int_equal(s.granted_superslabs, n);
	assert_int_equal(stats().superslabs, n);
	assert_int_equal(s.anomalies, 0);
}

static void test_a_block_grows_where_it_is(void **state)
{
	char *block = allocate(5 * MIB, 1);
	hakmem_ref_t ref = hakmem_ref(block);

	(void)state;
	check_granted(3);
	assert_ptr_equal(grow(block, 5 * MIB, 7 * MIB, 1), block);
	check_granted(4);
	assert_ptr_equal(grow(block, 7 * MIB, 40 * MIB, 1), block);
	check_granted(20);
	assert_ptr_equal(hakmem_ptr(ref), block);
	assert_int_equal(hakmem_usable_size(block), 40 * MIB);
	assert_int_equal(hakmem_usable_size(block + 30 * MIB), 0);
	hakmem_free(block);
	hakmem_trim();
	check_granted(0);
}

static void test_a_block_grows_up_to_the_limit_step_by_step(void **state)
{
	char *block = allocate(2 * SUPERSLAB, 2);

	(void)state;
	for (size_t n = 3; n <= LIMIT; n++)
		assert_ptr_equal(grow(block, (n - 1) * SUPERSLAB, n * SUPERSLAB, 2), block);
	check_granted(LIMIT);
	hakmem_free(block);
}

static int read_all(const void *context)
{
	const char *block = hakmem_ptr(*(const hakmem_ref_t *)context);

	HAKT_EXPECT(block != NULL);
	HAKT_EXPECT(hakmem_usable_size(block) == 20 * MIB);
	HAKT_EXPECT(is_filled(block, 20 * MIB, 3));
	return 0;
}

static void test_another_process_reads_all_of_a_block_that_grew(void **state)
{
	char *block = allocate(4 * MIB, 3);
	hakmem_ref_t ref = hakmem_ref(block);

	(void)state;
	assert_ptr_equal(grow(block, 4 * MIB, 20 * MIB, 3), block);
	hakt_process_run_child(read_all, &ref);
	hakmem_free(block);
}

static int be_neighbour(const void *context)
{
	const char *block = context;
	char *mine = hakmem_malloc(2 * SUPERSLAB);

	HAKT_EXPECT(mine != NULL);
	/* First fit: behind the block, or behind what the reserve takes just now. */
	HAKT_EXPECT(mine >= block + 2 * SUPERSLAB && mine < block + 8 * SUPERSLAB);
	fill(mine, 0, 2 * SUPERSLAB, 5);
	hakt_child_say("there");
	hakt_child_wait();
	HAKT_EXPECT(is_filled(mine, 2 * SUPERSLAB, 5));
	HAKT_EXPECT(hakmem_usable_size(mine) == 2 * SUPERSLAB);
	hakmem_free(mine);
	hakmem_trim();
	HAKT_EXPECT(hakmem_detach() == 0);
	return 0;
}

static void test_a_block_moves_where_another_process_has_what_is_behind(void **state)
{
	struct hakt_process neighbour = {0};
	char *block = allocate(2 * SUPERSLAB, 4), *moved;

	(void)state;
	hakt_process_fork(&neighbour, be_neighbour, block);
	hakt_process_wait_output(&neighbour, 1, "there");
	moved = grow(block, 2 * SUPERSLAB, 10 * SUPERSLAB, 4);
	assert_ptr_not_equal(moved, block);
	hakt_process_tell(&neighbour);
	hakt_process_wait_done(&neighbour);
	hakt_process_end(&neighbour);
	assert_true(is_filled(moved, 10 * SUPERSLAB, 4));
	hakmem_free(moved);
	hakmem_trim();
	check_granted(0);
}

static void test_a_block_moves_where_this_process_has_what_is_behind(void **state)
{
	char *block = allocate(2 * SUPERSLAB, 6), *behind = allocate(2 * SUPERSLAB, 7), *moved;

	(void)state;
	assert_true(behind > block && behind < block + 8 * SUPERSLAB);
	moved = grow(block, 2 * SUPERSLAB, 10 * SUPERSLAB, 6);
	assert_ptr_not_equal(moved, block);
	assert_true(is_filled(behind, 2 * SUPERSLAB, 7));
	hakmem_free(behind);
	hakmem_free(moved);
}

static void test_what_is_kept_behind_a_block_makes_way(void **state)
{
	char *block = allocate(2 * SUPERSLAB, 8), *behind = allocate(3 * SUPERSLAB, 9), *next;

	(void)state;
	hakmem_free(behind); /* kept */
	check_granted(5);
	assert_ptr_equal(grow(block, 2 * SUPERSLAB, 10 * SUPERSLAB, 8), block);
	check_granted(10);
	next = allocate(3 * SUPERSLAB, 9);
	assert_true(next >= block + 10 * SUPERSLAB || next + 3 * SUPERSLAB <= block);
	assert_true(is_filled(block, 10 * SUPERSLAB, 8));
	hakmem_free(next);
	hakmem_free(block);
}

static void test_what_is_kept_elsewhere_is_given_up_for_a_longer_block(void **state)
{
	char *elsewhere = allocate(15 * SUPERSLAB, 10), *block = allocate(10 * SUPERSLAB, 11);

	(void)state;
	hakmem_free(elsewhere); /* kept */
	check_granted(25);
	assert_ptr_equal(grow(block, 10 * SUPERSLAB, 25 * SUPERSLAB, 11), block);
	check_granted(25);
	hakmem_free(block);
}

static void test_the_limit_is_ENOMEM_and_the_block_is_what_it_was(void **state)
{
	char *block = allocate(20 * SUPERSLAB, 12);

	(void)state;
	errno = 0;
	assert_null(hakmem_realloc(block, (LIMIT + 1) * SUPERSLAB));
	assert_int_equal(errno, ENOMEM);
	errno = 0;
	assert_null(hakmem_realloc(block, SIZE_MAX));
	assert_int_equal(errno, ENOMEM);
	check_granted(20);
	assert_int_equal(hakmem_usable_size(block), 20 * SUPERSLAB);
	assert_true(is_filled(block, 20 * SUPERSLAB, 12));
	assert_ptr_equal(grow(block, 20 * SUPERSLAB, 21 * SUPERSLAB, 12), block);
	hakmem_free(block);
}

static void test_a_block_that_shrinks_gives_back_its_end(void **state)
{
	char *block = allocate(25 * SUPERSLAB, 13), *other;

	(void)state;
	assert_ptr_equal(hakmem_realloc(block, 10 * SUPERSLAB - 1), block);
	check_granted(10);
	assert_int_equal(hakmem_usable_size(block), 10 * SUPERSLAB);
	assert_int_equal(hakmem_usable_size(block + 10 * SUPERSLAB), 0);
	other = allocate(20 * SUPERSLAB, 14); /* has to use what was given back */
	assert_true(is_filled(block, 10 * SUPERSLAB - 1, 13));
	hakmem_free(other);
	assert_ptr_equal(hakmem_realloc(block, SUPERSLAB), block);
	assert_true(is_filled(block, SUPERSLAB, 13));
	assert_ptr_equal(grow(block, SUPERSLAB, 25 * SUPERSLAB, 13), block);
	hakmem_free(block);
	hakmem_trim();
	check_granted(0);
}

static void test_a_small_difference_changes_nothing(void **state)
{
	char *block = allocate(20 * SUPERSLAB, 15);

	(void)state;
	assert_ptr_equal(hakmem_realloc(block, 18 * SUPERSLAB), block);
	check_granted(20);
	assert_ptr_equal(hakmem_realloc(block, 19 * SUPERSLAB + 1), block);
	check_granted(20);
	hakmem_free(block);
}

static void test_a_block_of_little_leaves_its_run(void **state)
{
	char *block = allocate(3 * SUPERSLAB, 16), *moved = hakmem_realloc(block, MIB / 2);

	(void)state;
	assert_non_null(moved);
	assert_true(is_filled(moved, MIB / 2, 16));
	assert_true(hakmem_usable_size(moved) < SUPERSLAB);
	hakmem_free(moved);
}

static void test_a_run_is_kept_at_its_new_length(void **state)
{
	char *block = allocate(4 * SUPERSLAB, 17);
	uint64_t refills;

	(void)state;
	assert_ptr_equal(grow(block, 4 * SUPERSLAB, 10 * SUPERSLAB, 17), block);
	hakmem_free(block);
	refills = stats().refills;
	assert_ptr_equal(allocate(10 * SUPERSLAB, 17), block);
	assert_ptr_equal(hakmem_realloc(block, 5 * SUPERSLAB), block);
	hakmem_free(block);
	assert_ptr_equal(allocate(5 * SUPERSLAB, 17), block);
	assert_int_equal(stats().refills, refills);
	check_granted(5);
	hakmem_free(block);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test_setup_teardown(test_a_block_grows_where_it_is, start, stop),
	cmocka_unit_test_setup_teardown(test_a_block_grows_up_to_the_limit_step_by_step, start,
					stop),
	cmocka_unit_test_setup_teardown(test_another_process_reads_all_of_a_block_that_grew, start,
					stop),
	cmocka_unit_test_setup_teardown(test_a_block_moves_where_another_process_has_what_is_behind,
					start, stop),
	cmocka_unit_test_setup_teardown(test_a_block_moves_where_this_process_has_what_is_behind,
					start, stop),
	cmocka_unit_test_setup_teardown(test_what_is_kept_behind_a_block_makes_way, start, stop),
	cmocka_unit_test_setup_teardown(test_what_is_kept_elsewhere_is_given_up_for_a_longer_block,
					start, stop),
	cmocka_unit_test_setup_teardown(test_the_limit_is_ENOMEM_and_the_block_is_what_it_was,
					start, stop),
	cmocka_unit_test_setup_teardown(test_a_block_that_shrinks_gives_back_its_end, start, stop),
	cmocka_unit_test_setup_teardown(test_a_small_difference_changes_nothing, start, stop),
	cmocka_unit_test_setup_teardown(test_a_block_of_little_leaves_its_run, start, stop),
	cmocka_unit_test_setup_teardown(test_a_run_is_kept_at_its_new_length, start, stop),
};

HAKT_MAIN(tests, NULL, NULL)
