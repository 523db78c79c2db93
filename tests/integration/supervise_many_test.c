/* SPDX-License-Identifier: MIT */
/* hakmemd --supervise with many clients: what is kept of each gets to the next daemon. */
#include "tests/support/run.h"

#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "client_lib/conn.h"
#include "tests/support/holding.h"
#include "tests/support/process.h"
#include "tests/support/supervised.h"

static struct hakt_daemon parent; /* pid: the supervisor's */

static int start(void **state)
{
	(void)state;
	hakt_daemon_start(&parent, HAKT_LIST("--supervise", "--limit", "512M", "--capacity", "1G",
					     "--log-level", "error"));
	return 0;
}

static int stop(void **state)
{
	(void)state;
	return hakt_daemon_stop_empty(&parent);
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
		hakt_supervised_kill(&parent, SIGKILL);
		hakt_daemon_wait_clients(&parent, N);
	}
	for (unsigned i = 0; i < N; i++) {
		hakt_holding_expect_intact(&clients[i]);
		hakt_holding_kill(&clients[i]);
		hakt_daemon_wait_clients(&parent, N - 1 - i);
	}
}

struct attached {
	struct hakc_conn conn;
	int lease_fd;
};

static void attach(struct attached *client)
{
	int fds[HAK_WIRE_FDS_MAX];
	unsigned n = HAK_WIRE_FDS_MAX;
	Hak__Reply *reply;

	assert_int_equal(hakc_conn_init(&client->conn, parent.socket, 60000), 0);
	assert_int_equal(
		hakc_conn_hello(&client->conn, HAK__PEER_KIND__PEER_CLIENT, NULL, &reply, fds, &n),
		0);
	assert_int_equal(n, HAK_WIRE_FDS_MAX);
	hak__reply__free_unpacked(reply, NULL);
	close(fds[0]);
	close(fds[1]);
	client->lease_fd = fds[2];
}

/* A daemon doesn't wait for its keeper when clients come: what it hasn't sent dies with it. */
static void wait_for_fds(unsigned n)
{
	for (unsigned i = 0; i < 12000 && hakt_process_count_fds(parent.pid) < n; i++)
		hakt_supervised_pause();
	assert_int_equal(hakt_process_count_fds(parent.pid), n);
}

static void test_two_thousand_clients_outlive_a_daemon_by_what_is_kept_of_them(void **state)
{
	enum { N = 2000 };
	static struct attached clients[N];
	unsigned n_fds;
	struct rlimit files;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &files), 0);
	files.rlim_cur = files.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &files), 0);
	if (files.rlim_cur < 3 * N + 100)
		skip();
	hakt_supervised_by(&parent); /* it serves, so the pool is kept */
	n_fds = hakt_process_count_fds(parent.pid);
	for (unsigned i = 0; i < N; i++)
		attach(&clients[i]);
	wait_for_fds(n_fds + 2 * N); /* pidfd and lease */
	for (unsigned i = 0; i < 2; i++) {
		hakt_supervised_kill(&parent, SIGKILL);
		hakt_daemon_wait_clients(&parent, N);
	}
	for (unsigned i = 0; i < N; i++) {
		hakc_conn_deinit(&clients[i].conn);
		if (i % 2 == 0) /* as an exec would: only the lease that was kept tells */
			close(clients[i].lease_fd);
	}
	hakt_daemon_wait_clients(&parent, N / 2);
	for (unsigned i = 1; i < N; i += 2)
		close(clients[i].lease_fd);
	(void)state;
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test_setup_teardown(
		test_many_clients_outlive_a_daemon_and_are_missed_when_they_die, start, stop),
	cmocka_unit_test_setup_teardown(
		test_two_thousand_clients_outlive_a_daemon_by_what_is_kept_of_them, start, stop),
};

HAKT_MAIN(tests, NULL, NULL)
