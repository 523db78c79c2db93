/* SPDX-License-Identifier: MIT */
/* Roots outlive who made them: processes that are killed, or leave, before and behind each call. */
#include "tests/support/run.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "client_lib/include/hakmem.h"
#include "tests/support/ctl.h"
#include "tests/support/daemon.h"
#include "tests/support/process.h"

/* Of a class, a span, a run: each is a root of its own, and all are a list. */
static const size_t sizes[] = {64, 1000000, 5000000};
static const char *const names[] = {"small", "span", "huge"};

enum { N = sizeof(sizes) / sizeof(sizes[0]) };

static struct hakt_daemon hakd;

static int start(void **state)
{
	(void)state;
	hakt_daemon_start(&hakd, HAKT_LIST("--limit", "256M", "--log-level", "error"));
	return 0;
}

static int stop(void **state)
{
	(void)state;
	hakmem_detach();
	return hakt_daemon_stop_empty(&hakd);
}

static void fill(char *block, unsigned i)
{
	memset(block, 'a' + (int)i, sizes[i]);
}

static bool is_filled(const char *block, unsigned i)
{
	for (size_t k = 0; k < sizes[i]; k++)
		if (block[k] != (char)('a' + i))
			return false;
	return true;
}

static void make_list(char *blocks[N], hakmem_ref_t refs[N])
{
	for (unsigned i = 0; i < N; i++) {
		blocks[i] = hakmem_malloc(sizes[i]);
		HAKT_EXPECT(blocks[i]);
		fill(blocks[i], i);
		/* The list is linked: each begins with the ref of the next. */
		refs[i] = hakmem_ref(blocks[i]);
	}
	for (unsigned i = 0; i + 1 < N; i++)
		memcpy(blocks[i], &refs[i + 1], sizeof(refs[0]));
}

/* Each by its name, or the list as "list"; and something that is not published. */
static int publish_and_wait(const void *context)
{
	const char *how = context;
	hakmem_ref_t refs[N];
	char *blocks[N];

	make_list(blocks, refs);
	for (unsigned i = 0; i < N && *how == 'e'; i++) {
		fill(blocks[i], i);
		HAKT_EXPECT(hakmem_root_publish(names[i], refs[i]) == 0);
	}
	if (*how == 'l')
		HAKT_EXPECT(hakmem_root_publish_list("list", refs, N) == 0);
	for (unsigned i = 0; i < 1000; i++)
		HAKT_EXPECT(hakmem_malloc(64));
	hakt_child_say("published");
	hakt_child_wait();
	if (how[1] == 'd')
		HAKT_EXPECT(hakmem_detach() == 0);
	return 0;
}

/* A process that has published so is killed, or leaves. */
static void publish_and_die(const char *how, bool is_killed)
{
	struct hakt_process child = {0};

	hakt_process_fork(&child, publish_and_wait, how);
	hakt_process_wait_output(&child, 1, "published");
	if (is_killed) {
		hakt_process_kill(&child);
	} else {
		hakt_process_tell(&child);
		hakt_process_wait_done(&child);
	}
	hakt_process_end(&child);
	hakt_daemon_wait_clients(&hakd, 0);
}

static int look_at_each(const void *context)
{
	(void)context;
	for (unsigned i = 0; i < N; i++) {
		hakmem_ref_t ref;
		void *taken;

		HAKT_EXPECT(hakmem_root_lookup(names[i], &ref) == 0);
		HAKT_EXPECT(is_filled(hakmem_ptr(ref), i));
		HAKT_EXPECT(hakmem_owner(hakmem_ptr(ref), NULL) == HAKMEM_OWNER_ROOT);
		HAKT_EXPECT(hakmem_take(ref, &taken) == -ESTALE);
	}
	return 0;
}

static int withdraw_and_free_each(const void *context)
{
	(void)context;
	for (unsigned i = 0; i < N; i++) {
		hakmem_ref_t ref;
		char *block;

		HAKT_EXPECT(hakmem_root_withdraw(names[i], &ref) == 0);
		block = hakmem_ptr(ref);
		HAKT_EXPECT(is_filled(block, i));
		HAKT_EXPECT(hakmem_owner(block, NULL) == HAKMEM_OWNER_SELF);
		hakmem_free(block);
		HAKT_EXPECT(hakmem_owner(block, NULL) == -EINVAL);
	}
	return 0;
}

/* As hakmemctl lists them. */
static long long published_blocks(void)
{
	json_t *json = hakt_ctl(hakd.socket, "roots"), *root;
	long long n = 0;
	size_t i;

	json_array_foreach(json_object_get(json, "roots"), i, root)
	{
		n += json_integer_value(json_object_get(root, "blocks"));
	}
	json_decref(json);
	return n;
}

/* Nothing else is left of who has died, and the audit is content. */
static void check_left(long long n)
{
	json_t *json = hakt_ctl(hakd.socket, "check");

	assert_int_equal(json_integer_value(json_object_get(json, "live_blocks")), n);
	json_decref(json);
	assert_int_equal(published_blocks(), n);
}

static void check_published(bool is_killed, const char *how)
{
	publish_and_die(how, is_killed);
	check_left(N);
	hakt_process_run_child(look_at_each, NULL);
	hakt_daemon_wait_clients(&hakd, 0);
	check_left(N);
	hakt_process_run_child(withdraw_and_free_each, NULL);
	hakt_daemon_wait_empty(&hakd);
}

static void test_what_a_killed_process_published_is_there_until_it_is_withdrawn(void **state)
{
	(void)state;
	check_published(true, "e");
}

static void test_what_a_process_published_that_detached_is_there_until_it_is_withdrawn(void **state)
{
	(void)state;
	check_published(false, "ed");
}

/* Of the list, by its links. */
static void follow(hakmem_ref_t ref, char *blocks[N])
{
	for (unsigned i = 0; i < N; i++) {
		blocks[i] = hakmem_ptr(ref);
		HAKT_EXPECT(blocks[i]);
		memcpy(&ref, blocks[i], sizeof(ref));
	}
}

static int withdraw_and_free_list(const void *context)
{
	hakmem_ref_t ref;
	char *blocks[N];

	(void)context;
	HAKT_EXPECT(hakmem_root_withdraw("list", &ref) == 0);
	follow(ref, blocks);
	for (unsigned i = 0; i < N; i++) {
		HAKT_EXPECT(hakmem_owner(blocks[i], NULL) == HAKMEM_OWNER_SELF);
		HAKT_EXPECT(blocks[i][sizes[i] - 1] == (char)('a' + i));
		hakmem_free(blocks[i]);
	}
	return 0;
}

static void test_a_list_outlives_its_publisher(void **state)
{
	(void)state;
	publish_and_die("l", true);
	check_left(N);
	hakt_process_run_child(withdraw_and_free_list, NULL);
	hakt_daemon_wait_empty(&hakd);
}

static int withdraw_and_be_killed(const void *context)
{
	hakmem_ref_t ref;

	(void)context;
	HAKT_EXPECT(hakmem_root_withdraw("list", &ref) == 0);
	kill(getpid(), SIGKILL);
	return 1;
}

static void withdraw_and_die(void)
{
	struct hakt_process child = {0};

	hakt_process_fork(&child, withdraw_and_be_killed, NULL);
	hakt_process_wait(&child);
	assert_int_equal(child.signal, SIGKILL);
	hakt_process_end(&child);
}

static void test_a_list_goes_with_who_withdraws_it_and_dies(void **state)
{
	(void)state;
	publish_and_die("l", true);
	withdraw_and_die();
	hakt_daemon_wait_empty(&hakd);
}

/* The same where the slabs are those of a process that lives. */
static void test_a_list_in_slabs_of_the_living_goes_with_who_withdraws_it(void **state)
{
	hakmem_ref_t refs[N], ref;
	struct hakmem_stats stats;
	char *blocks[N];

	(void)state;
	make_list(blocks, refs);
	assert_int_equal(hakmem_root_publish_list("list", refs, N), 0);
	withdraw_and_die();
	hakt_daemon_wait_clients(&hakd, 1);
	assert_int_equal(hakmem_root_lookup("list", &ref), -ENOENT);
	for (unsigned i = 0; i < N; i++)
		assert_int_equal(hakmem_owner(blocks[i], NULL), -EINVAL);
	hakmem_trim();
	assert_int_equal(hakmem_stats(&stats, sizeof(stats)), 0);
	assert_int_equal(stats.live_blocks, 0);
}

/* Dies while its request is on the way: it is done, or it is not, and nothing is left over. */
static int publish_until_killed(const void *context)
{
	hakmem_ref_t refs[N];
	char *blocks[N];

	(void)context;
	make_list(blocks, refs);
	hakt_child_say("at work");
	for (;;) {
		HAKT_EXPECT(hakmem_root_publish_list("list", refs, N) == 0);
		HAKT_EXPECT(hakmem_root_withdraw("list", &refs[0]) == 0);
		for (unsigned i = 1; i < N; i++)
			refs[i] = hakmem_ref(blocks[i]);
	}
	return 0;
}

static void test_a_process_that_is_killed_publishing_leaves_all_or_nothing(void **state)
{
	unsigned n_left = 0;

	(void)state;
	for (unsigned round = 0; round < 30; round++) {
		struct hakt_process child = {0};
		hakmem_ref_t ref;

		hakt_process_fork(&child, publish_until_killed, NULL);
		hakt_process_wait_output(&child, 1, "at work");
		usleep(round * 100);
		hakt_process_kill(&child);
		hakt_process_end(&child);
		hakmem_attach(NULL);
		hakt_daemon_wait_clients(&hakd, 1);
		if (hakmem_root_lookup("list", &ref) == 0) {
			check_left(N);
			hakmem_detach();
			hakt_process_run_child(withdraw_and_free_list, NULL);
			n_left++;
		}
		hakmem_detach();
		hakt_daemon_wait_empty(&hakd);
	}
	print_message("%u of 30 left their list\n", n_left);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test_setup_teardown(
		test_what_a_killed_process_published_is_there_until_it_is_withdrawn, start, stop),
	cmocka_unit_test_setup_teardown(
		test_what_a_process_published_that_detached_is_there_until_it_is_withdrawn, start,
		stop),
	cmocka_unit_test_setup_teardown(test_a_list_outlives_its_publisher, start, stop),
	cmocka_unit_test_setup_teardown(test_a_list_goes_with_who_withdraws_it_and_dies, start,
					stop),
	cmocka_unit_test_setup_teardown(
		test_a_list_in_slabs_of_the_living_goes_with_who_withdraws_it, start, stop),
	cmocka_unit_test_setup_teardown(
		test_a_process_that_is_killed_publishing_leaves_all_or_nothing, start, stop),
};

HAKT_MAIN(tests, NULL, NULL)
