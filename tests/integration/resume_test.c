/* SPDX-License-Identifier: MIT */
/*
 * Who may go on with a slot by a hello that says resume: the process that has it, and nobody else,
 * as soon as nothing that it asked before is under way.
 */
#include "tests/support/run.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client_lib/conn.h"
#include "proto/error.h"
#include "proto/shm/registry.h"
#include "tests/support/daemon.h"
#include "tests/support/process.h"

static struct hakt_daemon hakd;
static char hold[128];

/* A client without a library: its connection, its slot, its pool. */
static struct hakc_conn conn;
static int fds[HAK_WIRE_FDS_MAX];
static uint8_t uuid[HAK_UUID_BYTES];
static Hak__Resume resume;

static void attach(void)
{
	unsigned n = HAK_WIRE_FDS_MAX;
	Hak__Reply *reply;

	assert_int_equal(hakc_conn_init(&conn, hakd.socket, 20000), 0);
	assert_int_equal(hakc_conn_hello(&conn, HAK__PEER_KIND__PEER_CLIENT, NULL, &reply, fds, &n),
			 0);
	assert_int_equal(n, HAK_WIRE_FDS_MAX);
	memcpy(uuid, reply->welcome->uuid.data, sizeof(uuid));
	hak__resume__init(&resume);
	resume.uuid.data = uuid;
	resume.uuid.len = sizeof(uuid);
	resume.generation = reply->welcome->generation;
	resume.holder = reply->welcome->holder;
	resume.holder_generation = reply->welcome->holder_generation;
	hak__reply__free_unpacked(reply, NULL);
}

static int start_with(const char *preload)
{
	hakt_daemon_prepare(&hakd);
	snprintf(hold, sizeof(hold), "%s/hold", hakd.directory);
	if (preload) {
		setenv("LD_PRELOAD", preload, 1);
		setenv("ASAN_OPTIONS", "verify_asan_link_order=0", 1);
		setenv("HAKT_HOLD", hold, 1);
	}
	hakt_daemon_fork(&hakd, HAKT_LIST("--limit", "256M", "--keep", "1", "--log-level", "error"),
			 NULL, NULL);
	hakt_daemon_wait_listening(&hakd);
	unsetenv("LD_PRELOAD");
	attach();
	return 0;
}

static int start(void **state)
{
	(void)state;
	return start_with(NULL);
}

static int start_holding(void **state)
{
	(void)state;
	return start_with(HAKT_HAKT_HOLD);
}

static int stop(void **state)
{
	(void)state;
	unlink(hold);
	hakc_conn_deinit(&conn);
	for (unsigned i = 0; i < HAK_WIRE_FDS_MAX; i++)
		close(fds[i]);
	return hakt_daemon_stop_empty(&hakd);
}

static void send_resume(struct hakc_conn *again, Hak__Resume *with)
{
	assert_int_equal(hakc_conn_init(again, hakd.socket, 20000), 0);
	assert_int_equal(hakc_conn_send_resume(again, with), 0);
}

/* The answer's error; the connection is left as it is. */
static unsigned answer(struct hakc_conn *again)
{
	Hak__Reply *reply;
	unsigned error;

	assert_int_equal(hakc_conn_receive(again, 20000, &reply), 0);
	error = reply->error;
	if (error == 0) {
		assert_int_equal(reply->body_case, HAK__REPLY__BODY_WELCOME);
		assert_int_equal(reply->welcome->holder, resume.holder);
	}
	hak__reply__free_unpacked(reply, NULL);
	return error;
}

static void check_ended(Hak__Resume *with)
{
	struct hakc_conn again;

	send_resume(&again, with);
	assert_int_equal(answer(&again), HAK_E_ENDED);
	hakc_conn_deinit(&again);
}

static void test_what_is_not_the_slot_or_the_pool_has_ended(void **state)
{
	Hak__Resume wrong = resume;

	(void)state;
	wrong.generation++;
	check_ended(&wrong);
	wrong = resume;
	wrong.holder++;
	check_ended(&wrong);
	wrong.holder = HAK_HOLDER_ROOT;
	check_ended(&wrong);
	wrong.holder = UINT32_MAX;
	check_ended(&wrong);
	wrong = resume;
	wrong.holder_generation--;
	check_ended(&wrong);
	wrong = resume;
	wrong.uuid.len--;
	check_ended(&wrong);
	wrong.uuid.len++;
	uuid[3]++;
	check_ended(&wrong);
	uuid[3]--;
	assert_true(hakc_conn_is_alive(&conn)); /* all the time */
	assert_int_equal(hakt_daemon_counter(&hakd, "resumed"), 0);
}

static int try_in_a_child(const void *context)
{
	struct hakc_conn again;
	Hak__Reply *reply;

	(void)context;
	HAKT_EXPECT(hakc_conn_init(&again, hakd.socket, 20000) == 0);
	HAKT_EXPECT(hakc_conn_send_resume(&again, &resume) == 0);
	HAKT_EXPECT(hakc_conn_receive(&again, 20000, &reply) == 0);
	HAKT_EXPECT(reply->error == HAK_E_ENDED);
	return 0;
}

static void test_another_process_is_not_the_client(void **state)
{
	(void)state;
	hakt_process_run_child(try_in_a_child, NULL);
	assert_true(hakc_conn_is_alive(&conn));
}

static void test_the_connection_before_is_closed_and_no_hang_up(void **state)
{
	struct hakc_conn old = conn;

	(void)state;
	send_resume(&conn, &resume);
	assert_int_equal(answer(&conn), 0);
	for (unsigned i = 0; hakc_conn_is_alive(&old); i++) {
		assert_true(i < 6000);
		usleep(10000);
	}
	assert_true(hakc_conn_is_alive(&conn));
	hakc_conn_deinit(&old);
	assert_int_equal(hakt_daemon_counter(&hakd, "disconnects"), 0);
	assert_int_equal(hakt_daemon_counter(&hakd, "resumed"), 1);
	assert_int_equal(hakt_daemon_status(&hakd).clients, 1);
}

static void test_a_tool_cannot_resume(void **state)
{
	Hak__Request request = HAK__REQUEST__INIT;
	Hak__Hello hello = HAK__HELLO__INIT;
	struct hakc_conn tool;
	Hak__Reply *reply;

	(void)state;
	hello.protocol_version = HAK_PROTOCOL_VERSION;
	hello.kind = HAK__PEER_KIND__PEER_TOOL;
	hello.resume = &resume;
	request.body_case = HAK__REQUEST__BODY_HELLO;
	request.hello = &hello;
	assert_int_equal(hakc_conn_init(&tool, hakd.socket, 20000), 0);
	assert_int_equal(hakc_conn_call(&tool, &request, &reply, NULL, NULL, NULL, NULL),
			 -ENOTCONN);
	assert_int_equal(hakt_daemon_counter(&hakd, "protocol_errors"), 1);
}

/* Has a run, and gives it back: the job that takes it is held up. */
static void begin_giving_back(void)
{
	Hak__Request request = HAK__REQUEST__INIT;
	Hak__Refill refill = HAK__REFILL__INIT;
	Hak__Giveback giveback = HAK__GIVEBACK__INIT;
	uint32_t head;
	Hak__Reply *reply;

	refill.count = 3;
	refill.huge = true;
	request.body_case = HAK__REQUEST__BODY_REFILL;
	request.refill = &refill;
	assert_int_equal(hakc_conn_call(&conn, &request, &reply, NULL, NULL, NULL, NULL), 0);
	assert_int_equal(reply->error, 0);
	head = reply->grant->superslabs[0];
	hak__reply__free_unpacked(reply, NULL);
	close(open(hold, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	giveback.n_superslabs = 1;
	giveback.superslabs = &head;
	request.body_case = HAK__REQUEST__BODY_GIVEBACK;
	request.giveback = &giveback;
	assert_int_equal(hakc_conn_send(&conn, &request), 0);
}

static void test_the_answer_waits_for_what_is_under_way(void **state)
{
	struct hakc_conn first, second, old = conn;
	Hak__Reply *reply;

	(void)state;
	begin_giving_back();
	send_resume(&first, &resume);
	assert_int_equal(hakc_conn_receive(&first, 300, &reply), -ETIMEDOUT);
	/* One that doesn't wait for the answer, and comes again, has it by the last connection. */
	send_resume(&second, &resume);
	assert_int_equal(hakc_conn_receive(&first, 20000, &reply), -ENOTCONN);
	assert_int_equal(hakc_conn_receive(&second, 300, &reply), -ETIMEDOUT);
	assert_int_equal(unlink(hold), 0);
	assert_int_equal(answer(&second), 0);
	assert_int_equal(hakt_daemon_status(&hakd).granted_superslabs, 0);
	assert_int_equal(hakc_conn_receive(&old, 20000, &reply), -ENOTCONN);
	assert_int_equal(hakt_daemon_counter(&hakd, "disconnects"), 0);
	conn = second;
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test_setup_teardown(test_what_is_not_the_slot_or_the_pool_has_ended, start,
					stop),
	cmocka_unit_test_setup_teardown(test_another_process_is_not_the_client, start, stop),
	cmocka_unit_test_setup_teardown(test_the_connection_before_is_closed_and_no_hang_up, start,
					stop),
	cmocka_unit_test_setup_teardown(test_a_tool_cannot_resume, start, stop),
	cmocka_unit_test_setup_teardown(test_the_answer_waits_for_what_is_under_way, start_holding,
					stop),
};

HAKT_MAIN(tests, NULL, NULL)
