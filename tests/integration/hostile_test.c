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
#define GIVEN	 400u
#define ASKING	 12u
#define GRANTED	 100u

static struct hakt_daemon hakd;

static int start(void **state)
{
	(void)state;
	hakt_daemon_start(
		&hakd, HAKT_LIST("--limit", "256M", "--capacity", "512M", "--log-level", "error"));
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

/* KiB of a process's own memory, without the pool's. */
static unsigned long anonymous_kib(pid_t pid)
{
	char path[64], line[128];
	unsigned long kib = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	file = fopen(path, "re");
	assert_non_null(file);
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "RssAnon: %lu", &kib) == 1)
			break;
	fclose(file);
	assert_true(kib > 0);
	return kib;
}

static uint32_t refill(struct hakc_conn *conn)
{
	Hak__Request request = HAK__REQUEST__INIT;
	Hak__Refill refill = HAK__REFILL__INIT;
	Hak__Reply *reply;
	uint32_t superslab;

	refill.count = 1;
	request.body_case = HAK__REQUEST__BODY_REFILL;
	request.refill = &refill;
	assert_int_equal(hakc_conn_call(conn, &request, &reply, NULL, NULL, NULL, NULL), 0);
	assert_int_equal(reply->error, 0);
	superslab = reply->grant->superslabs[0];
	hak__reply__free_unpacked(reply, NULL);
	return superslab;
}

static void give_back(struct hakc_conn *conn, uint32_t superslab)
{
	Hak__Request request = HAK__REQUEST__INIT;
	Hak__Giveback giveback = HAK__GIVEBACK__INIT;
	Hak__Reply *reply;

	giveback.superslabs = &superslab;
	giveback.n_superslabs = 1;
	request.body_case = HAK__REQUEST__BODY_GIVEBACK;
	request.giveback = &giveback;
	assert_int_equal(hakc_conn_call(conn, &request, &reply, NULL, NULL, NULL, NULL), 0);
	assert_int_equal(reply->error, 0);
	hak__reply__free_unpacked(reply, NULL);
}

static int start_large(void **state)
{
	(void)state;
	hakt_daemon_start(&hakd, HAKT_LIST("--limit", "512M", "--capacity", "512M",
					   "--superslab-lg", "20", "--log-level", "error"));
	return 0;
}

/* Each of them waits for a grace that never ends. */
static void test_a_client_that_is_always_in_a_crossing_costs_the_daemon_no_memory(void **state)
{
	struct hak_geometry g;
	struct hakc_conn conn;
	int fds[HAK_WIRE_FDS_MAX];
	uint32_t superslabs[GIVEN];
	struct hak_client_area *areas;
	unsigned long before;

	(void)state;
	attach(fds, &conn);
	assert_int_equal(hak_geometry_init(&g, UINT64_C(512) << 20, 20), 0);
	areas = mmap(NULL, HAK_HOLDER_COUNT * HAK_CLIENT_AREA_BYTES, PROT_READ | PROT_WRITE,
		     MAP_SHARED, fds[1], (off_t)g.areas_at);
	assert_true(areas != MAP_FAILED);
	for (unsigned i = 0; i < GIVEN; i++)
		superslabs[i] = refill(&conn);
	hak_store_relaxed(&areas[HAK_HOLDER_FIRST].n_crossings, HAK_CROSSINGS);
	for (unsigned i = 0; i < HAK_CROSSINGS; i++)
		hak_store_relaxed(&areas[HAK_HOLDER_FIRST].crossings[i], 1);
	before = anonymous_kib(hakd.pid);
	for (unsigned i = 0; i < GIVEN; i++)
		give_back(&conn, superslabs[i]);
	assert_int_equal(hakt_daemon_status(&hakd).waiting_superslabs, GIVEN);
	assert_in_range(anonymous_kib(hakd.pid), 0, before + 16384);
	for (unsigned i = 0; i < HAK_CROSSINGS; i++)
		hak_store_relaxed(&areas[HAK_HOLDER_FIRST].crossings[i], 2);
	hakt_daemon_wait_waiting(&hakd, 0);
	hakc_conn_deinit(&conn);
	for (unsigned i = 0; i < HAK_WIRE_FDS_MAX; i++)
		close(fds[i]);
	munmap(areas, HAK_HOLDER_COUNT * HAK_CLIENT_AREA_BYTES);
	hakt_daemon_wait_empty(&hakd);
}

static char stall[128];

static void enter_stalled(void *context)
{
	(void)context;
	setenv("HAKT_STALL", stall, 1);
	setenv("LD_PRELOAD", HAKT_HAKT_STALL, 1);
	setenv("ASAN_OPTIONS", "verify_asan_link_order=0", 1);
}

static int start_stalled(void **state)
{
	(void)state;
	hakt_daemon_prepare(&hakd);
	snprintf(stall, sizeof(stall), "%s/stall", hakd.directory);
	hakt_daemon_fork(&hakd, HAKT_LIST("--limit", "256M", "--log-level", "error"), enter_stalled,
			 NULL);
	hakt_daemon_wait_listening(&hakd);
	return 0;
}

static void ask_for_audit(struct hakc_conn *conn)
{
	Hak__Request request = HAK__REQUEST__INIT;
	Hak__CheckQuery check = HAK__CHECK_QUERY__INIT;
	Hak__Reply *reply;

	assert_int_equal(hakc_conn_init(conn, hakd.socket, 20000), 0);
	assert_int_equal(hakc_conn_hello(conn, HAK__PEER_KIND__PEER_TOOL, NULL, &reply, NULL, NULL),
			 0);
	hak__reply__free_unpacked(reply, NULL);
	request.body_case = HAK__REQUEST__BODY_CHECK;
	request.check = &check;
	assert_int_equal(hakc_conn_send(conn, &request), 0);
}

static void test_who_asks_much_keeps_nobody_waiting_for_memory(void **state)
{
	struct hakc_conn conn, asking[ASKING];
	uint32_t superslabs[GRANTED];
	int fds[HAK_WIRE_FDS_MAX];

	(void)state;
	attach(fds, &conn);
	close(open(stall, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	for (unsigned i = 0; i < ASKING; i++)
		ask_for_audit(&asking[i]);
	/* More than lie ready: workers back some, and reset them. */
	for (unsigned i = 0; i < GRANTED; i++)
		superslabs[i] = refill(&conn);
	for (unsigned i = 0; i < GRANTED; i++)
		give_back(&conn, superslabs[i]);
	assert_int_equal(unlink(stall), 0);
	for (unsigned i = 0; i < ASKING; i++) {
		Hak__Reply *reply;

		assert_int_equal(hakc_conn_receive(&asking[i], 20000, &reply), 0);
		assert_int_equal(reply->body_case, HAK__REPLY__BODY_CHECK);
		hak__reply__free_unpacked(reply, NULL);
		hakc_conn_deinit(&asking[i]);
	}
	hakc_conn_deinit(&conn);
	for (unsigned i = 0; i < HAK_WIRE_FDS_MAX; i++)
		close(fds[i]);
	hakt_daemon_wait_empty(&hakd);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test_setup_teardown(
		test_others_are_served_while_leases_files_are_closed_all_the_time, start, stop),
	cmocka_unit_test_setup_teardown(
		test_a_client_that_is_always_in_a_crossing_costs_the_daemon_no_memory, start_large,
		stop),
	cmocka_unit_test_setup_teardown(test_who_asks_much_keeps_nobody_waiting_for_memory,
					start_stalled, stop),
};

HAKT_MAIN(tests, NULL, NULL)
