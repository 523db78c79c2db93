/* SPDX-License-Identifier: MIT */
/*
 * A daemon that is killed between any two of its accesses while it publishes or withdraws a list,
 * and again while it resumes, leaves all of the list or nothing. Who reads meanwhile sees one use
 * of an entry, wherever the daemon overtakes it.
 */
#include "tests/support/run.h"

#include <errno.h>
#include <string.h>

#include "tests/support/roots.h"

static long cut_in = -1; /* accesses until the daemon is killed; -1: it isn't */
static long n_accesses;
static void (*before_access)(void);
static jmp_buf killed;

void hakt_cut(void)
{
	void (*run)(void) = before_access;

	before_access = NULL; /* it may make accesses of its own */
	if (run)
		run();
	before_access = run;
	n_accesses++;
	if (cut_in >= 0 && cut_in-- == 0)
		longjmp(killed, 1);
}

static long look_in = -1; /* loads until the reader is overtaken; -1: it isn't */
static void (*overtake)(void);

void hakt_look(void)
{
	if (look_in >= 0 && look_in-- == 0)
		overtake();
}

/* Runs it, killed before its k-th access; false: it has ended before. */
static bool run_killed(void (*run)(void), long k)
{
	if (setjmp(killed))
		return true;
	cut_in = k;
	run();
	cut_in = -1;
	return false;
}

static void restart(void)
{
	hakt_roots_stop(NULL);
	hakt_roots_start(NULL);
}

static void publish_list(void)
{
	hakt_publish(&hakt_a, "list", hakt_refs, HAKT_N);
}

static void withdraw_list(void)
{
	uint64_t ref;

	hakt_withdraw(&hakt_c, "list", &ref);
}

static void resume(void)
{
	hak_roots_resume(&hakt_roots_pool.segment, hakt_roots);
}

static void keep_everything(void)
{
}

/* A list whose last ticket is taken while its other blocks move: it goes back. */
static void take_last(void)
{
	if (hak_root_state(hak_root_load(&hakt_roots[0].word)) == HAK_ROOT_PENDING)
		hak_tag_take(hakt_tag_of(hakt_refs[HAKT_N - 1]), HAKT_C,
			     hak_ref_inc(hakt_refs[HAKT_N - 1]));
}

static void publish_list_in_vain(void)
{
	before_access = take_last;
	hakt_publish(&hakt_a, "list", hakt_refs, HAKT_N);
	before_access = NULL;
}

/* ROOT has all, with their name; or somebody else has all, and there is no name. */
static void check_all_or_none(unsigned owner)
{
	unsigned n = hakt_count_of(HAK_HOLDER_ROOT);
	uint64_t ref;

	assert_true(n == 0 || n == HAKT_N);
	assert_int_equal(hakt_count_used(), n);
	assert_int_equal(hakt_lookup("list", &ref), n ? 0 : -ENOENT);
	if (n)
		assert_int_equal(ref, hak_root_taken(hakt_refs[0]));
	else
		assert_int_equal(hakt_count_of(owner), HAKT_N);
	assert_int_equal(hakt_count_flaws(), 0);
}

struct cut {
	void (*before)(void);	 /* what was done before */
	void (*run)(void);	 /* what is killed at each access */
	void (*meanwhile)(void); /* what happens while no daemon is there */
	void (*check)(void);
	unsigned n_outcomes[2]; /* resumed: without a name, with one */
	unsigned n_parted;	/* killed when a part of the list was ROOT's */
};

static unsigned owners[HAKT_N]; /* when it was killed */

/* Kills it at access k, and who resumes at access k2; then it is resumed to the end. */
static bool cut_twice(struct cut *cut, long k, long k2)
{
	unsigned n_roots;
	uint64_t ref;
	bool more;

	restart();
	cut->before();
	if (!run_killed(cut->run, k)) {
		before_access = NULL;
		return false;
	}
	before_access = NULL;
	n_roots = hakt_count_of(HAK_HOLDER_ROOT);
	for (unsigned i = 0; i < HAKT_N; i++)
		owners[i] = hakt_owner_of(hakt_refs[i]);
	cut->n_parted += n_roots > 0 && n_roots < HAKT_N;
	assert_int_equal(hakt_count_flaws(), 0);
	cut->meanwhile();
	more = run_killed(resume, k2);
	cut->meanwhile();
	resume();
	cut->check();
	n_accesses = 0;
	resume(); /* nothing is left to be done */
	assert_int_equal(n_accesses, 0);
	cut->check();
	/* Undone or finished by what had moved. */
	assert_int_equal(hakt_lookup("list", &ref) == 0, n_roots == HAKT_N);
	cut->n_outcomes[n_roots == HAKT_N]++;
	return more;
}

static void cut_everywhere(struct cut *cut)
{
	long k, k2, n = 0;

	for (k = 0;; k++) {
		unsigned before = cut->n_outcomes[0] + cut->n_outcomes[1];

		for (k2 = 0; cut_twice(cut, k, k2); k2++)
			n++;
		if (cut->n_outcomes[0] + cut->n_outcomes[1] == before)
			break; /* it ended without being killed */
	}
	print_message("%ld accesses, %ld pairs, a part moved in %u, without a name %u, with one "
		      "%u\n",
		      k, n, cut->n_parted, cut->n_outcomes[0], cut->n_outcomes[1]);
	assert_true(k > HAKT_N);
	assert_true(cut->n_parted > 0);
}

static void check_a_s(void)
{
	check_all_or_none(HAKT_A);
}

static void test_a_publication_that_is_killed_anywhere_is_all_or_nothing(void **state)
{
	struct cut cut = {keep_everything, publish_list, keep_everything, check_a_s, {0}, 0};

	(void)state;
	cut_everywhere(&cut);
	assert_true(cut.n_outcomes[0] > 0 && cut.n_outcomes[1] > 0);
}

static void check_c_s(void)
{
	check_all_or_none(HAKT_C);
}

static void test_a_withdrawal_that_is_killed_anywhere_is_all_or_nothing(void **state)
{
	struct cut cut = {publish_list, withdraw_list, keep_everything, check_c_s, {0}, 0};

	(void)state;
	cut_everywhere(&cut);
	assert_true(cut.n_outcomes[0] > 0 && cut.n_outcomes[1] > 0);
}

static void check_went_back(void)
{
	uint64_t ref;

	assert_int_equal(hakt_lookup("list", &ref), -ENOENT);
	assert_int_equal(hakt_count_used(), 0);
	assert_int_equal(hakt_owner_of(hakt_refs[0]), HAKT_A);
	assert_int_equal(hakt_owner_of(hakt_refs[1]), HAKT_A);
	assert_int_not_equal(hakt_owner_of(hakt_refs[2]), HAK_HOLDER_ROOT);
	assert_int_equal(hakt_count_flaws(), 0);
}

static void test_a_publication_in_vain_that_is_killed_anywhere_goes_back(void **state)
{
	struct cut cut = {
		keep_everything, publish_list_in_vain, keep_everything, check_went_back, {0}, 0};

	(void)state;
	publish_list_in_vain();
	assert_int_equal(hakt_owner_of(hakt_refs[2]), HAKT_C);
	check_went_back();
	cut_everywhere(&cut);
	assert_int_equal(cut.n_outcomes[1], 0);
}

/* The holder's slot is somebody else's; others allocate whatever is free. */
static void lose(unsigned holder)
{
	hakt_pool_set_holder(&hakt_roots_pool, holder, HAK_HOLDER_ATTACHED, HAKT_GENERATION + 1);
	for (unsigned i = 0; i < HAKT_N; i++) {
		struct hak_location l = hak_segment_locate_offset(&hakt_roots_pool.segment,
								  hak_ref_offset(hakt_refs[i]));

		if (hakt_is_free(hakt_refs[i]))
			hakt_pool_claim(&hakt_roots_pool, l.slot, 0, UINT64_C(1) << l.index);
	}
}

static void lose_a(void)
{
	lose(HAKT_A);
}

static void lose_c(void)
{
	lose(HAKT_C);
}

/* What never moved is for the scan; what moved has been freed, and may be somebody's by now. */
static void check_freed(unsigned gone)
{
	unsigned n = hakt_count_of(HAK_HOLDER_ROOT);

	assert_true(n == 0 || n == HAKT_N);
	assert_int_equal(hakt_count_used(), n);
	assert_int_equal(hakt_count_flaws(), 0);
	for (unsigned i = 0; i < HAKT_N; i++) {
		uint32_t t = hak_tag_load(hakt_tag_of(hakt_refs[i]));

		/* Whoever has it, nobody is about to free it, and who is gone didn't get it. */
		assert_true(hakt_is_free(hakt_refs[i]) || hak_tag_state(t) != HAK_TAG_FREEING);
		assert_true(owners[i] == gone || !hak_tag_is_held(t, gone));
	}
}

static void check_freed_of_a(void)
{
	check_freed(HAKT_A);
}

static void check_freed_for_c(void)
{
	check_freed(HAKT_C);
}

static void test_blocks_of_a_publisher_that_is_gone_are_freed_once(void **state)
{
	struct cut cut = {keep_everything, publish_list, lose_a, check_freed_of_a, {0}, 0};

	(void)state;
	cut_everywhere(&cut);
	assert_true(cut.n_outcomes[0] > 0 && cut.n_outcomes[1] > 0);
}

static void test_blocks_for_a_taker_that_is_gone_are_freed_once(void **state)
{
	struct cut cut = {publish_list, withdraw_list, lose_c, check_freed_for_c, {0}, 0};

	(void)state;
	cut_everywhere(&cut);
	assert_true(cut.n_outcomes[0] > 0 && cut.n_outcomes[1] > 0);
}

static unsigned n_allocated;

static void allocate(void)
{
	n_allocated += hakt_is_free(hakt_refs[0]);
	lose_a();
}

static void test_a_block_that_was_allocated_since_is_not_freed_again(void **state)
{
	uint64_t ref = hakt_refs[0];

	(void)state;
	for (long k = 0; k < 1000; k++) {
		restart();
		/* ROOT has the first, then the daemon is killed, and its publisher is gone. */
		assert_true(run_killed(publish_list, k));
		if (hakt_owner_of(ref) == HAK_HOLDER_ROOT)
			break;
	}
	lose_a();
	for (long k = 0; !hakt_is_free(ref); k++) {
		assert_true(run_killed(resume, k));
		assert_true(k < 1000);
	}
	n_allocated = 0;
	before_access = allocate; /* just when it might be freed again */
	resume();
	before_access = NULL;
	assert_int_equal(n_allocated, 1);
	assert_false(hakt_is_free(ref));
	assert_int_equal(hakt_count_used(), 0);
}

/* Entry 0 is used for another name and another block. */
static void use_again(void)
{
	uint64_t ref;

	hakt_withdraw(&hakt_c, "one", &ref);
	hakt_publish(&hakt_a, "two", &hakt_refs[1], 1);
}

/* Overtaken at load k; false: it has ended before. */
static bool run_overtaken(bool (*is_right)(void), void (*run)(void), long k)
{
	restart();
	assert_int_equal(hakt_publish(&hakt_a, "one", hakt_refs, 1), 0);
	overtake = run;
	look_in = k;
	if (!is_right())
		fail_msg("overtaken at load %ld", k);
	return look_in < 0;
}

static void overtake_everywhere(bool (*is_right)(void), void (*run)(void))
{
	long k = 0;

	while (run_overtaken(is_right, run, k))
		k++;
	look_in = -1;
	assert_true(k > 2);
}

static bool finds_one(void)
{
	uint64_t ref = 0;

	return hakt_lookup("one", &ref) == -ENOENT || ref == hak_root_taken(hakt_refs[0]);
}

static bool finds_two(void)
{
	uint64_t ref = 0;

	return hakt_lookup("two", &ref) == -ENOENT || ref == hak_root_taken(hakt_refs[1]);
}

static bool finds_one_that_leaves(void)
{
	uint64_t ref = 0;

	return hakt_lookup("one", &ref) == 0 && ref == hak_root_taken(hakt_refs[0]);
}

/* As far as its name is there for others. */
static void begin_to_leave(void)
{
	hak_store_relaxed(&hakt_roots[0].word,
			  hak_root_pack(HAK_ROOT_LEAVING,
					hak_root_generation(hak_root_load(&hakt_roots[0].word))));
}

static void test_a_lookup_that_is_overtaken_finds_what_was_there(void **state)
{
	(void)state;
	overtake_everywhere(finds_one, use_again);
	overtake_everywhere(finds_two, use_again);
	overtake_everywhere(finds_one_that_leaves, begin_to_leave);
}

static bool sees_no_flaw(void)
{
	uint64_t ref;

	return hak_roots_examine(&hakt_roots_pool.segment, 0, &ref) == HAK_ROOT_FLAW_NONE;
}

static bool sees_an_entry(void)
{
	return !hak_roots_is_nameless(&hakt_roots_pool.segment, hak_ref_offset(hakt_refs[0]),
				      hakt_tag_of(hakt_refs[0]));
}

static void test_an_audit_that_is_overtaken_tells_nothing(void **state)
{
	(void)state;
	overtake_everywhere(sees_no_flaw, use_again);
	overtake_everywhere(sees_an_entry, use_again);
}

static uint64_t member; /* A's ticket for the block that is looked at */

/* The list goes, and its member is a list's member again, behind a head of its own. */
static void make_another_list(void)
{
	uint64_t list[2] = {0, hak_root_taken(hak_root_taken(member))};

	hakt_withdraw(&hakt_a, "list", &list[0]);
	hakt_publish(&hakt_a, "other", list, 2);
}

/* The list goes, its member is published alone, in the entry that was its head's. */
static void publish_member_alone(void)
{
	uint64_t ref;

	hakt_withdraw(&hakt_a, "list", &ref);
	ref = hak_root_taken(hak_root_taken(member));
	hakt_publish(&hakt_a, "other", &ref, 1);
}

static bool sees_an_entry_of_the_member(void)
{
	return !hak_roots_is_nameless(&hakt_roots_pool.segment, hak_ref_offset(member),
				      hakt_tag_of(member));
}

static void overtake_at_a_member(void (*run)(void))
{
	long k = 0;

	do {
		restart();
		assert_int_equal(hakt_publish(&hakt_a, "list", hakt_refs, HAKT_N), 0);
		member = hakt_refs[1];
		overtake = run;
		look_in = k++;
		if (!sees_an_entry_of_the_member())
			fail_msg("overtaken at load %ld", k - 1);
	} while (look_in < 0);
	look_in = -1;
	assert_true(k > 4);
}

static void test_an_audit_that_is_overtaken_at_a_member_tells_nothing(void **state)
{
	(void)state;
	overtake_at_a_member(make_another_list);
	overtake_at_a_member(publish_member_alone);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test_setup_teardown(
		test_a_publication_that_is_killed_anywhere_is_all_or_nothing, hakt_roots_start,
		hakt_roots_stop),
	cmocka_unit_test_setup_teardown(test_a_withdrawal_that_is_killed_anywhere_is_all_or_nothing,
					hakt_roots_start, hakt_roots_stop),
	cmocka_unit_test_setup_teardown(
		test_a_publication_in_vain_that_is_killed_anywhere_goes_back, hakt_roots_start,
		hakt_roots_stop),
	cmocka_unit_test_setup_teardown(test_blocks_of_a_publisher_that_is_gone_are_freed_once,
					hakt_roots_start, hakt_roots_stop),
	cmocka_unit_test_setup_teardown(test_blocks_for_a_taker_that_is_gone_are_freed_once,
					hakt_roots_start, hakt_roots_stop),
	cmocka_unit_test_setup_teardown(test_a_lookup_that_is_overtaken_finds_what_was_there,
					hakt_roots_start, hakt_roots_stop),
	cmocka_unit_test_setup_teardown(test_an_audit_that_is_overtaken_tells_nothing,
					hakt_roots_start, hakt_roots_stop),
	cmocka_unit_test_setup_teardown(test_an_audit_that_is_overtaken_at_a_member_tells_nothing,
					hakt_roots_start, hakt_roots_stop),
	cmocka_unit_test_setup_teardown(test_a_block_that_was_allocated_since_is_not_freed_again,
					hakt_roots_start, hakt_roots_stop),
};

HAKT_MAIN(tests, NULL, NULL)
