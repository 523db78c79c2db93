/* SPDX-License-Identifier: MIT */
/*
 * What a peer can do to the daemon, and what it can't: packets that are none,
 * requests out of turn, what it can do with the descriptors that it is given.
 */
#include "tests/support/run.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client_lib/conn.h"
#include "proto/error.h"
#include "proto/shm/registry.h"
#include "tests/support/daemon.h"
#include "tests/support/process.h"

static struct hakt_daemon hakd;

static int start(void **state)
{
	(void)state;
	hakt_daemon_start(&hakd, HAKT_LIST("--limit", "512M", "--log-level", "error"));
	return 0;
}

static int stop(void **state)
{
	(void)state;
	return hakt_daemon_stop_empty(&hakd);
}

static void connect_peer(struct hakc_conn *conn)
{
	assert_int_equal(hakc_conn_init(conn, hakd.socket, 20000), 0);
}

/* Says hello; a client's descriptors go to fds. */
static void connect_greeted(struct hakc_conn *conn, Hak__PeerKind kind, int fds[HAK_WIRE_FDS_MAX])
{
	Hak__Reply *reply;
	unsigned n = HAK_WIRE_FDS_MAX;

	connect_peer(conn);
	assert_int_equal(hakc_conn_hello(conn, kind, NULL, &reply, fds, &n), 0);
	assert_int_equal(n, kind == HAK__PEER_KIND__PEER_CLIENT ? HAK_WIRE_FDS_MAX : 0);
	hak__reply__free_unpacked(reply, NULL);
}

/* The daemon has hung up, and goes on serving others. */
static void check_cut_off(struct hakc_conn *conn)
{
	char byte;
	ssize_t n = recv(conn->fd, &byte, 1, 0);

	assert_true(n == 0 || (n < 0 && errno == ECONNRESET));
	hakc_conn_deinit(conn);
	assert_int_equal(hakt_daemon_status(&hakd).anomalies, 0);
}

static void check_packet_is_cut_off(const void *packet, size_t bytes)
{
	struct hakc_conn conn;

	connect_peer(&conn);
	assert_int_equal(send(conn.fd, packet, bytes, MSG_NOSIGNAL), bytes);
	check_cut_off(&conn);
}

static void test_garbage_is_cut_off(void **state)
{
	unsigned char packet[1500];
	uint32_t random = 12345;

	(void)state;
	for (unsigned i = 1; i <= 100; i++) {
		for (size_t j = 0; j < sizeof(packet); j++) {
			random = random * 1664525u + 1013904223u;
			packet[j] = (unsigned char)(random >> 24);
		}
		check_packet_is_cut_off(packet, i < 50 ? i : i * 15);
	}
	memset(packet, 0, sizeof(packet));
	check_packet_is_cut_off(packet, sizeof(packet));
	check_packet_is_cut_off(packet, 0);
}

static void test_a_packet_that_is_too_large_is_cut_off(void **state)
{
	static unsigned char packet[HAK_WIRE_PACKET_MAX + 1];
	Hak__Request request = HAK__REQUEST__INIT;
	Hak__Hello hello = HAK__HELLO__INIT;
	static char name[HAK_WIRE_PACKET_MAX];

	(void)state;
	/* But for its size it would be a hello. */
	memset(name, 'n', sizeof(name) - 22);
	hello.protocol_version = HAK_PROTOCOL_VERSION;
	hello.kind = HAK__PEER_KIND__PEER_TOOL;
	hello.name = name;
	request.id = 1;
	request.body_case = HAK__REQUEST__BODY_HELLO;
	request.hello = &hello;
	while (hak__request__get_packed_size(&request) < sizeof(packet))
		name[strlen(name)] = 'n';
	assert_int_equal(hak__request__pack(&request, packet), sizeof(packet));
	check_packet_is_cut_off(packet, sizeof(packet));
}

/* One of each kind but hello; they share their bodies. */
static void make_request(Hak__Request *request, Hak__Request__BodyCase body)
{
	static Hak__Refill refill = HAK__REFILL__INIT;
	static Hak__Giveback giveback = HAK__GIVEBACK__INIT;
	static Hak__Bye bye = HAK__BYE__INIT;
	static Hak__StatusQuery status = HAK__STATUS_QUERY__INIT;
	static Hak__StatsQuery stats = HAK__STATS_QUERY__INIT;
	static Hak__ClientsQuery clients = HAK__CLIENTS_QUERY__INIT;
	static Hak__CheckQuery check = HAK__CHECK_QUERY__INIT;
	static Hak__Publish publish = HAK__PUBLISH__INIT;
	static Hak__Withdraw withdraw = HAK__WITHDRAW__INIT;
	static Hak__RootsQuery roots = HAK__ROOTS_QUERY__INIT;
	static uint32_t superslab;

	refill.count = 1;
	giveback.n_superslabs = 1;
	giveback.superslabs = &superslab;
	hak__request__init(request);
	request->body_case = body;
	switch (body) {
	case HAK__REQUEST__BODY_REFILL:
		request->refill = &refill;
		break;
	case HAK__REQUEST__BODY_GIVEBACK:
		request->giveback = &giveback;
		break;
	case HAK__REQUEST__BODY_BYE:
		request->bye = &bye;
		break;
	case HAK__REQUEST__BODY_STATUS:
		request->status = &status;
		break;
	case HAK__REQUEST__BODY_STATS:
		request->stats = &stats;
		break;
	case HAK__REQUEST__BODY_CHECK:
		request->check = &check;
		break;
	case HAK__REQUEST__BODY_PUBLISH:
		request->publish = &publish;
		break;
	case HAK__REQUEST__BODY_WITHDRAW:
		request->withdraw = &withdraw;
		break;
	case HAK__REQUEST__BODY_ROOTS:
		request->roots = &roots;
		break;
	default:
		request->clients = &clients;
	}
}

/* The peer is cut off instead of being answered. */
static void check_request_is_cut_off(struct hakc_conn *conn, Hak__Request *request)
{
	Hak__Reply *reply;

	assert_int_equal(hakc_conn_call(conn, request, &reply, NULL, NULL, NULL, NULL), -ENOTCONN);
	assert_int_equal(hakt_daemon_status(&hakd).anomalies, 0);
}

/* This process lives on, so only its goodbye gives back its slot. */
static void leave(struct hakc_conn *conn, const int fds[HAK_WIRE_FDS_MAX])
{
	Hak__Request request;
	Hak__Reply *reply;

	make_request(&request, HAK__REQUEST__BODY_BYE);
	assert_int_equal(hakc_conn_call(conn, &request, &reply, NULL, NULL, NULL, NULL), 0);
	assert_int_equal(reply->error, 0);
	hak__reply__free_unpacked(reply, NULL);
	hakc_conn_deinit(conn);
	for (unsigned i = 0; i < HAK_WIRE_FDS_MAX; i++)
		close(fds[i]);
}

static void test_a_request_before_the_hello_is_cut_off(void **state)
{
	(void)state;
	for (unsigned body = HAK__REQUEST__BODY_REFILL; body <= HAK__REQUEST__BODY_ROOTS; body++) {
		struct hakc_conn conn;
		Hak__Request request;

		connect_peer(&conn);
		make_request(&request, (Hak__Request__BodyCase)body);
		check_request_is_cut_off(&conn, &request);
	}
}

static void test_a_tool_may_not_ask_for_memory(void **state)
{
	static const Hak__Request__BodyCase of_clients[] = {
		HAK__REQUEST__BODY_REFILL, HAK__REQUEST__BODY_GIVEBACK, HAK__REQUEST__BODY_BYE};

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		struct hakc_conn conn;
		Hak__Request request;

		connect_greeted(&conn, HAK__PEER_KIND__PEER_TOOL, NULL);
		make_request(&request, of_clients[i]);
		check_request_is_cut_off(&conn, &request);
	}
}

static void test_a_tool_may_neither_publish_nor_withdraw(void **state)
{
	static const Hak__Request__BodyCase of_clients[] = {HAK__REQUEST__BODY_PUBLISH,
							    HAK__REQUEST__BODY_WITHDRAW};

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct hakc_conn conn;
		Hak__Request request;

		connect_greeted(&conn, HAK__PEER_KIND__PEER_TOOL, NULL);
		make_request(&request, of_clients[i]);
		check_request_is_cut_off(&conn, &request);
	}
}

/* Asks, and expects this error. */
static void check_refused(struct hakc_conn *conn, Hak__Request *request, unsigned error)
{
	Hak__Reply *reply;

	assert_int_equal(hakc_conn_call(conn, request, &reply, NULL, NULL, NULL, NULL), 0);
	assert_int_equal(reply->error, error);
	hak__reply__free_unpacked(reply, NULL);
}

static void test_a_publication_of_nonsense_is_refused(void **state)
{
	static uint64_t refs[900];
	char name[300];
	int fds[HAK_WIRE_FDS_MAX];
	struct hakc_conn conn;
	Hak__Request request;
	Hak__Reply *reply;

	(void)state;
	connect_greeted(&conn, HAK__PEER_KIND__PEER_CLIENT, fds);
	make_request(&request, HAK__REQUEST__BODY_PUBLISH);
	check_refused(&conn, &request, HAK_E_BAD_ARGUMENT); /* no name, no refs */
	request.publish->name = name;
	request.publish->refs = refs;
	request.publish->n_refs = 1;
	memset(name, 'n', sizeof(name));
	name[sizeof(name) - 1] = 0;
	check_refused(&conn, &request, HAK_E_BAD_ARGUMENT);
	name[1] = 0;
	for (unsigned i = 0; i < 900; i++) {
		refs[0] = hak_ref_make(UINT64_C(0x9e3779b97f4a7c15) * i >> i % 40, i, i * 7);
		check_refused(&conn, &request,
			      hak_ref_epoch(refs[0]) == 0 ||
					      hak_ref_offset(refs[0]) >= UINT64_C(64) << 30
				      ? HAK_E_BAD_ARGUMENT
				      : HAK_E_STALE);
	}
	request.publish->n_refs = 900; /* more than there is room for */
	check_refused(&conn, &request, HAK_E_ROOTS_FULL);
	request.publish->n_refs = 0;
	check_refused(&conn, &request, HAK_E_BAD_ARGUMENT);
	request.publish->name = (char *)(uintptr_t)protobuf_c_empty_string;
	make_request(&request, HAK__REQUEST__BODY_WITHDRAW);
	check_refused(&conn, &request, HAK_E_BAD_ARGUMENT);
	request.withdraw->name = name;
	check_refused(&conn, &request, HAK_E_NO_ROOT);
	make_request(&request, HAK__REQUEST__BODY_ROOTS);
	request.roots->from_entry = UINT32_MAX;
	assert_int_equal(hakc_conn_call(&conn, &request, &reply, NULL, NULL, NULL, NULL), 0);
	assert_int_equal(reply->body_case, HAK__REPLY__BODY_ROOTS);
	assert_int_equal(reply->roots->n_roots, 0);
	assert_int_equal(reply->roots->next_entry, 0);
	hak__reply__free_unpacked(reply, NULL);
	leave(&conn, fds);
}

static void test_a_second_hello_is_cut_off(void **state)
{
	struct hakc_conn conn;
	Hak__Reply *reply;

	(void)state;
	connect_greeted(&conn, HAK__PEER_KIND__PEER_TOOL, NULL);
	assert_int_equal(
		hakc_conn_hello(&conn, HAK__PEER_KIND__PEER_TOOL, NULL, &reply, NULL, NULL),
		-ENOTCONN);
	assert_int_equal(hakt_daemon_status(&hakd).clients, 0);
}

static void test_a_hello_of_another_layout_is_refused_with_both_versions(void **state)
{
	Hak__Request request = HAK__REQUEST__INIT;
	Hak__Hello hello = HAK__HELLO__INIT;
	struct hakc_conn conn;
	Hak__Reply *reply;
	char theirs[64];

	(void)state;
	hello.protocol_version = HAK_PROTOCOL_VERSION;
	hello.layout_version = 77;
	hello.layout_fingerprint = hak_layout_fingerprint();
	hello.kind = HAK__PEER_KIND__PEER_CLIENT;
	request.body_case = HAK__REQUEST__BODY_HELLO;
	request.hello = &hello;
	connect_peer(&conn);
	assert_int_equal(hakc_conn_call(&conn, &request, &reply, NULL, NULL, NULL, NULL), 0);
	assert_int_equal(reply->error, HAK_E_VERSION);
	snprintf(theirs, sizeof(theirs), "the daemon %u and %u", HAK_PROTOCOL_VERSION,
		 HAK_LAYOUT_VERSION);
	assert_non_null(strstr(reply->reason, "layout 77"));
	assert_non_null(strstr(reply->reason, theirs));
	hak__reply__free_unpacked(reply, NULL);
	hakc_conn_deinit(&conn);
	assert_int_equal(hakt_daemon_status(&hakd).clients, 0);
}

static void test_memory_of_nobody_is_not_taken_back(void **state)
{
	struct hakc_conn conn;
	Hak__Request request;
	Hak__Reply *reply;
	int fds[HAK_WIRE_FDS_MAX];

	(void)state;
	connect_greeted(&conn, HAK__PEER_KIND__PEER_CLIENT, fds);
	make_request(&request, HAK__REQUEST__BODY_GIVEBACK);
	request.giveback->superslabs[0] = UINT32_MAX;
	assert_int_equal(hakc_conn_call(&conn, &request, &reply, NULL, NULL, NULL, NULL), 0);
	assert_int_equal(reply->error, HAK_E_NOT_YOURS);
	hak__reply__free_unpacked(reply, NULL);
	leave(&conn, fds);
}

static void test_a_peer_that_reads_no_reply_holds_nobody_up(void **state)
{
	struct hakc_conn conn;
	unsigned char packet[64];
	Hak__Request request;
	ssize_t n;
	unsigned sent = 0;

	(void)state;
	connect_greeted(&conn, HAK__PEER_KIND__PEER_TOOL, NULL);
	make_request(&request, HAK__REQUEST__BODY_STATS);
	n = hak_wire_pack_request(&request, packet, sizeof(packet));
	while (send(conn.fd, packet, (size_t)n, MSG_NOSIGNAL) == n)
		assert_true(++sent < 10000);
	assert_true(errno == EPIPE || errno == ECONNRESET); /* cut off: its buffer was full */
	hakc_conn_deinit(&conn);
	assert_int_equal(hakt_daemon_status(&hakd).clients, 0);
}

/* By a name in /proc, as somebody who isn't its owner. */
static int open_for_writing(const void *context)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", *(const int *)context);
	HAKT_EXPECT(geteuid() != 0 || setresuid(65534, 65534, 65534) == 0);
	HAKT_EXPECT(prctl(PR_SET_DUMPABLE, 1) == 0); /* or /proc/self is root's */
	HAKT_EXPECT(open(path, O_RDONLY | O_CLOEXEC) >= 0);
	HAKT_EXPECT(open(path, O_RDWR | O_CLOEXEC) < 0 && errno == EACCES);
	return 0;
}

static void test_the_registry_is_read_only_for_clients(void **state)
{
	struct hakc_conn conn;
	void *memory;
	int fds[HAK_WIRE_FDS_MAX];

	(void)state;
	connect_greeted(&conn, HAK__PEER_KIND__PEER_CLIENT, fds);
	memory = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fds[0], 0);
	assert_true(memory != MAP_FAILED);
	assert_int_equal(mprotect(memory, 4096, PROT_READ | PROT_WRITE), -1);
	assert_int_equal(errno, EACCES);
	munmap(memory, 4096);
	memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fds[0], 0);
	assert_true(memory == MAP_FAILED && errno == EACCES);
	assert_int_equal(pwrite(fds[0], "", 1, 0), -1);
	assert_int_equal(errno, EBADF);
	hakt_process_run_child(open_for_writing, &fds[0]);
	leave(&conn, fds);
}

static void test_the_heap_keeps_its_size_and_its_seals(void **state)
{
	struct hakc_conn conn;
	struct stat st;
	int fds[HAK_WIRE_FDS_MAX];

	(void)state;
	connect_greeted(&conn, HAK__PEER_KIND__PEER_CLIENT, fds);
	assert_int_equal(fstat(fds[1], &st), 0);
	assert_int_equal(ftruncate(fds[1], 0), -1);
	assert_int_equal(errno, EPERM);
	assert_int_equal(ftruncate(fds[1], st.st_size + 4096), -1);
	assert_int_equal(errno, EPERM);
	assert_int_equal(fcntl(fds[1], F_ADD_SEALS, F_SEAL_WRITE), -1);
	assert_int_equal(errno, EPERM);
	leave(&conn, fds);
}

static void test_a_lease_is_of_no_other_use(void **state)
{
	struct hakc_conn conn;
	int fds[HAK_WIRE_FDS_MAX];
	char path[32];
	int fd;

	(void)state;
	connect_greeted(&conn, HAK__PEER_KIND__PEER_CLIENT, fds);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fds[2]);
	fd = open(path, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0); /* this test is of the daemon's user */
	assert_int_equal(ftruncate(fd, 4096), -1);
	assert_int_equal(errno, EPERM);
	assert_int_equal(pwrite(fd, "x", 1, 0), -1);
	assert_int_equal(errno, EPERM);
	close(fd);
	assert_int_equal(hakt_daemon_status(&hakd).clients, 1);
	leave(&conn, fds);
}

static void test_who_drops_the_lease_is_collected_though_connected(void **state)
{
	struct hakc_conn conn;
	Hak__Request request;
	int fds[HAK_WIRE_FDS_MAX];
	Hak__Reply *reply;

	(void)state;
	connect_greeted(&conn, HAK__PEER_KIND__PEER_CLIENT, fds);
	make_request(&request, HAK__REQUEST__BODY_REFILL);
	assert_int_equal(hakc_conn_call(&conn, &request, &reply, NULL, NULL, NULL, NULL), 0);
	assert_int_equal(reply->error, 0);
	hak__reply__free_unpacked(reply, NULL);
	for (unsigned i = 0; i < HAK_WIRE_FDS_MAX; i++)
		close(fds[i]);
	hakt_daemon_wait_empty(&hakd);
	check_request_is_cut_off(&conn, &request); /* is no client any more */
}

/* Is the connection kept by the daemon? It says so by answering a hello. */
static bool is_served(struct hakc_conn *conn)
{
	Hak__Reply *reply;

	if (hakc_conn_hello(conn, HAK__PEER_KIND__PEER_TOOL, NULL, &reply, NULL, NULL) != 0)
		return false;
	hak__reply__free_unpacked(reply, NULL);
	return true;
}

static void test_a_daemon_out_of_descriptors_refuses_and_goes_on(void **state)
{
	enum { LIMIT = 64 };
	struct hakc_conn conns[LIMIT];
	struct rlimit before, few;
	unsigned n = 0;

	(void)state;
	assert_int_equal(prlimit(hakd.pid, RLIMIT_NOFILE, NULL, &before), 0);
	few = (struct rlimit){.rlim_cur = LIMIT, .rlim_max = before.rlim_max};
	assert_int_equal(prlimit(hakd.pid, RLIMIT_NOFILE, &few, NULL), 0);
	do { /* the one too many is hung up on, not left waiting */
		assert_true(n < LIMIT);
		connect_peer(&conns[n]);
	} while (is_served(&conns[n++]));
	assert_true(n > 8);
	while (n > 0)
		hakc_conn_deinit(&conns[--n]);
	assert_int_equal(prlimit(hakd.pid, RLIMIT_NOFILE, &before, NULL), 0);
	assert_int_equal(hakt_daemon_status(&hakd).anomalies, 0);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_garbage_is_cut_off),
	cmocka_unit_test(test_a_packet_that_is_too_large_is_cut_off),
	cmocka_unit_test(test_a_request_before_the_hello_is_cut_off),
	cmocka_unit_test(test_a_tool_may_not_ask_for_memory),
	cmocka_unit_test(test_a_tool_may_neither_publish_nor_withdraw),
	cmocka_unit_test(test_a_publication_of_nonsense_is_refused),
	cmocka_unit_test(test_a_second_hello_is_cut_off),
	cmocka_unit_test(test_a_hello_of_another_layout_is_refused_with_both_versions),
	cmocka_unit_test(test_memory_of_nobody_is_not_taken_back),
	cmocka_unit_test(test_a_peer_that_reads_no_reply_holds_nobody_up),
	cmocka_unit_test(test_a_daemon_out_of_descriptors_refuses_and_goes_on),
	cmocka_unit_test(test_the_registry_is_read_only_for_clients),
	cmocka_unit_test(test_the_heap_keeps_its_size_and_its_seals),
	cmocka_unit_test(test_a_lease_is_of_no_other_use),
	cmocka_unit_test(test_who_drops_the_lease_is_collected_though_connected),
};

HAKT_MAIN(tests, start, stop)
