/* SPDX-License-Identifier: MIT */
/*
 * Clients that do what a client may, as much of it as they can, so that nobody else is served.
 * tests/stress/hostile does the rest.
 */
#include "tests/support/run.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "client_lib/conn.h"
#include "client_lib/include/hakmem.h"
#include "proto/shm/segment.h"
#include "tests/support/daemon.h"
#include "tests/support/process.h"

#define FLOODERS 3u
#define ANSWERS	 20u

static struct hakt_daemon hakd;

static int start(void **state)
{
	(void)state;
	hakt_daemon_start(&hakd, HAKT_LIST("--limit", "256M", "--capacity", "512M", "--log-level",
					   "error"));
	return 0;
}

static int stop(void **state)
{
	(void)state;
	hakmem_detach();
	return hakt_daemon_stop_empty(&hakd);
}

/* A client without the library; its connection stays open until its process ends. */
static void attach(int fds[HAK_WIRE_FDS_MAX], struct hakc_conn *conn)
{
	Hak__Reply *reply;
	unsigned n = HAK_WIRE_FDS_MAX;

	HAKT_EXPECT(hakc_conn_init(conn, hakd.socket, 20000) == 0);
	HAKT_EXPECT(hakc_conn_hello(conn, HAK__PEER_KIND__PEER_CLIENT, NULL, &reply, fds, &n) == 0);
	HAKT_EXPECT(n == HAK_WIRE_FDS_MAX);
	hak__reply__free_unpacked(reply, NULL);
}

/* Two leases whose files are closed by turns: no two events are the same, so none is left out. */
static int close_leases(const void *context)
{
	char paths[2][32];

	(void)context;
	for (unsigned i = 0; i < 2; i++) {
		int fds[HAK_WIRE_FDS_MAX];
		struct hakc_conn conn;

		attach(fds, &conn);
		snprintf(paths[i], sizeof(paths[i]), "/proc/self/fd/%d", fds[2]);
	}
	hakt_child_say("at work");
	for (unsigned i = 0;; i++) {
		int fd = open(paths[i % 2], O_RDONLY | O_CLOEXEC);

		HAKT_EXPECT(fd >= 0);
		close(fd);
	}
}

static void test_others_are_served_while_leases_files_are_closed_all_the_time(void **state)
{
	struct hakt_process flooders[FLOODERS] = {0};

	(void)state;
	for (unsigned i = 0; i < FLOODERS; i++)
		hakt_process_fork(&flooders[i], close_leases, NULL);
	for (unsigned i = 0; i < FLOODERS; i++)
		hakt_process_wait_output(&flooders[i], 1, "at work");
	for (unsigned i = 0; i < ANSWERS; i++)
		assert_int_equal(hakt_daemon_status(&hakd).clients, 2 * FLOODERS);
	for (unsigned i = 0; i < FLOODERS; i++) {
		hakt_process_kill(&flooders[i]);
		hakt_process_end(&flooders[i]);
	}
	hakt_daemon_wait_empty(&hakd);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test_setup_teardown(
		test_others_are_served_while_leases_files_are_closed_all_the_time, start, stop),
};

HAKT_MAIN(tests, NULL, NULL)
