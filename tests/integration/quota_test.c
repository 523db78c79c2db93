/* SPDX-License-Identifier: MIT */
/* Limits of a client and of a user. */
#include "tests/support/run.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "client_lib/include/hakmem.h"
#include "tests/support/ctl.h"
#include "tests/support/daemon.h"
#include "tests/support/process.h"

#define MIB ((size_t)1 << 20)

static struct hakt_daemon hakd;

static int start_with(const char *const *options)
{
	hakt_daemon_start(&hakd, options);
	return 0;
}

static int start_client_limit(void **state)
{
	(void)state;
	return start_with(
		HAKT_LIST("--limit", "256M", "--client-limit", "16M", "--log-level", "error"));
}

static int start_user_limit(void **state)
{
	(void)state;
	return start_with(
		HAKT_LIST("--limit", "256M", "--user-limit", "32M", "--log-level", "error"));
}

static int start_user_clients(void **state)
{
	(void)state;
	return start_with(HAKT_LIST("--user-clients", "3", "--log-level", "error"));
}

static int stop(void **state)
{
	(void)state;
	hakmem_detach();
	return hakt_daemon_stop_empty(&hakd);
}

/* Grows by MiBs until it can't; how many, and the errno. */
static unsigned grow(void **blocks, unsigned most, int *ret_error)
{
	unsigned n = 0;

	while (n < most && (blocks[n] = hakmem_malloc(MIB)))
		n++;
	*ret_error = errno;
	return n;
}

static int grow_and_say(const void *context)
{
	void *blocks[64];
	int error;
	unsigned n = grow(blocks, 64, &error);

	(void)context;
	hakt_child_say("has %u, %d.", n, error);
	hakt_child_wait();
	return 0;
}

static void test_a_client_has_no_more_than_its_limit(void **state)
{
	struct hakt_process other = {0};
	void *blocks[64];
	json_t *clients, *client;
	unsigned n, others;
	int error;
	size_t i;

	(void)state;
	n = grow(blocks, 64, &error);
	assert_int_equal(error, EDQUOT);
	assert_true(n >= 15 && n <= 16);
	assert_null(hakmem_malloc(40 * MIB));
	assert_int_equal(errno, EDQUOT);
	assert_true(hakt_daemon_counter(&hakd, "refused_quota") > 0);
	clients = hakt_ctl(hakd.socket, "clients");
	json_array_foreach(json_object_get(clients, "clients"), i, client)
		assert_true(hakt_json_number(client, "refused") > 0);
	json_decref(clients);
	hakt_process_fork(&other, grow_and_say, NULL); /* it has one of its own */
	hakt_process_wait_output(&other, 1, ".");
	assert_int_equal(sscanf(hakt_process_output(&other, 1), "has %u, %d", &others, &error), 2);
	assert_true(others >= 15 && error == EDQUOT);
	hakt_process_kill(&other);
	hakt_process_end(&other);
	while (n > 8)
		hakmem_free(blocks[--n]);
	blocks[n] = hakmem_malloc(MIB); /* there is room again */
	assert_non_null(blocks[n]);
	for (n++; n > 0;)
		hakmem_free(blocks[--n]);
}

static void test_clients_of_a_user_share_a_limit(void **state)
{
	struct hakt_process others[3] = {{0}, {0}, {0}};
	unsigned sum = 0, n;
	int error;

	(void)state;
	for (unsigned i = 0; i < 3; i++)
		hakt_process_fork(&others[i], grow_and_say, NULL);
	for (unsigned i = 0; i < 3; i++) {
		hakt_process_wait_output(&others[i], 1, ".");
		assert_int_equal(
			sscanf(hakt_process_output(&others[i], 1), "has %u, %d", &n, &error), 2);
		assert_int_equal(error, EDQUOT);
		sum += n;
	}
	assert_true(sum >= 24 && sum <= 32);
	assert_true(hakt_daemon_status(&hakd).granted_superslabs <= 16);
	for (unsigned i = 0; i < 3; i++) {
		hakt_process_kill(&others[i]);
		hakt_process_end(&others[i]);
	}
}

static int attach_and_say(const void *context)
{
	(void)context;
	hakt_child_say("attach %d.", hakmem_attach(NULL));
	hakt_child_wait();
	return 0;
}

static void test_a_user_has_no_more_clients_than_its_limit(void **state)
{
	struct hakt_process clients[4];
	int r;

	(void)state;
	memset(clients, 0, sizeof(clients));
	for (unsigned i = 0; i < 4; i++) {
		hakt_process_fork(&clients[i], attach_and_say, NULL);
		hakt_process_wait_output(&clients[i], 1, ".");
		assert_int_equal(sscanf(hakt_process_output(&clients[i], 1), "attach %d", &r), 1);
		assert_int_equal(r, i < 3 ? 0 : -EDQUOT);
	}
	hakt_process_kill(&clients[0]);
	hakt_process_end(&clients[0]);
	hakt_daemon_wait_clients(&hakd, 2);
	assert_int_equal(hakmem_attach(NULL), 0);
	for (unsigned i = 1; i < 4; i++) {
		hakt_process_kill(&clients[i]);
		hakt_process_end(&clients[i]);
	}
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test_setup_teardown(test_a_client_has_no_more_than_its_limit,
					start_client_limit, stop),
	cmocka_unit_test_setup_teardown(test_clients_of_a_user_share_a_limit, start_user_limit,
					stop),
	cmocka_unit_test_setup_teardown(test_a_user_has_no_more_clients_than_its_limit,
					start_user_clients, stop),
};

HAKT_MAIN(tests, NULL, NULL)
