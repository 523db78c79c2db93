/* SPDX-License-Identifier: MIT */
/* hakmemctl top, as text and on a terminal, of a real daemon that is restarted. */
#include "tests/support/run.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client_lib/include/hakmem.h"
#include "tests/support/audit.h"
#include "tests/support/process.h"
#include "tests/support/terminal.h"

enum { N_SMALL = 40, SMALL_BYTES = 3000, SPAN_BYTES = 5 * 65536, ROWS = 24, COLUMNS = 100 };

#define HEADING	  4u /* row of the tab's */
#define FIRST_ROW 5u

static const char *const options[] = {"--limit",     "256M", "--capacity", "1G",
				      "--log-level", "warn", NULL};
static void *small[N_SMALL], *span;
static struct hakt_process other; /* another client, with a name that a terminal would obey */
static struct hakt_terminal terminal;

static int hold_a_block(const void *unused)
{
	(void)unused;
	program_invocation_short_name = (char *)(uintptr_t) "a\033[31mb";
	HAKT_EXPECT(hakmem_malloc(100000));
	hakt_child_say("held");
	hakt_child_wait();
	return 0;
}

static int start(void **state)
{
	(void)state;
	hakt_daemon_start(&hakt_audited, options);
	for (unsigned i = 0; i < N_SMALL; i++)
		assert_non_null(small[i] = hakmem_malloc(SMALL_BYTES));
	assert_non_null(span = hakmem_malloc(SPAN_BYTES));
	other = (struct hakt_process){0};
	hakt_process_fork(&other, hold_a_block, NULL);
	hakt_process_wait_output(&other, 1, "held");
	return 0;
}

static int stop(void **state)
{
	hakt_process_end(&other);
	for (unsigned i = 0; i < N_SMALL; i++)
		hakmem_free(small[i]);
	hakmem_free(span);
	free(terminal.bytes);
	terminal.bytes = NULL;
	return hakt_audit_stop(state);
}

/* Of a case that kills the daemon. */
static int stop_killed(void **state)
{
	(void)state;
	hakt_process_end(&other);
	hakmem_detach();
	hakt_daemon_stop(&hakt_audited);
	free(terminal.bytes);
	terminal.bytes = NULL;
	return 0;
}

static void restart_daemon(void)
{
	hakt_daemon_fork(&hakt_audited, options, NULL, NULL);
	hakt_daemon_wait_listening(&hakt_audited);
}

static unsigned count(const char *text, const char *what)
{
	unsigned n = 0;

	for (const char *at = strstr(text, what); at; at = strstr(at + 1, what))
		n++;
	return n;
}

/* One line of stderr, and the exit code of wrong usage. */
static void expect_refused(const char *const *arguments, const char *text)
{
	struct hakt_process ctl = {0};

	hakt_process_run(&ctl, arguments);
	assert_int_equal(ctl.exit_code, 2);
	if (!strstr(hakt_process_output(&ctl, 2), text))
		fail_msg("no %s in %s", text, hakt_process_output(&ctl, 2));
	assert_string_equal(hakt_process_output(&ctl, 1), "");
	hakt_process_end(&ctl);
}

static void test_batch_prints_so_many_rounds_with_rates_from_the_second_on(void **state)
{
	struct hakt_process ctl = {0};
	char line[64];
	const char *text, *second;

	(void)state;
	hakt_process_run(&ctl, HAKT_LIST(HAKT_HAKMEMCTL, "top", "-b", "-n", "2", "-d", "0.2"));
	assert_int_equal(ctl.exit_code, 0);
	text = hakt_process_output(&ctl, 1);
	assert_int_equal(count(text, "pool default, 2 clients; hakmemd "), 2);
	assert_int_equal(count(text, "\nclients\n"), 2);
	assert_int_equal(count(text, "\nclasses\n"), 2);
	assert_int_equal(count(text, "\nsuperslabs\n"), 2);
	snprintf(line, sizeof(line), "%8d top_test ", (int)getpid());
	assert_int_equal(count(text, line), 2 * 2); /* as a client, and with a SuperSlab */
	assert_int_equal(count(text, " a?[31mb "), 2 * 2);
	assert_int_equal(count(text, "\033"), 0);
	second = strstr(strstr(text, "pool default") + 1, "pool default");
	assert_int_equal(count(text, "a second: - claims, "), 1);
	assert_non_null(strstr(second, "a second: 0 claims, 0 frees, 0 takes, 0 asks, 0 waits"));
	hakt_process_end(&ctl);
}

/* Of the class that the blocks are of, what slabs says. */
static void test_batch_says_of_classes_what_slabs_says(void **state)
{
	struct hakt_process ctl = {0};
	json_t *slabs = hakt_ctl(hakt_audited.socket, "slabs");
	json_t *cls = json_array_get(json_object_get(slabs, "classes"), 0);
	char line[128];

	(void)state;
	snprintf(line, sizeof(line), "%7lld %7lld %9lld %9lld %4lld %% %10lld %10lld",
		 hakt_json_number(cls, "block_bytes"), hakt_json_number(cls, "slabs"),
		 hakt_json_number(cls, "blocks"), hakt_json_number(cls, "live_blocks"),
		 hakt_json_number(cls, "used_percent"), hakt_json_number(cls, "slab_bytes"),
		 hakt_json_number(cls, "waste_bytes"));
	hakt_process_run(&ctl, HAKT_LIST(HAKT_HAKMEMCTL, "top", "--batch", "--times", "1", "--tab",
					 "classes", "--bytes", "--no-headers"));
	assert_memory_equal(hakt_process_output(&ctl, 1), line, strlen(line));
	assert_int_equal(count(hakt_process_output(&ctl, 1), "\n"), 2); /* and the spans */
	hakt_process_end(&ctl);
	json_decref(slabs);
}

static void test_batch_is_sorted_by_the_column_that_was_named(void **state)
{
	struct hakt_process ctl = {0};
	const char *text;
	char mine[32], others[32];

	(void)state;
	snprintf(mine, sizeof(mine), "%8d top_test", (int)getpid());
	snprintf(others, sizeof(others), "%8d a?[31mb", (int)other.pid);
	hakt_process_run(&ctl,
			 HAKT_LIST(HAKT_HAKMEMCTL, "top", "-b", "-n", "1", "--tab", "clients"));
	text = hakt_process_output(&ctl, 1);
	assert_true(strstr(text, mine) < strstr(text, others)); /* it has more */
	hakt_process_end(&ctl);
	ctl = (struct hakt_process){0};
	hakt_process_run(&ctl, HAKT_LIST(HAKT_HAKMEMCTL, "top", "-b", "-n", "1", "--sort", "name"));
	text = hakt_process_output(&ctl, 1);
	assert_true(strstr(text, others) < strstr(text, mine));
	hakt_process_end(&ctl);
}

static void test_what_makes_no_sense_is_refused(void **state)
{
	(void)state;
	expect_refused(HAKT_LIST(HAKT_HAKMEMCTL, "top"), "top --batch prints text");
	expect_refused(HAKT_LIST(HAKT_HAKMEMCTL, "top", "--json"), "--json is not for top");
	expect_refused(HAKT_LIST(HAKT_HAKMEMCTL, "top", "-n", "2"), "--times is for top --batch");
	expect_refused(HAKT_LIST(HAKT_HAKMEMCTL, "top", "-b", "-n"), "--times needs N");
	expect_refused(HAKT_LIST(HAKT_HAKMEMCTL, "top", "-b", "-d", "0"),
		       "--delay takes 0.1 to 3600 seconds");
	expect_refused(HAKT_LIST(HAKT_HAKMEMCTL, "top", "-x"), "no such option: -x");
	expect_refused(HAKT_LIST(HAKT_HAKMEMCTL, "status", "-b"), "--batch is not for status");
	expect_refused(HAKT_LIST(HAKT_HAKMEMCTL, "top", "-b", "--tab", "x"), "no tab is called x");
	expect_refused(HAKT_LIST(HAKT_HAKMEMCTL, "top", "-b", "--sort", "x"),
		       "no column of clients is called x");
}

static void test_batch_goes_on_when_the_daemon_is_back(void **state)
{
	struct hakt_process ctl = {0};
	char pid[32];

	(void)state;
	hakt_process_start(&ctl, HAKT_LIST(HAKT_HAKMEMCTL, "top", "-b", "-d", "0.1"));
	snprintf(pid, sizeof(pid), ", pid %d,", (int)hakt_audited.pid);
	hakt_process_wait_output(&ctl, 1, pid);
	hakt_daemon_kill(&hakt_audited);
	hakt_process_wait_output(&ctl, 1, "no daemon answers at ");
	restart_daemon();
	snprintf(pid, sizeof(pid), ", pid %d,", (int)hakt_audited.pid);
	hakt_process_wait_output(&ctl, 1, pid);
	hakt_process_kill(&ctl);
	hakt_process_end(&ctl);
}

static void start_top(const char *type)
{
	hakt_terminal_start(&terminal, type, ROWS, COLUMNS,
			    HAKT_LIST(HAKT_HAKMEMCTL, "top", "--delay", "0.2"));
}

static void quit(void)
{
	int status;

	hakt_terminal_press(&terminal, "q");
	status = hakt_terminal_end(&terminal);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void test_keys_change_the_tab(void **state)
{
	(void)state;
	start_top("vt52");
	hakt_terminal_wait_row(&terminal, HEADING, "PID NAME");
	hakt_terminal_wait_row(&terminal, 0, "pool default, 2 clients");
	hakt_terminal_wait_row(&terminal, ROWS - 1, "q: quit");
	hakt_terminal_wait_row(&terminal, FIRST_ROW, "top_test");
	hakt_terminal_wait_row(&terminal, FIRST_ROW + 1, "a?[31mb");
	hakt_terminal_press(&terminal, "2");
	hakt_terminal_wait_row(&terminal, HEADING, "  CLASS   SLABS");
	hakt_terminal_wait(&terminal, "  spans       2 ");
	hakt_terminal_press(&terminal, "\t");
	hakt_terminal_wait_row(&terminal, HEADING, " NUMBER LENGTH STATE");
	hakt_terminal_press(&terminal, "\t");
	hakt_terminal_wait_row(&terminal, HEADING, "PID NAME");
	hakt_terminal_press(&terminal, "?");
	hakt_terminal_wait(&terminal, "Tab, Shift-Tab, 1, 2, 3");
	hakt_terminal_press(&terminal, "?");
	hakt_terminal_wait_gone(&terminal, "Tab, Shift-Tab, 1, 2, 3");
	quit();
}

static void test_keys_sort_reverse_and_pause(void **state)
{
	(void)state;
	start_top("vt52");
	hakt_terminal_press(&terminal, "r");
	hakt_terminal_wait_row(&terminal, FIRST_ROW, "a?[31mb");
	hakt_terminal_press(&terminal, "rSSS"); /* by name */
	hakt_terminal_wait_row(&terminal, FIRST_ROW, "a?[31mb");
	hakt_terminal_press(&terminal, "r");
	hakt_terminal_wait_row(&terminal, FIRST_ROW, "top_test");
	hakt_terminal_press(&terminal, " ");
	hakt_terminal_wait_row(&terminal, ROWS - 1, "paused, this is of");
	hakt_process_kill(&other);
	hakt_daemon_wait_clients(&hakt_audited, 1);
	hakt_terminal_wait_gone(&terminal, "this is of 0 s ago"); /* some rounds later */
	hakt_terminal_wait_row(&terminal, 0, "2 clients");
	hakt_terminal_press(&terminal, " ");
	hakt_terminal_wait_row(&terminal, 0, "1 client;");
	hakt_terminal_wait_gone(&terminal, "a?[31mb");
	quit();
}

static void test_a_window_that_is_resized_is_filled(void **state)
{
	(void)state;
	start_top("vt52");
	hakt_terminal_wait_row(&terminal, ROWS - 1, "q: quit");
	hakt_terminal_wait_row(&terminal, HEADING, "CLAIMS/S");
	hakt_terminal_resize(&terminal, 12, 60);
	hakt_terminal_wait_row(&terminal, 11, "Tab 1 2 3: tabs");
	hakt_terminal_wait_row(&terminal, FIRST_ROW, "top_test");
	hakt_terminal_wait_row(&terminal, HEADING, "ALLOCATED");
	hakt_terminal_press(&terminal, "sss"); /* what it is sorted by is in sight */
	hakt_terminal_wait_row(&terminal, HEADING, "CLAIMS/S");
	hakt_terminal_resize(&terminal, 3, 20); /* the head alone */
	hakt_terminal_wait_row(&terminal, 2, "Tab 1 2 3: tabs");
	hakt_terminal_resize(&terminal, 40, 160);
	hakt_terminal_wait_row(&terminal, 39, "q: quit");
	hakt_terminal_wait_row(&terminal, HEADING, "TAKES/S");
	quit();
}

/* What leaves the alternate screen is sent, modes are as before, and it ends by the signal. */
static void test_a_signal_gives_the_terminal_back(void **state)
{
	static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};

	(void)state;
	for (unsigned i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
		int status;

		start_top("xterm");
		hakt_terminal_wait_bytes(&terminal, "pool default");
		hakt_terminal_wait_bytes(&terminal, "\033[?1049h");
		assert_int_equal(kill(terminal.pid, signals[i]), 0);
		status = hakt_terminal_end(&terminal);
		hakt_terminal_wait_bytes(&terminal, "\033[?1049l");
		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == signals[i]);
		free(terminal.bytes);
		terminal.bytes = NULL;
	}
}

static void test_a_terminal_has_colours_unless_NO_COLOR(void **state)
{
	(void)state;
	setenv("NO_COLOR", "1", 1);
	start_top("xterm-256color");
	hakt_terminal_wait_bytes(&terminal, "q: quit");
	assert_null(strstr(terminal.bytes, "\033[36m"));
	quit();
	free(terminal.bytes);
	unsetenv("NO_COLOR");
	start_top("xterm-256color");
	hakt_terminal_wait_bytes(&terminal, "q: quit");
	assert_non_null(strstr(terminal.bytes, "\033[36m")); /* the heading */
	quit();
}

static void test_a_terminal_that_nobody_knows_is_refused(void **state)
{
	int status;

	(void)state;
	start_top("no-such-terminal");
	status = hakt_terminal_end(&terminal);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 2);
	hakt_terminal_wait_bytes(&terminal, "TERM names isn't known: top --batch prints text");
}

static void test_the_screen_says_that_the_daemon_has_gone_and_goes_on_when_it_is_back(void **state)
{
	char pid[32];

	(void)state;
	start_top("vt52");
	hakt_terminal_wait_row(&terminal, 0, "2 clients");
	hakt_daemon_kill(&hakt_audited);
	hakt_terminal_wait_row(&terminal, ROWS - 1, "no daemon answers (");
	hakt_terminal_press(&terminal, "2"); /* of what was seen last */
	hakt_terminal_wait_row(&terminal, HEADING, "  CLASS   SLABS");
	hakt_terminal_press(&terminal, "1");
	restart_daemon();
	snprintf(pid, sizeof(pid), "pid %d,", (int)hakt_audited.pid);
	hakt_terminal_wait_row(&terminal, 0, pid);
	hakt_terminal_wait_row(&terminal, ROWS - 1, "q: quit");
	quit();
}

static void test_keys_are_obeyed_while_the_daemon_does_not_answer(void **state)
{
	(void)state;
	start_top("vt52");
	hakt_terminal_wait_row(&terminal, 0, "2 clients");
	assert_int_equal(kill(hakt_audited.pid, SIGSTOP), 0);
	hakt_terminal_wait_row(&terminal, ROWS - 1, "no daemon answers (");
	hakt_terminal_press(&terminal, "3");
	hakt_terminal_wait_row(&terminal, HEADING, " NUMBER LENGTH STATE");
	assert_int_equal(kill(hakt_audited.pid, SIGCONT), 0);
	hakt_terminal_wait_row(&terminal, ROWS - 1, "q: quit");
	quit();
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test_setup_teardown(
		test_batch_prints_so_many_rounds_with_rates_from_the_second_on, start, stop),
	cmocka_unit_test_setup_teardown(test_batch_says_of_classes_what_slabs_says, start, stop),
	cmocka_unit_test_setup_teardown(test_batch_is_sorted_by_the_column_that_was_named, start,
					stop),
	cmocka_unit_test_setup_teardown(test_what_makes_no_sense_is_refused, start, stop),
	cmocka_unit_test_setup_teardown(test_batch_goes_on_when_the_daemon_is_back, start,
					stop_killed),
	cmocka_unit_test_setup_teardown(test_keys_change_the_tab, start, stop),
	cmocka_unit_test_setup_teardown(test_keys_sort_reverse_and_pause, start, stop),
	cmocka_unit_test_setup_teardown(test_a_window_that_is_resized_is_filled, start, stop),
	cmocka_unit_test_setup_teardown(test_a_signal_gives_the_terminal_back, start, stop),
	cmocka_unit_test_setup_teardown(test_a_terminal_has_colours_unless_NO_COLOR, start, stop),
	cmocka_unit_test_setup_teardown(test_a_terminal_that_nobody_knows_is_refused, start, stop),
	cmocka_unit_test_setup_teardown(
		test_the_screen_says_that_the_daemon_has_gone_and_goes_on_when_it_is_back, start,
		stop_killed),
	cmocka_unit_test_setup_teardown(test_keys_are_obeyed_while_the_daemon_does_not_answer,
					start, stop),
};

HAKT_MAIN(tests, NULL, NULL)
