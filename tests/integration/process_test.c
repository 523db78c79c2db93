/* SPDX-License-Identifier: MIT */
/*
 * Clients as processes: children of a fork, two at the pool's limit, one that
 * dies, and one whose daemon dies. Who may be taken for dead is in lease_test.c and
 * heir_test.c.
 */
#include "tests/support/run.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client_lib/include/hakmem.h"
#include "proto/shm/atomic.h"
#include "tests/support/daemon.h"
#include "tests/support/forks.h"
#include "tests/support/process.h"

#define MIB (1ull << 20)

static struct hakt_daemon hakd;

static int start(void **state)
{
	(void)state;
	hakt_daemon_start(&hakd,
			  HAKT_LIST("--limit", "256M", "--keep", "1", "--log-level", "error"));
	return 0;
}

static int stop(void **state)
{
	(void)state;
	return hakt_daemon_stop_empty(&hakd);
}

/* In a child: forks, runs it there, and expects it to end with 0. */
static void expect_in_child(void (*run)(const char *inherited), const char *inherited)
{
	pid_t parent = getpid(), pid = fork();
	int status;

	HAKT_EXPECT(pid >= 0);
	if (pid == 0) {
		hakt_process_die_with(parent);
		run(inherited);
		_exit(0);
	}
	HAKT_EXPECT(waitpid(pid, &status, 0) == pid);
	HAKT_EXPECT(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* A process that attaches, though its parent is attached: it is not its parent. */
static void be_a_client_of_its_own(const char *inherited)
{
	struct hakmem_stats stats;
	char *block;

	HAKT_EXPECT(strcmp(inherited, "of the eldest") == 0);
	HAKT_EXPECT(hakmem_stats(&stats, sizeof(stats)) == -ENOTCONN);
	block = hakmem_malloc(100);
	HAKT_EXPECT(block && block != inherited);
	strcpy(block, "of a child");
	HAKT_EXPECT(hakmem_stats(&stats, sizeof(stats)) == 0);
	HAKT_EXPECT(stats.superslabs == 1);
	HAKT_EXPECT(strcmp(inherited, "of the eldest") == 0);
	HAKT_EXPECT(hakmem_owner(inherited, NULL) == HAKMEM_OWNER_OTHER);
	HAKT_EXPECT(hakmem_ref(inherited) == 0 && errno == EPERM); /* nor is the first ref ours */
	hakmem_free(block);
}

static void be_a_parent_of_a_client(const char *inherited)
{
	be_a_client_of_its_own(inherited);
	char *block = hakmem_malloc(100);

	HAKT_EXPECT(block);
	strcpy(block, "of a child");
	expect_in_child(be_a_client_of_its_own, inherited);
	HAKT_EXPECT(strcmp(block, "of a child") == 0);
	HAKT_EXPECT(hakmem_malloc(100));
}

static int fork_once(const void *context)
{
	char *block = hakmem_malloc(1000), *other;

	(void)context;
	HAKT_EXPECT(block);
	strcpy(block, "of the eldest");
	expect_in_child(be_a_client_of_its_own, block);
	other = hakmem_malloc(1000); /* goes on as before */
	HAKT_EXPECT(other && other != block);
	hakmem_free(other);
	hakmem_free(block);
	return 0;
}

static void test_a_child_of_a_fork_is_a_client_of_its_own(void **state)
{
	(void)state;
	hakt_process_run_child(fork_once, NULL);
	hakt_daemon_wait_empty(&hakd);
}

static int fork_twice(const void *context)
{
	char *block = hakmem_malloc(1000);

	(void)context;
	HAKT_EXPECT(block);
	strcpy(block, "of the eldest");
	expect_in_child(be_a_parent_of_a_client, block);
	HAKT_EXPECT(hakmem_malloc(1000));
	return 0;
}

static void test_a_grandchild_is_a_client_of_its_own(void **state)
{
	(void)state;
	hakt_process_run_child(fork_twice, NULL);
	hakt_daemon_wait_empty(&hakd);
}

/* The environment leads nowhere. */
static void use_what_the_parent_uses(const char *inherited)
{
	char *block = hakmem_malloc(100);

	HAKT_EXPECT(block);
	HAKT_EXPECT(strcmp(inherited, "of the eldest") == 0);
	HAKT_EXPECT(hakmem_contains(inherited) && hakmem_contains(block));
	HAKT_EXPECT(hakmem_owner(inherited, NULL) == HAKMEM_OWNER_OTHER);
	hakmem_free(block);
	HAKT_EXPECT(hakmem_detach() == 0);
	HAKT_EXPECT(!hakmem_malloc(100) && errno == ENOENT);
}

static void have_a_child_that_does(const char *inherited)
{
	expect_in_child(use_what_the_parent_uses, inherited);
	use_what_the_parent_uses(inherited);
}

static void know_nothing(const char *inherited)
{
	(void)inherited;
	HAKT_EXPECT(!hakmem_malloc(100) && errno == ENOENT);
}

static int attach_with_options(const void *context)
{
	char socket[sizeof(hakd.socket)], pool[] = "default", *block;
	const struct hakmem_options options = {.socket = socket, .pool = pool};

	(void)context;
	strcpy(socket, hakd.socket);
	setenv("HAKMEM_SOCKET", "/nowhere/at/all", 1);
	setenv("HAKMEM_POOL", "none", 1);
	HAKT_EXPECT(hakmem_attach(&options) == 0);
	memset(socket, 'x', sizeof(socket)); /* they are the caller's again */
	memset(pool, 'x', sizeof(pool));
	block = hakmem_malloc(100);
	HAKT_EXPECT(block);
	strcpy(block, "of the eldest");
	expect_in_child(use_what_the_parent_uses, block);
	expect_in_child(have_a_child_that_does, block);
	HAKT_EXPECT(hakmem_detach() == 0);
	expect_in_child(know_nothing, NULL);
	return 0;
}

static void test_a_child_of_a_fork_attaches_as_its_parent_did(void **state)
{
	(void)state;
	hakt_process_run_child(attach_with_options, NULL);
	hakt_daemon_wait_empty(&hakd);
}

static hak_u32 ends;

static void *allocate_and_free(void *context)
{
	hak_u64 *n = context;

	while (!hak_load_relaxed(&ends)) {
		char *blocks[100];

		for (unsigned i = 0; i < 100; i++) {
			blocks[i] = hakmem_malloc(i * 400);
			HAKT_EXPECT(blocks[i]);
			*blocks[i] = 1;
		}
		for (unsigned i = 0; i < 100; i++)
			hakmem_free(blocks[i]);
		hak_add_relaxed(n, 1);
	}
	return NULL;
}

static int fork_among_threads(const void *context)
{
	enum { THREADS = 3, FORKS = 20 };
	pthread_t threads[THREADS];
	static hak_u64 n[THREADS];
	char *block = hakmem_malloc(1000);

	(void)context;
	HAKT_EXPECT(block);
	strcpy(block, "of the eldest");
	for (unsigned i = 0; i < THREADS; i++)
		HAKT_EXPECT(pthread_create(&threads[i], NULL, allocate_and_free, &n[i]) == 0);
	for (unsigned i = 0; i < FORKS; i++)
		expect_in_child(be_a_client_of_its_own, block);
	for (unsigned i = 0; i < THREADS; i++) { /* each goes on */
		uint64_t before = hak_load_relaxed(&n[i]);

		while (hak_load_relaxed(&n[i]) == before)
			usleep(100);
	}
	hak_store_relaxed(&ends, 1);
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	return 0;
}

static void test_a_fork_among_busy_threads_leaves_both_sides_working(void **state)
{
	(void)state;
	HAKT_SKIP_WITHOUT_FORKS();
	hakt_process_run_child(fork_among_threads, NULL);
	hakt_daemon_wait_empty(&hakd);
	assert_int_equal(hakt_daemon_status(&hakd).anomalies, 0);
}

enum { BLOCKS_MAX = 1000, BLOCK_BYTES = 1000000 };

/* Allocates until there is no more; how many. */
static unsigned fill(char **blocks)
{
	unsigned n = 0;

	while (n < BLOCKS_MAX && (blocks[n] = hakmem_malloc(BLOCK_BYTES)))
		memset(blocks[n++], 1, BLOCK_BYTES);
	HAKT_EXPECT(n < BLOCKS_MAX);
	HAKT_EXPECT(errno == ENOMEM);
	return n;
}

static int fill_and_empty(const void *context)
{
	static char *blocks[BLOCKS_MAX];

	(void)context;
	HAKT_EXPECT(hakmem_attach(NULL) == 0);
	hakt_child_say("attached");
	for (;;) {
		unsigned n;

		hakt_child_wait();
		n = fill(blocks);
		hakt_child_say("filled %s", n > 10 ? "much" : "little");
		hakt_child_wait();
		while (n > 0)
			hakmem_free(blocks[--n]);
		HAKT_EXPECT(hakmem_trim() == 0);
		hakt_child_say("emptied");
	}
}

static void test_at_the_limit_one_has_what_the_other_frees(void **state)
{
	struct hakt_process one = {0}, other = {0};

	(void)state;
	hakt_process_fork(&one, fill_and_empty, NULL);
	hakt_process_fork(&other, fill_and_empty, NULL);
	hakt_process_tell(&one);
	hakt_process_wait_output(&one, 1, "filled much\n");
	hakt_process_tell(&other);
	hakt_process_wait_output(&other, 1, "filled little\n");
	assert_true(hakt_daemon_status(&hakd).granted_superslabs <= 128);
	hakt_process_tell(&one);
	hakt_process_wait_output(&one, 1, "emptied\n");
	hakt_process_tell(&other);
	hakt_process_wait_output(&other, 1, "emptied\n");
	hakt_process_tell(&other);
	hakt_process_wait_output(&other, 1, "filled much\n");
	/* Neither has died of it. */
	assert_int_equal(hakt_daemon_status(&hakd).clients, 2);
	hakt_process_end(&one);
	hakt_process_end(&other);
	hakt_daemon_wait_empty(&hakd);
}

static int hold_much_memory(const void *context)
{
	char *huge = hakmem_malloc(100 * MIB);

	(void)context;
	HAKT_EXPECT(huge);
	memset(huge, 1, 100 * MIB);
	for (unsigned i = 0; i < 60000; i++) {
		char *block = hakmem_malloc(1000);

		HAKT_EXPECT(block);
		*block = 1;
	}
	hakt_child_say("filled");
	pause();
	return 0;
}

static void test_a_death_gives_back_superslabs_and_huge_runs(void **state)
{
	struct hakt_process client = {0};
	struct hakt_status before;

	(void)state;
	hakt_process_fork(&client, hold_much_memory, NULL);
	hakt_process_wait_output(&client, 1, "filled");
	before = hakt_daemon_status(&hakd);
	assert_true(before.granted_superslabs * 2 * MIB >= 150 * MIB);
	assert_true(before.resident_bytes >= 150 * MIB);
	assert_true(before.live_blocks > 60000);
	assert_int_equal(kill(client.pid, SIGKILL), 0);
	hakt_process_wait(&client);
	hakt_daemon_wait_empty(&hakd);
	hakt_daemon_wait_resident(&hakd, 50 * MIB); /* what was kept for the next grant goes too */
	assert_int_equal(hakt_daemon_status(&hakd).anomalies, 0);
	hakt_process_end(&client);
}

static int outlive_the_daemon(const void *context)
{
	enum { N = 100000 };
	static char *blocks[N];
	unsigned n = 0;

	(void)context;
	blocks[n] = hakmem_malloc(1000);
	HAKT_EXPECT(blocks[n]);
	strcpy(blocks[n++], "from before");
	hakt_child_say("attached");
	hakt_child_wait();
	while (n < N && (blocks[n] = hakmem_malloc(1000)))
		*blocks[n++] = 1;
	HAKT_EXPECT(errno == ESTALE);	/* nobody listens */
	HAKT_EXPECT(n > 1000 && n < N); /* the stock was a SuperSlab at least */
	HAKT_EXPECT(!hakmem_malloc(5000000) && errno == ESTALE);
	HAKT_EXPECT(strcmp(blocks[0], "from before") == 0);
	hakmem_free(blocks[--n]);
	blocks[n] = hakmem_malloc(1000);
	HAKT_EXPECT(blocks[n++]);
	while (n > 0)
		hakmem_free(blocks[--n]);
	HAKT_EXPECT(hakmem_trim() == 0);
	HAKT_EXPECT(hakmem_detach() == 0);
	return 0;
}

static void test_without_its_daemon_a_client_lives_on_its_stock(void **state)
{
	struct hakt_process client = {0};
	struct hakt_daemon daemon;

	(void)state;
	hakt_daemon_start(&daemon, HAKT_LIST("--log-level", "error"));
	hakt_process_fork(&client, outlive_the_daemon, NULL);
	hakt_process_wait_output(&client, 1, "attached");
	hakt_daemon_kill(&daemon);
	hakt_process_tell(&client);
	hakt_process_wait_done(&client);
	hakt_process_end(&client);
	hakt_directory_remove(daemon.directory);
	setenv("HAKMEM_SOCKET", hakd.socket, 1);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_a_child_of_a_fork_is_a_client_of_its_own),
	cmocka_unit_test(test_a_grandchild_is_a_client_of_its_own),
	cmocka_unit_test(test_a_child_of_a_fork_attaches_as_its_parent_did),
	cmocka_unit_test(test_a_fork_among_busy_threads_leaves_both_sides_working),
	cmocka_unit_test(test_at_the_limit_one_has_what_the_other_frees),
	cmocka_unit_test(test_a_death_gives_back_superslabs_and_huge_runs),
	cmocka_unit_test(test_without_its_daemon_a_client_lives_on_its_stock),
};

HAKT_MAIN(tests, start, stop)
