/* SPDX-License-Identifier: MIT */
/*
 * How a process becomes a client and ceases to be one: with no daemon, with one
 * that the library starts, with options, again. Each attach is made in a forked
 * child, so this process never is a client.
 */
#include "tests/support/run.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "client_lib/include/hakmem.h"
#include "tests/support/ctl.h"
#include "tests/support/daemon.h"
#include "tests/support/process.h"

#define NOWHERE "/nonexistent/d.sock"

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
	return hakt_daemon_stop_empty(&hakd);
}

/* The first allocation, as a program without any setup does it; says its errno. */
static int allocate_first(const void *context)
{
	char *block = hakmem_malloc(100);

	(void)context;
	hakt_child_say("errno %d", block ? 0 : errno);
	if (block)
		strcpy(block, "attached");
	return 0;
}

/* It must say that errno on stdout, and this ("": nothing at all) on stderr. */
static void check_first_allocation(const char *const *environment, int number, const char *expected)
{
	struct hakt_process client = {.environment = environment};
	char line[32];

	snprintf(line, sizeof(line), "errno %d\n", number);
	hakt_process_fork(&client, allocate_first, NULL);
	hakt_process_wait_done(&client);
	assert_string_equal(hakt_process_output(&client, 1), line);
	if (!*expected)
		assert_string_equal(hakt_process_output(&client, 2), "");
	else if (!strstr(hakt_process_output(&client, 2), expected))
		fail_msg("no \"%s\" on stderr: %s", expected, hakt_process_output(&client, 2));
	hakt_process_end(&client);
}

static void test_without_a_socket_the_first_allocation_is_ENOENT_and_silent(void **state)
{
	(void)state;
	check_first_allocation(HAKT_LIST("HAKMEM_SOCKET=" NOWHERE), ENOENT, "");
}

static void test_without_a_listener_the_first_allocation_is_ECONNREFUSED(void **state)
{
	struct hakt_daemon dead;
	char path[128];

	(void)state;
	hakt_daemon_start(&dead, NULL);
	snprintf(path, sizeof(path), "HAKMEM_SOCKET=%s", dead.socket);
	hakt_daemon_kill(&dead);
	check_first_allocation(HAKT_LIST(path), ECONNREFUSED, "");
	hakt_directory_remove(dead.directory);
	setenv("HAKMEM_SOCKET", hakd.socket, 1);
}

static void test_a_missing_daemon_is_told_to_who_asks_for_warnings(void **state)
{
	(void)state;
	check_first_allocation(HAKT_LIST("HAKMEM_SOCKET=" NOWHERE, "HAKMEM_LOG=warn"), ENOENT,
			       "hakmem: warn: no daemon at " NOWHERE
			       " (No such file or directory); start hakmemd");
}

static void test_a_wrong_timeout_is_warned_of_and_ignored(void **state)
{
	(void)state;
	check_first_allocation(HAKT_LIST("HAKMEM_TIMEOUT_MS=soon", "HAKMEM_LOG=warn"), 0,
			       "HAKMEM_TIMEOUT_MS=soon is no number of 1 to 86400000");
	check_first_allocation(HAKT_LIST("HAKMEM_TIMEOUT_MS=0", "HAKMEM_LOG=warn"), 0,
			       "HAKMEM_TIMEOUT_MS=0 is no number of 1 to 86400000");
}

static void test_a_daemon_that_hangs_is_ETIMEDOUT(void **state)
{
	(void)state;
	assert_int_equal(kill(hakd.pid, SIGSTOP), 0);
	check_first_allocation(HAKT_LIST("HAKMEM_TIMEOUT_MS=50"), ETIMEDOUT, "");
	assert_int_equal(kill(hakd.pid, SIGCONT), 0);
}

static void test_an_unknown_pool_is_ENOENT(void **state)
{
	(void)state;
	check_first_allocation(HAKT_LIST("HAKMEM_POOL=other", "HAKMEM_LOG=warn"), ENOENT,
			       "there is no pool of that name");
	check_first_allocation(HAKT_LIST("HAKMEM_POOL=default"), 0, "");
	check_first_allocation(HAKT_LIST("HAKMEM_POOL="), 0, "");
}

static void test_another_user_is_EACCES(void **state)
{
	struct hakt_process client = {.uid = 65534};
	char expected[32];

	(void)state;
	if (geteuid() != 0)
		skip();
	snprintf(expected, sizeof(expected), "errno %d\n", EACCES);
	hakt_process_fork(&client, allocate_first, NULL);
	hakt_process_wait_done(&client);
	assert_string_equal(hakt_process_output(&client, 1), expected);
	hakt_process_end(&client);
}

static int attach_and_detach(const void *context)
{
	const struct hakmem_options unknown = {.pool = "other"};
	const struct hakmem_options nowhere = {.socket = NOWHERE};

	(void)context;
	HAKT_EXPECT(hakmem_detach() == -ENOTCONN);
	HAKT_EXPECT(hakmem_attach(&unknown) == -ENOENT);
	HAKT_EXPECT(hakmem_attach(&nowhere) == -ENOENT);
	for (unsigned i = 0; i < 3; i++) {
		char *block;

		HAKT_EXPECT(hakmem_attach(NULL) == 0);
		HAKT_EXPECT(hakmem_attach(NULL) == -EISCONN);
		HAKT_EXPECT(hakmem_attach(&unknown) == -EISCONN);
		block = hakmem_malloc(3000000 * i);
		HAKT_EXPECT(block);
		HAKT_EXPECT(hakmem_detach() == 0);
		HAKT_EXPECT(hakmem_detach() == -ENOTCONN);
	}
	HAKT_EXPECT(hakmem_malloc(1)); /* attaches by itself */
	HAKT_EXPECT(hakmem_attach(NULL) == -EISCONN);
	HAKT_EXPECT(hakmem_detach() == 0);
	hakt_child_say("detached");
	hakt_child_wait();
	return 0;
}

static void test_attach_and_detach_alternate_and_say_so(void **state)
{
	struct hakt_process client = {0};

	(void)state;
	hakt_process_fork(&client, attach_and_detach, NULL);
	hakt_process_wait_output(&client, 1, "detached");
	/* All is given back though the process lives on. */
	assert_int_equal(hakt_daemon_status(&hakd).clients, 0);
	assert_int_equal(hakt_daemon_status(&hakd).granted_superslabs, 0);
	hakt_process_tell(&client);
	hakt_process_wait_done(&client);
	hakt_process_end(&client);
}

static int offer_a_block(const void *context)
{
	char *block = hakmem_malloc(1000);

	(void)context;
	HAKT_EXPECT(block);
	HAKT_EXPECT(hakmem_is_at_base() == 1);
	strcpy(block, "from the base");
	hakt_child_say("ref %llu at %llu.", (unsigned long long)hakmem_ref(block),
		       (unsigned long long)(uintptr_t)block);
	hakt_child_wait();
	HAKT_EXPECT(strcmp(block, "from elsewhere") == 0);
	return 0;
}

static int take_the_block(const void *context)
{
	const struct hakmem_options options = {.offsets_only = 1};
	unsigned long long ref, at;
	char *block;

	HAKT_EXPECT(sscanf(context, "ref %llu at %llu.", &ref, &at) == 2);
	HAKT_EXPECT(hakmem_attach(&options) == 0);
	HAKT_EXPECT(hakmem_is_at_base() == 0);
	block = hakmem_ptr(ref);
	HAKT_EXPECT(block && (uintptr_t)block != at);
	HAKT_EXPECT(strcmp(block, "from the base") == 0);
	HAKT_EXPECT(hakmem_ref(block) == ref);
	strcpy(block, "from elsewhere");
	block = hakmem_aligned_alloc(1u << 21, 100); /* also there */
	HAKT_EXPECT(block && (uintptr_t)block % (1u << 21) == 0);
	return 0;
}

static void test_with_offsets_only_refs_cross_though_addresses_differ(void **state)
{
	struct hakt_process owner = {0};

	(void)state;
	hakt_process_fork(&owner, offer_a_block, NULL);
	hakt_process_wait_output(&owner, 1, ".");
	hakt_process_run_child(take_the_block, hakt_process_output(&owner, 1));
	hakt_process_tell(&owner);
	hakt_process_wait_done(&owner);
	hakt_process_end(&owner);
}

/* Attaches with a daemon that it may have started, and stays. */
static int allocate_and_stay(const void *context)
{
	(void)context;
	HAKT_EXPECT(hakmem_malloc(100));
	hakt_child_say("attached");
	hakt_child_wait();
	HAKT_EXPECT(hakmem_detach() == 0);
	return 0;
}

struct runtime {
	char directory[HAKT_DIRECTORY_BYTES];
	char variable[HAKT_DIRECTORY_BYTES + 32];
	char socket[HAKT_DIRECTORY_BYTES + 32];
};

static void make_runtime(struct runtime *runtime)
{
	hakt_directory_make(runtime->directory);
	snprintf(runtime->variable, sizeof(runtime->variable), "XDG_RUNTIME_DIR=%s",
		 runtime->directory);
	snprintf(runtime->socket, sizeof(runtime->socket), "%s/hakmem/hakmemd.sock",
		 runtime->directory);
}

static void end_spawned(const struct runtime *runtime)
{
	pid_t pid = (pid_t)hakt_ctl_status(runtime->socket, "pid");
	pid_t supervisor = hakt_process_parent(pid);

	assert_int_not_equal(pid, hakd.pid);
	assert_int_equal(kill(supervisor, SIGTERM), 0);
	assert_int_equal(hakt_process_wait_orphan(supervisor), 0);
	assert_int_equal(kill(pid, 0), -1);
	hakt_directory_remove(runtime->directory);
}

static void test_autospawn_starts_a_daemon_on_the_user_s_socket(void **state)
{
	struct runtime runtime;
	struct hakt_process client = {0};

	(void)state;
	make_runtime(&runtime);
	client.environment = HAKT_LIST("HAKMEM_SOCKET=", "HAKMEM_AUTOSPAWN=1",
				       "HAKMEM_DAEMON=" HAKT_HAKMEMD, runtime.variable);
	hakt_process_fork(&client, allocate_and_stay, NULL);
	hakt_process_wait_output(&client, 1, "attached");
	assert_int_equal(hakt_ctl_pool(runtime.socket, "clients"), 1);
	hakt_process_tell(&client);
	hakt_process_wait_done(&client);
	hakt_process_end(&client);
	/* It serves those that come later, too. */
	assert_int_equal(hakt_ctl_pool(runtime.socket, "clients"), 0);
	end_spawned(&runtime);
}

static void test_two_that_autospawn_at_once_share_one_daemon(void **state)
{
	enum { ROUNDS = 5, N = 2 };

	(void)state;
	for (unsigned round = 0; round < ROUNDS; round++) {
		struct hakt_process clients[N] = {0};
		struct runtime runtime;
		const char *environment[] = {"HAKMEM_SOCKET=", "HAKMEM_AUTOSPAWN=1",
					     "HAKMEM_DAEMON=" HAKT_HAKMEMD, runtime.variable, NULL};

		make_runtime(&runtime);
		for (unsigned i = 0; i < N; i++) {
			clients[i].environment = environment;
			hakt_process_fork(&clients[i], allocate_and_stay, NULL);
		}
		for (unsigned i = 0; i < N; i++)
			hakt_process_wait_output(&clients[i], 1, "attached");
		assert_int_equal(hakt_ctl_pool(runtime.socket, "clients"), N);
		for (unsigned i = 0; i < N; i++) {
			hakt_process_tell(&clients[i]);
			hakt_process_wait_done(&clients[i]);
			hakt_process_end(&clients[i]);
		}
		end_spawned(&runtime);
	}
}

static void test_autospawn_without_a_binary_is_ENOENT(void **state)
{
	struct runtime runtime;

	(void)state;
	make_runtime(&runtime);
	check_first_allocation(HAKT_LIST("HAKMEM_SOCKET=", "HAKMEM_AUTOSPAWN=1",
					 "HAKMEM_DAEMON=/nonexistent/hakmemd", runtime.variable),
			       ENOENT, "");
	hakt_directory_remove(runtime.directory);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_without_a_socket_the_first_allocation_is_ENOENT_and_silent),
	cmocka_unit_test(test_without_a_listener_the_first_allocation_is_ECONNREFUSED),
	cmocka_unit_test(test_a_missing_daemon_is_told_to_who_asks_for_warnings),
	cmocka_unit_test(test_a_wrong_timeout_is_warned_of_and_ignored),
	cmocka_unit_test(test_a_daemon_that_hangs_is_ETIMEDOUT),
	cmocka_unit_test(test_an_unknown_pool_is_ENOENT),
	cmocka_unit_test(test_another_user_is_EACCES),
	cmocka_unit_test(test_attach_and_detach_alternate_and_say_so),
	cmocka_unit_test(test_with_offsets_only_refs_cross_though_addresses_differ),
	cmocka_unit_test(test_autospawn_starts_a_daemon_on_the_user_s_socket),
	cmocka_unit_test(test_two_that_autospawn_at_once_share_one_daemon),
	cmocka_unit_test(test_autospawn_without_a_binary_is_ENOENT),
};

HAKT_MAIN(tests, start, stop)
