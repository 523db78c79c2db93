/* SPDX-License-Identifier: MIT */
/*
 * Who may be taken for dead, and who may not: a client that hung up, that
 * called exec, whose child has what it inherited, that starts programs, that is
 * stopped, that comes back. To see that nothing happens to a client the tests
 * wait until the daemon has looked at leases, not for a time.
 */
#include "tests/support/run.h"

#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client_lib/include/hakmem.h"
#include "proto/wire/wire.h"
#include "tests/support/ctl.h"
#include "tests/support/daemon.h"
#include "tests/support/process.h"

#define BLOCK_BYTES ((size_t)5000000)

static struct hakt_daemon hakd;

static int start(void **state)
{
	static const char *const options[] = {"--limit",     "256M",  "--keep", "1",
					      "--log-level", "error", NULL};

	(void)state;
	hakt_daemon_start(&hakd, options);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	hakt_daemon_wait_empty(&hakd);
	hakt_daemon_stop(&hakd);
	return 0;
}

static char *make_block(char c)
{
	char *block = hakmem_malloc(BLOCK_BYTES);

	HAKT_EXPECT(block);
	memset(block, c, BLOCK_BYTES);
	return block;
}

static void expect_block(const char *block, char c)
{
	for (size_t i = 0; i < BLOCK_BYTES; i++)
		HAKT_EXPECT(block[i] == c);
}

static void hang_up(void)
{
	HAKT_EXPECT(close_range(3, ~0u, 0) == 0);
}

/* The state of the client with that pid; "": there is none. */
static void read_state(pid_t pid, char *text, size_t bytes)
{
	json_t *json = hakt_ctl(hakd.socket, "clients");
	json_t *client;
	size_t i;

	*text = 0;
	json_array_foreach(json_object_get(json, "clients"), i,
			   client) if (json_integer_value(json_object_get(client, "pid")) == pid)
		snprintf(text, bytes, "%s", json_string_value(json_object_get(client, "state")));
	json_decref(json);
}

static void wait_disconnected(pid_t pid)
{
	char client_state[32] = "";

	while (strcmp(client_state, "disconnected") != 0) {
		read_state(pid, client_state, sizeof(client_state));
		assert_string_not_equal(client_state, "");
	}
}

/* Until the daemon has looked at a client in doubt, at each of that many, a few times. */
static void wait_looks(unsigned n_in_doubt)
{
	unsigned long long from = hakt_daemon_counter(&hakd, "leases_looked_at");

	for (unsigned i = 0; i < 6000; i++) {
		if (hakt_daemon_counter(&hakd, "leases_looked_at") >= from + 3ull * n_in_doubt)
			return;
		usleep(10000);
	}
	fail_msg("no lease is looked at");
}

static void kill_and_wait(struct hakt_process *client)
{
	assert_int_equal(kill(client->pid, SIGKILL), 0);
	hakt_process_wait(client);
}

/* Neither has ended nor is a zombie. */
static void check_is_running(const struct hakt_process *client)
{
	siginfo_t ended = {0};

	assert_int_equal(waitid(P_PID, (id_t)client->pid, &ended, WEXITED | WNOHANG | WNOWAIT), 0);
	assert_int_equal(ended.si_pid, 0);
}

static int use_memory_without_descriptors(const void *context)
{
	char *block = make_block('m');

	(void)context;
	hang_up();
	hakt_child_say("hung up");
	hakt_child_wait();
	expect_block(block, 'm');
	memset(block, 'n', BLOCK_BYTES);
	HAKT_EXPECT(!hakmem_malloc(100 * BLOCK_BYTES / 4) && errno == ENOTCONN);
	hakt_child_say("refused");
	hakt_child_wait();
	expect_block(block, 'n');
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
	wait_disconnected(client.pid);
	granted = hakt_daemon_status(&hakd).granted_superslabs;
	assert_true(granted >= 3);
	hakt_process_tell(&client);
	hakt_process_wait_output(&client, 1, "refused");
	wait_looks(1);
	hakt_process_tell(&client);
	hakt_process_wait_output(&client, 1, "still there");
	assert_int_equal(hakt_daemon_status(&hakd).granted_superslabs, granted);
	assert_int_equal(hakt_daemon_status(&hakd).clients, 1);
	kill_and_wait(&client);
	hakt_daemon_wait_empty(&hakd);
	assert_int_equal(hakt_daemon_counter(&hakd, "deaths"), 1);
	hakt_process_end(&client);
}

static int hang_up_and_come_back(const void *context)
{
	char *block = make_block('m');

	(void)context;
	hang_up();
	expect_block(block, 'm');
	HAKT_EXPECT(hakmem_detach() == 0);
	hakt_child_say("detached");
	hakt_child_wait();
	expect_block(make_block('n'), 'n');
	hakt_child_say("is back");
	hakt_child_wait();
	return 0;
}

static void test_a_client_that_hung_up_gives_all_back_and_may_come_back(void **state)
{
	struct hakt_process client = {0};
	char client_state[32];

	(void)state;
	hakt_process_fork(&client, hang_up_and_come_back, NULL);
	hakt_process_wait_output(&client, 1, "detached");
	hakt_daemon_wait_empty(&hakd);
	check_is_running(&client);
	hakt_process_tell(&client);
	hakt_process_wait_output(&client, 1, "is back");
	read_state(client.pid, client_state, sizeof(client_state));
	assert_string_equal(client_state, "attached");
	assert_int_equal(hakt_daemon_status(&hakd).clients, 1);
	hakt_process_tell(&client);
	hakt_process_wait_done(&client);
	hakt_process_end(&client);
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
	fork_an_heir(make_block('m'));
	hakt_child_wait();
	execl("/bin/sh", "sh", "-c", "echo another; exec sleep 1000", NULL);
	(void)context;
	return 1;
}

static void test_exec_gives_all_back_though_a_child_holds_the_socket(void **state)
{
	struct hakt_process client = {0};
	pid_t heir;

	(void)state;
	hakt_process_fork(&client, become_another_program, NULL);
	heir = wait_heir(&client);
	assert_int_equal(hakt_daemon_status(&hakd).clients, 1);
	/* Whichever of both takes the word: the heir waits for one more. */
	hakt_process_tell(&client);
	hakt_process_tell(&client);
	hakt_process_wait_output(&client, 1, "another");
	hakt_process_wait_output(&client, 1, "the heir lives");
	hakt_daemon_wait_empty(&hakd);
	check_is_running(&client);
	assert_int_equal(hakt_daemon_counter(&hakd, "leases_over"), 1);
	assert_int_equal(hakt_daemon_counter(&hakd, "disconnects"), 0);
	hakt_process_end(&client);
	assert_int_equal(hakt_process_wait_orphan(heir), -1); /* killed with it */
}

static int leave_an_heir(const void *context)
{
	const char *block = make_block('m');
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
	kill_and_wait(&client);
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
	make_block('m');

	pid_t pid = fork();

	HAKT_EXPECT(pid >= 0);
	if (pid == 0) {
		hakt_child_say("heir %d.", (int)getpid());
		hakt_child_wait();
		ask_for_memory(find_socket());
		expect_block(make_block('n'), 'n'); /* by a connection of its own */
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
	kill_and_wait(&client);
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
	char *block = make_block('m');
	pid_t pid = fork();

	(void)context;
	HAKT_EXPECT(pid >= 0);
	if (pid == 0) {
		char *own = make_block('c');

		hang_up();
		hakt_child_say("heir %d.", (int)getpid());
		hakt_child_wait();
		expect_block(own, 'c');
		hakt_child_say("the child has its memory");
		pause();
	}
	expect_block(make_block('p'), 'p'); /* goes on meanwhile */
	expect_block(block, 'm');
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
	wait_disconnected(child);
	assert_int_equal(hakt_daemon_status(&hakd).clients, 2);
	granted = hakt_daemon_status(&hakd).granted_superslabs;
	kill_and_wait(&client);
	while (hakt_daemon_status(&hakd).clients == 2)
		;
	wait_looks(1);
	assert_int_equal(hakt_daemon_status(&hakd).clients, 1);
	assert_in_range(hakt_daemon_status(&hakd).granted_superslabs, 3, granted - 6);
	hakt_process_tell(&client);
	wait_said(&client, "the child has its memory", child);
	assert_int_equal(kill(child, SIGKILL), 0);
	assert_int_equal(hakt_process_wait_orphan(child), -1);
	hakt_daemon_wait_empty(&hakd);
	hakt_process_end(&client);
}

/* A shell without a descriptor or a mapping of hakmem's: exit code 0. */
static char script[] = "for fd in /proc/$$/fd/*; do case $(readlink $fd) in "
		       "*hakmem*|socket:*) exit 1;; esac; done; ! grep -q hakmem /proc/$$/maps";
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
	char *block = make_block('m');

	(*run)();
	expect_block(block, 'm');
	expect_block(make_block('n'), 'n'); /* and is granted more */
	hang_up();
	hakt_child_say("hung up");
	hakt_child_wait();
	expect_block(block, 'm');
	return 0;
}

static void check_programs_started(void (*run)(void))
{
	struct hakt_process client = {0};

	hakt_process_fork(&client, run_programs, &run);
	hakt_process_wait_output(&client, 1, "hung up");
	wait_disconnected(client.pid);
	wait_looks(1); /* the lease is what it was */
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
	char *block = make_block('m');

	if (hangs_up)
		hang_up();
	hakt_child_say("ready");
	hakt_child_wait();
	expect_block(block, 'm');
	if (!hangs_up)
		expect_block(make_block('n'), 'n');
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
	expect_block(make_block('o'), 'o');
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
	wait_disconnected(clients[1].pid);
	granted = hakt_daemon_status(&hakd).granted_superslabs;
	for (unsigned i = 0; i < 2; i++) {
		stop_client(&clients[i]);
		hakt_process_tell(&clients[i]);
	}
	hakt_process_run_child(allocate_and_end, NULL); /* others are served meanwhile */
	wait_looks(1);
	while (hakt_daemon_status(&hakd).clients > 2)
		;
	assert_int_equal(hakt_daemon_status(&hakd).clients, 2);
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
	cmocka_unit_test_setup_teardown(test_exec_gives_all_back_though_a_child_holds_the_socket,
					start, stop),
	cmocka_unit_test_setup_teardown(
		test_a_child_that_never_allocates_holds_nothing_of_its_dead_parent, start, stop),
	cmocka_unit_test_setup_teardown(test_the_socket_of_a_dead_parent_gets_nobody_memory, start,
					stop),
	cmocka_unit_test_setup_teardown(test_the_death_of_a_parent_takes_nothing_from_its_child,
					start, stop),
	cmocka_unit_test_setup_teardown(test_a_program_started_by_posix_spawn_leaves_the_heap_alone,
					start, stop),
	cmocka_unit_test_setup_teardown(test_a_program_started_by_vfork_leaves_the_heap_alone,
					start, stop),
	cmocka_unit_test_setup_teardown(test_a_stopped_client_is_alive, start, stop),
};

HAKT_MAIN(tests, NULL, NULL)
