/* SPDX-License-Identifier: MIT */
/* Which of the kernel's files is taken, and what is read in it; they are ordinary ones here. */
#include "tests/support/run.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "daemon/util/memory_files.h"
#include "tests/support/kernel_files.h"

static char directory[HAKT_DIRECTORY_BYTES];
static struct hakd_memory_files files;

static int setup(void **state)
{
	(void)state;
	hakt_directory_make(directory);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	hakd_memory_files_close(&files);
	hakt_directory_remove(directory);
	return 0;
}

static void put(const char *name, const char *text)
{
	hakt_kernel_write(directory, name, text);
}

static void expect_path(const char *path, const char *name)
{
	char expected[256] = "";

	if (name)
		snprintf(expected, sizeof(expected), "%s/%s", directory, name);
	assert_string_equal(path, expected);
}

/* What is taken; NULL: nothing is. */
static void expect(const char *stalls, const char *events)
{
	hakd_memory_files_open(&files, directory);
	expect_path(files.stalls, stalls);
	expect_path(files.events, events);
	assert_int_equal(files.stalls_fd >= 0, stalls != NULL);
	assert_int_equal(files.events_fd >= 0, events != NULL);
}

static void test_the_files_of_its_own_cgroup_come_first(void **state)
{
	char text[64] = "";

	(void)state;
	hakt_kernel_write_cgroup(directory);
	put("proc/pressure/memory", HAKT_MEMORY_PRESSURE);
	put(HAKT_OURS "memory.pressure", HAKT_MEMORY_PRESSURE);
	put(HAKT_OURS "memory.events", HAKT_MEMORY_EVENTS);
	expect(HAKT_OURS "memory.pressure", HAKT_OURS "memory.events");
	assert_string_equal(files.why_not, "");
	assert_int_equal(pread(files.stalls_fd, text, 20, 0), 20);
	assert_memory_equal(text, "some 150000 2000000", 20); /* with its end */
}

static void test_the_machine_tells_where_the_cgroup_does_not(void **state)
{
	(void)state;
	hakt_kernel_write_cgroup(directory);
	put("proc/pressure/memory", HAKT_MEMORY_PRESSURE);
	put(HAKT_OURS "memory.events", HAKT_MEMORY_EVENTS);
	expect("proc/pressure/memory", HAKT_OURS "memory.events");
	assert_string_equal(files.why_not, "memory.pressure: No such file or directory");
}

static void test_events_do_alone(void **state)
{
	(void)state;
	hakt_kernel_write_cgroup(directory);
	put(HAKT_OURS "memory.events", HAKT_MEMORY_EVENTS);
	put(HAKT_OURS "memory.pressure/a-directory-is-not-written", "");
	expect(NULL, HAKT_OURS "memory.events");
	assert_string_equal(files.why_not,
			    "memory.pressure: Is a directory, /proc/pressure/memory: "
			    "No such file or directory");
}

static void test_without_any_it_says_why(void **state)
{
	(void)state;
	expect(NULL, NULL);
	assert_string_equal(files.why_not, "cgroup: none of version 2, /proc/pressure/memory: No "
					   "such file or directory");
	assert_false(hakd_memory_files_have_risen(&files));
}

static void test_a_process_without_a_cgroup_of_version_2_has_the_machine(void **state)
{
	(void)state;
	hakt_kernel_write_cgroup(directory);
	put("proc/self/cgroup", "4:memory:/ours\n10::/ours\n");
	put("proc/pressure/memory", HAKT_MEMORY_PRESSURE);
	put(HAKT_OURS "memory.pressure", HAKT_MEMORY_PRESSURE);
	expect("proc/pressure/memory", NULL);
}

static void test_a_cgroup_is_found_in_what_is_mounted_of_them(void **state)
{
	static const char mount[] = "41 31 0:38 /a/b /groups rw - cgroup2 none rw\n";

	(void)state;
	put("proc/self/mountinfo", mount);
	put("groups/memory.events", HAKT_MEMORY_EVENTS);
	put("groups/c/memory.events", HAKT_MEMORY_EVENTS);
	put("proc/self/cgroup", "0::/a/b/c\n");
	expect(NULL, "groups/c/memory.events");
	hakd_memory_files_close(&files);
	put("proc/self/cgroup", "0::/a/b\n");
	expect(NULL, "groups/memory.events");
	hakd_memory_files_close(&files);
	put("groupsc/memory.events", HAKT_MEMORY_EVENTS);
	put("proc/self/cgroup", "0::/a/bc\n"); /* not below what is mounted */
	expect(NULL, NULL);
	put("proc/self/mountinfo", "41 31 0:38 / /groups rw - cgroup2 none rw\n");
	put("proc/self/cgroup", "0::/../c\n"); /* outside of what we may see */
	put("c/memory.events", HAKT_MEMORY_EVENTS);
	expect(NULL, NULL);
	put("proc/self/cgroup", "0::/\n");
	expect(NULL, "groups/memory.events");
}

/* Of 512 to 543 bytes, which is longer than the path of a directory may be here. */
static void test_a_cgroup_whose_path_is_too_long_is_none(void **state)
{
	static const char mount[] = "41 31 0:38 / /groups rw - cgroup2 none rw\n";
	char line[600];
	size_t before = strlen(directory) + strlen("/groups");

	(void)state;
	memset(line, 'c', sizeof(line));
	memcpy(line, "0::/", 4);
	strcpy(line + 3 + 530 - before, "\n");
	put("proc/self/mountinfo", mount);
	put("proc/self/cgroup", line);
	expect(NULL, NULL);
	assert_ptr_equal(strstr(files.why_not, "cgroup: none of version 2"), files.why_not);
}

static void write_events(const char *text, bool has_risen)
{
	put(HAKT_OURS "memory.events", text);
	assert_int_equal(hakd_memory_files_have_risen(&files), has_risen);
	assert_false(hakd_memory_files_have_risen(&files)); /* once */
}

static void test_what_counts_is_how_often_a_limit_was_reached(void **state)
{
	(void)state;
	hakt_kernel_write_cgroup(directory);
	put(HAKT_OURS "memory.events", HAKT_MEMORY_EVENTS);
	expect(NULL, HAKT_OURS "memory.events");
	write_events(HAKT_MEMORY_EVENTS, false); /* what was before the start */
	write_events("low 9\nhigh 4\nmax 2\noom 1\n", false);
	write_events("low 9\nhigh 5\nmax 2\noom 1\n", true);
	write_events("low 9\nhigh 5\nmax 3\noom 1\n", true);
	write_events("high_kill 70\nlow 9\nhigh 5\nmax 3\noom 5\n", false);
	write_events("", false);
	write_events("low 9\nhigh 5\nmax 3\n", false);
	write_events("low 9\nhigh 18446744073709551610\nmax 3\n", true);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test_setup_teardown(test_the_files_of_its_own_cgroup_come_first, setup,
					teardown),
	cmocka_unit_test_setup_teardown(test_the_machine_tells_where_the_cgroup_does_not, setup,
					teardown),
	cmocka_unit_test_setup_teardown(test_events_do_alone, setup, teardown),
	cmocka_unit_test_setup_teardown(test_without_any_it_says_why, setup, teardown),
	cmocka_unit_test_setup_teardown(
		test_a_process_without_a_cgroup_of_version_2_has_the_machine, setup, teardown),
	cmocka_unit_test_setup_teardown(test_a_cgroup_is_found_in_what_is_mounted_of_them, setup,
					teardown),
	cmocka_unit_test_setup_teardown(test_a_cgroup_whose_path_is_too_long_is_none, setup,
					teardown),
	cmocka_unit_test_setup_teardown(test_what_counts_is_how_often_a_limit_was_reached, setup,
					teardown),
};

HAKT_MAIN(tests, NULL, NULL)
