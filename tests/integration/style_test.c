/* SPDX-License-Identifier: MIT */
/* How hakmemctl prints: without headings, without units, with and without colour. */
#include "tests/support/run.h"

#include <regex.h>
#include <stdio.h>
#include <string.h>

#include "client_lib/include/hakmem.h"
#include "tests/support/audit.h"
#include "tests/support/process.h"

/* All verbs that print a table or sizes, with what stands above the table. */
static const struct {
	const char *verb;
	const char *heading; /* NULL: it is no table */
} verbs[] = {
	{"status", NULL},
	{"stats", "^daemon$"},
	{"clients", "^HOLDER +PID "},
	{"check", NULL},
	{"leaks", "^HOLDER +PID "},
	{"slabs", "^ +CLASS +SLABS "},
	{"map", "^NUMBER +PID "},
	{"trim", NULL},
	{"pools", "^POOL +LIMIT "},
	{"roots", "^NAME +REF "},
};

enum { N_VERBS = sizeof(verbs) / sizeof(verbs[0]) };

static void *blocks[3];
static hakmem_ref_t published;

static int start(void **state)
{
	hakt_audit_start(state);
	blocks[0] = hakmem_malloc(5000000);
	blocks[1] = hakmem_malloc(100000);
	blocks[2] = hakmem_malloc(3000);
	assert_true(blocks[0] && blocks[1] && blocks[2]);
	return hakmem_root_publish("a", hakmem_ref(hakmem_malloc(100000)));
}

static int stop(void **state)
{
	for (unsigned i = 0; i < 3; i++)
		hakmem_free(blocks[i]);
	assert_int_equal(hakmem_root_withdraw("a", &published), 0);
	hakmem_free(hakmem_ptr(published));
	return hakt_audit_stop(state);
}

static bool has(const char *text, const char *pattern)
{
	regex_t regex;
	bool found;

	assert_int_equal(regcomp(&regex, pattern, REG_EXTENDED | REG_NEWLINE | REG_NOSUB), 0);
	found = regexec(&regex, text, 0, NULL, 0) == 0;
	regfree(&regex);
	return found;
}

/* Its stdout must match it, or mustn't. */
static void expect(bool matches, const char *pattern, const char *const *arguments)
{
	struct hakt_process ctl = {.environment = HAKT_LIST("LC_ALL=C.UTF-8")};

	hakt_process_run(&ctl, arguments);
	if (ctl.exit_code != 0 || !*hakt_process_output(&ctl, 1))
		fail_msg("%s: %d, %s", arguments[1], ctl.exit_code, hakt_process_output(&ctl, 2));
	if (has(hakt_process_output(&ctl, 1), pattern) != matches)
		fail_msg("%s %s: %s", arguments[1], pattern, hakt_process_output(&ctl, 1));
	hakt_process_end(&ctl);
}

static void test_a_table_has_no_headings_if_none_are_wanted(void **state)
{
	(void)state;
	for (unsigned i = 0; i < N_VERBS; i++) {
		if (!verbs[i].heading)
			continue;
		expect(true, verbs[i].heading, HAKT_LIST(HAKT_HAKMEMCTL, verbs[i].verb));
		expect(false, verbs[i].heading,
		       HAKT_LIST(HAKT_HAKMEMCTL, verbs[i].verb, "--no-headers"));
		/* Rows only: they have as much in them as the longest heading, or they are counters. */
		expect(false, "^[A-Za-z' ]+(: .*)?$",
		       HAKT_LIST(HAKT_HAKMEMCTL, verbs[i].verb, "--no-headers"));
	}
}

static void test_sizes_are_plain_numbers_if_they_are_wanted(void **state)
{
	static const char unit[] = "[0-9] ([KMGT]i)?B([^A-Za-z]|$)";
	static const char *const with_sizes[] = {"status", "clients", "leaks", "slabs",
						 "map",	   "trim",    "pools", "roots"};

	(void)state;
	for (unsigned i = 0; i < N_VERBS; i++)
		expect(false, unit, HAKT_LIST(HAKT_HAKMEMCTL, verbs[i].verb, "--bytes"));
	for (unsigned i = 0; i < sizeof(with_sizes) / sizeof(with_sizes[0]); i++)
		expect(true, unit, HAKT_LIST(HAKT_HAKMEMCTL, with_sizes[i]));
}

static void test_a_picture_on_a_terminal_has_colours_unless_NO_COLOR(void **state)
{
	static const char colour[] = "\033\\[[0-9;]*m";
	static const char terminal[] = "script -qec \"$0 map\" /dev/null </dev/null";

	(void)state;
	expect(true, colour,
	       HAKT_LIST("/usr/bin/env", "TERM=xterm", "NO_COLOR=", "/bin/sh", "-c", terminal,
			 HAKT_HAKMEMCTL));
	expect(false, colour,
	       HAKT_LIST("/usr/bin/env", "TERM=xterm", "NO_COLOR=1", "/bin/sh", "-c", terminal,
			 HAKT_HAKMEMCTL));
	expect(false, colour,
	       HAKT_LIST("/usr/bin/env", "TERM=dumb", "NO_COLOR=", "/bin/sh", "-c", terminal,
			 HAKT_HAKMEMCTL));
	expect(false, colour, HAKT_LIST("/usr/bin/env", "TERM=xterm", HAKT_HAKMEMCTL, "map"));
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_a_table_has_no_headings_if_none_are_wanted),
	cmocka_unit_test(test_sizes_are_plain_numbers_if_they_are_wanted),
	cmocka_unit_test(test_a_picture_on_a_terminal_has_colours_unless_NO_COLOR),
};

HAKT_MAIN(tests, start, stop)
