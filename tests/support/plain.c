/* SPDX-License-Identifier: MIT */
#include "tests/support/run.h"

#include "tests/support/plain.h"

#include <unistd.h>

void hakt_plain_attach(struct hakc_conn *conn, const char *socket_path)
{
	Hak__Reply *reply;
	int fds[HAK_WIRE_FDS_MAX];
	unsigned n = HAK_WIRE_FDS_MAX;

	assert_int_equal(hakc_conn_init(conn, socket_path, 60000), 0);
	assert_int_equal(hakc_conn_hello(conn, HAK__PEER_KIND__PEER_CLIENT, NULL, &reply, fds, &n),
			 0);
	hak__reply__free_unpacked(reply, NULL);
	close(fds[0]);
	close(fds[1]);
}

static unsigned call(struct hakc_conn *conn, Hak__Request *request)
{
	Hak__Reply *reply;
	unsigned error;

	assert_int_equal(hakc_conn_call(conn, request, &reply, NULL, NULL, NULL, NULL), 0);
	error = reply->error;
	hak__reply__free_unpacked(reply, NULL);
	return error;
}

void hakt_plain_bye(struct hakc_conn *conn)
{
	Hak__Request request = HAK__REQUEST__INIT;
	Hak__Bye bye = HAK__BYE__INIT;

	request.body_case = HAK__REQUEST__BODY_BYE;
	request.bye = &bye;
	assert_int_equal(call(conn, &request), 0);
	hakc_conn_deinit(conn);
}

void hakt_plain_ask(struct hakc_conn *conn, Hak__Refill *refill)
{
	Hak__Request request = HAK__REQUEST__INIT;

	request.body_case = HAK__REQUEST__BODY_REFILL;
	request.refill = refill;
	assert_int_equal(hakc_conn_send(conn, &request), 0);
}

unsigned hakt_plain_answer(struct hakc_conn *conn, uint32_t *ret_head, uint32_t *ret_length)
{
	Hak__Reply *reply;
	unsigned error;

	assert_int_equal(hakc_conn_receive(conn, 60000, &reply), 0);
	error = reply->error;
	if (error == 0) {
		assert_int_equal(reply->body_case, HAK__REPLY__BODY_GRANT);
		assert_true(reply->grant->n_superslabs >= 1);
		*ret_head = reply->grant->superslabs[0];
		*ret_length = reply->grant->length;
	}
	hak__reply__free_unpacked(reply, NULL);
	return error;
}

unsigned hakt_plain_give(struct hakc_conn *conn, Hak__Giveback *giveback)
{
	Hak__Request request = HAK__REQUEST__INIT;

	request.body_case = HAK__REQUEST__BODY_GIVEBACK;
	request.giveback = giveback;
	return call(conn, &request);
}
