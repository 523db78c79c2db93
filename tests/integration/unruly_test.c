/* SPDX-License-Identifier: MIT */
/* A supervisor, and daemons that do what they shouldn't (support/unruly.c), or nothing. */
#include "tests/support/run.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "daemon/supervise/supervise.h"
#include "tests/support/supervised.h"

static struct hakt_daemon parent; /* what is prepared; the supervisor is a process of ours */

static int make_directory(void **state)
{
	(void)state;
	hakt_daemon_prepare(&parent);
	return 0;
}

static int remove_directory(void **state)
{
	(void)state;
	hakt_directory_remove(parent.directory);
	return 0;
}

struct stand_in {
	const char *path, *arguments[6];
	uint64_t start_ms, stop_ms, watchdog_ms;
};

/* A supervisor of something else, or with less patience. */
static int supervise(const void *context)
{
	const struct stand_in *stand_in = context;
	struct hakd_supervisor supervisor;
	struct hakd_config config = {.socket_mode = 0600};
	int ends[2], r;
	char word;

	snprintf(config.socket, sizeof(config.socket), "%s", parent.socket);
	HAKT_EXPECT(pipe2(ends, O_CLOEXEC) == 0);
	HAKT_EXPECT(hakd_supervisor_init(&supervisor, &config) == 0);
	strcpy(supervisor.path, stand_in->path);
	supervisor.arguments = (char **)(uintptr_t)stand_in->arguments;
	supervisor.start_ms = stand_in->start_ms;
	supervisor.stop_ms = stand_in->stop_ms;
	supervisor.watchdog_ms = stand_in->watchdog_ms;
	r = hakd_supervisor_run(&supervisor, ends[1]);
	close(ends[1]); /* it is closed, if there was a word */
	hakt_child_say("%s", read(ends[0], &word, 1) == 1 ? "was ready" : "was not ready");
	return r;
}

#define STAND_IN(mode, start_ms, stop_ms, watchdog_ms) \
	(&(struct stand_in){HAKT_HAKT_UNRULY, {"unruly", mode}, start_ms, stop_ms, watchdog_ms})

static void expect_failure(const struct stand_in *stand_in, int exit_code, const char *message)
{
	struct hakt_process supervisor = {0};

	hakt_process_fork(&supervisor, supervise, stand_in);
	hakt_process_wait(&supervisor);
	assert_int_equal(supervisor.exit_code, exit_code);
	assert_non_null(strstr(hakt_process_output(&supervisor, 2), message));
	assert_non_null(strstr(hakt_process_output(&supervisor, 1), "was not ready"));
	hakt_supervised_expect_no_files(&parent);
	hakt_process_end(&supervisor);
}

static void test_a_start_that_fails_gives_its_exit_code(void **state)
{
	(void)state;
	expect_failure(STAND_IN("fail", 60000, 10000, 10000), 7, "unruly: does not start");
}

static void test_a_start_that_never_gets_ready_fails(void **state)
{
	(void)state;
	expect_failure(STAND_IN("silent", 300, 10000, 10000), 1, "doesn't get ready");
}

/* The pid of the n-th that was started. */
static pid_t wait_for_unruly(struct hakt_process *supervisor, unsigned n)
{
	for (unsigned i = 0; i < 12000; i++) {
		const char *at = hakt_process_output(supervisor, 2);

		for (unsigned k = 0; at && k < n; k++)
			at = strstr(at + (k > 0), "unruly ");
		if (at && strchr(at, '\n'))
			return (pid_t)atoi(at + strlen("unruly "));
		hakt_supervised_pause();
	}
	fail_msg("there is no daemon number %u after 60 s", n);
	return 0;
}

static void test_a_daemon_that_floods_it_is_followed_and_stopped_like_any_other(void **state)
{
	struct hakt_process supervisor = {0};

	(void)state;
	hakt_process_fork(&supervisor, supervise, STAND_IN("flood", 60000, 10000, 60000));
	for (unsigned i = 1; i <= 3; i++) {
		pid_t pid = wait_for_unruly(&supervisor, i);

		usleep(100000);
		assert_int_equal(kill(pid, SIGKILL), 0);
	}
	wait_for_unruly(&supervisor, 4);
	usleep(100000);
	assert_int_equal(kill(supervisor.pid, SIGTERM), 0);
	hakt_process_wait_done(&supervisor);
	assert_non_null(strstr(hakt_process_output(&supervisor, 1), "was ready"));
	assert_non_null(strstr(hakt_process_output(&supervisor, 2), "socket:twice:twice"));
	assert_null(strstr(hakt_process_output(&supervisor, 2), "is killed")); /* SIGINT did */
	hakt_supervised_expect_no_files(&parent);
	hakt_process_end(&supervisor);
}

static void test_who_asks_again_and_again_does_not_give_it_more_time_to_end(void **state)
{
	static const int signals[] = {SIGUSR1, SIGTERM};

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct hakt_process supervisor = {0};
		bool is_killed = false;

		hakt_process_fork(&supervisor, supervise, STAND_IN("deaf", 60000, 500, 60000));
		wait_for_unruly(&supervisor, 1);
		for (unsigned k = 0; k < 6000 && !is_killed; k++) {
			assert_int_equal(kill(supervisor.pid, signals[i]), 0);
			hakt_supervised_pause();
			is_killed = strstr(hakt_process_output(&supervisor, 2), "doesn't end");
		}
		assert_true(is_killed);
		assert_int_equal(kill(supervisor.pid, SIGTERM), 0);
		hakt_process_wait_done(&supervisor);
		hakt_process_end(&supervisor);
	}
}

static void test_one_that_says_nothing_any_more_is_killed(void **state)
{
	struct hakt_process supervisor = {0};

	(void)state;
	hakt_process_fork(&supervisor, supervise, STAND_IN("flood", 60000, 10000, 300));
	wait_for_unruly(&supervisor, 3); /* what it sends are no pings */
	assert_non_null(strstr(hakt_process_output(&supervisor, 2), "doesn't say any more"));
	assert_int_equal(kill(supervisor.pid, SIGTERM), 0);
	hakt_process_wait_done(&supervisor);
	hakt_process_end(&supervisor);
}

static void test_one_that_pings_is_left_alone(void **state)
{
	const struct stand_in hakmemd = {
		HAKT_HAKMEMD, {"hakmemd", "--foreground", "--limit", "64M"}, 60000, 10000, 4000};
	struct hakt_process supervisor = {0};
	pid_t pid;

	(void)state;
	hakt_process_fork(&supervisor, supervise, &hakmemd);
	hakt_process_wait_output(&supervisor, 2, "serving");
	pid = hakt_supervised_by(&parent);
	sleep(6);
	assert_int_equal(hakt_supervised_by(&parent), pid);
	assert_int_equal(kill(supervisor.pid, SIGTERM), 0);
	hakt_process_wait_done(&supervisor);
	hakt_process_end(&supervisor);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test_setup_teardown(test_a_start_that_fails_gives_its_exit_code, make_directory,
					remove_directory),
	cmocka_unit_test_setup_teardown(test_a_start_that_never_gets_ready_fails, make_directory,
					remove_directory),
	cmocka_unit_test_setup_teardown(
		test_a_daemon_that_floods_it_is_followed_and_stopped_like_any_other, make_directory,
		remove_directory),
	cmocka_unit_test_setup_teardown(
		test_who_asks_again_and_again_does_not_give_it_more_time_to_end, make_directory,
		remove_directory),
	cmocka_unit_test_setup_teardown(test_one_that_pings_is_left_alone, make_directory,
					remove_directory),
	cmocka_unit_test_setup_teardown(test_one_that_says_nothing_any_more_is_killed,
					make_directory, remove_directory),
};

HAKT_MAIN(tests, NULL, NULL)
