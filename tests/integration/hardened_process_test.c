/* SPDX-License-Identifier: MIT */
/*
 * Hardened processes and others on one pool, with a real daemon: what one finds of another's
 * blocks, and that it finds nothing where nothing is wrong.
 */
#include "tests/support/run.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "client_lib/thread.h"
#include "tests/support/mortal.h"

enum { N = 64, PATTERN = 0xdb };

static void harden(bool is_hardened)
{
	setenv("HAKMEM_HARDENED", is_hardened ? "1" : "0", 1);
}

static int start(void **state)
{
	int r = hakt_mortal_setup(state);

	harden(true);
	return r || hakmem_attach(NULL) != 0;
}

/* A child that is a client of that kind. */
static void start_child(struct hakt_process *child, int (*run)(const void *), bool is_hardened)
{
	*child = (struct hakt_process){0};
	harden(is_hardened);
	hakt_process_fork(child, run, NULL);
	harden(true);
}

static void run_child(int (*run)(const void *), bool is_hardened)
{
	struct hakt_process child;

	start_child(&child, run, is_hardened);
	hakt_process_wait_done(&child);
	hakt_process_end(&child);
}

static struct hakmem_stats stats(void)
{
	struct hakmem_stats now = {0};

	hakmem_stats(&now, sizeof(now));
	return now;
}

/* A block of each size, in shared->blocks. */
static void make_blocks(void)
{
	for (unsigned i = 0; i < HAKT_MORTAL_SIZES; i++) {
		char *block = hakmem_malloc(hakt_mortal_sizes[i]);

		hakt_mortal_shared->blocks[i] = block;
		if (block)
			hakt_mortal_fill(block, hakt_mortal_sizes[i], i);
	}
}

static void free_blocks(void)
{
	for (unsigned i = 0; i < HAKT_MORTAL_SIZES; i++)
		hakmem_free(hakt_mortal_shared->blocks[i]);
}

static void check_nothing_found(void)
{
	assert_int_equal(stats().refused_frees, 0);
	assert_int_equal(stats().overflows, 0);
}

static void check_nothing_lives(void)
{
	hakmem_trim();
	assert_int_equal(stats().live_blocks, 0);
	assert_int_equal(stats().superslabs, 0); /* what others freed has been found */
}

static int free_each_once_too_often(const void *context)
{
	(void)context;
	HAKT_EXPECT(hakmem_attach(NULL) == 0);
	for (unsigned i = 0; i < HAKT_MORTAL_SIZES; i++) {
		hakmem_free(hakt_mortal_shared->blocks[i]);
		HAKT_EXPECT(stats().refused_frees == i + 1);
	}
	return 0;
}

static void test_a_free_of_what_another_process_has_freed_is_told_at_the_call(void **state)
{
	(void)state;
	make_blocks();
	free_blocks();
	check_nothing_found();
	run_child(free_each_once_too_often, true);
	check_nothing_lives();
}

static int free_each(const void *context)
{
	(void)context;
	HAKT_EXPECT(hakmem_attach(NULL) == 0);
	free_blocks();
	HAKT_EXPECT(stats().refused_frees == 0 && stats().overflows == 0);
	hakmem_detach(); /* whose caches are flushed, if it has any */
	return 0;
}

static void test_a_free_after_that_of_another_process_is_told_at_the_call(void **state)
{
	char guards[HAKT_MORTAL_SIZES];

	(void)state;
	make_blocks();
	for (unsigned i = 0; i < HAKT_MORTAL_SIZES; i++)
		guards[i] = ((char *)hakt_mortal_shared->blocks[i])[hakt_mortal_sizes[i]];
	run_child(free_each, true);
	for (unsigned i = 0; i < HAKT_MORTAL_SIZES; i++) {
		const unsigned char *block = hakt_mortal_shared->blocks[i];

		/* As it was: had the child been killed before the block was free, we would free it. */
		assert_int_equal((char)block[hakt_mortal_sizes[i]], guards[i]);
		assert_int_equal(block[0], PATTERN); /* and filled */
		assert_int_equal(block[15], PATTERN);
		hakmem_free(hakt_mortal_shared->blocks[i]);
		assert_int_equal(stats().refused_frees, i + 1);
	}
	assert_int_equal(stats().overflows, 0);
	check_nothing_lives();
}

static int free_each_and_find_it_broken(const void *context)
{
	(void)context;
	hakmem_attach(NULL); /* if it has not taken anything */
	for (unsigned i = 0; i < HAKT_MORTAL_SIZES; i++) {
		hakmem_free(hakt_mortal_shared->blocks[i]);
		HAKT_EXPECT(stats().overflows == i + 1);
	}
	HAKT_EXPECT(stats().refused_frees == 0);
	return 0;
}

static void test_an_overflow_is_found_by_the_process_that_frees(void **state)
{
	(void)state;
	make_blocks();
	for (unsigned i = 0; i < HAKT_MORTAL_SIZES; i++)
		*((volatile char *)hakt_mortal_shared->blocks[i] + hakt_mortal_sizes[i]) = 0;
	run_child(free_each_and_find_it_broken, true);
	check_nothing_found();
	check_nothing_lives();
}

static int take_each_and_find_it_broken(const void *context)
{
	void *block;

	(void)context;
	for (unsigned i = 0; i < HAKT_MORTAL_SIZES; i++) {
		HAKT_EXPECT(hakmem_take(hakt_mortal_shared->refs[i], &block) == 0);
		HAKT_EXPECT(block == hakt_mortal_shared->blocks[i]);
	}
	return free_each_and_find_it_broken(context);
}

static void test_an_overflow_is_found_by_the_process_that_took_the_block(void **state)
{
	(void)state;
	make_blocks();
	for (unsigned i = 0; i < HAKT_MORTAL_SIZES; i++) {
		char *block = hakt_mortal_shared->blocks[i];

		hakt_mortal_shared->refs[i] = hakmem_ref(block);
		*(volatile char *)(block + hakt_mortal_sizes[i]) = 0;
	}
	run_child(take_each_and_find_it_broken, true);
	check_nothing_found();
	/* One that is another's now, or was, is refused. */
	for (unsigned i = 0; i < HAKT_MORTAL_SIZES; i++) {
		hakmem_free(hakt_mortal_shared->blocks[i]);
		assert_int_equal(stats().refused_frees, i + 1);
	}
	check_nothing_lives();
}

static int take_and_keep(const void *context)
{
	void *block;

	(void)context;
	for (unsigned i = 0; i < HAKT_MORTAL_SIZES; i++)
		HAKT_EXPECT(hakmem_take(hakt_mortal_shared->refs[i], &block) == 0);
	hakt_child_say("taken");
	hakt_child_wait();
	for (unsigned i = 0; i < HAKT_MORTAL_SIZES; i++)
		HAKT_EXPECT(hakt_mortal_is_as_made(hakt_mortal_shared->blocks[i],
						   hakt_mortal_sizes[i], i));
	free_blocks();
	HAKT_EXPECT(stats().refused_frees == 0 && stats().overflows == 0);
	return 0;
}

static void test_what_another_has_taken_is_neither_freed_nor_filled(void **state)
{
	struct hakt_process child;

	(void)state;
	make_blocks();
	for (unsigned i = 0; i < HAKT_MORTAL_SIZES; i++)
		hakt_mortal_shared->refs[i] = hakmem_ref(hakt_mortal_shared->blocks[i]);
	start_child(&child, take_and_keep, true);
	hakt_process_wait_output(&child, 1, "taken");
	for (unsigned i = 0; i < HAKT_MORTAL_SIZES; i++) {
		hakmem_free(hakt_mortal_shared->blocks[i]);
		assert_int_equal(stats().refused_frees, i + 1);
	}
	hakt_process_tell(&child);
	hakt_process_wait_done(&child);
	hakt_process_end(&child);
	check_nothing_lives();
}

static void test_a_ref_of_what_a_borrower_has_freed_is_void(void **state)
{
	void *block;

	(void)state;
	make_blocks();
	for (unsigned i = 0; i < HAKT_MORTAL_SIZES; i++)
		hakt_mortal_shared->refs[i] = hakmem_ref(hakt_mortal_shared->blocks[i]);
	run_child(free_each, true);
	for (unsigned i = 0; i < HAKT_MORTAL_SIZES; i++)
		assert_int_equal(hakmem_take(hakt_mortal_shared->refs[i], &block), -ESTALE);
	check_nothing_found();
	check_nothing_lives();
}

static void test_what_was_freed_is_used_again(void **state)
{
	static void *blocks[20000];
	uint64_t before = 0;

	(void)state;
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < 20000; i++)
			assert_non_null(blocks[i] = hakmem_malloc(1000));
		if (round > 0)
			assert_true(stats().superslabs <= before + 2);
		before = stats().superslabs;
		for (unsigned i = 0; i < 20000; i++)
			hakmem_free(blocks[i]);
	}
	check_nothing_found();
	check_nothing_lives();
}

/* Of a process that isn't hardened: blocks as it has them, all of them used. */
static int make_and_use_whole(const void *context)
{
	(void)context;
	make_blocks();
	for (unsigned i = 0; i < HAKT_MORTAL_SIZES; i++) {
		char *block = hakt_mortal_shared->blocks[i];
		size_t usable = hakmem_usable_size(block);

		HAKT_EXPECT(block && usable >= hakt_mortal_sizes[i] && usable % 16 == 0);
		hakt_mortal_fill(block, usable, i);
		if (i % 2)
			hakmem_ref(block); /* in a slab with tags */
	}
	hakt_child_say("made");
	hakt_child_wait();
	HAKT_EXPECT(stats().refused_frees == 0);
	hakmem_trim();
	HAKT_EXPECT(stats().live_blocks == 0);
	return 0;
}

static void test_a_block_of_a_process_without_guards_gives_no_alarm(void **state)
{
	struct hakt_process child;

	(void)state;
	start_child(&child, make_and_use_whole, false);
	hakt_process_wait_output(&child, 1, "made");
	free_blocks();
	check_nothing_found();
	for (unsigned i = 0; i < HAKT_MORTAL_SIZES; i++) { /* told without them, too */
		hakmem_free(hakt_mortal_shared->blocks[i]);
		assert_int_equal(stats().refused_frees, i + 1);
	}
	hakt_process_tell(&child);
	hakt_process_wait_done(&child);
	hakt_process_end(&child);
}

/* Of a process that isn't hardened, with blocks of one that is. */
static int use_and_resize(const void *context)
{
	struct hakt_mortal_shared *shared = hakt_mortal_shared;

	(void)context;
	for (unsigned i = 0; i < HAKT_MORTAL_SIZES; i++) {
		size_t size = hakt_mortal_sizes[i], usable = hakmem_usable_size(shared->blocks[i]);

		HAKT_EXPECT(usable == size);
		hakt_mortal_fill(shared->blocks[i], usable, i);
		if (i % 2 == 0)
			continue;
		shared->blocks[i] = hakmem_realloc(shared->blocks[i], size - 5);
		HAKT_EXPECT(shared->blocks[i]);
		usable = hakmem_usable_size(shared->blocks[i]);
		HAKT_EXPECT(usable >= size - 5);
		hakt_mortal_fill(shared->blocks[i], usable, i);
	}
	hakt_child_say("made");
	hakt_child_wait();
	HAKT_EXPECT(stats().refused_frees == 0);
	return 0;
}

static void test_a_process_without_guards_uses_and_resizes_guarded_blocks(void **state)
{
	struct hakt_process child;

	(void)state;
	make_blocks();
	start_child(&child, use_and_resize, false);
	hakt_process_wait_output(&child, 1, "made");
	free_blocks();
	check_nothing_found();
	hakt_process_tell(&child);
	hakt_process_wait_done(&child);
	hakt_process_end(&child);
	check_nothing_lives();
}

static void test_a_process_without_guards_frees_guarded_blocks(void **state)
{
	(void)state;
	make_blocks();
	run_child(free_each, false);
	hakmem_trim();
	assert_int_equal(stats().live_blocks, 0);
	make_blocks(); /* from the same slabs, with new guards */
	free_blocks();
	check_nothing_found();
	check_nothing_lives();
}

/* The heir of a slab with guards has none, and uses its blocks whole. */
static int inherit_and_use(const void *context)
{
	struct hakt_mortal_shared *shared = hakt_mortal_shared;
	uintptr_t slab = (uintptr_t)hakmem_ptr(shared->other) & -UINT64_C(65536);
	unsigned n = 0;
	char *block;

	(void)context;
	do {
		block = hakmem_malloc(64);
		HAKT_EXPECT(block);
		memset(block, 'h', 64);
	} while (((uintptr_t)block & -UINT64_C(65536)) != slab && ++n < 100000);
	HAKT_EXPECT(((uintptr_t)block & -UINT64_C(65536)) == slab);
	HAKT_EXPECT(hakmem_usable_size(block) == 64);
	shared->blocks[0] = block;
	hakt_child_say("inherited");
	hakt_child_wait();
	return 0;
}

static int make_64_of_which_one_is_taken(const void *context)
{
	char *block = hakmem_malloc(56);

	(void)context;
	HAKT_EXPECT(block && hakmem_malloc(56));
	memset(block, 'a', 56);
	hakt_mortal_shared->other = hakmem_ref(block);
	hakt_child_say("made");
	hakt_child_wait();
	return 0;
}

static void test_the_heir_of_guarded_blocks_may_be_one_without(void **state)
{
	struct hakt_process maker, heir;
	void *taken;

	(void)state;
	start_child(&maker, make_64_of_which_one_is_taken, true);
	hakt_process_wait_output(&maker, 1, "made");
	assert_int_equal(hakmem_take(hakt_mortal_shared->other, &taken), 0);
	hakt_mortal_shared->other = hakmem_ref(taken);
	hakt_mortal_kill(&maker);
	hakt_daemon_wait_orphans(&hakt_mortal_daemon, 1);
	assert_int_equal(hakmem_usable_size(taken), 56);

	start_child(&heir, inherit_and_use, false);
	hakt_process_wait_output(&heir, 1, "inherited");
	assert_true(hakt_mortal_is_as_made(taken, 56, 0));
	hakmem_free(hakt_mortal_shared->blocks[0]); /* the heir's */
	hakmem_free(taken);
	check_nothing_found();
	hakmem_free(taken);
	assert_int_equal(stats().refused_frees, 1);
	hakt_process_tell(&heir);
	hakt_process_wait_done(&heir);
	hakt_process_end(&heir);
}

static int say_order(const void *context)
{
	uintptr_t first = 0;

	(void)context;
	for (unsigned i = 0; i < N; i++) {
		uintptr_t block = (uintptr_t)hakmem_malloc(56);

		HAKT_EXPECT(block);
		first = i == 0 ? block & -UINT64_C(65536) : first;
		hakt_mortal_shared->refs[i] = block - first;
	}
	return 0;
}

static void test_the_order_differs_from_process_to_process(void **state)
{
	hakmem_ref_t order[2][N];
	unsigned n_next = 0;

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		run_child(say_order, true);
		memcpy(order[i], hakt_mortal_shared->refs, sizeof(order[i]));
	}
	assert_memory_not_equal(order[0], order[1], sizeof(order[0]));
	run_child(say_order, false); /* without it there is one */
	for (unsigned i = 1; i < N; i++)
		n_next += hakt_mortal_shared->refs[i] == hakt_mortal_shared->refs[i - 1] + 64;
	assert_true(n_next >= N - 10);
}

static int be_as_ever(const void *context)
{
	unsigned char *block = hakmem_malloc(20), *other = hakmem_malloc(20);

	(void)context;
	HAKT_EXPECT(block && other && hakmem_usable_size(block) == 32);
	HAKT_EXPECT(hakc_self->n_slots > 0);
	memset(block, 'a', 20);
	hakmem_free(block);
	HAKT_EXPECT(block[0] == 'a' && block[19] == 'a'); /* not filled */
	HAKT_EXPECT(hakmem_malloc(20) == block);	  /* and cached */
	hakmem_free(block);
	hakmem_free(other);
	hakmem_free(block); /* told when the caches are flushed */
	HAKT_EXPECT(stats().refused_frees == 0);
	hakmem_trim();
	HAKT_EXPECT(stats().refused_frees == 1 && stats().overflows == 0);
	return 0;
}

static void test_without_it_all_is_as_ever(void **state)
{
	(void)state;
	run_child(be_as_ever, false);
	harden(false);
	unsetenv("HAKMEM_HARDENED");
	hakt_process_run_child(be_as_ever, NULL);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test_setup_teardown(
		test_a_free_of_what_another_process_has_freed_is_told_at_the_call, start,
		hakt_mortal_stop),
	cmocka_unit_test_setup_teardown(
		test_a_free_after_that_of_another_process_is_told_at_the_call, start,
		hakt_mortal_stop),
	cmocka_unit_test_setup_teardown(test_an_overflow_is_found_by_the_process_that_frees, start,
					hakt_mortal_stop),
	cmocka_unit_test_setup_teardown(
		test_an_overflow_is_found_by_the_process_that_took_the_block, start,
		hakt_mortal_stop),
	cmocka_unit_test_setup_teardown(test_what_another_has_taken_is_neither_freed_nor_filled,
					start, hakt_mortal_stop),
	cmocka_unit_test_setup_teardown(test_a_ref_of_what_a_borrower_has_freed_is_void, start,
					hakt_mortal_stop),
	cmocka_unit_test_setup_teardown(test_what_was_freed_is_used_again, start, hakt_mortal_stop),
	cmocka_unit_test_setup_teardown(test_a_block_of_a_process_without_guards_gives_no_alarm,
					start, hakt_mortal_stop),
	cmocka_unit_test_setup_teardown(
		test_a_process_without_guards_uses_and_resizes_guarded_blocks, start,
		hakt_mortal_stop),
	cmocka_unit_test_setup_teardown(test_a_process_without_guards_frees_guarded_blocks, start,
					hakt_mortal_stop),
	cmocka_unit_test_setup_teardown(test_the_heir_of_guarded_blocks_may_be_one_without, start,
					hakt_mortal_stop),
	cmocka_unit_test_setup_teardown(test_the_order_differs_from_process_to_process, start,
					hakt_mortal_stop),
	cmocka_unit_test_setup_teardown(test_without_it_all_is_as_ever, start, hakt_mortal_stop),
};

HAKT_MAIN(tests, NULL, NULL)
