/* SPDX-License-Identifier: MIT */
/* Peers that are silent, many, or ask all the time. */
#include "tests/support/run.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "client_lib/conn.h"
#include "client_lib/include/hakmem.h"
#include "tests/support/daemon.h"
#include "tests/support/process.h"

static struct hakt_daemon hakd;

static int start_at(const char *requests_per_second)
{
	hakt_daemon_start(&hakd,
			  HAKT_LIST("--hello-timeout", "1", "--requests-per-second",
				    requests_per_second, "--limit", "64M", "--log-level", "error"));
	return 0;
}

static int start(void **state)
{
	(void)state;
	return start_at("100");
}

/* So few that no machine is too slow to ask more often. */
static int start_at_five(void **state)
{
	(void)state;
	return start_at("5");
}

static int stop(void **state)
{
	(void)state;
	hakmem_detach();
	return hakt_daemon_stop_empty(&hakd);
}

static int connect_only(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	strcpy(address.sun_path, hakd.socket);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

/* Waits, 30 s at most. */
static void expect_cut_off(int fd)
{
	struct pollfd end = {.fd = fd, .events = POLLIN};
	char byte;

	assert_int_equal(poll(&end, 1, 30000), 1);
	assert_int_equal(recv(fd, &byte, 1, 0), 0);
	close(fd);
}

static void test_who_says_nothing_is_cut_off(void **state)
{
	int silent = connect_only();
	void *p;

	(void)state;
	p = hakmem_malloc(100); /* the others are served meanwhile, and stay */
	assert_non_null(p);
	expect_cut_off(silent);
	assert_int_equal(hakt_daemon_counter(&hakd, "strangers_cut_off"), 1);
	hakmem_free(p);
	assert_int_equal(hakmem_trim(), 0);
	assert_int_equal(hakt_daemon_counter(&hakd, "disconnects"), 0);
}

static void test_strangers_keep_nobody_out(void **state)
{
	enum { N = 600 };
	static int fds[N];
	struct rlimit files = {4096, 4096};
	void *p;

	(void)state;
	setrlimit(RLIMIT_NOFILE, &files);
	for (unsigned i = 0; i < N; i++)
		fds[i] = connect_only();
	p = hakmem_malloc(100);
	assert_non_null(p);
	hakmem_free(p);
	expect_cut_off(fds[0]); /* too many: the first ones go at once, the others in time */
	expect_cut_off(fds[N - 1]);
	for (unsigned i = 1; i < N - 1; i++)
		expect_cut_off(fds[i]);
	assert_int_equal(hakt_daemon_counter(&hakd, "strangers_cut_off"), N);
}

static void ask_status(struct hakc_conn *conn)
{
	Hak__Request request = HAK__REQUEST__INIT;
	Hak__StatusQuery query = HAK__STATUS_QUERY__INIT;

	request.body_case = HAK__REQUEST__BODY_STATUS;
	request.status = &query;
	assert_int_equal(hakc_conn_send(conn, &request), 0);
}

static void expect_status(struct hakc_conn *conn)
{
	Hak__Reply *reply;

	assert_int_equal(hakc_conn_receive(conn, 30000, &reply), 0);
	assert_int_equal(reply->error, 0);
	hak__reply__free_unpacked(reply, NULL);
}

/* It has its answers all the same, more slowly. */
static void test_who_asks_too_often_waits(void **state)
{
	enum { N = 10 };
	struct hakc_conn conn;
	Hak__Reply *reply;
	void *p;

	(void)state;
	assert_int_equal(hakc_conn_init(&conn, hakd.socket, 30000), 0);
	assert_int_equal(
		hakc_conn_hello(&conn, HAK__PEER_KIND__PEER_TOOL, NULL, &reply, NULL, NULL), 0);
	hak__reply__free_unpacked(reply, NULL);
	for (unsigned i = 0; i < N; i++)
		ask_status(&conn);
	for (unsigned i = 0; i < N; i++)
		expect_status(&conn);
	assert_true(hakt_daemon_counter(&hakd, "pauses") > 0);
	p = hakmem_malloc(100);
	assert_non_null(p);
	hakmem_free(p);
	ask_status(&conn); /* not for ever */
	expect_status(&conn);
	hakc_conn_deinit(&conn);
}

/* With requests of its under way and behind. */
static void test_who_is_paused_may_go(void **state)
{
	(void)state;
	for (unsigned k = 0; k < 5; k++) {
		struct hakc_conn conn;
		Hak__Reply *reply;

		assert_int_equal(hakc_conn_init(&conn, hakd.socket, 30000), 0);
		assert_int_equal(
			hakc_conn_hello(&conn, HAK__PEER_KIND__PEER_TOOL, NULL, &reply, NULL, NULL),
			0);
		hak__reply__free_unpacked(reply, NULL);
		for (unsigned i = 0; i < 50; i++)
			ask_status(&conn);
		hakc_conn_deinit(&conn);
	}
	assert_int_equal(hakt_daemon_status(&hakd).clients, 0);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test_setup_teardown(test_who_says_nothing_is_cut_off, start, stop),
	cmocka_unit_test_setup_teardown(test_strangers_keep_nobody_out, start, stop),
	cmocka_unit_test_setup_teardown(test_who_asks_too_often_waits, start_at_five, stop),
	cmocka_unit_test_setup_teardown(test_who_is_paused_may_go, start, stop),
};

HAKT_MAIN(tests, NULL, NULL)
