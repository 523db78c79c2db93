/* SPDX-License-Identifier: MIT */
/*
 * Refs as tickets, with a real daemon and real processes that all live: what is
 * left when one dies is in other tests.
 */
#include "tests/support/run.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client_lib/include/hakmem.h"
#include "proto/shm/ref.h"
#include "proto/shm/size_class.h"
#include "tests/support/mortal.h"
#include "tests/support/process.h"
#include "tests/support/random.h"

enum { MANY = 3000 };

static char *make(size_t size, unsigned seed)
{
	char *block = hakmem_malloc(size);

	assert_non_null(block);
	hakt_mortal_fill(block, size, seed);
	return block;
}

static uint64_t refused(void)
{
	struct hakmem_stats stats;

	assert_int_equal(hakmem_stats(&stats, sizeof(stats)), 0);
	return stats.refused_frees;
}

static void check_nothing_lives(void)
{
	struct hakmem_stats stats;

	hakmem_trim();
	assert_int_equal(hakmem_stats(&stats, sizeof(stats)), 0);
	assert_int_equal(stats.live_blocks, 0);
}

/* Takes by a ref whose ticket is void: nothing must change. */
static void check_stale(hakmem_ref_t ref)
{
	void *untouched = &hakt_mortal_daemon;

	assert_int_equal(hakmem_take(ref, &untouched), -ESTALE);
	assert_ptr_equal(untouched, &hakt_mortal_daemon);
}

static void test_a_ref_is_taken_once(void **state)
{
	(void)state;
	for (unsigned i = 0; i < HAKT_MORTAL_SIZES; i++) {
		char *block = make(hakt_mortal_sizes[i], i);
		hakmem_ref_t ref = hakmem_ref(block), again;
		void *taken;

		assert_int_equal(hakmem_ref(block), ref); /* the same ticket */
		assert_int_equal(hakmem_take(ref, &taken), 0);
		assert_ptr_equal(taken, block);
		check_stale(ref);
		assert_int_equal(hakmem_owner(block, NULL), HAKMEM_OWNER_SELF);
		again = hakmem_ref(block);
		assert_int_not_equal(again, ref);
		assert_ptr_equal(hakmem_ptr(ref),
				 block); /* looking at it is no matter of tickets */
		assert_int_equal(hakmem_take(again, &taken), 0);
		check_stale(again);
		assert_true(hakt_mortal_is_as_made(block, hakt_mortal_sizes[i], i));
		hakmem_free(block);
	}
	assert_int_equal(refused(), 0);
	check_nothing_lives();
}

static void test_a_free_voids_the_refs(void **state)
{
	(void)state;
	for (unsigned i = 0; i < HAKT_MORTAL_SIZES; i++) {
		char *block = make(hakt_mortal_sizes[i], i);
		hakmem_ref_t ref = hakmem_ref(block);
		char *next;

		hakmem_free(block); /* into a cache, from which the next one comes */
		check_stale(ref);
		next = make(hakt_mortal_sizes[i], i + 1);
		check_stale(ref);
		assert_true(hakt_mortal_is_as_made(next, hakt_mortal_sizes[i], i + 1));
		hakmem_free(next);
		hakmem_trim();
		check_stale(ref);
	}
	check_nothing_lives();
}

static void test_a_realloc_voids_the_refs(void **state)
{
	(void)state;
	for (unsigned i = 0; i < HAKT_MORTAL_SIZES; i++) {
		char *block = make(hakt_mortal_sizes[i], i);
		hakmem_ref_t ref = hakmem_ref(block);
		char *longer = hakmem_realloc(block, hakt_mortal_sizes[i] * 3);

		assert_non_null(longer);
		check_stale(ref);
		assert_true(hakt_mortal_is_as_made(longer, hakt_mortal_sizes[i], i));
		hakmem_free(longer);
	}
	assert_int_equal(refused(), 0);
	check_nothing_lives();
}

static bool is_low(const char *block)
{
	return (uintptr_t)block % HAK_SLOT_BYTES < HAK_SLOT_BYTES / 2;
}

/*
 * An address that has been cut into blocks of another size has no ticket of
 * before. Each slab's low half is freed when it has no refs yet, so that the
 * tags that the addresses of its high half get then are as new.
 */
static void test_a_ref_is_void_when_its_slab_is_cut_anew(void **state)
{
	static char *blocks[MANY];
	static hakmem_ref_t refs[MANY];
	char *stays = make(5000, 0); /* else the SuperSlab would go back to the daemon */

	(void)state;
	for (unsigned i = 0; i < MANY; i++)
		blocks[i] = make(96, i);
	for (unsigned i = 0; i < MANY; i++)
		if (is_low(blocks[i]))
			hakmem_free(blocks[i]);
	hakmem_trim();
	for (unsigned i = 0; i < MANY; i++)
		refs[i] = is_low(blocks[i]) ? 0 : hakmem_ref(blocks[i]);
	for (unsigned i = 0; i < MANY; i++)
		if (!is_low(blocks[i]))
			hakmem_free(blocks[i]);
	hakmem_trim();
	for (unsigned i = 0; i < MANY; i++) { /* every other one begins where one of 96 began */
		blocks[i] = make(192, i);
		hakmem_ref(blocks[i]);
	}
	for (unsigned i = 0; i < MANY; i++)
		if (refs[i])
			check_stale(refs[i]);
	for (unsigned i = 0; i < MANY; i++) {
		assert_true(hakt_mortal_is_as_made(blocks[i], 192, i));
		hakmem_free(blocks[i]);
	}
	hakmem_free(stays);
	check_nothing_lives();
}

static void test_what_is_no_ref_is_not_taken(void **state)
{
	static const hakmem_ref_t none[] = {0, 5, UINT64_MAX};
	char *block = make(100, 0);
	void *taken;
	hakmem_ref_t ref = hakmem_ref(block);

	(void)state;
	for (unsigned i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		assert_int_equal(hakmem_take(none[i], &taken), -EINVAL);
	check_stale(ref + 1); /* behind the begin of the block */
	check_stale(ref ^ UINT64_C(2) << HAK_REF_OFFSET_BITS);
	check_stale(ref ^ UINT64_C(1) << (HAK_REF_OFFSET_BITS + HAK_REF_EPOCH_BITS));
	assert_int_equal(hakmem_owner(block + 16, NULL), -EINVAL);
	assert_int_equal(hakmem_owner(&hakt_mortal_daemon, NULL), -EINVAL);
	assert_int_equal(hakmem_ref(block + 16), 0);
	assert_int_equal(errno, EINVAL);
	hakmem_free(block);
	assert_int_equal(hakmem_owner(&hakt_mortal_daemon, NULL), -EINVAL);
	check_nothing_lives();
}

static int take_all(const void *context)
{
	const unsigned *n_refs = context;
	int pid;

	for (unsigned i = 0; i < *n_refs; i++) {
		void *block;

		HAKT_EXPECT(hakmem_take(hakt_mortal_shared->refs[i], &block) == 0);
		HAKT_EXPECT(block == hakt_mortal_shared->blocks[i]);
		HAKT_EXPECT(hakmem_owner(block, &pid) == HAKMEM_OWNER_SELF && pid == getpid());
		HAKT_EXPECT(hakmem_take(hakt_mortal_shared->refs[i], &block) == -ESTALE);
		HAKT_EXPECT(
			hakt_mortal_is_as_made(block, hakt_mortal_sizes[i % HAKT_MORTAL_SIZES], i));
	}
	hakt_child_say("taken");
	hakt_child_wait();
	for (unsigned i = 0; i < *n_refs; i++)
		hakmem_free(hakt_mortal_shared->blocks[i]);
	HAKT_EXPECT(hakmem_trim() == 0);
	hakt_child_say("freed");
	hakt_child_wait();
	return 0;
}

static void test_a_block_that_was_taken_is_the_takers(void **state)
{
	struct hakt_process child = {0};
	unsigned n = HAKT_MORTAL_SIZES;
	int pid;

	(void)state;
	for (unsigned i = 0; i < n; i++) {
		hakt_mortal_shared->blocks[i] = make(hakt_mortal_sizes[i], i);
		hakt_mortal_shared->refs[i] = hakmem_ref(hakt_mortal_shared->blocks[i]);
	}
	hakt_process_fork(&child, take_all, &n);
	hakt_process_wait_output(&child, 1, "taken");
	for (unsigned i = 0; i < n; i++) {
		assert_int_equal(hakmem_owner(hakt_mortal_shared->blocks[i], &pid),
				 HAKMEM_OWNER_OTHER);
		assert_int_equal(pid, child.pid);
		check_stale(hakt_mortal_shared->refs[i]);
		hakmem_free(hakt_mortal_shared->blocks[i]); /* refused: it isn't ours any more */
	}
	assert_int_equal(refused(), n);
	hakt_process_tell(&child);
	hakt_process_wait_output(&child, 1, "freed");
	for (unsigned i = 0; i < n; i++)
		assert_int_equal(hakmem_owner(hakt_mortal_shared->blocks[i], NULL), -EINVAL);
	check_nothing_lives(); /* in our slabs, the child has its own */
	hakt_process_tell(&child);
	hakt_process_wait_done(&child);
	hakt_process_end(&child);
}

static int free_what_is_anothers(const void *context)
{
	(void)context;
	HAKT_EXPECT(hakmem_attach(NULL) == 0);
	for (unsigned i = 0; i < HAKT_MORTAL_SIZES; i++)
		hakmem_free(hakt_mortal_shared->blocks[i]);
	HAKT_EXPECT(refused() == HAKT_MORTAL_SIZES);
	return 0;
}

static void test_a_free_by_a_third_is_refused(void **state)
{
	struct hakt_process child = {0};
	unsigned n = HAKT_MORTAL_SIZES;

	(void)state;
	for (unsigned i = 0; i < n; i++) {
		hakt_mortal_shared->blocks[i] = make(hakt_mortal_sizes[i], i);
		hakt_mortal_shared->refs[i] = hakmem_ref(hakt_mortal_shared->blocks[i]);
	}
	hakt_process_fork(&child, take_all, &n);
	hakt_process_wait_output(&child, 1, "taken");
	hakt_process_run_child(free_what_is_anothers, NULL);
	for (unsigned i = 0; i < n; i++) {
		assert_int_equal(hakmem_owner(hakt_mortal_shared->blocks[i], NULL),
				 HAKMEM_OWNER_OTHER);
		assert_true(hakt_mortal_is_as_made(hakt_mortal_shared->blocks[i],
						   hakt_mortal_sizes[i], i));
	}
	hakt_process_tell(&child);
	hakt_process_tell(&child);
	hakt_process_wait_done(&child);
	hakt_process_end(&child);
	check_nothing_lives();
}

static int free_all(const void *context)
{
	const unsigned *n_blocks = context;

	HAKT_EXPECT(hakmem_attach(NULL) == 0);
	for (unsigned i = 0; i < *n_blocks; i++)
		hakmem_free(hakt_mortal_shared->blocks[i]);
	return hakmem_trim();
}

/* With refs and without; those of before are void. */
static void test_a_block_that_was_lent_may_be_freed_by_the_receiver(void **state)
{
	unsigned n = 2 * HAKT_MORTAL_SIZES;

	(void)state;
	for (unsigned i = 0; i < n; i++) {
		hakt_mortal_shared->blocks[i] = make(hakt_mortal_sizes[i % HAKT_MORTAL_SIZES], i);
		hakt_mortal_shared->refs[i] = i < HAKT_MORTAL_SIZES
						      ? 0
						      : hakmem_ref(hakt_mortal_shared->blocks[i]);
	}
	hakt_process_run_child(free_all, &n);
	for (unsigned i = HAKT_MORTAL_SIZES; i < n; i++)
		check_stale(hakt_mortal_shared->refs[i]);
	check_nothing_lives();
	assert_int_equal(refused(), 0);
}

static int grow_what_was_given(const void *context)
{
	(void)context;
	for (unsigned i = 0; i < HAKT_MORTAL_SIZES; i++) {
		void *block;
		char *longer;

		HAKT_EXPECT(hakmem_take(hakt_mortal_shared->refs[i], &block) == 0);
		longer = hakmem_realloc(block, hakt_mortal_sizes[i] * 3);
		HAKT_EXPECT(longer && longer != block &&
			    hakt_mortal_is_as_made(longer, hakt_mortal_sizes[i], i));
		hakmem_free(longer);
	}
	return hakmem_trim();
}

static void test_a_taker_may_realloc(void **state)
{
	(void)state;
	for (unsigned i = 0; i < HAKT_MORTAL_SIZES; i++)
		hakt_mortal_shared->refs[i] = hakmem_ref(make(hakt_mortal_sizes[i], i));
	hakt_process_run_child(grow_what_was_given, NULL);
	check_nothing_lives();
}

/* Takes, writes, and gives back what it gets until it gets nothing more. */
static int play(const void *context)
{
	const struct {
		int in, out;
	} *ends = context;
	struct {
		hakmem_ref_t ref;
		uint32_t size, seed;
	} item;

	while (read(ends->in, &item, sizeof(item)) == (ssize_t)sizeof(item)) {
		void *block, *next;

		HAKT_EXPECT(hakmem_take(item.ref, &block) == 0);
		HAKT_EXPECT(hakt_mortal_is_as_made(block, item.size, item.seed));
		if (item.seed % 3 == 0) { /* another one goes back */
			next = hakmem_malloc(item.size);
			HAKT_EXPECT(next);
			memcpy(next, block, item.size);
			hakmem_free(block);
			block = next;
		}
		item.ref = hakmem_ref(block);
		HAKT_EXPECT(item.ref);
		HAKT_EXPECT(write(ends->out, &item, sizeof(item)) == (ssize_t)sizeof(item));
	}
	return hakmem_trim();
}

static void test_blocks_go_to_and_fro_and_nothing_is_lost(void **state)
{
	uint64_t random = hakt_random_seed();
	pid_t child;
	int status;
	int there[2], back[2];
	struct {
		int in, out;
	} ends;
	struct {
		hakmem_ref_t ref;
		uint32_t size, seed;
	} item;

	(void)state;
	assert_int_equal(pipe(there) + pipe(back), 0);
	ends.in = there[0];
	ends.out = back[1];
	child = fork();
	if (child == 0) {
		close(there[1]); /* or it would wait for itself */
		_exit(play(&ends));
	}
	close(there[0]);
	close(back[1]);
	for (unsigned i = 0; i < 20000; i++) {
		size_t size =
			hakt_mortal_sizes[hakt_random(&random) % (i % 50 ? 3 : HAKT_MORTAL_SIZES)];
		void *block = make(size, i);

		item.ref = hakmem_ref(block);
		item.size = (uint32_t)size;
		item.seed = i;
		assert_int_equal(write(there[1], &item, sizeof(item)), sizeof(item));
		assert_int_equal(read(back[0], &item, sizeof(item)), sizeof(item));
		assert_int_equal(hakmem_take(item.ref, &block), 0);
		assert_true(hakt_mortal_is_as_made(block, size, i));
		hakmem_free(block);
	}
	close(there[1]);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	close(back[0]);
	assert_int_equal(refused(), 0);
	check_nothing_lives();
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test_setup_teardown(test_a_ref_is_taken_once, hakt_mortal_setup,
					hakt_mortal_stop),
	cmocka_unit_test_setup_teardown(test_a_free_voids_the_refs, hakt_mortal_setup,
					hakt_mortal_stop),
	cmocka_unit_test_setup_teardown(test_a_realloc_voids_the_refs, hakt_mortal_setup,
					hakt_mortal_stop),
	cmocka_unit_test_setup_teardown(test_a_ref_is_void_when_its_slab_is_cut_anew,
					hakt_mortal_setup, hakt_mortal_stop),
	cmocka_unit_test_setup_teardown(test_what_is_no_ref_is_not_taken, hakt_mortal_setup,
					hakt_mortal_stop),
	cmocka_unit_test_setup_teardown(test_a_block_that_was_taken_is_the_takers,
					hakt_mortal_setup, hakt_mortal_stop),
	cmocka_unit_test_setup_teardown(test_a_free_by_a_third_is_refused, hakt_mortal_setup,
					hakt_mortal_stop),
	cmocka_unit_test_setup_teardown(test_a_block_that_was_lent_may_be_freed_by_the_receiver,
					hakt_mortal_setup, hakt_mortal_stop),
	cmocka_unit_test_setup_teardown(test_a_taker_may_realloc, hakt_mortal_setup,
					hakt_mortal_stop),
	cmocka_unit_test_setup_teardown(test_blocks_go_to_and_fro_and_nothing_is_lost,
					hakt_mortal_setup, hakt_mortal_stop),
};

HAKT_MAIN(tests, NULL, NULL)
