/* SPDX-License-Identifier: MIT */
/* SIGHUP: what a daemon that serves takes from its file anew, and what not. */
#include "tests/support/run.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "client_lib/include/hakmem.h"
#include "tests/support/ctl.h"
#include "tests/support/holding.h"
#include "tests/support/keeper.h"
#include "tests/support/words.h"

#define MIB 1048576

static char file[128];
static const char *options[8];

/* Under a keeper, which hears when a reload has ended. */
static void start(const char *settings, const char *flag, const char *value)
{
	hakt_keeper = (struct hakt_keeper){.has_log = true};
	hakt_keeper_init(&hakt_keeper, NULL);
	hakt_directory_write(hakt_keeper.daemon.directory, "conf", settings, strlen(settings));
	snprintf(file, sizeof(file), "%s/conf", hakt_keeper.daemon.directory);
	memcpy(options, HAKT_LIST("--config", file, "--capacity", "256M", flag, value),
	       7 * sizeof(options[0]));
	hakt_keeper.options = options;
	hakt_keeper_start(&hakt_keeper);
}

static void reload(const char *settings)
{
	unsigned n = hakt_keeper.n_reloading;

	hakt_directory_write(hakt_keeper.daemon.directory, "conf", settings, strlen(settings));
	assert_int_equal(kill(hakt_keeper.daemon.pid, SIGHUP), 0);
	hakt_keeper_wait_for(&hakt_keeper, &hakt_keeper.n_ready, n + 2);
	assert_int_equal(hakt_keeper.n_reloading, n + 1);
}

static long long limit(void)
{
	return hakt_ctl_pool(hakt_keeper.daemon.socket, "limit_bytes") / MIB;
}

static unsigned long long keep_ms(void)
{
	struct hakt_words words;
	unsigned long long ms;

	hakt_words_init(&words, hakt_keeper_find(&hakt_keeper, "registry"));
	ms = hak_load_relaxed(&words.header->keep_ms);
	hakt_words_deinit(&words);
	return ms;
}

/* Does the daemon's log have this? */
static bool has_said(const char *text)
{
	char *log = hakt_keeper_log(&hakt_keeper);
	bool has = strstr(log, text) != NULL;

	free(log);
	return has;
}

static void test_level_limit_and_keep_are_taken_from_the_file(void **state)
{
	(void)state;
	start("[daemon]\nlog_level = warn\n[pool default]\nlimit = 128M\nkeep = 7\n", NULL, NULL);
	assert_int_equal(limit(), 128);
	assert_int_equal(keep_ms(), 3500);
	assert_false(has_said("hung up")); /* by who asked for the limit */
	reload("[daemon]\nlog_level = debug\n[pool default]\nlimit = 64M\nkeep = 3\n");
	assert_int_equal(limit(), 64);
	assert_int_equal(keep_ms(), 1500);
	assert_true(has_said("hung up"));
	assert_non_null(strstr(hakt_keeper.status, "limit 64 MiB, keep 3 s"));
	reload("");
	assert_int_equal(keep_ms(), 5000); /* what is not set any more has its default */
	assert_false(has_said("needs a new start"));
}

static void test_flags_stay_above_the_file(void **state)
{
	(void)state;
	start("[pool default]\nlimit = 128M\n", "--limit", "32M");
	assert_int_equal(limit(), 32);
	reload("[pool default]\nlimit = 64M\nkeep = 3\n");
	assert_int_equal(limit(), 32);
	assert_int_equal(keep_ms(), 1500);
}

static void test_what_only_a_start_can_change_is_named(void **state)
{
	static const char *const names[] = {"socket_mode", "superslab_lg of pool default",
					    "idle_exit"};

	(void)state;
	start("", NULL, NULL);
	reload("[daemon]\nsocket_mode = 600\nidle_exit = 100\n"
	       "[pool default]\nsuperslab_lg = 20\nkeep = 3\n");
	for (unsigned i = 0; i < 3; i++) {
		char text[64];

		snprintf(text, sizeof(text), "warn: %s is another one", names[i]);
		assert_true(has_said(text));
	}
	assert_false(has_said("socket is another")); /* a flag's, as before */
	assert_false(has_said("capacity of pool"));  /* likewise */
	assert_int_equal(keep_ms(), 1500);
	assert_int_equal(hakt_ctl_pool(hakt_keeper.daemon.socket, "superslab_bytes"), 2 * MIB);
}

static void test_a_broken_file_changes_nothing_and_is_told_with_its_line(void **state)
{
	char place[160];

	(void)state;
	start("[pool default]\nlimit = 128M\nkeep = 7\n", NULL, NULL);
	reload("[pool default]\nlimit = 32M\nkeep = 3\nnonsense\n");
	snprintf(place, sizeof(place), "%s:4: ", file);
	assert_true(has_said(place));
	assert_true(has_said("error: the configuration can't be used"));
	reload("[pool default]\nlimit = 32M\nkeep = for ever\n");
	snprintf(place, sizeof(place), "%s:3: ", file);
	assert_true(has_said(place));
	reload("[pool default]\nlimit = 512M\nkeep = 3\n"); /* more than the capacity */
	assert_int_equal(unlink(file), 0);
	assert_int_equal(kill(hakt_keeper.daemon.pid, SIGHUP), 0);
	hakt_keeper_wait_for(&hakt_keeper, &hakt_keeper.n_ready, 5);
	assert_int_equal(limit(), 128);
	assert_int_equal(keep_ms(), 3500);
	reload("[pool default]\nlimit = 64M\nkeep = 3\n");
	assert_int_equal(limit(), 64);
	assert_int_equal(keep_ms(), 1500);
}

/* Has blocks of 3 SuperSlabs each, asks for more when it is told to. */
static int ask_for_more(const void *context)
{
	char *blocks[6];

	(void)context;
	for (unsigned i = 0; i < 6; i++)
		blocks[i] = hakt_block_make((char)('a' + i));
	hakt_child_say("has six");
	hakt_child_wait(); /* the limit is 8 SuperSlabs, 18 are granted */
	HAKT_EXPECT(!hakmem_malloc(HAKT_BLOCK_BYTES) && errno == ENOMEM);
	for (unsigned i = 0; i < 6; i++)
		hakt_block_expect(blocks[i], (char)('a' + i));
	hakmem_free(blocks[5]);
	hakmem_trim();
	HAKT_EXPECT(!hakmem_malloc(HAKT_BLOCK_BYTES) && errno == ENOMEM); /* 15 are */
	hakt_child_say("is refused");
	hakt_child_wait(); /* the limit is 64 */
	blocks[5] = hakt_block_make('f');
	for (unsigned i = 0; i < 6; i++)
		hakmem_free(blocks[i]);
	hakmem_trim();
	hakt_child_say("has none");
	hakt_child_wait(); /* the limit is 8 again */
	HAKT_EXPECT(hakt_block_make('x'));
	return 0;
}

static void test_a_limit_under_what_is_granted_refuses_until_there_is_room(void **state)
{
	struct hakt_process client = {0};

	(void)state;
	start("[pool default]\nlimit = 128M\n", NULL, NULL);
	hakt_process_fork(&client, ask_for_more, NULL);
	hakt_process_wait_output(&client, 1, "has six");
	reload("[pool default]\nlimit = 16M\n");
	assert_int_equal(limit(), 16);
	assert_true(has_said("nothing is granted until"));
	hakt_process_tell(&client);
	hakt_process_wait_output(&client, 1, "is refused");
	hakt_keeper_expect_clean(&hakt_keeper);
	reload("[pool default]\nlimit = 128M\n");
	hakt_process_tell(&client);
	hakt_process_wait_output(&client, 1, "has none");
	reload("[pool default]\nlimit = 16M\n");
	hakt_process_tell(&client);
	hakt_process_wait_done(&client);
	hakt_process_end(&client);
}

/* In a child: holds 40 MiB. */
static int hold_much(const void *context)
{
	(void)context;
	for (unsigned i = 0; i < 40; i++)
		HAKT_EXPECT(hakmem_malloc(MIB));
	hakt_child_say("has it");
	hakt_child_wait();
	return 0;
}

/* What lies warm in the end is more than it may have; nobody is there any more who would care. */
static void test_a_pool_may_end_above_its_limit(void **state)
{
	struct hakt_process client = {0};
	unsigned n_fds;

	(void)state;
	start("[pool default]\nlimit = 128M\n", NULL, NULL);
	assert_int_equal(limit(), 128); /* it is at work */
	n_fds = hakt_process_count_fds(hakt_keeper.daemon.pid);
	hakt_process_fork(&client, hold_much, NULL);
	hakt_process_wait_output(&client, 1, "has it");
	reload("[pool default]\nlimit = 4M\n");
	hakt_keeper_run(&hakt_keeper, 0, HAKT_LIST(HAKT_HAKMEMCTL, "pool", "reset", "default"), 0,
			"pool default is empty");
	hakt_process_kill(&client);
	hakt_process_end(&client);
	hakt_process_wait_fds(hakt_keeper.daemon.pid, n_fds);
	hakt_keeper_expect_clean(&hakt_keeper);
}

static void test_the_next_daemon_reads_the_file_as_it_is_then(void **state)
{
	(void)state;
	start("[pool default]\nlimit = 128M\nkeep = 7\n", NULL, NULL);
	hakt_keeper_kill(&hakt_keeper);
	hakt_directory_write(hakt_keeper.daemon.directory, "conf", "[pool default]\nkeep = 2\n",
			     strlen("[pool default]\nkeep = 2\n"));
	hakt_keeper.options = HAKT_LIST("--config", file, "--capacity", "256M", "--limit", "48M");
	hakt_keeper_start(&hakt_keeper);
	assert_int_equal(limit(), 48);
	assert_int_equal(keep_ms(), 1000);
}

static void test_without_a_keeper_it_reloads_too(void **state)
{
	struct hakt_process daemon = {0};
	char directory[HAKT_DIRECTORY_BYTES];
	static const char settings[] = "[pool default]\nlimit = 64M\n";

	(void)state;
	hakt_process_prepare();
	hakt_directory_make(directory);
	hakt_directory_write(directory, "conf", settings, strlen(settings));
	snprintf(file, sizeof(file), "%s/conf", directory);
	setenv("HAKMEM_SOCKET", "d.sock", 1);
	assert_int_equal(chdir(directory), 0);
	hakt_process_start(&daemon, HAKT_LIST(HAKT_HAKMEMD, "--foreground", "--config", "conf"));
	hakt_process_wait_output(&daemon, 2, "limit 64 MiB");
	assert_int_equal(kill(daemon.pid, SIGHUP), 0);
	hakt_process_wait_output(&daemon, 2, "is reloaded");
	assert_int_equal(kill(daemon.pid, SIGTERM), 0);
	hakt_process_wait_done(&daemon);
	hakt_process_end(&daemon);
	assert_int_equal(chdir("/"), 0);
	hakt_directory_remove(directory);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test_teardown(test_level_limit_and_keep_are_taken_from_the_file,
				  hakt_keeper_teardown),
	cmocka_unit_test_teardown(test_flags_stay_above_the_file, hakt_keeper_teardown),
	cmocka_unit_test_teardown(test_what_only_a_start_can_change_is_named, hakt_keeper_teardown),
	cmocka_unit_test_teardown(test_a_broken_file_changes_nothing_and_is_told_with_its_line,
				  hakt_keeper_teardown),
	cmocka_unit_test_teardown(test_a_limit_under_what_is_granted_refuses_until_there_is_room,
				  hakt_keeper_teardown),
	cmocka_unit_test_teardown(test_a_pool_may_end_above_its_limit, hakt_keeper_teardown),
	cmocka_unit_test_teardown(test_the_next_daemon_reads_the_file_as_it_is_then,
				  hakt_keeper_teardown),
	cmocka_unit_test(test_without_a_keeper_it_reloads_too),
};

HAKT_MAIN(tests, NULL, NULL)
