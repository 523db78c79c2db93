/* SPDX-License-Identifier: MIT */
/*
 * What the daemon answers to clients that ask for longer runs, or shorter ones:
 * those that they may have, and those that they can't.
 */
#include "tests/support/run.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <unistd.h>

#include "client_lib/conn.h"
#include "proto/error.h"
#include "tests/support/daemon.h"
#include "tests/support/plain.h"
#include "tests/support/process.h"

enum { LIMIT = 32 }; /* SuperSlabs, of 64 that the pool has addresses for */

static struct hakt_daemon hakd;

static int start(void **state)
{
	(void)state;
	hakt_daemon_start(&hakd,
			  HAKT_LIST("--limit", "64M", "--capacity", "128M", "--log-level", "warn"));
	hakt_daemon_wait_reserve(&hakd, 2); /* so that the first run begins at the bottom */
	return 0;
}

static int stop(void **state)
{
	(void)state;
	return hakt_daemon_stop_empty(&hakd);
}

/* What it is answered: an error, or *ret_head and 0. */
static unsigned refill(struct hakc_conn *conn, uint32_t n, bool huge, uint32_t extends,
		       uint32_t *ret_head, uint32_t *ret_length)
{
	Hak__Refill body = HAK__REFILL__INIT;

	body.count = n;
	body.huge = huge;
	body.extends = extends;
	hakt_plain_ask(conn, &body);
	return hakt_plain_answer(conn, ret_head, ret_length);
}

static uint32_t get(struct hakc_conn *conn, uint32_t n, bool huge)
{
	uint32_t head = 0, length = 0;

	assert_int_equal(refill(conn, n, huge, 0, &head, &length), 0);
	assert_int_equal(length, 0);
	return head;
}

static unsigned extend(struct hakc_conn *conn, uint32_t head, uint32_t n)
{
	uint32_t got = 0, length = 0;
	unsigned error = refill(conn, n, true, head + 1, &got, &length);

	if (error == 0) {
		assert_int_equal(got, head);
		assert_true(length >= n);
	}
	return error;
}

static unsigned shorten(struct hakc_conn *conn, uint32_t head, uint32_t from, uint32_t n)
{
	Hak__Giveback body = HAK__GIVEBACK__INIT;
	uint32_t superslabs[] = {from, from + 1};

	body.n_superslabs = n;
	body.superslabs = superslabs;
	body.shortens = head + 1;
	return hakt_plain_give(conn, &body);
}

static void check_pool(unsigned granted)
{
	struct hakt_status s = hakt_daemon_status(&hakd);

	assert_int_equal(s.granted_superslabs, granted);
	assert_int_equal(s.anomalies, 0);
}

static void test_an_extension_that_is_asked_for_again_is_there(void **state)
{
	struct hakc_conn conn;
	uint32_t head;

	(void)state;
	hakt_plain_attach(&conn, hakd.socket);
	head = get(&conn, 2, true);
	assert_int_equal(extend(&conn, head, 6), 0);
	assert_int_equal(extend(&conn, head, 6), 0);
	assert_int_equal(extend(&conn, head, 1), 0);
	check_pool(6);
	assert_int_equal(shorten(&conn, head, head + 1, 1), 0);
	check_pool(1);
	hakt_plain_bye(&conn);
}

static void test_a_run_that_is_not_ones_own_is_not_changed(void **state)
{
	struct hakc_conn mine, theirs;
	uint32_t run, single, other;

	(void)state;
	hakt_plain_attach(&mine, hakd.socket);
	hakt_plain_attach(&theirs, hakd.socket);
	run = get(&mine, 3, true);
	other = get(&theirs, 3, true);
	single = get(&mine, 1, false);
	assert_int_equal(extend(&mine, other, 4), HAK_E_NOT_YOURS);
	assert_int_equal(extend(&theirs, run, 4), HAK_E_NOT_YOURS);
	assert_int_equal(extend(&mine, single, 4), HAK_E_NOT_YOURS);
	assert_int_equal(extend(&mine, run + 1, 4), HAK_E_NOT_YOURS);
	assert_int_equal(extend(&mine, 63, 4), HAK_E_NOT_YOURS);
	assert_int_equal(extend(&mine, 64, 4), HAK_E_NOT_YOURS);
	assert_int_equal(extend(&mine, UINT32_MAX - 1, 4), HAK_E_NOT_YOURS);
	assert_int_equal(shorten(&mine, other, other + 1, 1), HAK_E_NOT_YOURS);
	assert_int_equal(shorten(&mine, single, single + 1, 1), HAK_E_NOT_YOURS);
	assert_int_equal(shorten(&mine, run + 1, run + 2, 1), HAK_E_NOT_YOURS);
	assert_int_equal(shorten(&mine, UINT32_MAX - 1, run + 1, 1), HAK_E_NOT_YOURS);
	check_pool(7);
	hakt_plain_bye(&mine);
	hakt_plain_bye(&theirs);
}

static void test_lengths_that_cannot_be_are_refused(void **state)
{
	const uint32_t too_many[] = {LIMIT + 1, 64, 65, UINT32_MAX / 2, UINT32_MAX - 1, UINT32_MAX};
	struct hakc_conn conn;
	uint32_t run;

	(void)state;
	hakt_plain_attach(&conn, hakd.socket);
	run = get(&conn, 3, true);
	for (unsigned i = 0; i < sizeof(too_many) / sizeof(too_many[0]); i++)
		assert_int_equal(extend(&conn, run, too_many[i]), HAK_E_NO_MEMORY);
	assert_int_equal(shorten(&conn, run, run, 1), HAK_E_NOT_YOURS);
	assert_int_equal(shorten(&conn, run, run + 3, 1), HAK_E_NOT_YOURS);
	assert_int_equal(shorten(&conn, run, run - 1, 1), HAK_E_NOT_YOURS);
	assert_int_equal(shorten(&conn, run, UINT32_MAX, 1), HAK_E_NOT_YOURS);
	assert_int_equal(shorten(&conn, run, run + 1, 2), HAK_E_NOT_YOURS);
	check_pool(3);
	assert_int_equal(extend(&conn, run, LIMIT), 0);
	check_pool(LIMIT);
	hakt_plain_bye(&conn);
}

static void test_what_somebody_else_has_behind_a_run_is_not_taken(void **state)
{
	struct hakc_conn mine, theirs;
	uint32_t run, other;

	(void)state;
	hakt_plain_attach(&mine, hakd.socket);
	hakt_plain_attach(&theirs, hakd.socket);
	run = get(&mine, 2, true);
	other = get(&theirs, 2, true);
	assert_true(other > run);
	for (uint32_t n = other - run + 1; n <= other - run + 4; n++)
		assert_int_equal(extend(&mine, run, n), HAK_E_NO_MEMORY);
	check_pool(4);
	assert_int_equal(extend(&theirs, other, 4), 0);
	hakt_plain_bye(&theirs);
	assert_int_equal(extend(&mine, run, 20), 0);
	check_pool(20);
	hakt_plain_bye(&mine);
}

/* In a child: asks for a run of 3 to be n long. */
static void ask(struct hakc_conn *conn, uint32_t n, bool huge)
{
	Hak__Request request = HAK__REQUEST__INIT;
	Hak__Refill body = HAK__REFILL__INIT;
	Hak__Reply *reply;
	int fds[HAK_WIRE_FDS_MAX];
	unsigned n_fds = HAK_WIRE_FDS_MAX;

	HAKT_EXPECT(hakc_conn_init(conn, hakd.socket, 20000) == 0);
	HAKT_EXPECT(hakc_conn_hello(conn, HAK__PEER_KIND__PEER_CLIENT, NULL, &reply, fds, &n_fds) ==
		    0);
	hak__reply__free_unpacked(reply, NULL);
	body.count = 3;
	body.huge = true;
	request.body_case = HAK__REQUEST__BODY_REFILL;
	request.refill = &body;
	HAKT_EXPECT(hakc_conn_call(conn, &request, &reply, NULL, NULL, NULL, NULL) == 0);
	HAKT_EXPECT(reply->error == 0);
	body.extends = reply->grant->superslabs[0] + 1;
	hak__reply__free_unpacked(reply, NULL);
	body.count = n;
	body.huge = huge;
	HAKT_EXPECT(hakc_conn_send(conn, &request) == 0);
}

struct nonsense {
	uint32_t n;
	bool huge;
};

static int be_cut_off(const void *context)
{
	const struct nonsense *nonsense = context;
	struct hakc_conn conn;
	Hak__Reply *reply;

	ask(&conn, nonsense->n, nonsense->huge);
	HAKT_EXPECT(hakc_conn_receive(&conn, 20000, &reply) == -ENOTCONN);
	return 0;
}

static void test_extensions_that_make_no_sense_are_cut_off(void **state)
{
	static const struct nonsense nonsense[] = {{0, true}, {4, false}};

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		hakt_process_run_child(be_cut_off, &nonsense[i]);
		hakt_daemon_wait_empty(&hakd);
		assert_int_equal(hakt_daemon_counter(&hakd, "protocol_errors"), i + 1);
	}
}

static int die(const void *context)
{
	struct hakc_conn conn;

	ask(&conn, LIMIT, true);
	usleep(*(const useconds_t *)context);
	kill(getpid(), SIGKILL);
	return 0;
}

static void test_a_client_that_dies_while_its_run_grows_leaves_nothing(void **state)
{
	struct hakc_conn conn;

	(void)state;
	for (useconds_t us = 0; us < 6000; us += 300) {
		struct hakt_process process = {0};

		hakt_process_fork(&process, die, &us);
		hakt_process_wait(&process);
		assert_int_equal(process.signal, SIGKILL);
		hakt_process_end(&process);
		hakt_daemon_wait_empty(&hakd);
		assert_int_equal(hakt_daemon_status(&hakd).anomalies, 0);
	}
	hakt_plain_attach(&conn, hakd.socket);
	get(&conn, LIMIT, true); /* the daemon doesn't count what was under way either */
	hakt_plain_bye(&conn);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test_setup_teardown(test_an_extension_that_is_asked_for_again_is_there, start,
					stop),
	cmocka_unit_test_setup_teardown(test_a_run_that_is_not_ones_own_is_not_changed, start,
					stop),
	cmocka_unit_test_setup_teardown(test_lengths_that_cannot_be_are_refused, start, stop),
	cmocka_unit_test_setup_teardown(test_what_somebody_else_has_behind_a_run_is_not_taken,
					start, stop),
	cmocka_unit_test_setup_teardown(test_extensions_that_make_no_sense_are_cut_off, start,
					stop),
	cmocka_unit_test_setup_teardown(test_a_client_that_dies_while_its_run_grows_leaves_nothing,
					start, stop),
};

HAKT_MAIN(tests, NULL, NULL)
