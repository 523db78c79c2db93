/* SPDX-License-Identifier: MIT */
/* The store alone: the test is the daemon that sends, and the supervisor that takes. */
#include "tests/support/run.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/supervise/store.h"
#include "tests/support/send_fds.h"

static struct hakd_store store;
static int out; /* sends to it */

static int start(void **state)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	(void)state;
	assert_int_equal(hakd_store_init(&store), 0);
	assert_int_equal(store.address[0], '@');
	strcpy(address.sun_path + 1, store.address + 1);
	out = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(out, (struct sockaddr *)&address,
				 (socklen_t)(offsetof(struct sockaddr_un, sun_path) +
					     strlen(store.address))),
			 0);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	close(out);
	hakd_store_deinit(&store);
	return 0;
}

static void send_bytes(const char *bytes, size_t n, const int *fds, size_t n_fds)
{
	assert_int_equal(hakt_send_fds(out, bytes, n, fds, n_fds), n);
}

/* The write end of a new pipe goes with it; returned: the other end. */
static int send_pipe(const char *text)
{
	int ends[2];

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	send_bytes(text, strlen(text), &ends[1], 1);
	close(ends[1]);
	return ends[0];
}

static void take_as(pid_t pid)
{
	struct hakd_news news;

	assert_true(hakd_store_take(&store, pid, &news));
	assert_false(news.is_ready || news.is_ping);
}

static void take(void)
{
	take_as(getpid());
}

/* Has nobody the write end any more? */
static bool is_over(int read_end)
{
	struct pollfd end = {.fd = read_end};

	return poll(&end, 1, 0) == 1 && end.revents & POLLHUP;
}

static void test_a_descriptor_is_kept_until_its_name_is_removed(void **state)
{
	int a, b;

	(void)state;
	a = send_pipe("FDSTORE=1\nFDPOLL=0\nFDNAME=a\n");
	b = send_pipe("FDSTORE=1\nFDPOLL=0\nFDNAME=b\n");
	take();
	take();
	assert_int_equal(store.n, 2);
	assert_true(hakd_store_has(&store, "a") && hakd_store_has(&store, "b"));
	send_bytes("FDSTOREREMOVE=1\nFDNAME=a\n", 25, NULL, 0);
	take();
	assert_false(hakd_store_has(&store, "a"));
	assert_true(is_over(a));
	assert_false(is_over(b));
	assert_int_equal(store.names_bytes, 2);
	close(a);
	close(b);
}

static void test_two_of_a_name_are_kept_and_removed_together(void **state)
{
	int a, b;

	(void)state;
	a = send_pipe("FDSTORE=1\nFDNAME=a");
	b = send_pipe("FDNAME=a\nFDSTORE=1");
	take();
	take();
	assert_int_equal(store.n, 2);
	assert_false(is_over(a) || is_over(b));
	send_bytes("FDSTOREREMOVE=1\nFDNAME=a\n", 25, NULL, 0);
	take();
	assert_int_equal(store.n, 0);
	assert_true(is_over(a) && is_over(b));
	close(a);
	close(b);
}

static void test_all_descriptors_of_a_message_are_kept(void **state)
{
	int fds[253];

	(void)state;
	for (unsigned i = 0; i < 253; i++)
		fds[i] = out;
	send_bytes("FDSTORE=1\nFDNAME=a", 18, fds, 253);
	take();
	assert_int_equal(store.n, 253);
}

static void test_what_is_not_to_be_kept_is_closed(void **state)
{
	static const char *const texts[] = {"FDNAME=a", "FDSTORE=0\nFDNAME=a", "BARRIER=1", "\n",
					    "FDSTOREREMOVE=1\nFDSTORE=1\nFDNAME=a"};

	(void)state;
	for (unsigned i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		int end = send_pipe(texts[i]);

		assert_false(is_over(end));
		take();
		assert_true(is_over(end));
		close(end);
	}
	assert_int_equal(store.n, 0);
}

static void test_a_barrier_hangs_up_in_its_turn(void **state)
{
	int a = send_pipe("FDSTORE=1\nFDNAME=a"), barrier = send_pipe("BARRIER=1");

	(void)state;
	take();
	assert_true(hakd_store_has(&store, "a"));
	assert_false(is_over(barrier));
	take();
	assert_true(is_over(barrier));
	close(a);
	close(barrier);
}

static void test_who_isn_t_the_daemon_is_not_obeyed(void **state)
{
	int end = send_pipe("FDSTORE=1\nFDNAME=a\nREADY=1");
	struct hakd_news news;
	pid_t pid;

	(void)state;
	take_as(getpid() + 1);
	assert_true(is_over(end));
	close(end);
	end = send_pipe("FDSTORE=1\nFDNAME=a\nREADY=1");
	take_as(0); /* there is no daemon */
	assert_true(is_over(end));
	close(end);
	pid = fork(); /* with the daemon's own socket */
	assert_true(pid >= 0);
	if (pid == 0) {
		send_bytes("WATCHDOG=1\nREADY=1", 18, NULL, 0);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	take();
	send_bytes("WATCHDOG=1\nREADY=1", 18, NULL, 0);
	assert_true(hakd_store_take(&store, getpid(), &news));
	assert_true(news.is_ready && news.is_ping);
	assert_false(hakd_store_take(&store, getpid(), &news));
	assert_int_equal(store.n, 0);
}

static void test_a_bad_name_is_no_name(void **state)
{
	static char too_long[128] = "FDSTORE=1\nFDNAME=";
	const char *const texts[] = {"FDSTORE=1", "FDSTORE=1\nFDNAME=", "FDSTORE=1\nFDNAME=a:b",
				     "FDSTORE=1\nFDNAME=a b", too_long};

	(void)state;
	memset(too_long + strlen(too_long), '0', HAKD_STORE_NAME_BYTES);
	for (unsigned i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		close(send_pipe(texts[i]));
		take();
		assert_int_equal(store.n, i + 1);
		assert_string_equal(store.kept[i].name, "stored");
	}
	send_bytes("FDSTOREREMOVE=1\nFDNAME=", 23, NULL, 0);
	take();
	assert_int_equal(store.n, 5);
}

static void test_garbage_is_read_over(void **state)
{
	static char text[5000];
	struct hakd_news news;
	unsigned seed = 4711;
	int end = out;

	(void)state;
	for (unsigned round = 0; round < 2000; round++) {
		for (unsigned i = 0; i < sizeof(text); i++)
			text[i] = (char)((seed = seed * 1103515245u + 12345u) >> 16);
		send_bytes(text, seed % sizeof(text), &end, round % 2);
		assert_true(hakd_store_take(&store, getpid(), &news));
	}
	memset(text, ' ', sizeof(text)); /* more than is read: no part of it counts */
	memcpy(text, "READY=1\nFDSTORE=1\n", 18);
	send_bytes(text, sizeof(text), &end, 1);
	take();
	send_bytes("", 0, NULL, 0);
	take();
	assert_int_equal(store.n, 0);
}

/* All names have to go into one variable of the environment. */
static void test_there_is_an_end_to_what_is_kept(void **state)
{
	static const char text[] =
		"FDSTORE=1\nFDNAME="
		"012345678901234567890123456789012345678901234567890123456789012";
	struct rlimit files;
	int fds[253], end;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &files), 0);
	files.rlim_cur = files.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &files), 0);
	if (files.rlim_cur < 4000)
		skip();
	stop(state);
	start(state); /* it asks for the limit */
	for (unsigned i = 0; i < 253; i++)
		fds[i] = out;
	for (unsigned n = 0; n < 2100; n += 253) {
		send_bytes(text, sizeof(text) - 1, fds, 253);
		take();
	}
	assert_true(store.names_bytes < 128 * 1024 && store.names_bytes > 127 * 1024);
	end = send_pipe("FDSTORE=1\nFDNAME=012345678901234567890123456789012345678901234567890123");
	take();
	assert_true(is_over(end));
	close(end);
}

static void test_some_descriptors_are_left_for_who_is_started(void **state)
{
	struct rlimit before, few;
	int fds[100];

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	few = before;
	few.rlim_cur = 200;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	stop(state);
	start(state); /* it asks for the limit */
	for (unsigned i = 0; i < 100; i++)
		fds[i] = out;
	send_bytes("FDSTORE=1", 9, fds, 100);
	take();
	assert_int_equal(store.n, 100);
	send_bytes("FDSTORE=1", 9, fds, 50);
	take();
	assert_int_equal(store.n, 136);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
}

static void test_without_descriptors_it_goes_on(void **state)
{
	struct rlimit before, none;
	int end = send_pipe("FDSTORE=1\nFDNAME=a");

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = before;
	none.rlim_cur = 0;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	take();
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_int_equal(store.n, 0);
	assert_true(is_over(end));
	close(end);
	end = send_pipe("FDSTORE=1\nFDNAME=a");
	take();
	assert_int_equal(store.n, 1);
	close(end);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test_setup_teardown(test_a_descriptor_is_kept_until_its_name_is_removed, start,
					stop),
	cmocka_unit_test_setup_teardown(test_two_of_a_name_are_kept_and_removed_together, start,
					stop),
	cmocka_unit_test_setup_teardown(test_all_descriptors_of_a_message_are_kept, start, stop),
	cmocka_unit_test_setup_teardown(test_what_is_not_to_be_kept_is_closed, start, stop),
	cmocka_unit_test_setup_teardown(test_a_barrier_hangs_up_in_its_turn, start, stop),
	cmocka_unit_test_setup_teardown(test_who_isn_t_the_daemon_is_not_obeyed, start, stop),
	cmocka_unit_test_setup_teardown(test_a_bad_name_is_no_name, start, stop),
	cmocka_unit_test_setup_teardown(test_garbage_is_read_over, start, stop),
	cmocka_unit_test_setup_teardown(test_there_is_an_end_to_what_is_kept, start, stop),
	cmocka_unit_test_setup_teardown(test_some_descriptors_are_left_for_who_is_started, start,
					stop),
	cmocka_unit_test_setup_teardown(test_without_descriptors_it_goes_on, start, stop),
};

HAKT_MAIN(tests, NULL, NULL)
