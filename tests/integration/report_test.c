/* SPDX-License-Identifier: MIT */
/* hakmemctl report of a real daemon: what is in the page, and that it is one and no more. */
#include "tests/support/run.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client_lib/include/hakmem.h"
#include "tests/support/audit.h"
#include "tests/support/process.h"
#include "tests/support/terminal.h"

enum { N_SMALL = 40, SMALL_BYTES = 3000, SPAN_BYTES = 5 * 65536 };

#define HOSTILE_NAME "<script>x=\"'&" /* what a process can be called has 15 bytes */
#define ROOT_NAME    "</td><img src=x>"

static void *small[N_SMALL], *span;
static hakmem_ref_t root;
static struct hakt_process hostile;
static char path[HAKT_DIRECTORY_BYTES + 16];

static int hold_a_block(const void *unused)
{
	(void)unused;
	program_invocation_short_name = (char *)(uintptr_t)HOSTILE_NAME;
	HAKT_EXPECT(hakmem_malloc(100000));
	hakt_child_say("held");
	hakt_child_wait();
	return 0;
}

static int start(void **state)
{
	hakt_audit_start(state);
	for (unsigned i = 0; i < N_SMALL; i++)
		assert_non_null(small[i] = hakmem_malloc(SMALL_BYTES));
	assert_non_null(span = hakmem_malloc(SPAN_BYTES));
	assert_int_equal(hakmem_root_publish(ROOT_NAME, hakmem_ref(hakmem_malloc(100))), 0);
	hostile = (struct hakt_process){0};
	hakt_process_fork(&hostile, hold_a_block, NULL);
	hakt_process_wait_output(&hostile, 1, "held");
	snprintf(path, sizeof(path), "%s/page.html", hakt_audited.directory);
	return 0;
}

static int stop(void **state)
{
	hakt_process_end(&hostile);
	assert_int_equal(hakmem_root_withdraw(ROOT_NAME, &root), 0);
	hakmem_free(hakmem_ptr(root));
	for (unsigned i = 0; i < N_SMALL; i++)
		hakmem_free(small[i]);
	hakmem_free(span);
	unlink(path);
	return hakt_audit_stop(state);
}

/* Of a case that kills the daemon. */
static int leave(void **state)
{
	(void)state;
	hakt_process_end(&hostile);
	unlink(path);
	hakmem_detach();
	return 0;
}

static void write_report(const char *bytes)
{
	struct hakt_process ctl = {0};

	hakt_process_run(&ctl, HAKT_LIST(HAKT_HAKMEMCTL, "report", "--html", "--for", "0.3",
					 "--output", path, bytes));
	if (ctl.exit_code != 0)
		fail_msg("%d: %s", ctl.exit_code, hakt_process_output(&ctl, 2));
	assert_string_equal(hakt_process_output(&ctl, 1), "");
	assert_string_equal(hakt_process_output(&ctl, 2), ""); /* no terminal: no progress */
	hakt_process_end(&ctl);
}

/* The page's tables and text; it is HTML, XML, and fetches nothing. To be released. */
static json_t *read_report(void)
{
	struct hakt_process python = {0};
	json_t *page;

	hakt_process_run(&python, HAKT_LIST("/usr/bin/env", "python3", HAKT_REPORT_PY, path));
	if (python.exit_code != 0)
		fail_msg("%s", hakt_process_output(&python, 2));
	page = json_loads(hakt_process_output(&python, 1), 0, NULL);
	assert_non_null(page);
	hakt_process_end(&python);
	return page;
}

/* The row of a section's table in which a column has that value. */
static json_t *row_of(json_t *page, const char *section, const char *column, const char *is)
{
	json_t *rows = json_object_get(json_object_get(page, "tables"), section);

	for (size_t i = 0; i < json_array_size(rows); i++) {
		const char *value = json_string_value(
			json_object_get(json_array_get(rows, i), column));

		if (value && strcmp(value, is) == 0)
			return json_array_get(rows, i);
	}
	fail_msg("in %s there is no row whose %s is %s", section, column, is);
	return NULL;
}

static void expect_figure(json_t *row, const char *column, long long figure)
{
	char expected[32];

	snprintf(expected, sizeof(expected), "%lld", figure);
	assert_string_equal(hakt_json_string(row, column), expected);
}

static void test_figures_are_those_of_the_other_verbs(void **state)
{
	json_t *slabs = hakt_ctl(hakt_audited.socket, "slabs"), *page, *row, *cls;
	json_t *classes = json_object_get(slabs, "classes");
	char text[32];

	(void)state;
	write_report("--bytes");
	page = read_report();
	assert_true(json_array_size(classes) >= 2);
	for (size_t i = 0; i < json_array_size(classes); i++) {
		cls = json_array_get(classes, i);
		snprintf(text, sizeof(text), "%lld", hakt_json_number(cls, "block_bytes"));
		row = row_of(page, "waste", "CLASS", text);
		expect_figure(row, "SLABS", hakt_json_number(cls, "slabs"));
		expect_figure(row, "BLOCKS", hakt_json_number(cls, "blocks"));
		expect_figure(row, "LIVE", hakt_json_number(cls, "live_blocks"));
		expect_figure(row, "SIZE", hakt_json_number(cls, "slab_bytes"));
		expect_figure(row, "WASTE", hakt_json_number(cls, "waste_bytes"));
	}
	row = row_of(page, "waste", "CLASS", "spans");
	expect_figure(row, "LIVE SIZE",
		      hakt_json_number(json_object_get(slabs, "spans"), "live_bytes"));
	row = row_of(page, "pools", "POOL", "default");
	expect_figure(row, "LIVE", hakt_ctl_pool(hakt_audited.socket, "allocated_bytes"));
	expect_figure(row, "CLIENTS", 2);
	row = row_of(page, "counters", "COUNTER", "readers");
	assert_true(atoll(hakt_json_string(row, "VALUE")) >= 2);
	json_decref(page);
	json_decref(slabs);
}

static void test_hostile_names_are_text_in_a_page_that_fetches_nothing(void **state)
{
	char pid[16];
	json_t *page, *row;

	(void)state;
	write_report(NULL);
	page = read_report();
	snprintf(pid, sizeof(pid), "%d", (int)hostile.pid);
	row = row_of(page, "clients", "PID", pid);
	assert_string_equal(hakt_json_string(row, "NAME"), HOSTILE_NAME);
	row = row_of(page, "roots", "NAME", ROOT_NAME);
	expect_figure(row, "BLOCKS", 1);
	assert_non_null(strstr(hakt_json_string(page, "text"), "Who holds what in pool default"));
	assert_non_null(strstr(hakt_json_string(page, "text"), "(" HOSTILE_NAME ")")); /* map */
	json_decref(page);
}

static void test_it_can_be_written_to_stdout(void **state)
{
	struct hakt_process sh = {0};

	(void)state;
	hakt_process_run(&sh, HAKT_LIST("/bin/sh", "-c",
					"\"$0\" report --html --for 0.1 >\"$1\" && tail -n1 \"$1\"",
					HAKT_HAKMEMCTL, path));
	assert_int_equal(sh.exit_code, 0);
	assert_string_equal(hakt_process_output(&sh, 1), "</html>\n");
	json_decref(read_report());
	hakt_process_end(&sh);
}

static void expect_failure(const char *const *arguments, int exit_code, const char *text)
{
	struct hakt_process ctl = {0};

	hakt_process_run(&ctl, arguments);
	assert_int_equal(ctl.exit_code, exit_code);
	if (!strstr(hakt_process_output(&ctl, 2), text))
		fail_msg("no %s in %s", text, hakt_process_output(&ctl, 2));
	hakt_process_end(&ctl);
}

static void test_what_can_not_be_written_is_told(void **state)
{
	(void)state;
	expect_failure(HAKT_LIST(HAKT_HAKMEMCTL, "report"), 2, "say --html");
	expect_failure(HAKT_LIST(HAKT_HAKMEMCTL, "report", "--html", "--for", "0.1", "--output",
				 "/nonexistent/page"),
		       2, "/nonexistent/page can't be written: No such file");
	expect_failure(HAKT_LIST(HAKT_HAKMEMCTL, "report", "--html", "--for", "0.1", "--output",
				 "/dev/full"),
		       1, "can't write the output (No space left");
	expect_failure(HAKT_LIST(HAKT_HAKMEMCTL, "report", "--html", "--json"), 2,
		       "--json is not for report");
}

/* The daemon is killed after the first look. */
static void test_a_report_that_fails_leaves_an_old_one_as_it_was(void **state)
{
	unsigned long long readers = hakt_daemon_counter(&hakt_audited, "readers");
	struct hakt_process ctl = {0};
	struct stat st;

	(void)state;
	hakt_directory_write(hakt_audited.directory, "page.html", "old", 3);
	hakt_process_start(&ctl, HAKT_LIST(HAKT_HAKMEMCTL, "report", "--html", "--for", "3600",
					   "--output", path));
	while (hakt_daemon_counter(&hakt_audited, "readers") == readers)
		hakt_process_check_running(&ctl);
	hakt_daemon_kill(&hakt_audited);
	hakt_process_wait(&ctl);
	assert_int_equal(ctl.exit_code, 3);
	assert_non_null(strstr(hakt_process_output(&ctl, 2), "did not answer"));
	hakt_process_end(&ctl);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, 3);
}

static void test_who_waits_at_a_terminal_sees_how_far_it_is(void **state)
{
	struct hakt_terminal terminal;

	(void)state;
	hakt_terminal_start(
		&terminal, "vt52", 24, 80,
		HAKT_LIST(HAKT_HAKMEMCTL, "report", "--html", "--for", "0.5", "--output", path));
	assert_int_equal(hakt_terminal_end(&terminal), 0);
	hakt_terminal_wait_bytes(&terminal, "looking for 0.4 of 0.5 s");
	free(terminal.bytes);
	hakt_terminal_start(&terminal, "vt52", 24, 80,
			    HAKT_LIST(HAKT_HAKMEMCTL, "report", "--html"));
	assert_int_equal(hakt_terminal_end(&terminal), 2 << 8);
	hakt_terminal_wait_bytes(&terminal, "a report is no text for a terminal");
	free(terminal.bytes);
	json_decref(read_report());
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test_setup_teardown(test_figures_are_those_of_the_other_verbs, start, stop),
	cmocka_unit_test_setup_teardown(test_hostile_names_are_text_in_a_page_that_fetches_nothing,
					start, stop),
	cmocka_unit_test_setup_teardown(test_it_can_be_written_to_stdout, start, stop),
	cmocka_unit_test_setup_teardown(test_what_can_not_be_written_is_told, start, stop),
	cmocka_unit_test_setup_teardown(test_a_report_that_fails_leaves_an_old_one_as_it_was, start,
					leave),
	cmocka_unit_test_setup_teardown(test_who_waits_at_a_terminal_sees_how_far_it_is, start,
					stop),
};

HAKT_MAIN(tests, NULL, NULL)
