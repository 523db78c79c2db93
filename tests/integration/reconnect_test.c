/* SPDX-License-Identifier: MIT */
/*
 * Clients of a daemon that is killed connect to the next one by themselves: what they can do
 * meanwhile, how long they wait, and when they learn that their pool has ended.
 */
#include "tests/support/run.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client_lib/include/hakmem.h"
#include "proto/shm/atomic.h"
#include "tests/support/block.h"
#include "tests/support/ctl.h"
#include "tests/support/keeper.h"
#include "tests/support/words.h"

/* Longer than any test: who waits for it without need hangs. */
#define NEVER_MS "86400000"

static hak_u32 *stop_word; /* shared with children */

static int start(void **state)
{
	(void)state;
	stop_word = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(stop_word != MAP_FAILED);
	hakt_keeper = (struct hakt_keeper){0};
	hakt_keeper_init(&hakt_keeper, hakt_keeper_options);
	return 0;
}

/* With a socket that stays while there is no daemon. */
static int start_listening(void **state)
{
	start(state);
	hakt_keeper_listen(&hakt_keeper);
	hakt_keeper_start(&hakt_keeper);
	return 0;
}

/* With a socket of the daemon's own: nobody listens while there is none. */
static int start_alone(void **state)
{
	start(state);
	hakt_keeper_start(&hakt_keeper);
	return 0;
}

static int stop(void **state)
{
	munmap(stop_word, 4096);
	return hakt_keeper_teardown(state);
}

static void restart(void)
{
	hakt_keeper_kill(&hakt_keeper);
	hakt_keeper_start(&hakt_keeper);
}

static void wait_state(const struct hakt_process *client, const char *expected)
{
	char said[HAKT_CTL_STATE_BYTES];

	for (unsigned i = 0; i < 3000; i++) {
		hakt_ctl_client_state(hakt_keeper.daemon.socket, client->pid, said);
		if (strcmp(said, expected) == 0)
			return;
		usleep(10000);
	}
	fail_msg("client %d is %s, not %s", (int)client->pid, said, expected);
}

/* All sizes, more and more and less, each block looked at before it goes. */
static void *work(void *context)
{
	enum { N = 32 };
	static const size_t sizes[] = {16, 1000, 30000, 200000, 3000000};
	unsigned char *blocks[N] = {0};
	unsigned char letter = *(const unsigned char *)context;

	for (unsigned i = 0; hak_load_relaxed(stop_word) == 0; i++) {
		unsigned char **block = &blocks[i % N];
		size_t size = sizes[i * 7 % (i / 1024 % 2 ? 5 : 4)];

		HAKT_EXPECT(!*block || (**block == letter && (*block)[15] == letter));
		hakmem_free(*block);
		*block = hakmem_malloc(size);
		HAKT_EXPECT(*block);
		memset(*block, letter, 16);
		if (i % 512 == 0)
			HAKT_EXPECT(hakmem_trim() == 0);
		hak_add_relaxed(&stop_word[1], 1);
	}
	for (unsigned i = 0; i < N; i++)
		hakmem_free(blocks[i]);
	return NULL;
}

static int work_in_threads(const void *context)
{
	enum { THREADS = 3 };
	static char letters[THREADS] = "abc";
	pthread_t threads[THREADS];

	for (unsigned i = 0; i < THREADS; i++)
		HAKT_EXPECT(pthread_create(&threads[i], NULL, work, &letters[i]) == 0);
	for (unsigned i = 0; i < THREADS; i++)
		HAKT_EXPECT(pthread_join(threads[i], NULL) == 0);
	(void)context;
	return 0;
}

static void wait_work(const struct hakt_process *client, uint32_t more)
{
	uint32_t before = hak_load_relaxed(&stop_word[1]);

	for (unsigned i = 0; hak_load_relaxed(&stop_word[1]) - before < more; i++) {
		assert_true(i < 60000);
		hakt_process_check_running(client);
		usleep(1000);
	}
}

static void test_threads_allocate_on_across_kills(void **state)
{
	struct hakt_process client = {0};

	(void)state;
	hakt_process_fork(&client, work_in_threads, NULL);
	for (unsigned i = 0; i < 10; i++) {
		wait_work(&client, 2000);
		restart();
		hakt_keeper_take(&hakt_keeper);
	}
	wait_work(&client, 5000);
	assert_int_equal(hakt_daemon_counter(&hakt_keeper.daemon, "resumed"), 1);
	assert_int_equal(hakt_daemon_status(&hakt_keeper.daemon).clients, 1);
	hakt_keeper_expect_clean(&hakt_keeper);
	hak_store_relaxed(stop_word, 1);
	hakt_process_wait_done(&client);
	hakt_process_end(&client);
}

/* Has a small block, then asks for a huge one. */
static int ask_for_more(const void *context)
{
	char *small = hakmem_malloc(100);

	(void)context;
	HAKT_EXPECT(small);
	strcpy(small, "small");
	hakt_child_say("attached");
	hakt_child_wait();
	hakt_child_say("asks");
	hakt_block_expect(hakt_block_make('m'), 'm');
	HAKT_EXPECT(strcmp(small, "small") == 0);
	hakt_child_say("has more");
	pause();
	return 0;
}

static void start_child(struct hakt_process *client, int (*run)(const void *), const char *says)
{
	*client = (struct hakt_process){0};
	hakt_process_fork(client, run, NULL);
	hakt_process_wait_output(client, 1, says);
}

static void kill_child(struct hakt_process *client)
{
	hakt_process_kill(client);
	hakt_process_end(client);
}

static void test_a_refill_waits_for_the_next_daemon(void **state)
{
	struct hakt_process client;

	(void)state;
	start_child(&client, ask_for_more, "attached");
	hakt_keeper_kill(&hakt_keeper);
	hakt_process_tell(&client);
	hakt_process_wait_output(&client, 1, "asks");
	usleep(50000);
	assert_null(strstr(hakt_process_output(&client, 1), "has more"));
	hakt_keeper_start(&hakt_keeper);
	hakt_process_wait_output(&client, 1, "has more");
	wait_state(&client, "attached");
	assert_int_equal(hakt_daemon_status(&hakt_keeper.daemon).clients, 1);
	kill_child(&client);
}

/* Takes all that there is without asking; what the next block's errno is. */
static int use_up(void)
{
	while (hakmem_malloc(1000))
		;
	return errno;
}

static int give_up(const void *context)
{
	hakmem_ref_t ref;
	char *block;

	(void)context;
	setenv("HAKMEM_TIMEOUT_MS", "100", 1);
	block = hakmem_malloc(1000);
	HAKT_EXPECT(block && hakmem_root_publish("x", hakmem_ref(block)) == 0);
	block = hakmem_malloc(1000);
	HAKT_EXPECT(block);
	hakt_child_say("attached");
	hakt_child_wait();
	HAKT_EXPECT(use_up() == ENOMEM);
	HAKT_EXPECT(!hakmem_malloc(HAKT_BLOCK_BYTES) && errno == ENOMEM);
	HAKT_EXPECT(!hakmem_realloc(block, HAKT_BLOCK_BYTES) && errno == ENOMEM);
	HAKT_EXPECT(hakmem_root_withdraw("x", &ref) == -ETIMEDOUT);
	HAKT_EXPECT(hakmem_root_publish("y", hakmem_ref(block)) == -ETIMEDOUT);
	HAKT_EXPECT(hakmem_root_lookup("x", &ref) == 0);
	hakmem_free(block);
	block = hakmem_malloc(1000);
	HAKT_EXPECT(block);
	hakt_child_say("gave up");
	hakt_child_wait();
	while (!hakmem_malloc(HAKT_BLOCK_BYTES)) /* the daemon may need longer to start */
		HAKT_EXPECT(errno == ENOMEM);
	HAKT_EXPECT(hakmem_root_publish("y", hakmem_ref(block)) == 0);
	HAKT_EXPECT(hakmem_root_withdraw("x", &ref) == 0);
	HAKT_EXPECT(hakmem_root_withdraw("y", &ref) == 0);
	hakt_child_say("goes on");
	pause();
	return 0;
}

static void check_giving_up(bool is_stopped)
{
	struct hakt_process client;

	start_child(&client, give_up, "attached");
	if (is_stopped)
		assert_int_equal(kill(hakt_keeper.daemon.pid, SIGSTOP), 0);
	else
		hakt_keeper_kill(&hakt_keeper);
	hakt_process_tell(&client);
	hakt_process_wait_output(&client, 1, "gave up");
	if (is_stopped)
		hakt_keeper_kill(&hakt_keeper);
	hakt_keeper_start(&hakt_keeper);
	hakt_process_tell(&client);
	hakt_process_wait_output(&client, 1, "goes on");
	hakt_keeper_expect_clean(&hakt_keeper);
	kill_child(&client);
}

static void test_without_a_daemon_in_time_it_is_ENOMEM(void **state)
{
	(void)state;
	check_giving_up(false);
}

static void test_a_daemon_that_is_stopped_and_replaced_is_one_that_was_away(void **state)
{
	(void)state;
	check_giving_up(true);
}

static int leave_at_once(const void *context)
{
	(void)context;
	setenv("HAKMEM_TIMEOUT_MS", NEVER_MS, 1);
	hakt_block_make('m');
	hakt_child_say("attached");
	hakt_child_wait();
	HAKT_EXPECT(hakmem_trim() == 0); /* connects, and isn't welcomed yet */
	HAKT_EXPECT(hakmem_detach() == 0);
	hakt_child_say("detached");
	pause();
	return 0;
}

static void test_trim_and_detach_wait_for_no_daemon(void **state)
{
	struct hakt_process client;

	(void)state;
	start_child(&client, leave_at_once, "attached");
	hakt_keeper_kill(&hakt_keeper);
	hakt_process_tell(&client);
	hakt_process_wait_output(&client, 1, "detached");
	hakt_keeper_start(&hakt_keeper);
	hakt_daemon_wait_empty(&hakt_keeper.daemon);
	hakt_process_check_running(&client);
	kill_child(&client);
}

static int find_nobody(const void *context)
{
	hakmem_ref_t ref;
	char *block;

	(void)context;
	setenv("HAKMEM_TIMEOUT_MS", NEVER_MS, 1);
	block = hakmem_malloc(1000);
	HAKT_EXPECT(block);
	hakt_child_say("attached");
	hakt_child_wait();
	HAKT_EXPECT(use_up() == ESTALE);
	HAKT_EXPECT(!hakmem_malloc(HAKT_BLOCK_BYTES) && errno == ESTALE);
	HAKT_EXPECT(hakmem_root_publish("y", hakmem_ref(block)) == -ESTALE);
	HAKT_EXPECT(hakmem_root_lookup("x", &ref) == -ENOENT);
	hakmem_free(block);
	block = hakmem_malloc(1000);
	HAKT_EXPECT(block);
	hakt_child_say("found nobody");
	hakt_child_wait();
	hakt_block_expect(hakt_block_make('m'), 'm');
	hakt_child_say("goes on");
	pause();
	return 0;
}

static void test_where_nobody_listens_it_is_ESTALE_until_somebody_does(void **state)
{
	struct hakt_process client;

	(void)state;
	start_child(&client, find_nobody, "attached");
	hakt_keeper_kill(&hakt_keeper);
	hakt_process_tell(&client);
	hakt_process_wait_output(&client, 1, "found nobody");
	hakt_keeper_start(&hakt_keeper);
	hakt_process_tell(&client);
	hakt_process_wait_output(&client, 1, "goes on");
	assert_int_equal(hakt_daemon_status(&hakt_keeper.daemon).clients, 1);
	kill_child(&client);
}

static int learn_of_the_end(const void *context)
{
	char *small = hakmem_malloc(100), *huge = hakt_block_make('h');

	(void)context;
	setenv("HAKMEM_TIMEOUT_MS", NEVER_MS, 1);
	HAKT_EXPECT(small);
	strcpy(small, "small");
	hakt_child_say("attached");
	hakt_child_wait();
	HAKT_EXPECT(use_up() == ESTALE);
	HAKT_EXPECT(!hakmem_malloc(HAKT_BLOCK_BYTES) && errno == ESTALE);
	HAKT_EXPECT(hakmem_trim() == 0);
	hakt_block_expect(huge, 'h');
	HAKT_EXPECT(strcmp(small, "small") == 0);
	hakmem_free(huge);
	hakmem_free(small);
	small = hakmem_malloc(100);
	HAKT_EXPECT(small && !hakmem_malloc(2 * HAKT_BLOCK_BYTES) && errno == ESTALE);
	HAKT_EXPECT(hakmem_attach(NULL) == -EISCONN);
	HAKT_EXPECT(hakmem_detach() == 0);
	HAKT_EXPECT(hakmem_attach(NULL) == 0);
	hakt_block_expect(hakt_block_make('n'), 'n');
	hakt_child_say("attached anew");
	pause();
	return 0;
}

static void test_another_pool_at_the_socket_is_ESTALE_until_one_attaches_anew(void **state)
{
	struct hakt_process client;

	(void)state;
	start_child(&client, learn_of_the_end, "attached");
	hakt_keeper_kill(&hakt_keeper);
	while (hakt_keeper.n_kept > 0)
		hakt_keeper_remove(&hakt_keeper, hakt_keeper.kept[0].name);
	hakt_keeper_start(&hakt_keeper);
	assert_int_equal(hakt_daemon_status(&hakt_keeper.daemon).clients, 0);
	hakt_process_tell(&client);
	hakt_process_wait_output(&client, 1, "attached anew");
	assert_int_equal(hakt_daemon_status(&hakt_keeper.daemon).clients, 1);
	hakt_keeper_expect_clean(&hakt_keeper);
	kill_child(&client);
}

static int see_the_end(const void *context)
{
	(void)context;
	setenv("HAKMEM_TIMEOUT_MS", NEVER_MS, 1);
	hakt_block_make('m');
	hakt_child_say("attached");
	hakt_child_wait();
	HAKT_EXPECT(!hakmem_malloc(HAKT_BLOCK_BYTES) && errno == ESTALE);
	HAKT_EXPECT(use_up() == ESTALE);
	HAKT_EXPECT(hakmem_detach() == 0);
	return 0;
}

static void test_a_pool_that_says_that_it_has_ended_is_ESTALE(void **state)
{
	struct hakt_process client;
	struct hakt_words words;

	(void)state;
	start_child(&client, see_the_end, "attached");
	hakt_keeper_take(&hakt_keeper);
	hakt_words_init(&words, hakt_keeper_find(&hakt_keeper, "registry"));
	hak_store_relaxed(&words.header->ended, 1);
	hakt_process_tell(&client);
	hakt_process_wait_done(&client);
	hakt_process_end(&client);
	hakt_words_deinit(&words);
}

static int idle(const void *context)
{
	(void)context;
	HAKT_EXPECT(hakmem_malloc(100) && hakmem_trim() == 0);
	hakt_child_say("attached");
	hakt_child_wait();
	HAKT_EXPECT(hakmem_trim() == 0); /* though there is nothing to give back */
	hakt_child_say("trimmed");
	pause();
	return 0;
}

static void test_an_idle_client_is_disconnected_until_it_calls(void **state)
{
	struct hakt_process client;

	(void)state;
	start_child(&client, idle, "attached");
	restart();
	wait_state(&client, "disconnected");
	hakt_process_tell(&client);
	hakt_process_wait_output(&client, 1, "trimmed");
	wait_state(&client, "attached");
	kill_child(&client);
}

static int close_all(const void *context)
{
	hakt_block_make('m');
	hakt_child_hang_up();
	hakt_child_say("hung up");
	hakt_child_wait();
	hakt_block_expect(hakt_block_make('n'), 'n');
	hakt_child_say("goes on");
	(void)context;
	pause();
	return 0;
}

static void test_a_connection_that_the_program_closed_heals(void **state)
{
	struct hakt_process client;

	(void)state;
	start_child(&client, close_all, "hung up");
	hakt_daemon_wait_disconnected(&hakt_keeper.daemon, client.pid);
	hakt_process_tell(&client);
	hakt_process_wait_output(&client, 1, "goes on");
	wait_state(&client, "attached");
	assert_int_equal(hakt_daemon_status(&hakt_keeper.daemon).clients, 1);
	hakt_keeper_expect_clean(&hakt_keeper);
	kill_child(&client);
}

static unsigned count_sockets(void)
{
	DIR *directory = opendir("/proc/self/fd");
	unsigned n = 0;
	struct stat st;

	HAKT_EXPECT(directory);
	for (struct dirent *entry; (entry = readdir(directory));)
		n += fstatat(dirfd(directory), entry->d_name, &st, 0) == 0 && S_ISSOCK(st.st_mode);
	closedir(directory);
	return n;
}

static int fork_amid(const void *context)
{
	unsigned sockets = count_sockets();
	char *block = hakt_block_make('m');
	pid_t parent = getpid(), pid;
	int status;

	(void)context;
	hakt_child_say("attached");
	hakt_child_wait();
	HAKT_EXPECT(hakmem_trim() == 0); /* connects, and isn't welcomed yet */
	HAKT_EXPECT(count_sockets() == sockets + 1);
	pid = fork();
	if (pid == 0) {
		hakt_process_die_with(parent);
		hakt_child_say("forked");
		hakt_block_expect(hakt_block_make('n'), 'n');
		hakt_block_expect(block, 'm');
		HAKT_EXPECT(hakmem_owner(block, NULL) == HAKMEM_OWNER_OTHER);
		HAKT_EXPECT(count_sockets() == sockets + 1);
		hakt_child_say("both are there");
		hakt_child_wait();
		_exit(0);
	}
	hakt_block_expect(hakt_block_make('o'), 'o');
	hakt_child_say("the parent too");
	HAKT_EXPECT(waitpid(pid, &status, 0) == pid && status == 0);
	return 0;
}

static void test_a_child_forked_while_its_parent_reconnects_is_a_client_of_its_own(void **state)
{
	struct hakt_process client;

	(void)state;
	start_child(&client, fork_amid, "attached");
	hakt_keeper_kill(&hakt_keeper);
	hakt_process_tell(&client);
	hakt_process_wait_output(&client, 1, "forked");
	hakt_keeper_start(&hakt_keeper);
	hakt_process_wait_output(&client, 1, "both are there");
	hakt_process_wait_output(&client, 1, "the parent too");
	wait_state(&client, "attached");
	assert_int_equal(hakt_daemon_status(&hakt_keeper.daemon).clients, 2);
	assert_int_equal(hakt_daemon_counter(&hakt_keeper.daemon, "resumed"), 1);
	assert_int_equal(hakt_daemon_counter(&hakt_keeper.daemon, "attached"), 1);
	hakt_process_tell(&client);
	hakt_process_wait_done(&client);
	hakt_process_end(&client);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test_setup_teardown(test_threads_allocate_on_across_kills, start_listening,
					stop),
	cmocka_unit_test_setup_teardown(test_a_refill_waits_for_the_next_daemon, start_listening,
					stop),
	cmocka_unit_test_setup_teardown(test_without_a_daemon_in_time_it_is_ENOMEM, start_listening,
					stop),
	cmocka_unit_test_setup_teardown(
		test_a_daemon_that_is_stopped_and_replaced_is_one_that_was_away, start_listening,
		stop),
	cmocka_unit_test_setup_teardown(test_trim_and_detach_wait_for_no_daemon, start_listening,
					stop),
	cmocka_unit_test_setup_teardown(test_where_nobody_listens_it_is_ESTALE_until_somebody_does,
					start_alone, stop),
	cmocka_unit_test_setup_teardown(
		test_another_pool_at_the_socket_is_ESTALE_until_one_attaches_anew, start_alone,
		stop),
	cmocka_unit_test_setup_teardown(test_a_pool_that_says_that_it_has_ended_is_ESTALE,
					start_alone, stop),
	cmocka_unit_test_setup_teardown(test_an_idle_client_is_disconnected_until_it_calls,
					start_alone, stop),
	cmocka_unit_test_setup_teardown(test_a_connection_that_the_program_closed_heals,
					start_alone, stop),
	cmocka_unit_test_setup_teardown(
		test_a_child_forked_while_its_parent_reconnects_is_a_client_of_its_own,
		start_listening, stop),
};

HAKT_MAIN(tests, NULL, NULL)
