/* SPDX-License-Identifier: MIT */
/* Samples in, stacks out: which become one, in which order, and what they add up to. */
#include "client_lib/ctl/stacks.h"

#include "tests/support/run.h"

#include <string.h>

enum { MANY = 5000 };

static struct hakc_stacks stacks;

static int start(void **state)
{
	(void)state;
	stacks = (struct hakc_stacks){.n = 0};
	return 0;
}

static int stop(void **state)
{
	(void)state;
	hakc_stacks_deinit(&stacks);
	return 0;
}

static void add(const char *name, int32_t pid, uint64_t bytes, uint64_t inner, uint64_t outer)
{
	uint64_t frames[] = {inner, outer};
	struct hakc_stack stack = {.bytes = bytes,
				   .objects = bytes / 10,
				   .samples = 1,
				   .pid = pid,
				   .n_processes = 1,
				   .n_frames = outer ? 2 : 1,
				   .frames = frames};

	strcpy(stack.name, name);
	assert_int_equal(hakc_stacks_add(&stacks, &stack), 0);
}

static void expect(size_t at, const char *name, int32_t pid, unsigned n_processes, uint64_t bytes,
		   uint64_t samples)
{
	const struct hakc_stack *stack = &stacks.of[at];

	assert_true(at < stacks.n);
	assert_string_equal(stack->name, name);
	assert_int_equal(stack->pid, pid);
	assert_int_equal(stack->n_processes, n_processes);
	assert_int_equal(stack->bytes, bytes);
	assert_int_equal(stack->objects, bytes / 10);
	assert_int_equal(stack->samples, samples);
}

static void test_samples_of_the_same_frames_are_one_stack(void **state)
{
	(void)state;
	add("worker", 1, 100, 7, 8);
	add("worker", 1, 30, 7, 9);
	add("worker", 1, 200, 7, 8);
	add("worker", 1, 20, 7, 0);
	hakc_stacks_rank(&stacks, false);
	assert_int_equal(stacks.n, 3);
	expect(0, "worker", 1, 1, 300, 2);
	expect(1, "worker", 1, 1, 30, 1);
	expect(2, "worker", 1, 1, 20, 1);
	assert_int_equal(stacks.of[0].n_frames, 2);
	assert_int_equal(stacks.of[0].frames[1], 8);
	assert_int_equal(stacks.sum.bytes, 350);
	assert_int_equal(stacks.sum.samples, 4);
}

static void fill_with_processes(void)
{
	add("worker", 1, 100, 7, 8);
	add("reader", 1, 500, 7, 8);
	add("worker", 2, 200, 7, 8);
	add("worker", 3, 10, 7, 8);
	add("worker", 2, 50, 7, 8);
}

static void test_processes_of_a_program_are_added_up(void **state)
{
	(void)state;
	fill_with_processes();
	for (size_t i = 0; i < stacks.n; i++)
		stacks.of[i].n_gone = stacks.of[i].pid != 2;
	hakc_stacks_rank(&stacks, false);
	assert_int_equal(stacks.n, 2);
	expect(0, "reader", 1, 1, 500, 1);
	expect(1, "worker", 0, 3, 360, 4);
	assert_int_equal(stacks.of[1].n_gone, 2);
}

static void test_each_process_is_told_apart_if_asked(void **state)
{
	(void)state;
	fill_with_processes();
	hakc_stacks_rank(&stacks, true);
	assert_int_equal(stacks.n, 4);
	expect(0, "reader", 1, 1, 500, 1);
	expect(1, "worker", 2, 1, 250, 2);
	expect(2, "worker", 1, 1, 100, 1);
	expect(3, "worker", 3, 1, 10, 1);
}

static void test_thousands_of_stacks_are_kept_apart(void **state)
{
	(void)state;
	for (unsigned round = 0; round < 2; round++)
		for (unsigned i = 0; i < MANY; i++)
			add("worker", 1, 10 * (i + 1), i, i + 1);
	hakc_stacks_rank(&stacks, false);
	assert_int_equal(stacks.n, MANY);
	for (unsigned i = 0; i < MANY; i++) {
		expect(i, "worker", 1, 1, 20 * (uint64_t)(MANY - i), 2);
		assert_int_equal(stacks.of[i].frames[0], MANY - i - 1);
	}
}

static void test_shares_are_of_the_sum(void **state)
{
	(void)state;
	add("worker", 1, 2000, 7, 8);
	add("worker", 1, 999, 9, 8);
	add("worker", 1, 1, 10, 8);
	hakc_stacks_rank(&stacks, false);
	assert_int_equal(hakc_stacks_permille(&stacks, &stacks.of[0]), 667);
	assert_int_equal(hakc_stacks_permille(&stacks, &stacks.of[1]), 333);
	assert_int_equal(hakc_stacks_permille(&stacks, &stacks.of[2]), 0);
}

/* Who may write to the pool may have written any weight. */
static void test_sums_end_at_the_most_that_there_is(void **state)
{
	(void)state;
	add("worker", 1, UINT64_MAX - 5, 7, 8);
	add("worker", 1, 100, 7, 8);
	add("worker", 1, 100, 9, 8);
	hakc_stacks_rank(&stacks, false);
	assert_true(stacks.of[0].bytes == UINT64_MAX);
	assert_true(stacks.sum.bytes == UINT64_MAX);
	assert_int_equal(hakc_stacks_permille(&stacks, &stacks.of[0]), 1000);
}

static void test_nothing_is_ranked_as_nothing(void **state)
{
	(void)state;
	hakc_stacks_rank(&stacks, false);
	assert_int_equal(stacks.n, 0);
	assert_int_equal(hakc_stacks_permille(&stacks, &stacks.sum), 0);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test_setup_teardown(test_samples_of_the_same_frames_are_one_stack, start, stop),
	cmocka_unit_test_setup_teardown(test_processes_of_a_program_are_added_up, start, stop),
	cmocka_unit_test_setup_teardown(test_each_process_is_told_apart_if_asked, start, stop),
	cmocka_unit_test_setup_teardown(test_thousands_of_stacks_are_kept_apart, start, stop),
	cmocka_unit_test_setup_teardown(test_shares_are_of_the_sum, start, stop),
	cmocka_unit_test_setup_teardown(test_sums_end_at_the_most_that_there_is, start, stop),
	cmocka_unit_test_setup_teardown(test_nothing_is_ranked_as_nothing, start, stop),
};

HAKT_MAIN(tests, NULL, NULL)
