/* SPDX-License-Identifier: MIT */
/*
 * hakmemd --supervise: what a keeper does for the daemon, done by a parent of its own; and
 * what its signals do. Daemons that do what they shouldn't are support/unruly.c.
 */
#include "tests/support/run.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "daemon/supervise/supervise.h"
#include "tests/support/attached.h"
#include "tests/support/ctl.h"
#include "tests/support/daemon.h"
#include "tests/support/holding.h"

#define MIB 1048576

static struct hakt_daemon parent; /* pid: the supervisor's */
static const char *const small[] = {"--supervise", "--limit",	  "512M",  "--capacity",
				    "1G",	   "--log-level", "error", NULL};

static int start(void **state)
{
	(void)state;
	hakt_daemon_start(&parent, small);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	return hakt_daemon_stop_empty(&parent);
}

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

static void pause_5ms(void)
{
	const struct timespec pause = {.tv_nsec = 5000000};

	nanosleep(&pause, NULL);
}

/* The daemon's pid. Waits for one, if there is none. */
static pid_t served_by(void)
{
	return (pid_t)hakt_ctl_status(parent.socket, "pid");
}

/* The one after `pid`, which is not asked any more: it could end before it answers. */
static pid_t wait_for_next(pid_t pid)
{
	pid_t next;

	for (unsigned i = 0; i < 12000 && kill(pid, 0) == 0; i++)
		pause_5ms();
	next = served_by();
	assert_int_not_equal(next, pid);
	assert_int_equal(hakt_process_parent(next), parent.pid);
	return next;
}

static pid_t kill_daemon(int signal)
{
	pid_t pid = served_by();

	assert_int_equal(kill(pid, signal), 0);
	return wait_for_next(pid);
}

struct pool {
	uint8_t uuid[HAK_UUID_BYTES];
	uint64_t ended;
};

/* By a client that comes and goes. */
static struct pool look(void)
{
	struct hakc_conn conn;
	const struct hak_registry *registry = hakt_attached(&conn, parent.socket);
	struct pool pool = {.ended = hak_load_relaxed(&registry->ended)};

	memcpy(pool.uuid, registry->uuid, sizeof(pool.uuid));
	munmap((void *)(uintptr_t)registry, HAK_PAGE_BYTES);
	hakc_conn_deinit(&conn);
	return pool;
}

static void expect_same_pool(const struct pool *before)
{
	struct pool now = look();

	assert_memory_equal(now.uuid, before->uuid, sizeof(now.uuid));
}

static pid_t locked_by(void)
{
	char path[160];
	FILE *file;
	int pid = 0;

	snprintf(path, sizeof(path), "%s.lock", parent.socket);
	file = fopen(path, "re");
	assert_non_null(file);
	assert_int_equal(fscanf(file, "%d", &pid), 1);
	fclose(file);
	return pid;
}

static void expect_no_files(void)
{
	char path[160];

	snprintf(path, sizeof(path), "%s.lock", parent.socket);
	assert_int_equal(access(parent.socket, F_OK), -1);
	assert_int_equal(access(path, F_OK), -1);
}

static void test_a_daemon_that_is_killed_is_followed_by_one_with_the_same_pool(void **state)
{
	struct hakt_process client;
	struct pool pool = look();
	long long generation = hakt_ctl_status(parent.socket, "generation");

	(void)state;
	hakt_holding_start(&client, "a");
	kill_daemon(SIGKILL);
	expect_same_pool(&pool);
	assert_int_equal(hakt_ctl_status(parent.socket, "generation"), generation);
	hakt_daemon_wait_clients(&parent, 1);
	assert_true(hakt_daemon_status(&parent).granted_superslabs > 0);
	hakt_holding_expect_intact(&client);
	assert_int_equal(locked_by(), parent.pid);
	hakt_holding_kill(&client); /* noticed: its pidfd and its lease were kept */
	hakt_daemon_wait_empty(&parent);
}

static void test_thirty_kills_in_a_row_are_survived(void **state)
{
	struct hakt_process client;
	struct pool pool = look();

	(void)state;
	hakt_holding_start(&client, "a");
	for (unsigned i = 0; i < 30; i++)
		kill_daemon(SIGKILL);
	expect_same_pool(&pool);
	hakt_holding_expect_intact(&client);
	hakt_holding_kill(&client);
}

/* Their descriptors lie in no order, and have to get to the right names. */
static void test_many_clients_outlive_a_daemon_and_are_missed_when_they_die(void **state)
{
	enum { N = 24 };
	struct hakt_process clients[N];

	(void)state;
	for (unsigned i = 0; i < N; i++)
		hakt_holding_start(&clients[i], "a");
	for (unsigned round = 0; round < 2; round++) {
		for (unsigned i = round; i < N; i += 3)
			hakt_holding_kill(&clients[i]);
		for (unsigned i = round; i < N; i += 3)
			hakt_holding_start(&clients[i], "b");
		hakt_daemon_wait_clients(&parent, N);
		kill_daemon(SIGKILL);
		hakt_daemon_wait_clients(&parent, N);
	}
	for (unsigned i = 0; i < N; i++) {
		hakt_holding_expect_intact(&clients[i]);
		hakt_holding_kill(&clients[i]);
		hakt_daemon_wait_clients(&parent, N - 1 - i);
	}
}

static void test_sigterm_to_the_daemon_alone_is_a_restart(void **state)
{
	struct pool pool = look();

	(void)state;
	kill_daemon(SIGTERM);
	expect_same_pool(&pool);
}

static void test_a_daemon_that_has_ended_the_pool_is_the_last(void **state)
{
	int status;

	(void)state;
	assert_int_equal(kill(served_by(), SIGINT), 0);
	assert_int_equal(waitpid(parent.pid, &status, 0), parent.pid);
	assert_int_equal(status, 0);
	expect_no_files();
}

static void test_a_daemon_that_hangs_is_replaced(void **state)
{
	struct pool pool = look();
	pid_t pid = served_by();

	(void)state;
	assert_int_equal(kill(pid, SIGSTOP), 0);
	wait_for_next(pid); /* after 10 s */
	expect_same_pool(&pool);
}

static void test_sigterm_ends_both_and_the_pool(void **state)
{
	struct hakc_conn conn;
	const struct hak_registry *registry = hakt_attached(&conn, parent.socket);
	pid_t pid = served_by();
	int status;

	(void)state;
	assert_int_equal(hak_load_relaxed(&registry->ended), 0);
	assert_int_equal(kill(parent.pid, SIGTERM), 0);
	assert_int_equal(waitpid(parent.pid, &status, 0), parent.pid);
	assert_int_equal(status, 0);
	assert_int_equal(hak_load_relaxed(&registry->ended), 1);
	assert_int_equal(kill(pid, 0), -1);
	expect_no_files();
	munmap((void *)(uintptr_t)registry, HAK_PAGE_BYTES);
	hakc_conn_deinit(&conn);
}

static void test_sigint_does_so_too_while_the_daemon_hangs(void **state)
{
	pid_t pid = served_by();
	int status;

	(void)state;
	assert_int_equal(kill(pid, SIGSTOP), 0);
	assert_int_equal(kill(parent.pid, SIGINT), 0);
	assert_int_equal(waitpid(parent.pid, &status, 0), parent.pid); /* after 10 s */
	assert_int_equal(status, 0);
	assert_int_equal(kill(pid, 0), -1);
	expect_no_files();
}

static void test_sighup_is_passed_on(void **state)
{
	static const char before[] = "[pool default]\nlimit = 128M\n";
	static const char after[] = "[pool default]\nlimit = 64M\n";
	char file[128];

	(void)state;
	snprintf(file, sizeof(file), "%s/conf", parent.directory);
	hakt_directory_write(parent.directory, "conf", before, sizeof(before) - 1);
	hakt_daemon_fork(&parent, HAKT_LIST("--supervise", "--config", file, "--capacity", "1G"),
			 NULL, NULL);
	hakt_daemon_wait_listening(&parent);
	assert_int_equal(hakt_ctl_pool(parent.socket, "limit_bytes"), 128 * MIB);
	hakt_directory_write(parent.directory, "conf", after, sizeof(after) - 1);
	assert_int_equal(kill(parent.pid, SIGHUP), 0);
	for (unsigned i = 0; i < 12000; i++) {
		if (hakt_ctl_pool(parent.socket, "limit_bytes") == 64 * MIB)
			break;
		pause_5ms();
	}
	assert_int_equal(hakt_ctl_pool(parent.socket, "limit_bytes"), 64 * MIB);
	hakt_daemon_stop(&parent);
}

/* hakmemd at this path of the directory, there in one step. */
static void put_binary(const char *name)
{
	char command[512];

	snprintf(command, sizeof(command), "cp %s %s/new && mv %s/new %s/%s", HAKT_HAKMEMD,
		 parent.directory, parent.directory, parent.directory, name);
	assert_int_equal(system(command), 0);
}

static ino_t file_of(pid_t pid)
{
	char path[64];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%d/exe", (int)pid);
	assert_int_equal(stat(path, &st), 0);
	return st.st_ino;
}

static void start_copy(struct hakt_process *supervisor, char path[128])
{
	put_binary("hakmemd");
	snprintf(path, 128, "%s/hakmemd", parent.directory);
	hakt_process_start(supervisor, HAKT_LIST(path, "--supervise", "--foreground", "--capacity",
						 "1G", "--limit", "128M", "--idle-exit", "60"));
	hakt_process_wait_output(supervisor, 2, "serving");
	parent.pid = supervisor->pid;
}

static void end_copy(struct hakt_process *supervisor)
{
	assert_int_equal(kill(supervisor->pid, SIGTERM), 0);
	hakt_process_wait_done(supervisor);
	hakt_process_end(supervisor);
}

static void test_sigusr1_starts_what_lies_at_the_path_by_then(void **state)
{
	struct hakt_process supervisor = {0}, client;
	struct stat after;
	struct pool pool;
	char path[128];
	pid_t pid;

	(void)state;
	start_copy(&supervisor, path);
	pool = look();
	pid = served_by();
	hakt_holding_start(&client, "a");
	put_binary("hakmemd");
	assert_int_equal(stat(path, &after), 0);
	assert_int_not_equal(file_of(pid), after.st_ino);
	assert_int_equal(kill(supervisor.pid, SIGUSR1), 0);
	pid = wait_for_next(pid);
	assert_int_equal(file_of(pid), after.st_ino);
	expect_same_pool(&pool);
	hakt_holding_expect_intact(&client);
	hakt_holding_kill(&client);
	end_copy(&supervisor);
}

/* Nothing is there to be started, for a while. */
static void test_who_connects_while_there_is_no_daemon_is_served_by_the_next(void **state)
{
	struct hakt_process supervisor = {0};
	struct hakc_conn conn;
	char path[128], away[160];
	Hak__Reply *reply;
	pid_t pid;

	(void)state;
	start_copy(&supervisor, path);
	pid = served_by();
	snprintf(away, sizeof(away), "%s/away", parent.directory);
	assert_int_equal(rename(path, away), 0);
	assert_int_equal(kill(pid, SIGKILL), 0);
	hakt_process_wait_output(&supervisor, 2, "cannot start");
	assert_int_equal(hakc_conn_init(&conn, parent.socket, 60000), 0);
	assert_int_equal(rename(away, path), 0);
	assert_int_equal(
		hakc_conn_hello(&conn, HAK__PEER_KIND__PEER_TOOL, NULL, &reply, NULL, NULL), 0);
	hak__reply__free_unpacked(reply, NULL);
	hakc_conn_deinit(&conn);
	end_copy(&supervisor);
}

static void test_in_the_background_it_is_ready_when_its_starter_returns(void **state)
{
	struct hakt_process starter = {0};
	struct hakc_conn conn;
	pid_t pid, supervisor;

	(void)state;
	hakt_process_run(&starter, HAKT_LIST(HAKT_HAKMEMD, "--supervise", "--capacity", "64M",
					     "--limit", "64M"));
	assert_int_equal(starter.exit_code, 0);
	assert_int_equal(hakc_conn_init(&conn, parent.socket, 0), 0);
	hakc_conn_deinit(&conn);
	pid = served_by();
	supervisor = hakt_process_parent(pid);
	assert_int_equal(locked_by(), supervisor);
	assert_int_not_equal(supervisor, starter.pid);
	assert_int_equal(kill(supervisor, SIGTERM), 0);
	assert_int_equal(hakt_process_wait_orphan(supervisor), 0);
	assert_int_equal(kill(pid, 0), -1);
	expect_no_files();
	hakt_process_end(&starter);
}

/* As by a script that starts it with &. */
static void test_signals_that_its_starter_ignored_are_heard(void **state)
{
	static const char script[] = "trap '' CHLD HUP INT USR1; exec " HAKT_HAKMEMD
				     " --supervise --foreground --limit 64M";
	struct hakt_process supervisor = {0};

	(void)state;
	hakt_process_start(&supervisor, HAKT_LIST("/bin/sh", "-c", script));
	hakt_process_wait_output(&supervisor, 2, "serving");
	parent.pid = supervisor.pid;
	kill_daemon(SIGKILL);
	assert_int_equal(kill(supervisor.pid, SIGINT), 0);
	hakt_process_wait_done(&supervisor);
	hakt_process_end(&supervisor);
}

static void test_a_second_one_is_refused_and_the_first_goes_on(void **state)
{
	static const char *const places[] = {"--foreground", "--supervise"};
	pid_t pid = served_by();

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct hakt_process second = {0};

		hakt_process_run(&second, HAKT_LIST(HAKT_HAKMEMD, "--supervise", places[i]));
		assert_int_equal(second.exit_code, 3);
		assert_non_null(strstr(hakt_process_output(&second, 2), "another daemon"));
		hakt_process_end(&second);
	}
	assert_int_equal(served_by(), pid);
}

static void test_nobody_attached_for_long_enough_ends_both(void **state)
{
	struct hakt_process supervisor = {0};

	(void)state;
	hakt_process_start(&supervisor,
			   HAKT_LIST(HAKT_HAKMEMD, "--supervise", "--foreground", "--idle-exit",
				     "1", "--capacity", "64M", "--limit", "64M"));
	hakt_process_wait_done(&supervisor);
	expect_no_files();
	hakt_process_end(&supervisor);
}

static void test_a_daemon_whose_parent_is_killed_goes_on(void **state)
{
	struct hakt_process client, second = {0};
	pid_t pid = served_by();
	struct pool pool = look();

	(void)state;
	hakt_holding_start(&client, "a");
	hakt_daemon_kill(&parent);
	assert_int_equal(served_by(), pid);
	expect_same_pool(&pool); /* a new client attaches */
	hakt_daemon_wait_clients(&parent, 1);
	hakt_holding_expect_intact(&client);
	hakt_process_run(&second, HAKT_LIST(HAKT_HAKMEMD, "--supervise", "--foreground"));
	assert_int_equal(second.exit_code, 3); /* the lock is free, the socket isn't */
	assert_non_null(strstr(hakt_process_output(&second, 2), "another daemon"));
	hakt_process_end(&second);
	assert_int_equal(served_by(), pid);
	assert_int_equal(kill(pid, SIGTERM), 0);
	assert_int_equal(hakt_process_wait_orphan(pid), 0);
	hakt_holding_kill(&client);
	hakt_daemon_start(&parent, small); /* what is left there is no obstacle */
	hakt_daemon_stop_empty(&parent);
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
	expect_no_files();
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
		pause_5ms();
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
	expect_no_files();
	hakt_process_end(&supervisor);
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
	pid = served_by();
	sleep(6);
	assert_int_equal(served_by(), pid);
	assert_int_equal(kill(supervisor.pid, SIGTERM), 0);
	hakt_process_wait_done(&supervisor);
	hakt_process_end(&supervisor);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test_setup_teardown(
		test_a_daemon_that_is_killed_is_followed_by_one_with_the_same_pool, start, stop),
	cmocka_unit_test_setup_teardown(test_thirty_kills_in_a_row_are_survived, start, stop),
	cmocka_unit_test_setup_teardown(
		test_many_clients_outlive_a_daemon_and_are_missed_when_they_die, start, stop),
	cmocka_unit_test_setup_teardown(test_sigterm_to_the_daemon_alone_is_a_restart, start, stop),
	cmocka_unit_test_setup_teardown(test_a_daemon_that_has_ended_the_pool_is_the_last, start,
					remove_directory),
	cmocka_unit_test_setup_teardown(test_a_daemon_that_hangs_is_replaced, start, stop),
	cmocka_unit_test_setup_teardown(test_sigterm_ends_both_and_the_pool, start,
					remove_directory),
	cmocka_unit_test_setup_teardown(test_sigint_does_so_too_while_the_daemon_hangs, start,
					remove_directory),
	cmocka_unit_test_setup(test_sighup_is_passed_on, make_directory),
	cmocka_unit_test_setup_teardown(test_sigusr1_starts_what_lies_at_the_path_by_then,
					make_directory, remove_directory),
	cmocka_unit_test_setup_teardown(
		test_who_connects_while_there_is_no_daemon_is_served_by_the_next, make_directory,
		remove_directory),
	cmocka_unit_test_setup_teardown(test_in_the_background_it_is_ready_when_its_starter_returns,
					make_directory, remove_directory),
	cmocka_unit_test_setup_teardown(test_signals_that_its_starter_ignored_are_heard,
					make_directory, remove_directory),
	cmocka_unit_test_setup_teardown(test_a_second_one_is_refused_and_the_first_goes_on, start,
					stop),
	cmocka_unit_test_setup_teardown(test_nobody_attached_for_long_enough_ends_both,
					make_directory, remove_directory),
	cmocka_unit_test_setup(test_a_daemon_whose_parent_is_killed_goes_on, start),
	cmocka_unit_test_setup_teardown(test_a_start_that_fails_gives_its_exit_code, make_directory,
					remove_directory),
	cmocka_unit_test_setup_teardown(test_a_start_that_never_gets_ready_fails, make_directory,
					remove_directory),
	cmocka_unit_test_setup_teardown(
		test_a_daemon_that_floods_it_is_followed_and_stopped_like_any_other, make_directory,
		remove_directory),
	cmocka_unit_test_setup_teardown(test_one_that_pings_is_left_alone, make_directory,
					remove_directory),
	cmocka_unit_test_setup_teardown(test_one_that_says_nothing_any_more_is_killed,
					make_directory, remove_directory),
};

HAKT_MAIN(tests, NULL, NULL)
