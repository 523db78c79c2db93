/* SPDX-License-Identifier: MIT */
/*
 * Who may be taken for dead, and who may not: a client that hung up, that
 * starts programs, that is stopped, that comes back; those with children are in
 * heir_test.c. To see that nothing happens to a client the tests wait until the
 * daemon has looked at leases, not for a time.
 */
#include "tests/support/run.h"

#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client_lib/include/hakmem.h"
#include "tests/support/block.h"
#include "tests/support/ctl.h"
#include "tests/support/daemon.h"
#include "tests/support/process.h"

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

static int use_memory_without_descriptors(const void *context)
{
	char *block = hakt_block_make('m');

	(void)context;
	hakt_child_hang_up();
	hakt_child_say("hung up");
	hakt_child_wait();
	hakt_block_expect(block, 'm');
	memset(block, 'n', HAKT_BLOCK_BYTES);
	hakt_child_say("written");
	hakt_child_wait();
	hakt_block_expect(block, 'n');
	hakt_child_say("still there");
	pause();
	return 0;
}

static void test_a_living_client_that_hung_up_keeps_its_memory_until_it_dies(void **state)
{
	struct hakt_process client = {0};
	unsigned long long granted;

	(void)state;
	hakt_process_fork(&client, use_memory_without_descriptors, NULL);
	hakt_process_wait_output(&client, 1, "hung up");
	hakt_daemon_wait_disconnected(&hakd, client.pid);
	granted = hakt_daemon_status(&hakd).granted_superslabs;
	assert_true(granted >= 3);
	hakt_process_tell(&client);
	hakt_process_wait_output(&client, 1, "written");
	hakt_daemon_wait_looks(&hakd);
	hakt_process_tell(&client);
	hakt_process_wait_output(&client, 1, "still there");
	assert_int_equal(hakt_daemon_status(&hakd).granted_superslabs, granted);
	assert_int_equal(hakt_daemon_status(&hakd).clients, 1);
	hakt_process_kill(&client);
	hakt_daemon_wait_empty(&hakd);
	assert_int_equal(hakt_daemon_counter(&hakd, "deaths"), 1);
	hakt_process_end(&client);
}

static int hang_up_and_come_back(const void *context)
{
	char *block = hakt_block_make('m');

	(void)context;
	hakt_child_hang_up();
	hakt_block_expect(block, 'm');
	HAKT_EXPECT(hakmem_detach() == 0);
	hakt_child_say("detached");
	hakt_child_wait();
	hakt_block_expect(hakt_block_make('n'), 'n');
	hakt_child_say("is back");
	hakt_child_wait();
	return 0;
}

static void test_a_client_that_hung_up_gives_all_back_and_may_come_back(void **state)
{
	struct hakt_process client = {0};
	char client_state[HAKT_CTL_STATE_BYTES];

	(void)state;
	hakt_process_fork(&client, hang_up_and_come_back, NULL);
	hakt_process_wait_output(&client, 1, "detached");
	hakt_daemon_wait_empty(&hakd);
	hakt_process_check_running(&client);
	hakt_process_tell(&client);
	hakt_process_wait_output(&client, 1, "is back");
	hakt_ctl_client_state(hakd.socket, client.pid, client_state);
	assert_string_equal(client_state, "attached");
	assert_int_equal(hakt_daemon_status(&hakd).clients, 1);
	hakt_process_tell(&client);
	hakt_process_wait_done(&client);
	hakt_process_end(&client);
}

/* A shell without a descriptor or a mapping of hakmem's: exit code 0. */
static char script[] = "for fd in /proc/$$/fd/*; do case $(readlink $fd) in "
		       "*memfd:hakmem*|socket:*) ls -l /proc/$$/fd >&2; exit 1;; esac; done; "
		       "! grep memfd:hakmem /proc/$$/maps >&2";
static char shell_name[] = "sh", shell_option[] = "-c";
static char *const shell[] = {shell_name, shell_option, script, NULL};

static void expect_success(pid_t pid)
{
	int status;

	HAKT_EXPECT(pid > 0);
	HAKT_EXPECT(waitpid(pid, &status, 0) == pid);
	HAKT_EXPECT(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void run_by_spawn(void)
{
	pid_t pid;

	HAKT_EXPECT(posix_spawn(&pid, "/bin/sh", NULL, NULL, shell, environ) == 0);
	expect_success(pid);
}

static void run_by_vfork(void)
{
	pid_t pid = vfork();

	if (pid == 0) {
		execv("/bin/sh", shell);
		_exit(127);
	}
	expect_success(pid);
}

static int run_programs(const void *context)
{
	void (*const *run)(void) = context;
	char *block;

	/* What came from who runs the test: a socket, perhaps. Stays with us. */
	HAKT_EXPECT(close_range(3, ~0U, CLOSE_RANGE_CLOEXEC) == 0);
	block = hakt_block_make('m');
	(*run)();
	hakt_block_expect(block, 'm');
	hakt_block_expect(hakt_block_make('n'), 'n'); /* and is granted more */
	hakt_child_hang_up();
	hakt_child_say("hung up");
	hakt_child_wait();
	hakt_block_expect(block, 'm');
	return 0;
}

static void check_programs_started(void (*run)(void))
{
	struct hakt_process client = {0};

	hakt_process_fork(&client, run_programs, &run);
	hakt_process_wait_output(&client, 1, "hung up");
	hakt_daemon_wait_disconnected(&hakd, client.pid);
	hakt_daemon_wait_looks(&hakd); /* the lease is what it was */
	assert_int_equal(hakt_daemon_status(&hakd).clients, 1);
	assert_int_equal(hakt_daemon_counter(&hakd, "attached"), 1);
	hakt_process_tell(&client);
	hakt_process_wait_done(&client);
	hakt_process_end(&client);
}

static void test_a_program_started_by_posix_spawn_leaves_the_heap_alone(void **state)
{
	(void)state;
	check_programs_started(run_by_spawn);
}

static void test_a_program_started_by_vfork_leaves_the_heap_alone(void **state)
{
	(void)state;
	check_programs_started(run_by_vfork);
}

static int be_stopped(const void *context)
{
	bool hangs_up = *(const bool *)context;
	char *block = hakt_block_make('m');

	if (hangs_up)
		hakt_child_hang_up();
	hakt_child_say("ready");
	hakt_child_wait();
	hakt_block_expect(block, 'm');
	if (!hangs_up)
		hakt_block_expect(hakt_block_make('n'), 'n');
	return 0;
}

static void stop_client(const struct hakt_process *client)
{
	siginfo_t stopped = {0};

	assert_int_equal(kill(client->pid, SIGSTOP), 0);
	assert_int_equal(waitid(P_PID, (id_t)client->pid, &stopped, WSTOPPED | WNOWAIT), 0);
	assert_int_equal(stopped.si_pid, client->pid);
}

static int allocate_and_end(const void *context)
{
	(void)context;
	hakt_block_expect(hakt_block_make('o'), 'o');
	return 0;
}

static void test_a_stopped_client_is_alive(void **state)
{
	static const bool hangs_up[] = {false, true};
	struct hakt_process clients[2] = {0};
	unsigned long long granted;

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		hakt_process_fork(&clients[i], be_stopped, &hangs_up[i]);
		hakt_process_wait_output(&clients[i], 1, "ready");
	}
	hakt_daemon_wait_disconnected(&hakd, clients[1].pid);
	granted = hakt_daemon_status(&hakd).granted_superslabs;
	for (unsigned i = 0; i < 2; i++) {
		stop_client(&clients[i]);
		hakt_process_tell(&clients[i]);
	}
	hakt_process_run_child(allocate_and_end, NULL); /* others are served meanwhile */
	hakt_daemon_wait_looks(&hakd);
	hakt_daemon_wait_clients(&hakd, 2);
	assert_int_equal(hakt_daemon_status(&hakd).granted_superslabs, granted);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(kill(clients[i].pid, SIGCONT), 0);
		hakt_process_wait_done(&clients[i]);
		hakt_process_end(&clients[i]);
	}
	hakt_daemon_wait_empty(&hakd);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test_setup_teardown(
		test_a_living_client_that_hung_up_keeps_its_memory_until_it_dies, start, stop),
	cmocka_unit_test_setup_teardown(test_a_client_that_hung_up_gives_all_back_and_may_come_back,
					start, stop),
	cmocka_unit_test_setup_teardown(test_a_program_started_by_posix_spawn_leaves_the_heap_alone,
					start, stop),
	cmocka_unit_test_setup_teardown(test_a_program_started_by_vfork_leaves_the_heap_alone,
					start, stop),
	cmocka_unit_test_setup_teardown(test_a_stopped_client_is_alive, start, stop),
};

HAKT_MAIN(tests, NULL, NULL)
