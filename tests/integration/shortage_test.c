/* SPDX-License-Identifier: MIT */
/*
 * A daemon that is told that memory is short. Most see files of the test's instead of the
 * kernel's, and a clock that stands still; one is in a real cgroup with a real limit, where such
 * can be made.
 */
#include "tests/support/run.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/daemon.h"
#include "tests/support/kernel_files.h"
#include "tests/support/plain.h"
#include "tests/support/process.h"
#include "tests/support/still.h"

#define MIB	 UINT64_C(1048576)
#define HIGH_MIB 48u

static struct hakt_daemon hakd;
static char directory[HAKT_DIRECTORY_BYTES];

static void put(const char *name, const char *text)
{
	hakt_kernel_write(directory, name, text);
}

static int start(void **state)
{
	(void)state;
	hakt_directory_make(directory);
	hakt_kernel_write_cgroup(directory);
	put(HAKT_OURS "memory.events", HAKT_MEMORY_EVENTS);
	setenv("HAKT_ELSEWHERE", directory, 1);
	hakt_still_start(&hakd, HAKT_HAKT_STILL ":" HAKT_HAKT_ELSEWHERE,
			 HAKT_LIST("--limit", "64M", "--keep", "3600", "--log-level", "warn"));
	unsetenv("HAKT_ELSEWHERE");
	hakt_daemon_wait_reserve(&hakd, 2);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	hakt_directory_remove(directory);
	return hakt_still_stop(&hakd);
}

static uint32_t get_run(struct hakc_conn *conn, uint32_t n)
{
	Hak__Refill refill = HAK__REFILL__INIT;
	uint32_t head, length;

	refill.count = n;
	refill.huge = true;
	hakt_plain_ask(conn, &refill);
	assert_int_equal(hakt_plain_answer(conn, &head, &length), 0);
	return head;
}

/* The daemon keeps n SuperSlabs, with their pages. */
static void make_warm(struct hakc_conn *conn, uint32_t n)
{
	Hak__Giveback giveback = HAK__GIVEBACK__INIT;
	uint32_t heads[32];

	for (uint32_t i = 0; i < n; i++)
		heads[i] = get_run(conn, 1);
	giveback.n_superslabs = n;
	giveback.superslabs = heads;
	assert_int_equal(hakt_plain_give(conn, &giveback), 0);
	assert_int_equal(hakt_daemon_status(&hakd).kept_superslabs, n);
}

static void expect_events(unsigned n)
{
	/* An event that is there when the first of these is asked has been seen by the last. */
	for (unsigned i = 0; i < 3; i++)
		(void)hakt_daemon_status(&hakd);
	assert_int_equal(hakt_daemon_counter(&hakd, "pressure_events"), n);
	assert_int_equal(hakt_daemon_counter(&hakd, "pressure_asked"), n);
}

static void test_all_that_is_warm_goes_and_clients_are_asked(void **state)
{
	struct hakc_conn conn;

	(void)state;
	hakt_plain_attach(&conn, hakd.socket);
	make_warm(&conn, 10);
	put(HAKT_OURS "memory.events", "high 5\nmax 2\n");
	hakt_still_wait_counter(&hakd, "pressure_events", 1);
	hakt_daemon_wait_resident(&hakd, MIB);
	expect_events(1);
	assert_int_equal(hakt_daemon_status(&hakd).kept_superslabs, 0);
	assert_int_equal(hakt_daemon_status(&hakd).reserve_superslabs, 0);
	(void)get_run(&conn, 1);
	hakt_daemon_wait_reserve(&hakd, 1); /* it is wanted again */
	hakt_plain_bye(&conn);
}

static void test_it_is_told_once_a_second(void **state)
{
	(void)state;
	put(HAKT_OURS "memory.events", "high 5\nmax 2\n");
	hakt_still_wait_counter(&hakd, "pressure_events", 1);
	put(HAKT_OURS "memory.events", "high 6\nmax 2\n");
	expect_events(1);
	hakt_still_pass(999);
	put(HAKT_OURS "memory.events", "high 7\nmax 2\n");
	expect_events(1);
	hakt_still_pass(1);
	put(HAKT_OURS "memory.events", "high 7\nmax 2\nlow 8\n");
	expect_events(1);
	put(HAKT_OURS "memory.events", "high 7\nmax 3\n");
	hakt_still_wait_counter(&hakd, "pressure_events", 2);
	expect_events(2);
}

/* A daemon in the foreground says this of memory at its start. */
static void expect_said(const char *text)
{
	char path[96], preload[512], elsewhere[128];
	struct hakt_process process = {
		.environment = HAKT_LIST(preload, elsewhere,
					 "ASAN_OPTIONS=verify_asan_link_order=0")};

	snprintf(preload, sizeof(preload), "LD_PRELOAD=%s", HAKT_HAKT_ELSEWHERE);
	snprintf(elsewhere, sizeof(elsewhere), "HAKT_ELSEWHERE=%s", directory);
	snprintf(path, sizeof(path), "%s/d.sock", directory);
	hakt_process_start(&process, HAKT_LIST(HAKT_HAKMEMD, "--foreground", "--socket", path));
	hakt_process_wait_output(&process, 2, text);
	hakt_process_kill(&process);
	hakt_process_end(&process);
}

static void test_what_tells_is_said_and_where_nothing_does_why(void **state)
{
	(void)state;
	hakt_directory_make(directory);
	expect_said("hakmemd: info: nothing tells when memory is short (cgroup: none of version 2, "
		    "/proc/pressure/memory: No such file or directory)\n");
	hakt_kernel_write_cgroup(directory);
	put(HAKT_OURS "memory.events", HAKT_MEMORY_EVENTS);
	put(HAKT_OURS "memory.pressure", HAKT_MEMORY_PRESSURE); /* can't be polled: it is a file */
	expect_said("hakmemd: info: that memory is short is told by "
		    "/sys/fs/cgroup/unified/ours/memory.events\n");
	hakt_directory_remove(directory);
}

static char group[256]; /* a cgroup of the test's */

static void write_group(const char *name, const char *text)
{
	char path[320];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", group, name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

static bool group_has(const char *name)
{
	char path[320];

	snprintf(path, sizeof(path), "%s/%s", group, name);
	return access(path, W_OK) == 0;
}

/* Where cgroups of version 2 are, on one line of /proc/self/mounts; false: nowhere. */
static bool find_cgroups(char point[128])
{
	FILE *mounts = fopen("/proc/self/mounts", "re");
	char line[1024], type[64];
	bool is_found = false;

	assert_non_null(mounts);
	while (!is_found && fgets(line, sizeof(line), mounts))
		is_found = sscanf(line, "%*s %127s %63s", point, type) == 2 &&
			   strcmp(type, "cgroup2") == 0;
	fclose(mounts);
	return is_found;
}

/* Makes one, with a file that the test needs, or skips it. */
static void make_group(const char *file)
{
	char point[128], path[192];
	const char *why = NULL;
	int fd;

	if (!find_cgroups(point)) {
		print_message("no cgroup2 is mounted\n");
		skip();
	}
	snprintf(path, sizeof(path), "%s/cgroup.subtree_control", point);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd >= 0) { /* if there is such a controller */
		(void)!write(fd, "+memory", 7);
		close(fd);
	}
	snprintf(group, sizeof(group), "%s/hakt-%d", point, (int)getpid());
	if (mkdir(group, 0755) != 0)
		why = "no cgroup can be made";
	else if (!group_has(file))
		why = "cgroups have no such file";
	if (!why)
		return;
	rmdir(group);
	*group = 0;
	print_message("%s: %s in %s\n", file, why, point);
	skip();
}

static void enter_group(void *context)
{
	(void)context;
	write_group("cgroup.procs", "0");
}

static void start_in_group(void)
{
	hakt_daemon_prepare(&hakd);
	hakt_daemon_fork(&hakd,
			 HAKT_LIST("--limit", "128M", "--keep", "3600", "--log-level", "warn"),
			 enter_group, NULL);
	hakt_daemon_wait_listening(&hakd);
	(void)hakt_daemon_status(&hakd); /* by then it has all that it opens at the start */
}

/* Also of a test that failed, and what is left in it. */
static int remove_group(void **state)
{
	(void)state;
	if (!*group)
		return 0;
	write_group("cgroup.kill", "1");
	for (unsigned i = 0; i < 1000 && rmdir(group) != 0; i++)
		usleep(10000);
	*group = 0;
	return 0;
}

static void test_a_real_cgroup_at_its_limit_empties_what_is_warm(void **state)
{
	char high[32];
	struct hakc_conn conn;

	(void)state;
	make_group("memory.high");
	snprintf(high, sizeof(high), "%u", HIGH_MIB << 20);
	write_group("memory.high", high);
	start_in_group();
	hakt_daemon_wait_reserve(&hakd, 2);
	hakt_plain_attach(&conn, hakd.socket);
	make_warm(&conn, 18);
	assert_int_equal(hakt_daemon_counter(&hakd, "pressure_events"), 0);
	(void)get_run(&conn, 8); /* with what is kept that is more than the limit */
	for (unsigned i = 0; i < 6000; i++) {
		if (hakt_daemon_counter(&hakd, "pressure_events") > 0)
			break;
		usleep(10000);
	}
	assert_true(hakt_daemon_counter(&hakd, "pressure_events") > 0);
	hakt_daemon_wait_resident(&hakd, 24 * MIB);
	hakt_plain_bye(&conn);
	hakt_daemon_stop_empty(&hakd);
}

/* The daemon's descriptor of a file; -1: it has none. */
static int find_descriptor(const char *file)
{
	char path[64], target[320];

	for (int fd = 0; fd < 100; fd++) {
		ssize_t n;

		snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)hakd.pid, fd);
		n = readlink(path, target, sizeof(target) - 1);
		target[n > 0 ? n : 0] = 0;
		if (strcmp(target, file) == 0)
			return fd;
	}
	return -1;
}

/* Does one of its epoll descriptors wait for priority events of it? */
static bool is_polled(int polled)
{
	char path[64], line[128];
	unsigned events = 0;

	for (int fd = 0; fd < 100 && !(events & EPOLLPRI); fd++) {
		FILE *info;
		int of;

		snprintf(path, sizeof(path), "/proc/%d/fdinfo/%d", (int)hakd.pid, fd);
		info = fopen(path, "re");
		while (info && fgets(line, sizeof(line), info))
			if (sscanf(line, "tfd: %d events: %x", &of, &events) == 2 && of == polled)
				break;
			else
				events = 0;
		if (info)
			fclose(info);
	}
	return events & EPOLLPRI;
}

/* The trigger of a real cgroup is waited for; it is not made to fire. */
static void test_a_real_cgroup_has_a_trigger(void **state)
{
	char file[320];
	int fd;

	(void)state;
	make_group("memory.pressure");
	start_in_group();
	snprintf(file, sizeof(file), "%s/memory.pressure", group);
	fd = find_descriptor(file);
	assert_true(fd >= 0);
	assert_true(is_polled(fd));
	hakt_daemon_stop(&hakd);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test_setup_teardown(test_all_that_is_warm_goes_and_clients_are_asked, start,
					stop),
	cmocka_unit_test_setup_teardown(test_it_is_told_once_a_second, start, stop),
	cmocka_unit_test(test_what_tells_is_said_and_where_nothing_does_why),
	cmocka_unit_test_teardown(test_a_real_cgroup_at_its_limit_empties_what_is_warm,
				  remove_group),
	cmocka_unit_test_teardown(test_a_real_cgroup_has_a_trigger, remove_group),
};

HAKT_MAIN(tests, NULL, NULL)
