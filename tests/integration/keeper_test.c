/* SPDX-License-Identifier: MIT */
/* What a keeper hands over, to whom, and what of it is refused. */
#include "tests/support/run.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client_lib/conn.h"
#include "tests/support/ctl.h"
#include "tests/support/holding.h"
#include "tests/support/keeper.h"
#include "tests/support/words.h"

static struct hakt_status status(void)
{
	return hakt_daemon_status(&hakt_keeper.daemon);
}

static ino_t inode(const char *name)
{
	struct stat st;

	assert_int_equal(fstat(hakt_keeper_find(&hakt_keeper, name), &st), 0);
	return st.st_ino;
}

static void test_half_a_pool_is_dropped_for_a_new_one(void **state)
{
	static const char *const names[] = {"registry", "heap"};

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		ino_t before;

		hakt_keeper_kill(&hakt_keeper);
		before = inode(names[i]);
		hakt_keeper_remove(&hakt_keeper, names[1 - i]);
		hakt_keeper_start(&hakt_keeper);
		hakt_keeper_take(&hakt_keeper);
		assert_int_equal(hakt_keeper_count(&hakt_keeper, "registry"), 1);
		assert_int_equal(hakt_keeper_count(&hakt_keeper, "heap"), 1);
		assert_true(inode(names[i]) != before);
		hakt_keeper_expect_clean(&hakt_keeper);
	}
}

/* Takes until so many are kept. */
static void wait_kept(unsigned n)
{
	for (unsigned i = 0; i < 6000 && hakt_keeper.n_kept != n; i++) {
		hakt_keeper_take(&hakt_keeper);
		usleep(10000);
	}
	assert_int_equal(hakt_keeper.n_kept, n);
}

/* Its exit code. */
static int run_to_end(void (*enter)(void *context))
{
	int exit_code;

	hakt_keeper_fork(&hakt_keeper, enter, NULL);
	exit_code = hakt_keeper_wait_end(&hakt_keeper);
	assert_int_equal(hakt_keeper.n_ready, 0);
	return exit_code;
}

static void test_a_pool_of_another_version_is_refused_and_left_alone(void **state)
{
	struct hakt_process client;
	struct hakt_words words;

	(void)state;
	hakt_holding_start(&client, "a");
	hakt_keeper_kill(&hakt_keeper);
	hakt_words_init(&words, hakt_keeper_find(&hakt_keeper, "registry"));
	words.header->layout_version++;
	assert_int_equal(run_to_end(NULL), 2);
	assert_int_equal(access(hakt_keeper.daemon.socket, F_OK), -1);
	words.header->layout_version--;
	hakt_words_deinit(&words);
	hakt_keeper_start(&hakt_keeper);
	assert_int_equal(status().clients, 1);
	hakt_holding_expect_intact(&client);
	hakt_holding_kill(&client);
}

static void test_a_name_that_comes_twice_is_refused(void **state)
{
	(void)state;
	hakt_keeper_kill(&hakt_keeper);
	hakt_keeper_put(&hakt_keeper, "heap", dup(hakt_keeper_find(&hakt_keeper, "heap")));
	assert_int_equal(run_to_end(NULL), 2);
	close(hakt_keeper.kept[--hakt_keeper.n_kept].fd);
	hakt_keeper_put(&hakt_keeper, "pipe",
			open("/dev/null", O_RDWR | O_CLOEXEC)); /* is ignored */
	hakt_keeper_start(&hakt_keeper);
	hakt_keeper_expect_clean(&hakt_keeper);
}

static void name_another(void *context)
{
	(void)context;
	setenv("LISTEN_PID", "1", 1);
}

static void test_descriptors_for_another_process_are_left_alone(void **state)
{
	(void)state;
	hakt_keeper_kill(&hakt_keeper);
	hakt_keeper_put(&hakt_keeper, "heap", open("/dev/null", O_RDWR | O_CLOEXEC));
	hakt_keeper_fork(&hakt_keeper, name_another, NULL);
	hakt_keeper_wait_ready(&hakt_keeper);
	assert_int_equal(hakt_keeper_count(&hakt_keeper, "registry"), 2); /* it made a new one */
	hakt_keeper_expect_clean(&hakt_keeper);
}

static void test_the_pool_stays_as_large_as_it_was_made(void **state)
{
	(void)state;
	hakt_keeper_kill(&hakt_keeper);
	hakt_keeper.options = HAKT_LIST("--limit", "128M", "--capacity", "2G", "--log-level",
					"error");
	hakt_keeper_start(&hakt_keeper);
	assert_int_equal(hakt_ctl_pool(hakt_keeper.daemon.socket, "capacity_bytes"), 1 << 30);
	assert_int_equal(hakt_ctl_pool(hakt_keeper.daemon.socket, "limit_bytes"), 128 << 20);
	hakt_keeper_expect_clean(&hakt_keeper);
}

static int start_with_socket(void **state)
{
	(void)state;
	hakt_keeper = (struct hakt_keeper){.is_abstract = true};
	hakt_keeper_init(&hakt_keeper, hakt_keeper_options);
	hakt_keeper_listen(&hakt_keeper);
	hakt_keeper_start(&hakt_keeper);
	return 0;
}

static int start_with_log(void **state)
{
	(void)state;
	hakt_keeper = (struct hakt_keeper){.has_log = true};
	hakt_keeper_init(&hakt_keeper, hakt_keeper_options);
	hakt_keeper_start(&hakt_keeper);
	return 0;
}

/* As of a socket unit: no lock says whose the path is. */
static void test_the_path_of_a_socket_that_was_handed_over_is_the_keepers(void **state)
{
	char lock[160];

	(void)state;
	snprintf(lock, sizeof(lock), "%s.lock", hakt_keeper.daemon.socket);
	for (unsigned i = 0; i < 2; i++) { /* served, and without a daemon */
		struct hakt_process other = {0};

		assert_int_equal(access(lock, F_OK), -1);
		hakt_process_run(&other, HAKT_LIST(HAKT_HAKMEMD, "--foreground"));
		assert_int_equal(other.exit_code, 3);
		assert_non_null(strstr(hakt_process_output(&other, 2), "another daemon"));
		hakt_process_end(&other);
		if (i == 0)
			hakt_keeper_kill(&hakt_keeper);
	}
	hakt_keeper_start(&hakt_keeper);
	hakt_keeper_expect_clean(&hakt_keeper);
}

static void test_a_connection_to_the_keepers_socket_waits_for_the_next_daemon(void **state)
{
	struct hakt_process client;
	struct hakc_conn conn;
	Hak__Reply *reply;

	(void)state;
	hakt_holding_start(&client, "a");
	hakt_keeper_kill(&hakt_keeper);
	assert_int_equal(hakc_conn_init(&conn, hakt_keeper.daemon.socket, 60000), 0);
	hakt_keeper_start(&hakt_keeper);
	assert_int_equal(
		hakc_conn_hello(&conn, HAK__PEER_KIND__PEER_TOOL, NULL, &reply, NULL, NULL), 0);
	hak__reply__free_unpacked(reply, NULL);
	hakc_conn_deinit(&conn);
	assert_int_equal(status().clients, 1);
	hakt_holding_expect_intact(&client);
	hakt_keeper_expect_clean(&hakt_keeper);
	hakt_holding_kill(&client);
}

static void test_a_clean_stop_leaves_the_pool_and_the_keepers_socket(void **state)
{
	struct hakt_process client;

	(void)state;
	hakt_holding_start(&client, "a");
	assert_int_equal(kill(hakt_keeper.daemon.pid, SIGTERM), 0);
	assert_int_equal(hakt_keeper_wait_end(&hakt_keeper), 0);
	assert_int_equal(access(hakt_keeper.daemon.socket, F_OK), 0);
	hakt_keeper_start(&hakt_keeper);
	assert_int_equal(status().clients, 1);
	hakt_holding_expect_intact(&client);
	hakt_holding_kill(&client);
}

/* Writes another pid, or another start, into the registry, as if the pid was used again. */
static void write_holder(const struct hakt_process *client, int pid, int later)
{
	struct hakt_words words;
	struct hak_holder *holder;

	hakt_words_init(&words, hakt_keeper_find(&hakt_keeper, "registry"));
	holder = &words.holders[hakt_words_holder(&words, client->pid)];
	holder->pid = pid;
	holder->start_time += (unsigned)later;
	hakt_words_deinit(&words);
}

static void test_a_clients_pidfd_is_kept_while_it_is_there(void **state)
{
	struct hakt_process client;

	(void)state;
	hakt_holding_start(&client, "a");
	hakt_keeper_take(&hakt_keeper);
	assert_true(hakt_keeper_find(&hakt_keeper, "c-2-1") >= 0);
	assert_true(hakt_keeper_find(&hakt_keeper, "l-2-1") >= 0);
	hakt_holding_kill(&client);
	hakt_daemon_wait_empty(&hakt_keeper.daemon);
	hakt_keeper_take(&hakt_keeper);
	assert_int_equal(hakt_keeper.n_kept, 2); /* registry and heap */
}

static void test_a_death_is_seen_by_the_kept_pidfd_whoever_has_the_pid(void **state)
{
	/* Another process that lives; nobody that has a pid here. */
	const int pids[] = {getpid(), 0};

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct hakt_process client;
		char lease[32];

		hakt_holding_start(&client, "a");
		hakt_keeper_kill(&hakt_keeper);
		write_holder(&client, pids[i], 0);
		snprintf(lease, sizeof(lease), "l-2-%u", i + 1);
		assert_true(hakt_keeper_find(&hakt_keeper, lease) >= 0);
		hakt_keeper_remove(&hakt_keeper, lease); /* it would tell too */
		hakt_holding_kill(&client);
		hakt_keeper_start(&hakt_keeper);
		hakt_daemon_wait_empty(&hakt_keeper.daemon);
		assert_int_equal(hakt_daemon_counter(&hakt_keeper.daemon, "deaths"), 1);
		hakt_keeper_expect_clean(&hakt_keeper);
		hakt_keeper_take(&hakt_keeper);
		assert_int_equal(hakt_keeper.n_kept, 2);
	}
}

/* With pid 0 there is nothing else that could tell. */
static void test_who_lives_by_its_kept_pidfd_is_watched_by_it(void **state)
{
	const int pids[] = {1, 0};

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct hakt_process client;
		char lease[32];

		hakt_holding_start(&client, "a");
		hakt_keeper_kill(&hakt_keeper);
		write_holder(&client, pids[i], 1);
		snprintf(lease, sizeof(lease), "l-2-%u", i + 1);
		hakt_keeper_remove(&hakt_keeper, lease);
		hakt_keeper_start(&hakt_keeper);
		assert_int_equal(status().clients, 1);
		assert_int_equal(hakt_daemon_counter(&hakt_keeper.daemon, "deaths"), 0);
		hakt_holding_expect_intact(&client);
		hakt_holding_kill(&client);
		hakt_daemon_wait_empty(&hakt_keeper.daemon);
	}
}

static void test_a_pidfd_that_was_not_kept_is_opened_and_kept_again(void **state)
{
	struct hakt_process client;

	(void)state;
	hakt_holding_start(&client, "a");
	hakt_keeper_kill(&hakt_keeper);
	hakt_keeper_remove(&hakt_keeper, "c-2-1");
	hakt_keeper_start(&hakt_keeper);
	assert_true(hakt_keeper_find(&hakt_keeper, "c-2-1") >= 0); /* since READY */
	hakt_keeper_kill(&hakt_keeper);
	write_holder(&client, 1, 0);
	hakt_keeper_start(&hakt_keeper);
	assert_int_equal(status().clients, 1);
	hakt_holding_kill(&client);
	hakt_daemon_wait_empty(&hakt_keeper.daemon);
}

static void test_what_is_kept_of_another_pools_clients_is_dropped(void **state)
{
	struct hakt_process client, other;

	(void)state;
	hakt_holding_start(&client, "a");
	hakt_keeper_kill(&hakt_keeper);
	hakt_keeper_remove(&hakt_keeper, "registry");
	hakt_keeper_start(&hakt_keeper);
	assert_int_equal(hakt_keeper.n_kept, 2);
	hakt_holding_start(&other, "o"); /* the same slot, the same generation */
	hakt_keeper_kill(&hakt_keeper);
	hakt_holding_kill(&client);
	hakt_keeper_start(&hakt_keeper);
	assert_int_equal(status().clients, 1);
	hakt_holding_expect_intact(&other);
	hakt_holding_kill(&other);
}

/* More than its socket has room for. */
static void test_a_slow_keeper_hears_of_everybody_in_the_end(void **state)
{
	enum { N = 24 };
	struct hakt_process clients[N];

	(void)state;
	for (unsigned i = 0; i < N; i++)
		hakt_holding_start(&clients[i], "a");
	assert_int_equal(status().clients, N);
	wait_kept(2 + 2 * N);
	assert_int_equal(hakt_keeper_count(&hakt_keeper, "c-"), N);
	assert_int_equal(hakt_keeper_count(&hakt_keeper, "l-"), N);
	for (unsigned i = 0; i < N; i++)
		hakt_holding_kill(&clients[i]);
	hakt_daemon_wait_empty(&hakt_keeper.daemon);
	wait_kept(2);
}

static void test_without_its_keeper_a_daemon_goes_on_and_says_so(void **state)
{
	struct hakt_process client;
	char *log;

	(void)state;
	close(hakt_keeper.notify_fd);
	hakt_holding_start(&client, "a");
	hakt_holding_expect_intact(&client);
	assert_int_equal(status().clients, 1);
	log = hakt_keeper_log(&hakt_keeper);
	assert_non_null(strstr(log, "the keeper has gone"));
	free(log);
	hakt_holding_kill(&client);
	hakt_keeper.notify_fd = open("/dev/null", O_RDONLY | O_CLOEXEC); /* to be closed */
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test_setup_teardown(test_half_a_pool_is_dropped_for_a_new_one,
					hakt_keeper_setup, hakt_keeper_teardown),
	cmocka_unit_test_setup_teardown(test_a_pool_of_another_version_is_refused_and_left_alone,
					hakt_keeper_setup, hakt_keeper_teardown),
	cmocka_unit_test_setup_teardown(test_a_name_that_comes_twice_is_refused, hakt_keeper_setup,
					hakt_keeper_teardown),
	cmocka_unit_test_setup_teardown(test_descriptors_for_another_process_are_left_alone,
					hakt_keeper_setup, hakt_keeper_teardown),
	cmocka_unit_test_setup_teardown(test_a_clients_pidfd_is_kept_while_it_is_there,
					hakt_keeper_setup, hakt_keeper_teardown),
	cmocka_unit_test_setup_teardown(test_a_death_is_seen_by_the_kept_pidfd_whoever_has_the_pid,
					hakt_keeper_setup, hakt_keeper_teardown),
	cmocka_unit_test_setup_teardown(test_who_lives_by_its_kept_pidfd_is_watched_by_it,
					hakt_keeper_setup, hakt_keeper_teardown),
	cmocka_unit_test_setup_teardown(test_a_pidfd_that_was_not_kept_is_opened_and_kept_again,
					hakt_keeper_setup, hakt_keeper_teardown),
	cmocka_unit_test_setup_teardown(test_what_is_kept_of_another_pools_clients_is_dropped,
					hakt_keeper_setup, hakt_keeper_teardown),
	cmocka_unit_test_setup_teardown(test_a_slow_keeper_hears_of_everybody_in_the_end,
					hakt_keeper_setup, hakt_keeper_teardown),
	cmocka_unit_test_setup_teardown(test_without_its_keeper_a_daemon_goes_on_and_says_so,
					start_with_log, hakt_keeper_teardown),
	cmocka_unit_test_setup_teardown(test_the_pool_stays_as_large_as_it_was_made,
					hakt_keeper_setup, hakt_keeper_teardown),
	cmocka_unit_test_setup_teardown(
		test_the_path_of_a_socket_that_was_handed_over_is_the_keepers, start_with_socket,
		hakt_keeper_teardown),
	cmocka_unit_test_setup_teardown(
		test_a_connection_to_the_keepers_socket_waits_for_the_next_daemon,
		start_with_socket, hakt_keeper_teardown),
	cmocka_unit_test_setup_teardown(test_a_clean_stop_leaves_the_pool_and_the_keepers_socket,
					start_with_socket, hakt_keeper_teardown),
};

HAKT_MAIN(tests, NULL, NULL)
