/* SPDX-License-Identifier: MIT */
/*
 * What a daemon says to its keeper besides what is to be kept: when it is ready,
 * that it lives, that it stops. And whose end a stop is: its own, or the pool's.
 */
#include "tests/support/run.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client_lib/conn.h"
#include "tests/support/attached.h"
#include "tests/support/ctl.h"
#include "tests/support/holding.h"
#include "tests/support/keeper.h"
#include "tests/support/words.h"

static int prepare(void **state)
{
	(void)state;
	hakt_keeper = (struct hakt_keeper){0};
	hakt_keeper_init(&hakt_keeper, hakt_keeper_options);
	return 0;
}

/* A hello that is answered later than `timeout_ms`, or in time; 0 or -ETIMEDOUT. */
static int greet(unsigned timeout_ms)
{
	struct hakc_conn conn;
	Hak__Reply *reply;
	int r;

	assert_int_equal(hakc_conn_init(&conn, hakt_keeper.daemon.socket, timeout_ms), 0);
	r = hakc_conn_hello(&conn, HAK__PEER_KIND__PEER_TOOL, NULL, &reply, NULL, NULL);
	if (r == 0)
		hak__reply__free_unpacked(reply, NULL);
	hakc_conn_deinit(&conn);
	return r;
}

static void test_it_serves_nobody_before_all_is_kept_and_is_ready_then(void **state)
{
	(void)state;
	hakt_keeper.holds_barrier = true;
	hakt_keeper_fork(&hakt_keeper, NULL, NULL);
	hakt_keeper_wait_for(&hakt_keeper, &hakt_keeper.n_barriers, 1);
	assert_true(hakt_keeper_find(&hakt_keeper, "registry") >= 0);
	assert_true(hakt_keeper_find(&hakt_keeper, "heap") >= 0);
	assert_int_equal(greet(100), -ETIMEDOUT);
	hakt_keeper_take(&hakt_keeper);
	assert_int_equal(hakt_keeper.n_ready, 0);
	hakt_keeper_let_go(&hakt_keeper);
	hakt_keeper_wait_ready(&hakt_keeper);
	assert_non_null(strstr(hakt_keeper.status, hakt_keeper.daemon.socket));
	assert_int_equal(greet(60000), 0);
}

/* By a keeper that hangs. */
static void test_a_barrier_that_nobody_answers_is_given_up(void **state)
{
	(void)state;
	hakt_keeper.holds_barrier = true;
	hakt_keeper_fork(&hakt_keeper, NULL, NULL);
	hakt_keeper_wait_ready(&hakt_keeper); /* after 5 s */
	assert_int_equal(greet(60000), 0);
	hakt_keeper_let_go(&hakt_keeper);
}

static void test_it_is_never_ready_with_a_pool_that_contradicts_itself(void **state)
{
	struct hakt_words words;

	(void)state;
	hakt_keeper_start(&hakt_keeper);
	hakt_keeper_kill(&hakt_keeper);
	hakt_words_init(&words, hakt_keeper_find(&hakt_keeper, "registry"));
	hak_store_relaxed(&words.superslabs[3], 7);
	hakt_keeper_fork(&hakt_keeper, NULL, NULL);
	assert_int_equal(hakt_keeper_wait_end(&hakt_keeper), 2);
	assert_int_equal(hakt_keeper.n_ready + hakt_keeper.n_barriers, 0);
	hak_store_relaxed(&words.superslabs[3], 0);
	hakt_words_deinit(&words);
	hakt_keeper_start(&hakt_keeper);
}

static void test_it_pings_as_often_as_it_is_told(void **state)
{
	(void)state;
	hakt_keeper.watchdog_usec = 40000;
	hakt_keeper_start(&hakt_keeper);
	hakt_keeper_wait_for(&hakt_keeper, &hakt_keeper.n_pings, 5);
}

static void name_another(void *context)
{
	(void)context;
	setenv("WATCHDOG_PID", "1", 1);
}

static void test_it_does_not_ping_for_another_process(void **state)
{
	(void)state;
	hakt_keeper.watchdog_usec = 2000;
	hakt_keeper_fork(&hakt_keeper, name_another, NULL);
	hakt_keeper_wait_ready(&hakt_keeper);
	usleep(100000);
	assert_int_equal(greet(60000), 0); /* its loop has turned */
	hakt_keeper_take(&hakt_keeper);
	assert_int_equal(hakt_keeper.n_pings, 0);
}

static uint64_t ended(const struct hakt_words *words)
{
	return hak_load_relaxed(&words->header->ended);
}

static void test_a_restart_leaves_the_pool_to_the_next_daemon(void **state)
{
	struct hakt_process client;
	struct hakt_words words;

	(void)state;
	hakt_keeper_start(&hakt_keeper);
	hakt_holding_start(&client, "a");
	hakt_words_init(&words, hakt_keeper_find(&hakt_keeper, "registry"));
	assert_int_equal(kill(hakt_keeper.daemon.pid, SIGTERM), 0);
	assert_int_equal(hakt_keeper_wait_end(&hakt_keeper), 0);
	assert_int_equal(hakt_keeper.n_stopping, 1);
	assert_int_equal(ended(&words), 0);
	hakt_words_deinit(&words);
	hakt_keeper_start(&hakt_keeper);
	assert_int_equal(hakt_daemon_status(&hakt_keeper.daemon).clients, 1);
	hakt_holding_kill(&client);
}

static void test_sigint_is_the_end_of_the_pool_under_a_keeper_too(void **state)
{
	struct hakt_process client;
	struct hakt_words words;

	(void)state;
	hakt_keeper_start(&hakt_keeper);
	hakt_holding_start(&client, "a");
	hakt_words_init(&words, hakt_keeper_find(&hakt_keeper, "registry"));
	assert_int_equal(kill(hakt_keeper.daemon.pid, SIGINT), 0);
	assert_int_equal(hakt_keeper_wait_end(&hakt_keeper), 0);
	assert_int_equal(ended(&words), 1);
	assert_int_equal(hakt_keeper_find(&hakt_keeper, "registry"), -1);
	assert_int_equal(hakt_keeper_find(&hakt_keeper, "heap"), -1);
	hakt_words_deinit(&words);
	hakt_keeper_start(&hakt_keeper);
	assert_int_equal(hakt_keeper.n_kept, 2);
	assert_int_equal(hakt_daemon_status(&hakt_keeper.daemon).clients, 0);
	hakt_holding_expect_intact(&client); /* it has what it had */
	hakt_holding_kill(&client);
}

/* One that was killed before the keeper had heard of it. */
static void test_a_pool_that_has_ended_is_not_gone_on_with(void **state)
{
	struct hakt_words words;

	(void)state;
	hakt_keeper_start(&hakt_keeper);
	hakt_keeper_kill(&hakt_keeper);
	hakt_words_init(&words, hakt_keeper_find(&hakt_keeper, "registry"));
	hak_store_relaxed(&words.header->ended, 1);
	hakt_keeper_start(&hakt_keeper);
	assert_int_equal(hakt_keeper.n_kept, 2);
	hakt_words_deinit(&words);
	hakt_words_init(&words, hakt_keeper_find(&hakt_keeper, "registry"));
	assert_int_equal(ended(&words), 0);
	hakt_words_deinit(&words);
	hakt_keeper_expect_clean(&hakt_keeper);
}

static void test_without_a_keeper_every_stop_is_the_end_of_the_pool(void **state)
{
	const int signals[] = {SIGTERM, SIGINT, 0 /* nobody is attached */};

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		struct hakt_daemon daemon;
		const struct hak_registry *registry;
		struct hakc_conn conn;
		int status;

		hakt_daemon_start(&daemon, HAKT_LIST("--capacity", "64M", "--limit", "64M",
						     "--log-level", "error", "--idle-exit", "1"));
		registry = hakt_attached(&conn, daemon.socket);
		assert_int_equal(hak_load_relaxed(&registry->ended), 0);
		if (signals[i])
			assert_int_equal(kill(daemon.pid, signals[i]), 0);
		else
			hakc_conn_deinit(&conn); /* its lease is over */
		assert_int_equal(waitpid(daemon.pid, &status, 0), daemon.pid);
		assert_int_equal(status, 0);
		assert_int_equal(hak_load_relaxed(&registry->ended), 1);
		hakc_conn_deinit(&conn);
		munmap((void *)(uintptr_t)registry, HAK_PAGE_BYTES);
		hakt_directory_remove(daemon.directory);
	}
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test_setup_teardown(test_it_serves_nobody_before_all_is_kept_and_is_ready_then,
					prepare, hakt_keeper_teardown),
	cmocka_unit_test_setup_teardown(test_a_barrier_that_nobody_answers_is_given_up, prepare,
					hakt_keeper_teardown),
	cmocka_unit_test_setup_teardown(test_it_is_never_ready_with_a_pool_that_contradicts_itself,
					prepare, hakt_keeper_teardown),
	cmocka_unit_test_setup_teardown(test_it_pings_as_often_as_it_is_told, prepare,
					hakt_keeper_teardown),
	cmocka_unit_test_setup_teardown(test_it_does_not_ping_for_another_process, prepare,
					hakt_keeper_teardown),
	cmocka_unit_test_setup_teardown(test_a_restart_leaves_the_pool_to_the_next_daemon, prepare,
					hakt_keeper_teardown),
	cmocka_unit_test_setup_teardown(test_sigint_is_the_end_of_the_pool_under_a_keeper_too,
					prepare, hakt_keeper_teardown),
	cmocka_unit_test_setup_teardown(test_a_pool_that_has_ended_is_not_gone_on_with, prepare,
					hakt_keeper_teardown),
	cmocka_unit_test(test_without_a_keeper_every_stop_is_the_end_of_the_pool),
};

HAKT_MAIN(tests, NULL, NULL)
