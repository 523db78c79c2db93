/* SPDX-License-Identifier: MIT */
/*
 * Roots with a real daemon and real processes that live; what is left when one dies is
 * in root_death_test.c.
 */
#include "tests/support/run.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "client_lib/include/hakmem.h"
#include "tests/support/ctl.h"
#include "tests/support/daemon.h"
#include "tests/support/process.h"

/* Of a class, of a class of several slots, a span that threads keep, one that they don't, a run. */
static const size_t sizes[] = {16, 64, 1000, 30000, 70000, 1000000, 1500000, 5000000};

enum {
	N = sizeof(sizes) / sizeof(sizes[0]),
	TABLE = 512,
	MANY = 20000,
	WORKERS = 3,
	LIST = TABLE / WORKERS
};

static struct hakt_daemon hakd;

/* What processes tell each other. */
static struct shared {
	hakmem_ref_t refs[N];
	hakmem_ref_t published[WORKERS];
} * shared;

static int start(void **state)
{
	(void)state;
	hakt_daemon_start(&hakd, HAKT_LIST("--limit", "256M", "--log-level", "error"));
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	return shared == MAP_FAILED;
}

static int stop(void **state)
{
	(void)state;
	munmap(shared, sizeof(*shared));
	hakmem_detach();
	return hakt_daemon_stop_empty(&hakd);
}

static char letter(unsigned i)
{
	return (char)('a' + i % 26);
}

static char *make(unsigned i)
{
	char *block = hakmem_malloc(sizes[i]);

	assert_non_null(block);
	memset(block, letter(i), sizes[i]);
	return block;
}

static bool is_as_made(const char *block, unsigned i)
{
	for (size_t k = 0; k < sizes[i]; k++)
		if (block[k] != letter(i))
			return false;
	return true;
}

static void make_list(char *blocks[N])
{
	for (unsigned i = 0; i < N; i++) {
		blocks[i] = make(i);
		shared->refs[i] = hakmem_ref(blocks[i]);
		assert_int_not_equal(shared->refs[i], 0);
	}
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

/* What this process has withdrawn under a name, by its address; in a child. */
static char *withdraw_in_child(const char *name)
{
	hakmem_ref_t looked_up, ref;
	char *block;

	HAKT_EXPECT(hakmem_root_lookup(name, &looked_up) == 0);
	block = hakmem_ptr(looked_up);
	HAKT_EXPECT(block && hakmem_owner(block, NULL) == HAKMEM_OWNER_ROOT);
	HAKT_EXPECT(hakmem_root_withdraw(name, &ref) == 0);
	HAKT_EXPECT(ref != looked_up && hakmem_ptr(ref) == block);
	HAKT_EXPECT(hakmem_owner(block, NULL) == HAKMEM_OWNER_SELF);
	return block;
}

static int withdraw_and_free_one_by_one(const void *context)
{
	(void)context;
	for (unsigned i = 0; i < N; i++) {
		char name[] = {letter(i), 0};
		char *block = withdraw_in_child(name);

		HAKT_EXPECT(is_as_made(block, i));
		hakmem_free(block);
	}
	return hakmem_trim();
}

static void test_a_published_block_is_withdrawn_and_freed_by_another_process(void **state)
{
	char *blocks[N];
	hakmem_ref_t ref;

	(void)state;
	make_list(blocks);
	for (unsigned i = 0; i < N; i++) {
		char name[] = {letter(i), 0};

		assert_int_equal(hakmem_root_publish(name, shared->refs[i]), 0);
		assert_int_equal(hakmem_owner(blocks[i], NULL), HAKMEM_OWNER_ROOT);
	}
	hakt_process_run_child(withdraw_and_free_one_by_one, NULL);
	assert_int_equal(hakmem_root_lookup("a", &ref), -ENOENT);
	assert_int_equal(hakmem_root_withdraw("a", &ref), -ENOENT);
	check_nothing_lives();
	assert_int_equal(refused(), 0);
}

static int withdraw_and_free_list(const void *context)
{
	char *first = withdraw_in_child("list");

	(void)context;
	HAKT_EXPECT(is_as_made(first, 0));
	hakmem_free(first);
	for (unsigned i = 1; i < N; i++) {
		char *block = hakmem_ptr(shared->refs[i]);

		HAKT_EXPECT(hakmem_owner(block, NULL) == HAKMEM_OWNER_SELF);
		HAKT_EXPECT(is_as_made(block, i));
		hakmem_free(block);
	}
	return hakmem_trim();
}

static void test_a_list_is_published_and_withdrawn_as_one(void **state)
{
	char *blocks[N];
	hakmem_ref_t ref;

	(void)state;
	make_list(blocks);
	assert_int_equal(hakmem_root_publish_list("list", shared->refs, N), 0);
	assert_int_equal(hakmem_root_lookup("list", &ref), 0);
	assert_ptr_equal(hakmem_ptr(ref), blocks[0]);
	for (unsigned i = 0; i < N; i++)
		assert_int_equal(hakmem_owner(blocks[i], NULL), HAKMEM_OWNER_ROOT);
	hakt_process_run_child(withdraw_and_free_list, NULL);
	check_nothing_lives();
	assert_int_equal(refused(), 0);
}

static void test_what_is_published_is_neither_freed_nor_taken_nor_moved(void **state)
{
	char *blocks[N];
	hakmem_ref_t ref;
	void *taken;

	(void)state;
	make_list(blocks);
	for (unsigned i = 0; i < N; i++) {
		assert_int_equal(hakmem_root_publish("x", shared->refs[i]), 0);
		assert_int_equal(hakmem_root_lookup("x", &ref), 0);
		assert_int_equal(hakmem_take(ref, &taken), -ESTALE);
		assert_int_equal(hakmem_take(shared->refs[i], &taken), -ESTALE);
		assert_int_equal(hakmem_take(hakmem_ref(blocks[i]), &taken), -ESTALE);
		hakmem_free(blocks[i]);
		assert_int_equal(refused(), i + 1);
		assert_true(is_as_made(blocks[i], i));
		assert_int_equal(hakmem_owner(blocks[i], NULL), HAKMEM_OWNER_ROOT);
		assert_int_equal(hakmem_root_withdraw("x", &ref), 0);
		assert_int_equal(hakmem_take(ref, &taken), 0); /* a ticket */
		assert_ptr_equal(taken, blocks[i]);
		hakmem_free(taken);
	}
	check_nothing_lives();
}

static int publish_what_is_anothers(const void *context)
{
	hakmem_ref_t ref;

	(void)context;
	HAKT_EXPECT(hakmem_root_publish("x", shared->refs[0]) == -EPERM);
	ref = hakmem_ref(hakmem_ptr(shared->refs[0]));
	HAKT_EXPECT(hakmem_root_publish("x", ref) == -EPERM);
	HAKT_EXPECT(hakmem_root_lookup("x", &ref) == -ENOENT);
	return 0;
}

static int publish_what_was_taken(const void *context)
{
	void *block;

	(void)context;
	HAKT_EXPECT(hakmem_take(shared->refs[0], &block) == 0);
	HAKT_EXPECT(hakmem_root_publish("taken", hakmem_ref(block)) == 0);
	return 0;
}

static void test_only_the_owner_publishes(void **state)
{
	char *block = make(1);
	hakmem_ref_t ref;

	(void)state;
	shared->refs[0] = hakmem_ref(block);
	hakt_process_run_child(publish_what_is_anothers, NULL);
	hakt_process_run_child(publish_what_was_taken, NULL);
	assert_int_equal(hakmem_root_publish("x", shared->refs[0]), -EEXIST);
	assert_int_equal(hakmem_root_withdraw("taken", &ref), 0);
	assert_ptr_equal(hakmem_ptr(ref), block);
	hakmem_free(block);
	check_nothing_lives();
}

static void test_a_publication_that_is_wrong_changes_nothing(void **state)
{
	static const hakmem_ref_t none, many[MANY]; /* more than a packet holds */
	char *blocks[N], name[65];
	hakmem_ref_t ref;
	void *taken;

	(void)state;
	make_list(blocks);
	memset(name, 'n', sizeof(name));
	name[64] = 0;
	assert_int_equal(hakmem_root_publish(name, shared->refs[0]), -EINVAL);
	assert_int_equal(hakmem_root_publish("", shared->refs[0]), -EINVAL);
	assert_int_equal(hakmem_root_publish("a\tb", shared->refs[0]), -EINVAL);
	assert_int_equal(hakmem_root_lookup("", &ref), -EINVAL);
	assert_int_equal(hakmem_root_withdraw(name, &ref), -EINVAL);
	assert_int_equal(hakmem_root_publish("x", none), -EINVAL);
	assert_int_equal(hakmem_root_publish_list("x", shared->refs, 0), -EINVAL);
	assert_int_equal(hakmem_root_publish_list("x", many, MANY), -ENOSPC);
	shared->refs[N - 1] = shared->refs[0];
	assert_int_equal(hakmem_root_publish_list("x", shared->refs, N), -EEXIST);
	ref = hakmem_ref(blocks[N - 1]);
	assert_int_equal(hakmem_take(ref, &taken), 0);
	shared->refs[N - 1] = ref; /* void by now */
	assert_int_equal(hakmem_root_publish_list("x", shared->refs, N), -ESTALE);
	assert_int_equal(hakmem_root_lookup("x", &ref), -ENOENT);
	for (unsigned i = 0; i < N; i++)
		assert_int_equal(hakmem_owner(blocks[i], NULL), HAKMEM_OWNER_SELF);
	for (unsigned i = 0; i < N - 1; i++) /* the tickets are good still */
		assert_int_equal(hakmem_take(shared->refs[i], &taken), 0);
	for (unsigned i = 0; i < N; i++)
		hakmem_free(blocks[i]);
	check_nothing_lives();
}

static void test_a_name_and_a_block_are_published_once(void **state)
{
	char *blocks[N];
	hakmem_ref_t ref;

	(void)state;
	make_list(blocks);
	assert_int_equal(hakmem_root_publish("x", shared->refs[0]), 0);
	assert_int_equal(hakmem_root_publish("x", shared->refs[1]), -EEXIST);
	assert_int_equal(hakmem_root_publish("x", shared->refs[0]), -EEXIST);
	assert_int_equal(hakmem_root_publish("y", shared->refs[0]), -EEXIST);
	assert_int_equal(hakmem_root_publish("y", hakmem_ref(blocks[0])), -EEXIST);
	assert_int_equal(hakmem_root_publish_list("y", shared->refs, N), -EEXIST);
	assert_int_equal(hakmem_root_withdraw("x", &ref), 0);
	assert_int_equal(hakmem_root_publish("y", ref), 0);
	assert_int_equal(hakmem_root_withdraw("y", &ref), 0);
	for (unsigned i = 0; i < N; i++)
		hakmem_free(blocks[i]);
	check_nothing_lives();
}

static void test_a_full_table_is_ENOSPC_and_is_listed_whole(void **state)
{
	static hakmem_ref_t refs[TABLE + 1];
	hakmem_ref_t ref;
	char name[16];
	json_t *json;

	(void)state;
	for (unsigned i = 0; i <= TABLE; i++)
		refs[i] = hakmem_ref(hakmem_malloc(100));
	assert_int_equal(hakmem_root_publish_list("all", refs, TABLE), 0);
	assert_int_equal(hakmem_root_publish("x", refs[TABLE]), -ENOSPC);
	assert_int_equal(hakmem_root_withdraw("all", &refs[0]), 0);
	for (unsigned i = 0; i < TABLE; i++) {
		snprintf(name, sizeof(name), "%u", i);
		assert_int_equal(hakmem_root_publish(name, hakmem_ref(hakmem_ptr(refs[i]))), 0);
	}
	assert_int_equal(hakmem_root_publish("x", refs[TABLE]), -ENOSPC);
	json = hakt_ctl(hakd.socket, "roots");
	assert_int_equal(json_array_size(json_object_get(json, "roots")), TABLE);
	json_decref(json);
	for (unsigned i = 0; i < TABLE; i++) {
		snprintf(name, sizeof(name), "%u", i);
		assert_int_equal(hakmem_root_withdraw(name, &ref), 0);
		assert_ptr_equal(hakmem_ptr(ref), hakmem_ptr(refs[i]));
		hakmem_free(hakmem_ptr(ref));
	}
	hakmem_free(hakmem_ptr(refs[TABLE]));
	check_nothing_lives();
}

static void worker_name(unsigned i, char name[8])
{
	snprintf(name, 8, "w%u", i);
}

/* Publishes one block and withdraws it, again and again, until it is told to end. */
static int publish_and_withdraw(const void *context)
{
	const unsigned *i = context;
	char name[8], *block = hakmem_malloc(sizes[*i + 1]);
	hakmem_ref_t ref;

	HAKT_EXPECT(block);
	memset(block, letter(*i + 1), sizes[*i + 1]);
	worker_name(*i, name);
	ref = hakmem_ref(block);
	for (unsigned round = 0; hakmem_root_lookup("end", &shared->refs[*i]) != 0; round++) {
		HAKT_EXPECT(hakmem_root_publish(name, ref) == 0);
		if (round == 0)
			hakt_child_say("at work");
		HAKT_EXPECT(hakmem_root_withdraw(name, &ref) == 0);
	}
	hakmem_free(block);
	return hakmem_trim();
}

/* The same with as long a list as there is room for: the daemon is at it for longer. */
static int publish_and_withdraw_list(const void *context)
{
	const unsigned *i = context;
	char name[8], *blocks[LIST];
	hakmem_ref_t refs[LIST], ref;

	for (unsigned k = 0; k < LIST; k++)
		HAKT_EXPECT(blocks[k] = hakmem_malloc(sizes[k % 4]));
	worker_name(*i, name);
	for (unsigned round = 0; hakmem_root_lookup("end", &ref) != 0; round++) {
		for (unsigned k = 0; k < LIST; k++)
			HAKT_EXPECT(refs[k] = hakmem_ref(blocks[k]));
		HAKT_EXPECT(hakmem_root_publish_list(name, refs, LIST) == 0);
		if (round == 0)
			hakt_child_say("at work");
		HAKT_EXPECT(hakmem_root_withdraw(name, &ref) == 0);
	}
	for (unsigned k = 0; k < LIST; k++)
		hakmem_free(blocks[k]);
	return hakmem_trim();
}

static void start_workers(struct hakt_process workers[WORKERS], int (*work)(const void *context))
{
	for (unsigned i = 0; i < WORKERS; i++)
		hakt_process_fork(&workers[i], work, &i);
	for (unsigned i = 0; i < WORKERS; i++)
		hakt_process_wait_output(&workers[i], 1, "at work");
}

static void end_workers(struct hakt_process workers[WORKERS])
{
	hakmem_ref_t ref;

	assert_int_equal(hakmem_root_publish("end", hakmem_ref(make(1))), 0);
	for (unsigned i = 0; i < WORKERS; i++) {
		hakt_process_wait_done(&workers[i]);
		hakt_process_end(&workers[i]);
	}
	assert_int_equal(hakmem_root_withdraw("end", &ref), 0);
	hakmem_free(hakmem_ptr(ref));
}

static void test_a_lookup_beside_others_that_publish_and_withdraw_is_right(void **state)
{
	struct hakt_process workers[WORKERS] = {0};
	unsigned n_found = 0;
	char *block = make(0), name[8];
	hakmem_ref_t ref, stays;

	(void)state;
	assert_int_equal(hakmem_root_publish("stays", hakmem_ref(block)), 0);
	assert_int_equal(hakmem_root_lookup("stays", &stays), 0);
	start_workers(workers, publish_and_withdraw);
	for (unsigned round = 0; round < 100000 || n_found == 0; round++) {
		unsigned i = round % WORKERS;

		worker_name(i, name);
		if (hakmem_root_lookup(name, &ref) == 0) {
			/* Its block lives as long as its worker, published or not. */
			assert_true(is_as_made(hakmem_ptr(ref), i + 1));
			n_found++;
		}
		assert_int_equal(hakmem_root_lookup("stays", &ref), 0);
		assert_int_equal(ref, stays);
	}
	end_workers(workers);
	assert_int_equal(hakmem_root_withdraw("stays", &ref), 0);
	hakmem_free(block);
	check_nothing_lives();
}

static void test_an_audit_beside_others_that_publish_and_withdraw_is_clean(void **state)
{
	struct hakt_process workers[WORKERS] = {0};

	(void)state;
	start_workers(workers, publish_and_withdraw_list);
	for (unsigned i = 0; i < 60; i++) {
		int exit_code;
		json_t *json = hakt_ctl_judge(hakd.socket, "check", &exit_code);

		if (exit_code != 0)
			fail_msg("exit code %d: %s", exit_code, json_dumps(json, 0));
		json_decref(json);
	}
	end_workers(workers);
	check_nothing_lives();
}

/* With little patience, on a machine that is busy: until it has been answered. */
static char *make_hastily(unsigned i)
{
	char *block;

	while (!(block = hakmem_malloc(sizes[i])))
		assert_int_equal(errno, ENOMEM); /* nobody granted it in time */
	return block;
}

static void wait_for_owner(const char *block, int owner)
{
	while (hakmem_owner(block, NULL) != owner)
		usleep(1000);
}

static void test_a_withdrawal_whose_answer_is_late_is_told_by_the_owner(void **state)
{
	const struct hakmem_options hasty = {.timeout_ms = 100};
	hakmem_ref_t ref = 0, other;
	char *block, *second;
	int r;

	(void)state;
	while ((r = hakmem_attach(&hasty)) != 0)
		assert_int_equal(r, -ETIMEDOUT);
	block = make_hastily(0);
	second = make_hastily(1);
	r = hakmem_root_publish("x", hakmem_ref(block));
	assert_true(r == 0 || r == -ETIMEDOUT);
	wait_for_owner(block, HAKMEM_OWNER_ROOT);
	assert_int_equal(kill(hakd.pid, SIGSTOP), 0);
	assert_int_equal(hakmem_root_withdraw("x", &ref), -ETIMEDOUT);
	assert_int_equal(hakmem_root_publish("y", hakmem_ref(second)), -ETIMEDOUT);
	assert_int_equal(ref, 0);
	assert_int_equal(hakmem_owner(block, NULL), HAKMEM_OWNER_ROOT);
	assert_int_equal(hakmem_owner(second, NULL), HAKMEM_OWNER_SELF);
	assert_int_equal(kill(hakd.pid, SIGCONT), 0);
	wait_for_owner(second, HAKMEM_OWNER_ROOT);
	assert_int_equal(hakmem_owner(block, NULL), HAKMEM_OWNER_SELF);
	assert_int_equal(hakmem_root_lookup("x", &other), -ENOENT);
	/* The answers that nobody waited for disturb no later ones. */
	r = hakmem_root_withdraw("y", &ref);
	if (r == 0)
		assert_ptr_equal(hakmem_ptr(ref), second);
	else
		assert_int_equal(r, -ETIMEDOUT);
	wait_for_owner(second, HAKMEM_OWNER_SELF);
	hakmem_free(block);
	hakmem_free(second);
	check_nothing_lives();
}

static void test_a_lookup_needs_no_daemon(void **state)
{
	char *block = make(1), *second = make(2);
	hakmem_ref_t ref;

	(void)state;
	assert_int_equal(hakmem_root_publish("x", hakmem_ref(block)), 0);
	hakt_daemon_kill(&hakd);
	assert_int_equal(hakmem_root_lookup("x", &ref), 0);
	assert_ptr_equal(hakmem_ptr(ref), block);
	assert_true(is_as_made(hakmem_ptr(ref), 1));
	assert_int_equal(hakmem_root_lookup("y", &ref), -ENOENT);
	assert_int_equal(hakmem_root_publish("y", hakmem_ref(second)), -ESTALE);
	assert_int_equal(hakmem_root_withdraw("x", &ref), -ESTALE);
	hakmem_detach();
	hakt_directory_remove(hakd.directory);
}

static int unmap(void **state)
{
	(void)state;
	return munmap(shared, sizeof(*shared));
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test_setup_teardown(
		test_a_published_block_is_withdrawn_and_freed_by_another_process, start, stop),
	cmocka_unit_test_setup_teardown(test_a_list_is_published_and_withdrawn_as_one, start, stop),
	cmocka_unit_test_setup_teardown(test_what_is_published_is_neither_freed_nor_taken_nor_moved,
					start, stop),
	cmocka_unit_test_setup_teardown(test_only_the_owner_publishes, start, stop),
	cmocka_unit_test_setup_teardown(test_a_publication_that_is_wrong_changes_nothing, start,
					stop),
	cmocka_unit_test_setup_teardown(test_a_name_and_a_block_are_published_once, start, stop),
	cmocka_unit_test_setup_teardown(test_a_full_table_is_ENOSPC_and_is_listed_whole, start,
					stop),
	cmocka_unit_test_setup_teardown(
		test_a_lookup_beside_others_that_publish_and_withdraw_is_right, start, stop),
	cmocka_unit_test_setup_teardown(
		test_an_audit_beside_others_that_publish_and_withdraw_is_clean, start, stop),
	cmocka_unit_test_setup_teardown(test_a_withdrawal_whose_answer_is_late_is_told_by_the_owner,
					start, stop),
	cmocka_unit_test_setup_teardown(test_a_lookup_needs_no_daemon, start, unmap),
};

HAKT_MAIN(tests, NULL, NULL)
