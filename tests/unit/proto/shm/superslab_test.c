/* SPDX-License-Identifier: MIT */
/* The registry's word for a SuperSlab, and the daemon's moves of it. */
#include "tests/support/run.h"

#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/shm/holders.h"
#include "proto/shm/superslab.h"

#define OWNER 77u

enum { N = 16 };

static void check(const hak_u64 *word, enum hak_superslab_state wanted, unsigned owner,
		  uint32_t length)
{
	uint64_t s = hak_load_relaxed(word);

	assert_int_equal(hak_superslab_state(s), wanted);
	assert_int_equal(hak_superslab_owner(s), owner);
	assert_int_equal(hak_superslab_length(s), length);
}

static void collect(hak_u64 *head)
{
	hak_superslab_begin_collect(head);
	hak_superslab_end_collect(head);
}

static void test_each_field_has_bits_of_its_own(void **state)
{
	const uint64_t fields[] = {
		hak_superslab_pack((enum hak_superslab_state)7, false, 0, 0, 0),
		hak_superslab_pack(HAK_SUPERSLAB_FREE, true, 0, 0, 0),
		hak_superslab_pack(HAK_SUPERSLAB_FREE, false, HAK_HOLDER_COUNT - 1, 0, 0),
		hak_superslab_pack(HAK_SUPERSLAB_FREE, false, 0, HAK_SUPERSLAB_LENGTH_MAX, 0),
		hak_superslab_pack(HAK_SUPERSLAB_FREE, false, 0, 0, HAK_SUPERSLAB_GRANT_MAX),
	};
	uint64_t all = 0;

	(void)state;
	for (unsigned i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		assert_int_equal(all & fields[i], 0);
		all |= fields[i];
	}
	assert_true(all == UINT64_MAX);
	assert_int_equal(hak_superslab_owner(fields[2]), HAK_HOLDER_COUNT - 1);
	assert_int_equal(hak_superslab_length(fields[3]), HAK_SUPERSLAB_LENGTH_MAX);
	assert_int_equal(hak_superslab_grant(fields[4]), HAK_SUPERSLAB_GRANT_MAX);
	assert_true(hak_superslab_is_huge(fields[1]));
	assert_false(hak_superslab_is_huge(all & ~fields[1]));
}

static void test_a_granted_superslab_names_its_owner(void **state)
{
	hak_u64 words[N] = {0};

	(void)state;
	hak_superslab_grant_run(&words[3], OWNER, false, 1);
	check(&words[3], HAK_SUPERSLAB_GRANTED, OWNER, 1);
	assert_false(hak_superslab_is_huge(hak_load_relaxed(&words[3])));
	assert_int_equal(hak_load_relaxed(&words[2]), 0);
	assert_int_equal(hak_load_relaxed(&words[4]), 0);
}

static void test_bodies_of_a_run_know_their_head(void **state)
{
	(void)state;
	for (uint32_t n = 1; n <= N - 4; n++) {
		hak_u64 words[N] = {0};

		hak_superslab_grant_run(&words[2], OWNER, true, n);
		check(&words[2], HAK_SUPERSLAB_GRANTED, OWNER, n);
		for (uint32_t i = 1; i < n; i++)
			check(&words[2 + i], HAK_SUPERSLAB_BODY, OWNER, i);
		for (uint32_t i = 0; i < n; i++)
			assert_true(hak_superslab_is_huge(hak_load_relaxed(&words[2 + i])));
		assert_int_equal(hak_load_relaxed(&words[1]), 0);
		assert_int_equal(hak_load_relaxed(&words[2 + n]), 0);
	}
}

static void test_reclaiming_remembers_whose_it_was(void **state)
{
	hak_u64 words[N] = {0};

	(void)state;
	hak_superslab_grant_run(&words[1], OWNER, true, 5);
	hak_superslab_begin_collect(&words[1]);
	check(&words[1], HAK_SUPERSLAB_RECLAIMING, OWNER, 5);
	assert_true(hak_superslab_is_huge(hak_load_relaxed(&words[1])));
	assert_int_equal(hak_superslab_grant(hak_load_relaxed(&words[1])), 1);
	check(&words[2], HAK_SUPERSLAB_BODY, OWNER, 1);
}

static void test_a_collected_run_is_free_from_head_to_end(void **state)
{
	hak_u64 words[N] = {0};

	(void)state;
	hak_superslab_grant_run(&words[0], OWNER, false, 1);
	hak_superslab_grant_run(&words[1], OWNER, true, 5);
	hak_superslab_grant_run(&words[6], OWNER, false, 1);
	collect(&words[1]);
	for (unsigned i = 1; i <= 5; i++) {
		check(&words[i], HAK_SUPERSLAB_FREE, 0, 0);
		assert_false(hak_superslab_is_huge(hak_load_relaxed(&words[i])));
	}
	check(&words[0], HAK_SUPERSLAB_GRANTED, OWNER, 1);
	check(&words[6], HAK_SUPERSLAB_GRANTED, OWNER, 1);
}

static void test_an_extended_run_is_one_run(void **state)
{
	hak_u64 words[N] = {0};

	(void)state;
	for (uint32_t n = 1; n < N - 2; n++) { /* a generation that stays as it is */
		hak_superslab_grant_run(&words[1 + n], OWNER, false, 1);
		collect(&words[1 + n]);
	}
	hak_superslab_grant_run(&words[1], OWNER, true, 1);
	hak_superslab_extend_run(&words[1], 3);
	hak_superslab_extend_run(&words[1], 1);
	check(&words[1], HAK_SUPERSLAB_GRANTED, OWNER, 5);
	assert_int_equal(hak_superslab_grant(hak_load_relaxed(&words[1])), 1);
	for (uint32_t i = 1; i < 5; i++) {
		check(&words[1 + i], HAK_SUPERSLAB_BODY, OWNER, i);
		assert_true(hak_superslab_is_huge(hak_load_relaxed(&words[1 + i])));
		assert_int_equal(hak_superslab_grant(hak_load_relaxed(&words[1 + i])), 1);
	}
	check(&words[6], HAK_SUPERSLAB_FREE, 0, 0);
	collect(&words[1]);
	for (uint32_t i = 0; i < N; i++)
		check(&words[i], HAK_SUPERSLAB_FREE, 0, 0);
}

static void test_what_a_run_is_shortened_by_is_reclaimed_alone(void **state)
{
	(void)state;
	for (uint32_t stay = 1; stay < 6; stay++) {
		hak_u64 words[N] = {0};

		hak_superslab_grant_run(&words[1], OWNER, true, 6);
		hak_superslab_shorten_run(&words[1], stay);
		check(&words[1], HAK_SUPERSLAB_GRANTED, OWNER, stay);
		assert_true(hak_superslab_is_huge(hak_load_relaxed(&words[1])));
		check(&words[1 + stay], HAK_SUPERSLAB_RECLAIMING, OWNER, 6 - stay);
		for (uint32_t i = 1; i < 6 - stay; i++)
			check(&words[1 + stay + i], HAK_SUPERSLAB_BODY, OWNER, i);
		hak_superslab_end_collect(&words[1 + stay]);
		for (uint32_t i = 1; i < stay; i++)
			check(&words[1 + i], HAK_SUPERSLAB_BODY, OWNER, i);
		for (uint32_t i = stay; i < 8; i++)
			check(&words[1 + i], HAK_SUPERSLAB_FREE, 0, 0);
		hak_superslab_extend_run(&words[1], 7);
		check(&words[1], HAK_SUPERSLAB_GRANTED, OWNER, stay + 7);
	}
}

static void test_an_orphan_is_nobodys_as_long_as_it_was(void **state)
{
	(void)state;
	for (uint32_t n = 1; n <= 5; n++) {
		hak_u64 words[N] = {0};

		hak_superslab_grant_run(&words[1], OWNER, n > 1, n);
		hak_superslab_begin_collect(&words[1]);
		hak_superslab_orphan(&words[1]);
		check(&words[1], HAK_SUPERSLAB_ORPHAN, HAK_HOLDER_NONE, n);
		assert_int_equal(hak_superslab_is_huge(hak_load_relaxed(&words[1])), n > 1);
		assert_int_equal(hak_superslab_grant(hak_load_relaxed(&words[1])), 1);
		for (uint32_t i = 1; i < n; i++)
			check(&words[1 + i], HAK_SUPERSLAB_BODY, HAK_HOLDER_NONE, i);
		assert_int_equal(hak_load_relaxed(&words[1 + n]), 0);
	}
}

static void test_an_orphan_that_is_inherited_is_another_grant(void **state)
{
	hak_u64 word = 0;

	(void)state;
	hak_superslab_grant_run(&word, OWNER, false, 1);
	hak_superslab_begin_collect(&word);
	hak_superslab_orphan(&word);
	hak_superslab_inherit(&word, OWNER + 1);
	check(&word, HAK_SUPERSLAB_GRANTED, OWNER + 1, 1);
	assert_int_equal(hak_superslab_grant(hak_load_relaxed(&word)), 2);
	collect(&word);
	check(&word, HAK_SUPERSLAB_FREE, HAK_HOLDER_NONE, 0);
}

static void test_an_orphan_whose_last_block_has_gone_is_collected(void **state)
{
	hak_u64 words[N] = {0};

	(void)state;
	hak_superslab_grant_run(&words[1], OWNER, true, 4);
	hak_superslab_begin_collect(&words[1]);
	hak_superslab_orphan(&words[1]);
	hak_superslab_begin_collect(&words[1]);
	check(&words[1], HAK_SUPERSLAB_RECLAIMING, HAK_HOLDER_NONE, 4);
	hak_superslab_end_collect(&words[1]);
	for (uint32_t i = 0; i < N; i++)
		check(&words[i], HAK_SUPERSLAB_FREE, HAK_HOLDER_NONE, 0);
}

static void test_the_generation_goes_up_with_every_grant(void **state)
{
	hak_u64 words[N] = {0};

	(void)state;
	for (uint32_t i = 1; i <= 100; i++) {
		hak_superslab_grant_run(&words[0], OWNER + i, i % 2, 1);
		assert_int_equal(hak_superslab_grant(hak_load_relaxed(&words[0])), i);
		collect(&words[0]);
		assert_int_equal(hak_superslab_grant(hak_load_relaxed(&words[0])), i);
	}
	/* A body keeps its own, for the day it is a head again. */
	hak_superslab_grant_run(&words[3], OWNER, false, 1);
	collect(&words[3]);
	hak_superslab_grant_run(&words[0], OWNER, true, 4);
	assert_int_equal(hak_superslab_grant(hak_load_relaxed(&words[3])), 1);
	collect(&words[0]);
	hak_superslab_grant_run(&words[3], OWNER, false, 1);
	assert_int_equal(hak_superslab_grant(hak_load_relaxed(&words[3])), 2);
}

static void test_the_generation_wraps_inside_its_field(void **state)
{
	hak_u64 word = hak_superslab_pack(HAK_SUPERSLAB_FREE, false, 0, 0, HAK_SUPERSLAB_GRANT_MAX);

	(void)state;
	hak_superslab_grant_run(&word, OWNER, false, 1);
	check(&word, HAK_SUPERSLAB_GRANTED, OWNER, 1);
	assert_int_equal(hak_superslab_grant(hak_load_relaxed(&word)), 0);
}

/* The signal that a move ends by. */
static int signal_of(void (*move)(hak_u64 *words), hak_u64 *words)
{
	const struct rlimit no_core = {0, 0};
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		signal(SIGABRT, SIG_DFL);
		setrlimit(RLIMIT_CORE, &no_core);
		close(STDERR_FILENO);
		move(words);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void grant_3(hak_u64 *words)
{
	hak_superslab_grant_run(words, OWNER, true, 3);
}

static void grant_2_singles(hak_u64 *words)
{
	hak_superslab_grant_run(words, OWNER, false, 2);
}

static void extend_by_2(hak_u64 *words)
{
	hak_superslab_extend_run(words, 2);
}

static void shorten_to_0(hak_u64 *words)
{
	hak_superslab_shorten_run(words, 0);
}

static void shorten_to_3(hak_u64 *words)
{
	hak_superslab_shorten_run(words, 3);
}

static void shorten_to_1(hak_u64 *words)
{
	hak_superslab_shorten_run(words, 1);
}

static void inherit(hak_u64 *words)
{
	hak_superslab_inherit(words, OWNER);
}

static void test_moves_of_orphans_that_must_not_be_are_asserted(void **state)
{
	hak_u64 words[N] = {0};

	(void)state;
	hak_superslab_grant_run(words, OWNER, false, 1);
	assert_int_equal(signal_of(hak_superslab_orphan, words), SIGABRT); /* granted */
	assert_int_equal(signal_of(inherit, words), SIGABRT);
	hak_superslab_begin_collect(words);
	assert_int_equal(signal_of(inherit, words), SIGABRT);
	hak_superslab_orphan(words);
	assert_int_equal(signal_of(inherit, words), 0);
	assert_int_equal(signal_of(hak_superslab_orphan, words), SIGABRT);
	assert_int_equal(signal_of(hak_superslab_end_collect, words), SIGABRT);
	hak_superslab_grant_run(&words[1], OWNER, true, 3);
	hak_superslab_begin_collect(&words[1]);
	hak_superslab_orphan(&words[1]);
	assert_int_equal(signal_of(inherit, &words[1]), SIGABRT); /* huge */
	assert_int_equal(signal_of(hak_superslab_begin_collect, &words[1]), 0);
}

static void test_lengths_that_must_not_be_are_asserted(void **state)
{
	hak_u64 words[N] = {0};

	(void)state;
	assert_int_equal(signal_of(extend_by_2, words), SIGABRT); /* free */
	grant_3(words);
	assert_int_equal(signal_of(extend_by_2, words), 0);
	assert_int_equal(signal_of(shorten_to_1, words), 0);
	assert_int_equal(signal_of(shorten_to_0, words), SIGABRT);
	assert_int_equal(signal_of(shorten_to_3, words), SIGABRT);
	assert_int_equal(signal_of(extend_by_2, &words[1]), SIGABRT); /* a body */
	hak_superslab_grant_run(&words[4], OWNER, false, 1);
	assert_int_equal(signal_of(extend_by_2, words), SIGABRT);     /* into it */
	assert_int_equal(signal_of(extend_by_2, &words[4]), SIGABRT); /* not huge */
	hak_superslab_begin_collect(words);
	assert_int_equal(signal_of(shorten_to_1, words), SIGABRT);
}

static void test_moves_that_must_not_be_are_asserted(void **state)
{
	hak_u64 words[N] = {0};

	(void)state;
	assert_int_equal(signal_of(grant_3, words), 0);
	assert_int_equal(signal_of(grant_2_singles, words), SIGABRT);
	assert_int_equal(signal_of(hak_superslab_begin_collect, words), SIGABRT);
	assert_int_equal(signal_of(hak_superslab_end_collect, words), SIGABRT);
	hak_superslab_grant_run(&words[2], OWNER, false, 1);
	assert_int_equal(signal_of(grant_3, words), SIGABRT);
	assert_int_equal(signal_of(hak_superslab_end_collect, &words[2]), SIGABRT);
	assert_int_equal(signal_of(hak_superslab_begin_collect, &words[2]), 0);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_each_field_has_bits_of_its_own),
	cmocka_unit_test(test_a_granted_superslab_names_its_owner),
	cmocka_unit_test(test_bodies_of_a_run_know_their_head),
	cmocka_unit_test(test_reclaiming_remembers_whose_it_was),
	cmocka_unit_test(test_a_collected_run_is_free_from_head_to_end),
	cmocka_unit_test(test_an_orphan_is_nobodys_as_long_as_it_was),
	cmocka_unit_test(test_an_orphan_that_is_inherited_is_another_grant),
	cmocka_unit_test(test_an_orphan_whose_last_block_has_gone_is_collected),
	cmocka_unit_test(test_the_generation_goes_up_with_every_grant),
	cmocka_unit_test(test_the_generation_wraps_inside_its_field),
	cmocka_unit_test(test_an_extended_run_is_one_run),
	cmocka_unit_test(test_what_a_run_is_shortened_by_is_reclaimed_alone),
	cmocka_unit_test(test_moves_of_orphans_that_must_not_be_are_asserted),
	cmocka_unit_test(test_lengths_that_must_not_be_are_asserted),
	cmocka_unit_test(test_moves_that_must_not_be_are_asserted),
};

HAKT_MAIN(tests, NULL, NULL)
