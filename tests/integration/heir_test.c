/* SPDX-License-Identifier: MIT */
/*
 * What the child of a fork inherits of a client keeps nothing of that client's
 * alive: when its parent dies or calls exec, all of the parent's goes back, and
 * nothing of the child's.
 */
#include "tests/support/run.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client_lib/include/hakmem.h"
#include "proto/wire/wire.h"
#include "tests/support/block.h"
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

/* One that gets no events of leases. */
static int start_deaf(void **state)
{
	setenv("LD_PRELOAD", HAKT_HAKT_DEAF, 1);
	setenv("ASAN_OPTIONS", "verify_asan_link_order=0", 1);
	start(state);
	unsetenv("LD_PRELOAD");
	return 0;
}

static int stop(void **state)
{
	(void)state;
	return hakt_daemon_stop_empty(&hakd);
}

/* In a client: a child that has all it inherited, and says so when it is told to. */
static void fork_an_heir(const char *block)
{
	pid_t parent = getpid(), pid = fork();

	HAKT_EXPECT(pid >= 0);
	if (pid)
		return;
	hakt_process_die_with(parent);
	hakt_child_say("heir %d.", (int)getpid());
	hakt_child_wait();
	HAKT_EXPECT(block[0] == 'm' || block[0] == 0); /* mapped, whoever has it now */
	hakt_child_say("the heir lives");
	pause();
	_exit(0);
}

/* Its pid. */
static pid_t wait_heir(struct hakt_process *client)
{
	int pid;

	hakt_process_wait_output(client, 1, ".\n");
	assert_int_equal(sscanf(strstr(hakt_process_output(client, 1), "heir"), "heir %d", &pid),
			 1);
	return pid;
}

/* As hakt_process_wait_output, of an heir whose parent has died. */
static void wait_said(struct hakt_process *parent, const char *text, pid_t heir)
{
	for (unsigned i = 0; !strstr(hakt_process_output(parent, 1), text); i++) {
		if (i == 6000 || waitpid(heir, NULL, WNOHANG) != 0)
			fail_msg("no \"%s\"; stderr: %s", text, hakt_process_output(parent, 2));
		usleep(10000);
	}
}

static int become_another_program(const void *context)
{
	fork_an_heir(hakt_block_make('m'));
	hakt_child_wait();
	execl("/bin/sh", "sh", "-c", "echo another; exec sleep 1000", NULL);
	(void)context;
	return 1;
}

static void check_exec(void)
{
	struct hakt_process client = {0};
	pid_t heir;

	hakt_process_fork(&client, become_another_program, NULL);
	heir = wait_heir(&client);
	assert_int_equal(hakt_daemon_status(&hakd).clients, 1);
	/* Whichever of both takes the word: the heir waits for one more. */
	hakt_process_tell(&client);
	hakt_process_tell(&client);
	hakt_process_wait_output(&client, 1, "another");
	hakt_process_wait_output(&client, 1, "the heir lives");
	hakt_daemon_wait_empty(&hakd);
	hakt_process_check_running(&client);
	assert_int_equal(hakt_daemon_counter(&hakd, "leases_over"), 1);
	assert_int_equal(hakt_daemon_counter(&hakd, "disconnects"), 0);
	hakt_process_end(&client);
	assert_int_equal(hakt_process_wait_orphan(heir), -1); /* killed with it */
}

static void test_exec_gives_all_back_though_a_child_holds_the_socket(void **state)
{
	(void)state;
	check_exec();
}

static void test_without_inotify_an_exec_is_found_all_the_same(void **state)
{
	(void)state;
	check_exec();
}

static int leave_an_heir(const void *context)
{
	const char *block = hakt_block_make('m');
	pid_t test = getppid(), pid = fork();

	(void)context;
	HAKT_EXPECT(pid >= 0);
	if (pid == 0) {
		hakt_child_say("heir %d.", (int)getpid());
		hakt_child_wait();
		HAKT_EXPECT(getppid() == test);
		HAKT_EXPECT(block[0] == 'm' || block[0] == 0);
		hakt_child_say("the heir lives");
		_exit(0);
	}
	pause();
	return 0;
}

static void test_a_child_that_never_allocates_holds_nothing_of_its_dead_parent(void **state)
{
	struct hakt_process client = {0};
	pid_t heir;

	(void)state;
	hakt_process_fork(&client, leave_an_heir, NULL);
	heir = wait_heir(&client);
	hakt_process_kill(&client);
	hakt_daemon_wait_empty(&hakd);
	assert_int_equal(hakt_daemon_counter(&hakd, "disconnects"), 0); /* the heir has it */
	hakt_process_tell(&client);
	assert_int_equal(hakt_process_wait_orphan(heir), 0);
	assert_non_null(strstr(hakt_process_output(&client, 1), "the heir lives"));
	hakt_process_end(&client);
}

/* The only socket that we have. */
static int find_socket(void)
{
	struct stat st;

	for (int fd = 3; fd < 1000; fd++)
		if (fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode))
			return fd;
	HAKT_EXPECT(!"no socket");
	return -1;
}

static void ask_for_memory(int fd)
{
	Hak__Request request = HAK__REQUEST__INIT;
	Hak__Refill refill = HAK__REFILL__INIT;
	char packet[64];
	int n;

	refill.count = 1;
	request.id = 1000;
	request.body_case = HAK__REQUEST__BODY_REFILL;
	request.refill = &refill;
	n = hak_wire_pack_request(&request, packet, sizeof(packet));
	HAKT_EXPECT(n > 0);
	HAKT_EXPECT(send(fd, packet, (size_t)n, MSG_NOSIGNAL) == n);
	HAKT_EXPECT(recv(fd, packet, sizeof(packet), 0) <= 0);
}

static int leave_an_heir_with_a_socket(const void *context)
{
	(void)context;
	hakt_block_make('m');

	pid_t pid = fork();

	HAKT_EXPECT(pid >= 0);
	if (pid == 0) {
		hakt_child_say("heir %d.", (int)getpid());
		hakt_child_wait();
		ask_for_memory(find_socket());
		hakt_block_expect(hakt_block_make('n'), 'n'); /* by a connection of its own */
		hakt_child_say("granted");
		hakt_child_wait();
		_exit(0);
	}
	pause();
	return 0;
}

static void test_the_socket_of_a_dead_parent_gets_nobody_memory(void **state)
{
	struct hakt_process client = {0};
	pid_t heir;

	(void)state;
	hakt_process_fork(&client, leave_an_heir_with_a_socket, NULL);
	heir = wait_heir(&client);
	hakt_process_kill(&client);
	hakt_daemon_wait_empty(&hakd);
	hakt_process_tell(&client);
	wait_said(&client, "granted", heir);
	assert_int_equal(hakt_daemon_status(&hakd).clients, 1);
	assert_int_equal(hakt_daemon_counter(&hakd, "protocol_errors"), 1);
	hakt_process_tell(&client);
	assert_int_equal(hakt_process_wait_orphan(heir), 0);
	hakt_daemon_wait_empty(&hakd);
	hakt_process_end(&client);
}

/* Parent and child are clients; both are told to go on by a word. */
static int be_two_clients(const void *context)
{
	char *block = hakt_block_make('m');
	pid_t pid = fork();

	(void)context;
	HAKT_EXPECT(pid >= 0);
	if (pid == 0) {
		char *own = hakt_block_make('c');

		hakt_child_hang_up();
		hakt_child_say("heir %d.", (int)getpid());
		hakt_child_wait();
		hakt_block_expect(own, 'c');
		hakt_child_say("the child has its memory");
		pause();
	}
	hakt_block_expect(hakt_block_make('p'), 'p'); /* goes on meanwhile */
	hakt_block_expect(block, 'm');
	hakt_child_say("parent");
	pause();
	return 0;
}

static void test_the_death_of_a_parent_takes_nothing_from_its_child(void **state)
{
	struct hakt_process client = {0};
	unsigned long long granted;
	pid_t child;

	(void)state;
	hakt_process_fork(&client, be_two_clients, NULL);
	hakt_process_wait_output(&client, 1, "parent");
	child = wait_heir(&client);
	hakt_daemon_wait_disconnected(&hakd, child);
	assert_int_equal(hakt_daemon_status(&hakd).clients, 2);
	granted = hakt_daemon_status(&hakd).granted_superslabs;
	hakt_process_kill(&client);
	hakt_daemon_wait_clients(&hakd, 1);
	hakt_daemon_wait_looks(&hakd);
	assert_int_equal(hakt_daemon_status(&hakd).clients, 1);
	assert_in_range(hakt_daemon_status(&hakd).granted_superslabs, 3, granted - 6);
	hakt_process_tell(&client);
	wait_said(&client, "the child has its memory", child);
	assert_int_equal(kill(child, SIGKILL), 0);
	assert_int_equal(hakt_process_wait_orphan(child), -1);
	hakt_daemon_wait_empty(&hakd);
	hakt_process_end(&client);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test_setup_teardown(test_exec_gives_all_back_though_a_child_holds_the_socket,
					start, stop),
	cmocka_unit_test_setup_teardown(test_without_inotify_an_exec_is_found_all_the_same,
					start_deaf, stop),
	cmocka_unit_test_setup_teardown(
		test_a_child_that_never_allocates_holds_nothing_of_its_dead_parent, start, stop),
	cmocka_unit_test_setup_teardown(test_the_socket_of_a_dead_parent_gets_nobody_memory, start,
					stop),
	cmocka_unit_test_setup_teardown(test_the_death_of_a_parent_takes_nothing_from_its_child,
					start, stop),
};

HAKT_MAIN(tests, NULL, NULL)
