/* SPDX-License-Identifier: MIT */
/*
 * hakmemd --supervise: what a keeper does for the daemon, done by a parent of its own; and
 * what its signals do. Many clients: supervise_many_test.c. Daemons that do what they shouldn't:
 * unruly_test.c.
 */
#include "tests/support/run.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/attached.h"
#include "tests/support/ctl.h"
#include "tests/support/holding.h"
#include "tests/support/supervised.h"

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

static void test_a_daemon_that_is_killed_is_followed_by_one_with_the_same_pool(void **state)
{
	struct hakt_process client;
	struct pool pool = look();
	long long generation = hakt_ctl_status(parent.socket, "generation");

	(void)state;
	hakt_holding_start(&client, "a");
	hakt_supervised_kill(&parent, SIGKILL);
	expect_same_pool(&pool);
	assert_int_equal(hakt_ctl_status(parent.socket, "generation"), generation);
	hakt_daemon_wait_clients(&parent, 1);
	assert_true(hakt_daemon_status(&parent).granted_superslabs > 0);
	hakt_holding_expect_intact(&client);
	assert_int_equal(locked_by(), parent.pid);
	hakt_holding_kill(&client); /* noticed: its pidfd and its lease were kept */
	hakt_daemon_wait_empty(&parent);
}

/* Some lived for a moment, so that the next ones are waited with; others for longer. */
static void test_fifty_kills_in_a_row_are_survived(void **state)
{
	struct hakt_process client;
	struct pool pool = look();

	(void)state;
	hakt_holding_start(&client, "a");
	for (unsigned i = 0; i < 50; i++) {
		if (i >= 10)
			usleep(210000);
		hakt_supervised_kill(&parent, SIGKILL);
	}
	expect_same_pool(&pool);
	hakt_holding_expect_intact(&client);
	hakt_holding_kill(&client);
}

static void test_sigterm_to_the_daemon_alone_is_a_restart(void **state)
{
	struct pool pool = look();

	(void)state;
	hakt_supervised_kill(&parent, SIGTERM);
	expect_same_pool(&pool);
}

static void test_a_daemon_that_has_ended_the_pool_is_the_last(void **state)
{
	int status;

	(void)state;
	assert_int_equal(kill(hakt_supervised_by(&parent), SIGINT), 0);
	assert_int_equal(waitpid(parent.pid, &status, 0), parent.pid);
	assert_int_equal(status, 0);
	hakt_supervised_expect_no_files(&parent);
}

static void test_a_daemon_that_hangs_is_replaced(void **state)
{
	struct pool pool = look();
	pid_t pid = hakt_supervised_by(&parent);

	(void)state;
	assert_int_equal(kill(pid, SIGSTOP), 0);
	hakt_supervised_next(&parent, pid); /* after 10 s */
	expect_same_pool(&pool);
}

static void test_sigterm_ends_both_and_the_pool(void **state)
{
	struct hakc_conn conn;
	const struct hak_registry *registry = hakt_attached(&conn, parent.socket);
	pid_t pid = hakt_supervised_by(&parent);
	int status;

	(void)state;
	assert_int_equal(hak_load_relaxed(&registry->ended), 0);
	assert_int_equal(kill(parent.pid, SIGTERM), 0);
	assert_int_equal(waitpid(parent.pid, &status, 0), parent.pid);
	assert_int_equal(status, 0);
	assert_int_equal(hak_load_relaxed(&registry->ended), 1);
	assert_int_equal(kill(pid, 0), -1);
	hakt_supervised_expect_no_files(&parent);
	munmap((void *)(uintptr_t)registry, HAK_PAGE_BYTES);
	hakc_conn_deinit(&conn);
}

static void test_sigint_does_so_too_while_the_daemon_hangs(void **state)
{
	pid_t pid = hakt_supervised_by(&parent);
	int status;

	(void)state;
	assert_int_equal(kill(pid, SIGSTOP), 0);
	assert_int_equal(kill(parent.pid, SIGINT), 0);
	assert_int_equal(waitpid(parent.pid, &status, 0), parent.pid); /* after 10 s */
	assert_int_equal(status, 0);
	assert_int_equal(kill(pid, 0), -1);
	hakt_supervised_expect_no_files(&parent);
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
		hakt_supervised_pause();
	}
	assert_int_equal(hakt_ctl_pool(parent.socket, "limit_bytes"), 64 * MIB);
	hakt_daemon_stop(&parent);
}

/* hakmemd, or a link to one of another name, at this path of the directory, there in one step. */
static void put_binary(const char *name, bool is_link)
{
	static unsigned n;
	char command[512];

	snprintf(command, sizeof(command), "cd %s && cp %s v%u && %s v%u new && mv -T new %s",
		 parent.directory, HAKT_HAKMEMD, n, is_link ? "ln -s" : "mv", n, name);
	n++;
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

static void start_copy(struct hakt_process *supervisor, char path[128], bool is_link)
{
	put_binary("hakmemd", is_link);
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

static void check_upgrade(bool is_link)
{
	struct hakt_process supervisor = {0}, client;
	struct stat after;
	struct pool pool;
	char path[128];
	pid_t pid;

	start_copy(&supervisor, path, is_link);
	pool = look();
	pid = hakt_supervised_by(&parent);
	hakt_holding_start(&client, "a");
	put_binary("hakmemd", is_link);
	assert_int_equal(stat(path, &after), 0);
	assert_int_not_equal(file_of(pid), after.st_ino);
	assert_int_equal(kill(supervisor.pid, SIGUSR1), 0);
	pid = hakt_supervised_next(&parent, pid);
	assert_int_equal(file_of(pid), after.st_ino);
	expect_same_pool(&pool);
	hakt_holding_expect_intact(&client);
	hakt_holding_kill(&client);
	end_copy(&supervisor);
}

static void test_sigusr1_starts_what_lies_at_the_path_by_then(void **state)
{
	(void)state;
	check_upgrade(false);
}

static void test_or_where_a_link_there_leads_by_then(void **state)
{
	(void)state;
	check_upgrade(true);
}

/* And not its end by itself, as long as somebody is attached. */
static void test_with_idle_exit_sigterm_to_the_daemon_alone_is_a_restart_too(void **state)
{
	struct hakt_process supervisor = {0}, client;
	struct pool pool;
	char path[128];

	(void)state;
	start_copy(&supervisor, path, false);
	pool = look();
	hakt_holding_start(&client, "a");
	hakt_supervised_kill(&parent, SIGTERM);
	expect_same_pool(&pool);
	hakt_daemon_wait_clients(&parent, 1);
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
	start_copy(&supervisor, path, false);
	pid = hakt_supervised_by(&parent);
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
	pid = hakt_supervised_by(&parent);
	supervisor = hakt_process_parent(pid);
	assert_int_equal(locked_by(), supervisor);
	assert_int_not_equal(supervisor, starter.pid);
	assert_int_equal(kill(supervisor, SIGTERM), 0);
	assert_int_equal(hakt_process_wait_orphan(supervisor), 0);
	assert_int_equal(kill(pid, 0), -1);
	hakt_supervised_expect_no_files(&parent);
	hakt_process_end(&starter);
}

static int ignore_children(const void *context)
{
	(void)context;
	signal(SIGCHLD, SIG_IGN);
	execl(HAKT_HAKMEMD, "hakmemd", "--supervise", "--foreground", "--limit", "64M", NULL);
	return 127;
}

static void test_a_starter_that_ignored_its_children_makes_no_difference(void **state)
{
	struct hakt_process supervisor = {0};

	(void)state;
	hakt_process_fork(&supervisor, ignore_children, NULL);
	hakt_process_wait_output(&supervisor, 2, "serving");
	parent.pid = supervisor.pid;
	hakt_supervised_kill(&parent, SIGKILL);
	end_copy(&supervisor);
}

static void test_a_second_one_is_refused_and_the_first_goes_on(void **state)
{
	static const char *const places[] = {"--foreground", "--supervise"};
	pid_t pid = hakt_supervised_by(&parent);

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct hakt_process second = {0};

		hakt_process_run(&second, HAKT_LIST(HAKT_HAKMEMD, "--supervise", places[i]));
		assert_int_equal(second.exit_code, 3);
		assert_non_null(strstr(hakt_process_output(&second, 2), "another daemon"));
		hakt_process_end(&second);
	}
	assert_int_equal(hakt_supervised_by(&parent), pid);
}

static void test_nobody_attached_for_long_enough_ends_both(void **state)
{
	struct hakt_process supervisor = {0};

	(void)state;
	hakt_process_start(&supervisor,
			   HAKT_LIST(HAKT_HAKMEMD, "--supervise", "--foreground", "--idle-exit",
				     "1", "--capacity", "64M", "--limit", "64M"));
	hakt_process_wait_done(&supervisor);
	hakt_supervised_expect_no_files(&parent);
	hakt_process_end(&supervisor);
}

static void test_a_daemon_whose_parent_is_killed_goes_on(void **state)
{
	struct hakt_process client, second = {0};
	pid_t pid = hakt_supervised_by(&parent);
	struct pool pool = look();

	(void)state;
	hakt_holding_start(&client, "a");
	hakt_daemon_kill(&parent);
	assert_int_equal(hakt_supervised_by(&parent), pid);
	expect_same_pool(&pool); /* a new client attaches */
	hakt_daemon_wait_clients(&parent, 1);
	hakt_holding_expect_intact(&client);
	hakt_process_run(&second, HAKT_LIST(HAKT_HAKMEMD, "--supervise", "--foreground"));
	assert_int_equal(second.exit_code, 3); /* the lock is free, the socket isn't */
	assert_non_null(strstr(hakt_process_output(&second, 2), "another daemon"));
	hakt_process_end(&second);
	assert_int_equal(hakt_supervised_by(&parent), pid);
	assert_int_equal(kill(pid, SIGTERM), 0);
	assert_int_equal(hakt_process_wait_orphan(pid), 0);
	hakt_holding_kill(&client);
	hakt_daemon_start(&parent, small); /* what is left there is no obstacle */
	hakt_daemon_stop_empty(&parent);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test_setup_teardown(
		test_a_daemon_that_is_killed_is_followed_by_one_with_the_same_pool, start, stop),
	cmocka_unit_test_setup_teardown(test_fifty_kills_in_a_row_are_survived, start, stop),
	cmocka_unit_test_setup_teardown(test_sigterm_to_the_daemon_alone_is_a_restart, start, stop),
	cmocka_unit_test_setup_teardown(
		test_with_idle_exit_sigterm_to_the_daemon_alone_is_a_restart_too, make_directory,
		remove_directory),
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
	cmocka_unit_test_setup_teardown(test_or_where_a_link_there_leads_by_then, make_directory,
					remove_directory),
	cmocka_unit_test_setup_teardown(
		test_who_connects_while_there_is_no_daemon_is_served_by_the_next, make_directory,
		remove_directory),
	cmocka_unit_test_setup_teardown(test_in_the_background_it_is_ready_when_its_starter_returns,
					make_directory, remove_directory),
	cmocka_unit_test_setup_teardown(
		test_a_starter_that_ignored_its_children_makes_no_difference, make_directory,
		remove_directory),
	cmocka_unit_test_setup_teardown(test_a_second_one_is_refused_and_the_first_goes_on, start,
					stop),
	cmocka_unit_test_setup_teardown(test_nobody_attached_for_long_enough_ends_both,
					make_directory, remove_directory),
	cmocka_unit_test_setup(test_a_daemon_whose_parent_is_killed_goes_on, start),
};

HAKT_MAIN(tests, NULL, NULL)
