/* SPDX-License-Identifier: MIT */
/* What the journal gets of a line, and what anybody else gets. */
#include "tests/support/run.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/util/log.h"

/* What is written to stderr, a pipe that JOURNAL_STREAM names if it is one to the journal. */
static void said_of_all(bool is_journal, char *ret_text, size_t n)
{
	int ends[2], before = dup(STDERR_FILENO);
	struct stat st;
	char stream[64];
	ssize_t got;

	assert_int_equal(pipe(ends), 0);
	assert_int_equal(fstat(ends[1], &st), 0);
	snprintf(stream, sizeof(stream), "%llu:%llu", (unsigned long long)st.st_dev,
		 (unsigned long long)st.st_ino + !is_journal);
	setenv("JOURNAL_STREAM", stream, 1);
	assert_true(dup2(ends[1], STDERR_FILENO) >= 0);
	hakd_log_set_level(HAKD_LOG_DEBUG);
	hakd_log(HAKD_LOG_ERROR, "one");
	hakd_log(HAKD_LOG_WARN, "two");
	hakd_log(HAKD_LOG_INFO, "three");
	hakd_log(HAKD_LOG_DEBUG, "four");
	hakd_log_set_level(HAKD_LOG_WARN);
	hakd_log(HAKD_LOG_INFO, "five");
	dup2(before, STDERR_FILENO);
	close(before);
	close(ends[1]);
	got = read(ends[0], ret_text, n - 1);
	close(ends[0]);
	assert_true(got > 0);
	ret_text[got] = 0;
	unsetenv("JOURNAL_STREAM");
}

static void test_the_journal_gets_priorities(void **state)
{
	char text[512];

	(void)state;
	said_of_all(true, text, sizeof(text));
	assert_string_equal(text, "<3>hakmemd: error: one\n<4>hakmemd: warn: two\n"
				  "<6>hakmemd: info: three\n<7>hakmemd: debug: four\n");
}

static void test_others_get_none(void **state)
{
	char text[512];

	(void)state;
	said_of_all(false, text, sizeof(text));
	assert_string_equal(text, "hakmemd: error: one\nhakmemd: warn: two\n"
				  "hakmemd: info: three\nhakmemd: debug: four\n");
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_the_journal_gets_priorities),
	cmocka_unit_test(test_others_get_none),
};

HAKT_MAIN(tests, NULL, NULL)
