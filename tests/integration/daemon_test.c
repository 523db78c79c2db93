/* SPDX-License-Identifier: MIT */
/*
 * hakmemd as a program: how it starts and stops, where it listens, what its
 * options and its file do. What peers may do to it is in peer_test.c.
 */
#include "tests/support/run.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client_lib/conn.h"
#include "client_lib/include/hakmem.h"
#include "tests/support/ctl.h"
#include "tests/support/directory.h"
#include "tests/support/process.h"

#define NOBODY 65534

static char directory[HAKT_DIRECTORY_BYTES];
static char socket_path[96];

static int make_directory(void **state)
{
	(void)state;
	hakt_process_prepare();
	hakt_directory_make(directory);
	snprintf(socket_path, sizeof(socket_path), "%s/d.sock", directory);
	setenv("HAKMEM_SOCKET", socket_path, 1);
	return 0;
}

static int remove_directory(void **state)
{
	(void)state;
	hakt_directory_remove(directory);
	return 0;
}

/* On socket_path, which it gets from the environment. */
static void start(struct hakt_process *daemon, const char *option, const char *value)
{
	hakt_process_start(daemon, HAKT_LIST(HAKT_HAKMEMD, "--foreground", option, value));
	hakt_process_wait_output(daemon, 2, "serving");
}

static void stop(struct hakt_process *daemon)
{
	assert_int_equal(kill(daemon->pid, SIGTERM), 0);
	hakt_process_wait_done(daemon);
	hakt_process_end(daemon);
}

/* 0 or a negative errno. */
static int try_connect(const char *path)
{
	struct hakc_conn conn;
	int r = hakc_conn_init(&conn, path, 5000);

	hakc_conn_deinit(&conn);
	return r;
}

static void test_a_second_daemon_is_refused_and_the_first_goes_on(void **state)
{
	struct hakt_process first = {0}, second = {0}, background = {0};
	char expected[160];
	pid_t pid;

	(void)state;
	start(&first, NULL, NULL);
	pid = first.pid;
	snprintf(expected, sizeof(expected), "another daemon (pid %d) serves %s", (int)pid,
		 socket_path);
	hakt_process_run(&second, HAKT_LIST(HAKT_HAKMEMD, "--foreground"));
	assert_int_equal(second.exit_code, 3);
	assert_non_null(strstr(hakt_process_output(&second, 2), expected));
	hakt_process_run(&background, HAKT_LIST(HAKT_HAKMEMD));
	assert_int_equal(background.exit_code, 3);
	assert_non_null(strstr(hakt_process_output(&background, 2), expected));
	assert_int_equal(hakt_ctl_status(socket_path, "pid"), pid);
	hakt_process_end(&second);
	hakt_process_end(&background);
	stop(&first);
}

static void test_a_stale_socket_is_no_obstacle(void **state)
{
	struct hakt_process first = {0}, second = {0};

	(void)state;
	start(&first, NULL, NULL);
	hakt_process_end(&first); /* SIGKILL */
	assert_int_equal(access(socket_path, F_OK), 0);
	assert_int_equal(try_connect(socket_path), -ECONNREFUSED);
	start(&second, NULL, NULL);
	assert_int_equal(hakt_ctl_status(socket_path, "pid"), second.pid);
	stop(&second);
}

/* It has opened the lock file that the first one then removes. */
static void test_a_daemon_that_is_slow_to_lock_does_not_take_over_a_served_socket(void **state)
{
	struct hakt_process first = {0}, slow = {0}, third = {0};
	char gate[128], variable[160];

	(void)state;
	snprintf(gate, sizeof(gate), "%s/gate", directory);
	snprintf(variable, sizeof(variable), "HAKT_GATE=%s", gate);
	start(&first, NULL, NULL);
	slow.environment = HAKT_LIST(variable, "LD_PRELOAD=" HAKT_HAKT_GATE,
				     "ASAN_OPTIONS=verify_asan_link_order=0");
	hakt_process_start(&slow, HAKT_LIST(HAKT_HAKMEMD, "--foreground"));
	hakt_process_wait_output(&slow, 2, "at the gate");
	stop(&first);
	start(&third, NULL, NULL);
	hakt_directory_write(directory, "gate", "", 0);
	hakt_process_wait_output(&slow, 2, socket_path);
	assert_int_equal(hakt_ctl_status(socket_path, "pid"), third.pid);
	hakt_process_wait(&slow);
	assert_int_equal(slow.exit_code, 3);
	hakt_process_end(&slow);
	stop(&third);
}

static void test_a_stop_removes_the_socket_and_the_lock(void **state)
{
	struct hakt_process daemon = {0};
	char lock[128];

	(void)state;
	snprintf(lock, sizeof(lock), "%s.lock", socket_path);
	start(&daemon, NULL, NULL);
	assert_int_equal(access(lock, F_OK), 0);
	stop(&daemon);
	assert_int_equal(access(socket_path, F_OK), -1);
	assert_int_equal(access(lock, F_OK), -1);
	start(&daemon, NULL, NULL);
	assert_int_equal(kill(daemon.pid, SIGINT), 0);
	hakt_process_wait_done(&daemon);
	assert_int_equal(access(socket_path, F_OK), -1);
	hakt_process_end(&daemon);
}

static int keep_a_block(const void *context)
{
	char *block = hakmem_malloc(1000);

	(void)context;
	HAKT_EXPECT(block);
	strcpy(block, "kept");
	hakt_child_say("attached");
	hakt_child_wait(); /* the daemon has ended */
	HAKT_EXPECT(strcmp(block, "kept") == 0);
	hakmem_free(block);
	return 0;
}

static void test_a_stop_is_clean_with_clients_attached(void **state)
{
	struct hakt_process daemon = {0}, client = {0};

	(void)state;
	start(&daemon, NULL, NULL);
	hakt_process_fork(&client, keep_a_block, NULL);
	hakt_process_wait_output(&client, 1, "attached");
	stop(&daemon);
	assert_int_equal(access(socket_path, F_OK), -1);
	hakt_process_tell(&client);
	hakt_process_wait_done(&client);
	hakt_process_end(&client);
}

/* A daemon that a library starts has the mask of whatever thread that was. */
static void test_a_signal_that_was_blocked_at_its_start_stops_it(void **state)
{
	struct hakt_process daemon = {0};
	sigset_t signals;

	(void)state;
	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	assert_int_equal(sigprocmask(SIG_BLOCK, &signals, NULL), 0);
	start(&daemon, NULL, NULL);
	assert_int_equal(sigprocmask(SIG_UNBLOCK, &signals, NULL), 0);
	stop(&daemon);
}

static void test_the_command_returns_when_the_background_daemon_listens(void **state)
{
	struct hakt_process command = {0};
	pid_t pid;

	(void)state;
	hakt_process_start(&command, HAKT_LIST(HAKT_HAKMEMD));
	pid = command.pid;
	hakt_process_wait_done(&command);
	assert_int_equal(try_connect(socket_path), 0);
	assert_int_not_equal(hakt_ctl_status(socket_path, "pid"), pid);
	pid = (pid_t)hakt_ctl_status(socket_path, "pid");
	assert_int_equal(getsid(pid), pid); /* no terminal's end reaches it */
	assert_int_equal(kill(pid, SIGTERM), 0);
	assert_int_equal(hakt_process_wait_orphan(pid), 0);
	assert_int_equal(access(socket_path, F_OK), -1);
	hakt_process_end(&command);
}

static void test_flags_take_effect(void **state)
{
	struct hakt_process daemon = {0};
	struct stat st;

	(void)state;
	hakt_process_start(&daemon,
			   HAKT_LIST(HAKT_HAKMEMD, "--foreground", "--capacity", "2G", "--limit",
				     "96M", "--superslab-lg", "20", "--socket-mode", "600"));
	hakt_process_wait_output(&daemon, 2, "serving");
	assert_int_equal(hakt_ctl_pool(socket_path, "capacity_bytes"), 2ll << 30);
	assert_int_equal(hakt_ctl_pool(socket_path, "limit_bytes"), 96ll << 20);
	assert_int_equal(hakt_ctl_pool(socket_path, "superslab_bytes"), 1ll << 20);
	assert_int_equal(stat(socket_path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	stop(&daemon);
}

static void test_a_file_takes_effect_and_flags_go_before_it(void **state)
{
	static const char text[] = "; of a test\n"
				   "[daemon]\nlog_level = debug\nsocket_mode = 666\n"
				   "[pool default]\ncapacity = 4G\nlimit = 64M\n"
				   "superslab_lg = 20\n";
	struct hakt_process daemon = {0};
	char path[128];
	struct stat st;

	(void)state;
	hakt_directory_write(directory, "d.conf", text, strlen(text));
	snprintf(path, sizeof(path), "%s/d.conf", directory);
	hakt_process_start(&daemon, HAKT_LIST(HAKT_HAKMEMD, "--limit", "128M", "--foreground",
					      "--config", path));
	hakt_process_wait_output(&daemon, 2, "serving");
	assert_int_equal(hakt_ctl_pool(socket_path, "capacity_bytes"), 4ll << 30);
	assert_int_equal(hakt_ctl_pool(socket_path, "limit_bytes"), 128ll << 20);
	assert_int_equal(hakt_ctl_pool(socket_path, "superslab_bytes"), 1ll << 20);
	assert_int_equal(stat(socket_path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0666);
	hakt_process_wait_output(&daemon, 2, "hakmemd: debug: ");
	stop(&daemon);
}

static void test_bad_flags_are_usage_errors_that_say_what_is_allowed(void **state)
{
	static const struct {
		const char *flag, *value, *expected;
	} bad[] = {
		{"--capacity", "0", "capacity 0: must be 2M to 1T, a multiple of 2M"},
		{"--capacity", "3M", "must be 2M to 1T, a multiple of 2M"},
		{"--capacity", "2T", "must be 2M to 1T, a multiple of 2M"},
		{"--capacity", "64Q", "--capacity 64Q: must be 2M to 1T, a multiple of 2M"},
		{"--capacity", "-2M", "--capacity -2M: must be 2M to 1T, a multiple of 2M"},
		{"--limit", "1M", "--limit 1M: must be 2M to the capacity"},
		{"--limit", "65G", "must be 2M to the capacity"},
		{"--limit", "99999999999G", "--limit 99999999999G: must be 2M to the capacity"},
		{"--superslab-lg", "22", "--superslab-lg 22: must be 20 or 21"},
		{"--socket", "", "must be a path of 1 to 107 bytes"},
		{"--socket-mode", "888", "--socket-mode 888: must be an octal mode, 600 to 777"},
		{"--socket-mode", "77", "must be an octal mode, 600 to 777"},
		{"--idle-exit", "1s", "--idle-exit 1s: must be seconds, 0 to 31536000"},
		{"--log-level", "loud", "--log-level loud: must be error, warn, info or debug"},
		{"--config", "/nonexistent.conf", "cannot read /nonexistent.conf"},
		{"--colour", NULL, "see hakmemd --help"},
		{"start", NULL, "what is start? See hakmemd --help"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct hakt_process daemon = {0};

		hakt_process_run(&daemon, HAKT_LIST(HAKT_HAKMEMD, "--foreground", bad[i].flag,
						    bad[i].value));
		assert_int_equal(daemon.exit_code, 2);
		if (!strstr(hakt_process_output(&daemon, 2), bad[i].expected))
			fail_msg("%s %s: %s", bad[i].flag, bad[i].value,
				 hakt_process_output(&daemon, 2));
		assert_int_equal(access(socket_path, F_OK), -1);
		hakt_process_end(&daemon);
	}
}

static void test_a_bad_file_is_a_usage_error_that_says_what_is_allowed(void **state)
{
	static const struct {
		const char *text, *expected;
	} bad[] = {
		{"[pool default]\nlimit = none\n", "limit = none: must be 2M to the capacity"},
		{"[pool default]\nsuperslab_lg = 19\n", "superslab_lg = 19: must be 20 or 21"},
		{"[daemon]\nlog_level = 3\n", "must be error, warn, info or debug"},
		{"[daemon]\nlimit = 64M\n", "there is no setting limit in [daemon]"},
		{"[pool an other]\nlimit = 64M\n", "there is no setting limit in [pool an other]"},
		{"[daemon]\n\nnonsense\n", "d.conf:3: neither [section] nor name = value"},
	};
	char path[128];

	(void)state;
	snprintf(path, sizeof(path), "%s/d.conf", directory);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct hakt_process daemon = {0};

		hakt_directory_write(directory, "d.conf", bad[i].text, strlen(bad[i].text));
		hakt_process_run(&daemon,
				 HAKT_LIST(HAKT_HAKMEMD, "--foreground", "--config", path));
		assert_int_equal(daemon.exit_code, 2);
		if (!strstr(hakt_process_output(&daemon, 2), bad[i].expected))
			fail_msg("%s: %s", bad[i].text, hakt_process_output(&daemon, 2));
		hakt_process_end(&daemon);
	}
}

static void test_a_socket_path_that_is_too_long_is_a_usage_error(void **state)
{
	char path[256] = "--socket=", variable[256] = "HAKMEM_SOCKET=";
	struct hakt_process by_flag = {0}, by_variable = {.environment = HAKT_LIST(variable)};

	(void)state;
	memset(path + strlen(path), 'p', 108);
	memset(variable + strlen(variable), 'p', 108);
	hakt_process_run(&by_flag, HAKT_LIST(HAKT_HAKMEMD, "--foreground", path));
	assert_int_equal(by_flag.exit_code, 2);
	assert_non_null(strstr(hakt_process_output(&by_flag, 2), "a path of 1 to 107 bytes"));
	hakt_process_run(&by_variable, HAKT_LIST(HAKT_HAKMEMD, "--foreground"));
	assert_int_equal(by_variable.exit_code, 2);
	assert_non_null(strstr(hakt_process_output(&by_variable, 2), "is too long"));
	hakt_process_end(&by_flag);
	hakt_process_end(&by_variable);
}

static void test_help_and_version_are_answered(void **state)
{
	struct hakt_process help = {0}, version = {0};

	(void)state;
	hakt_process_run(&help, HAKT_LIST(HAKT_HAKMEMD, "--help"));
	assert_int_equal(help.exit_code, 0);
	assert_non_null(strstr(hakt_process_output(&help, 1), "--superslab-lg"));
	hakt_process_run(&version, HAKT_LIST(HAKT_HAKMEMD, "--version"));
	assert_int_equal(version.exit_code, 0);
	assert_string_equal(hakt_process_output(&version, 1), "hakmemd " HAKMEM_VERSION "\n");
	hakt_process_end(&help);
	hakt_process_end(&version);
}

static void test_an_ordinary_user_s_daemon_listens_on_the_user_s_socket(void **state)
{
	struct hakt_process daemon = {.uid = NOBODY};
	char runtime[128], path[160];

	(void)state;
	if (geteuid() == 0)
		assert_int_equal(chown(directory, NOBODY, NOBODY), 0);
	else
		daemon.uid = 0;
	snprintf(runtime, sizeof(runtime), "XDG_RUNTIME_DIR=%s", directory);
	snprintf(path, sizeof(path), "%s/hakmem/hakmemd.sock", directory);
	daemon.environment = HAKT_LIST("HAKMEM_SOCKET=", runtime);
	start(&daemon, NULL, NULL);
	assert_int_equal(hakt_ctl_status(path, "pid"), daemon.pid);
	stop(&daemon);
}

static void test_an_idle_daemon_ends_when_nobody_is_attached(void **state)
{
	struct hakt_process daemon = {0}, client = {0};

	(void)state;
	start(&daemon, "--idle-exit", "2");
	hakt_process_fork(&client, keep_a_block, NULL);
	hakt_process_wait_output(&client, 1, "attached");
	usleep(2500000); /* longer than that, with a client */
	assert_int_equal(hakt_ctl_status(socket_path, "pid"), daemon.pid);
	hakt_process_tell(&client);
	hakt_process_wait_done(&client);
	hakt_process_wait_done(&daemon);
	assert_non_null(strstr(hakt_process_output(&daemon, 2), "nobody attached for 2 s"));
	assert_int_equal(access(socket_path, F_OK), -1);
	hakt_process_end(&client);
	hakt_process_end(&daemon);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_a_second_daemon_is_refused_and_the_first_goes_on),
	cmocka_unit_test(test_a_stale_socket_is_no_obstacle),
	cmocka_unit_test(test_a_daemon_that_is_slow_to_lock_does_not_take_over_a_served_socket),
	cmocka_unit_test(test_a_stop_removes_the_socket_and_the_lock),
	cmocka_unit_test(test_a_stop_is_clean_with_clients_attached),
	cmocka_unit_test(test_a_signal_that_was_blocked_at_its_start_stops_it),
	cmocka_unit_test(test_the_command_returns_when_the_background_daemon_listens),
	cmocka_unit_test(test_flags_take_effect),
	cmocka_unit_test(test_a_file_takes_effect_and_flags_go_before_it),
	cmocka_unit_test(test_bad_flags_are_usage_errors_that_say_what_is_allowed),
	cmocka_unit_test(test_a_bad_file_is_a_usage_error_that_says_what_is_allowed),
	cmocka_unit_test(test_a_socket_path_that_is_too_long_is_a_usage_error),
	cmocka_unit_test(test_help_and_version_are_answered),
	cmocka_unit_test(test_an_ordinary_user_s_daemon_listens_on_the_user_s_socket),
	cmocka_unit_test(test_an_idle_daemon_ends_when_nobody_is_attached),
};

HAKT_MAIN(tests, make_directory, remove_directory)
