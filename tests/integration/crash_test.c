/* SPDX-License-Identifier: MIT */
/* What hakmemd leaves behind on stderr when a signal kills it. */
#include "tests/support/run.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/directory.h"
#include "tests/support/ctl.h"
#include "tests/support/process.h"

static char directory[HAKT_DIRECTORY_BYTES];
static char socket_path[96];

static int make_directory(void **state)
{
	(void)state;
	hakt_directory_make(directory);
	snprintf(socket_path, sizeof(socket_path), "%s/d.sock", directory);
	return 0;
}

static int remove_directory(void **state)
{
	(void)state;
	hakt_directory_remove(directory);
	return 0;
}

/* Lines of text that have this in them. */
static unsigned lines_with(const char *text, const char *part)
{
	unsigned n = 0;

	for (const char *at = strstr(text, part); at; at = strstr(at, part)) {
		n++;
		at += strcspn(at, "\n");
	}
	return n;
}

static void check_report_of(int number, const char *name)
{
	struct hakt_process daemon = {0};
	char expected[128];
	const char *report;

	hakt_process_start(&daemon, HAKT_LIST(HAKT_HAKMEMD, "--foreground", "--socket", socket_path,
					      "--log-level", "info"));
	hakt_process_wait_output(&daemon, 2, "serving");
	json_decref(hakt_ctl(socket_path, "status")); /* now it waits for events */
	assert_int_equal(kill(daemon.pid, number), 0);
	hakt_process_wait(&daemon);
	assert_int_equal(daemon.signal, number);
	report = hakt_process_output(&daemon, 2);
	snprintf(expected, sizeof(expected),
		 "hakmemd: fatal signal %d (%s), sent by process %d, while waiting for events\n",
		 number, name, (int)getpid());
	assert_non_null(strstr(report, expected));
	assert_int_equal(lines_with(report, "fatal signal"), 1);
	/* The backtrace: where it was waiting, and the way there, with our own names. */
	assert_true(lines_with(report, "hakmemd(") >= 2);
	assert_non_null(strstr(report, "hakd_daemon_run"));
	hakt_process_end(&daemon);
}

static void test_a_segfault_is_named_with_a_backtrace_and_kills(void **state)
{
	(void)state;
	check_report_of(SIGSEGV, "SIGSEGV");
}

static void test_an_abort_is_named_with_a_backtrace_and_kills(void **state)
{
	(void)state;
	check_report_of(SIGABRT, "SIGABRT");
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_a_segfault_is_named_with_a_backtrace_and_kills),
	cmocka_unit_test(test_an_abort_is_named_with_a_backtrace_and_kills),
};

HAKT_MAIN(tests, make_directory, remove_directory)
