/* SPDX-License-Identifier: MIT */
/* What a keeper hands over, to whom, and what of it is refused. */
#include "tests/support/run.h"

#include <fcntl.h>
#include <signal.h>
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

static const struct CMUnitTest tests[] = {
	cmocka_unit_test_setup_teardown(test_half_a_pool_is_dropped_for_a_new_one,
					hakt_keeper_setup, hakt_keeper_teardown),
	cmocka_unit_test_setup_teardown(test_a_pool_of_another_version_is_refused_and_left_alone,
					hakt_keeper_setup, hakt_keeper_teardown),
	cmocka_unit_test_setup_teardown(test_a_name_that_comes_twice_is_refused, hakt_keeper_setup,
					hakt_keeper_teardown),
	cmocka_unit_test_setup_teardown(test_descriptors_for_another_process_are_left_alone,
					hakt_keeper_setup, hakt_keeper_teardown),
	cmocka_unit_test_setup_teardown(test_the_pool_stays_as_large_as_it_was_made,
					hakt_keeper_setup, hakt_keeper_teardown),
	cmocka_unit_test_setup_teardown(
		test_a_connection_to_the_keepers_socket_waits_for_the_next_daemon,
		start_with_socket, hakt_keeper_teardown),
	cmocka_unit_test_setup_teardown(test_a_clean_stop_leaves_the_pool_and_the_keepers_socket,
					start_with_socket, hakt_keeper_teardown),
};

HAKT_MAIN(tests, NULL, NULL)
