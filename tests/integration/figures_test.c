/* SPDX-License-Identifier: MIT */
/* What is counted: with the daemon, without it, and over daemons that follow each other. */
#include "tests/support/run.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "client_lib/include/hakmem.h"
#include "proto/shm/figures.h"
#include "proto/wire/socket_path.h"
#include "tests/support/ctl.h"
#include "tests/support/keeper.h"
#include "tests/support/process.h"

enum { OWNER = 21001, MEMBER = 21002, STRANGER = 21003, GROUP = 22001, OTHER_GROUP = 22002 };

static const char *const options[] = {"--capacity",  "1G",   "--limit", "64M",
				      "--log-level", "warn", NULL};

static int start(void **state)
{
	(void)state;
	hakt_keeper = (struct hakt_keeper){.has_log = true};
	hakt_keeper_init(&hakt_keeper, NULL);
	hakt_keeper.options = options;
	hakt_keeper_start(&hakt_keeper);
	hakt_keeper_let_in(&hakt_keeper);
	return 0;
}

static int stop(void **state)
{
	hakmem_detach();
	return hakt_keeper_teardown(state);
}

/* What hakmemctl says, which is to end so; to be freed. */
static char *run_ctl(const char *const *arguments, int exit_code, int stream)
{
	struct hakt_process ctl = {0};
	char *output;

	hakt_process_run(&ctl, arguments);
	output = strdup(hakt_process_output(&ctl, stream));
	if (ctl.exit_code != exit_code)
		fail_msg("%d: %s%s", ctl.exit_code, output, hakt_process_output(&ctl, 2));
	hakt_process_end(&ctl);
	hakt_keeper_take(&hakt_keeper);
	return output;
}
#define CTL(exit_code, stream, ...) \
	run_ctl(HAKT_LIST(HAKT_HAKMEMCTL, __VA_ARGS__), (exit_code), (stream))

static void path_of(const char *pool, char path[HAK_SHOWN_PATH_MAX])
{
	hak_shown_path(hakt_keeper.daemon.socket, "stats", pool, path);
}

static struct hak_figures read_file(const char *pool)
{
	char path[HAK_SHOWN_PATH_MAX];
	struct hak_figures figures;
	int fd;

	path_of(pool, path);
	fd = open(path, O_RDONLY);
	assert_true(fd >= 0);
	assert_int_equal(read(fd, &figures, sizeof(figures)), sizeof(figures));
	close(fd);
	assert_true(hak_figures_are_known(&figures, sizeof(figures)));
	return figures;
}

/* Waits, 20 s at most, until the file says as many frees. */
static void wait_for_frees(const char *pool, uint64_t n)
{
	const struct timespec pause = {.tv_nsec = 20000000};

	for (unsigned i = 0; i < 1000; i++) {
		struct hak_figures now = read_file(pool);

		if (hak_load_relaxed(&now.clients[HAK_STAT_INVALID_FREES]) == n)
			return;
		hakt_keeper_take(&hakt_keeper);
		nanosleep(&pause, NULL);
	}
	fail_msg("the file of %s never said %llu", pool, (unsigned long long)n);
}

/* Something that is counted at once, n times. */
static void free_wrongly(unsigned n)
{
	char *block = hakmem_malloc(100);

	for (unsigned i = 0; i < n; i++)
		hakmem_free(block + 8);
	hakmem_free(block);
}

static int be_client(const void *n)
{
	free_wrongly(*(const unsigned *)n);
	return hakmem_detach();
}

static long long number_of(json_t *stats, const char *section, const char *name)
{
	return hakt_json_number(json_object_get(stats, section), name);
}

static void expect(unsigned frees, bool daemon_answers)
{
	json_t *stats = hakt_ctl(hakt_keeper.daemon.socket, "stats");

	assert_int_equal(number_of(stats, "clients", "invalid_frees"), frees);
	assert_int_equal(json_is_true(json_object_get(stats, "daemon_answers")), daemon_answers);
	json_decref(stats);
}

static void test_a_file_says_it_within_a_second(void **state)
{
	struct hak_figures before, now;
	const struct timespec more = {.tv_sec = 2, .tv_nsec = 500000000};

	(void)state;
	free_wrongly(3);
	hakmem_trim(); /* it counts for itself until then */
	wait_for_frees("default", 3);
	before = read_file("default");
	nanosleep(&more, NULL);
	now = read_file("default");
	assert_true(hak_load_relaxed(&now.at) > hak_load_relaxed(&before.at));
	assert_int_equal(hak_load_relaxed(&now.pid), hakt_keeper.daemon.pid);
	assert_int_equal(hak_load_relaxed(&now.gauges[HAK_GAUGE_CLIENTS]), 1);
	assert_int_equal(hak_load_relaxed(&now.gauges[HAK_GAUGE_LIMIT_BYTES]), 64 << 20);
	expect(3, true);
}

static void test_it_can_be_read_while_the_daemon_is_down(void **state)
{
	const unsigned n = 5;
	char *said;

	(void)state;
	hakt_process_run_child(be_client, &n);
	free_wrongly(2);
	hakmem_trim();
	wait_for_frees("default", 7);
	hakt_keeper_kill(&hakt_keeper);
	expect(7, false);
	said = CTL(0, 2, "stats");
	assert_non_null(strstr(said, "no daemon answers at "));
	assert_non_null(strstr(said, "figures of "));
	free(said);
	said = CTL(0, 1, "stats", "invalid_*");
	assert_non_null(strstr(said, "  invalid_frees                               7  frees of"));
	assert_null(strstr(said, "claims"));
	free(said);
	said = CTL(0, 1, "metrics");
	assert_non_null(strstr(said, "\nhakmem_up 0\n"));
	assert_non_null(strstr(said, "\nhakmem_client_invalid_frees_total{pool=\"default\"} 7\n"));
	free(said);
	free(CTL(3, 2, "--pool", "other", "stats"));
	free(CTL(3, 2, "status"));
	hakt_keeper_start(&hakt_keeper);
}

static void test_the_next_daemon_counts_on(void **state)
{
	unsigned n = 5;

	(void)state;
	hakt_process_run_child(be_client, &n);
	hakt_ctl_wait_pool_of(hakt_keeper.daemon.socket, "default", "clients", 0);
	free_wrongly(2);
	hakmem_trim();
	wait_for_frees("default", 7);
	for (unsigned i = 0; i < 2; i++) {
		hakt_keeper_kill(&hakt_keeper);
		hakt_keeper_start(&hakt_keeper);
		assert_int_equal(chmod(hakt_keeper.daemon.socket, 0666), 0);
		expect(7 + i, true);
		n = 1;
		hakt_process_run_child(be_client, &n);
		hakt_ctl_wait_pool_of(hakt_keeper.daemon.socket, "default", "clients", 1);
		expect(8 + i, true);
		wait_for_frees("default", 8 + i);
	}
}

static void test_another_pool_of_the_name_counts_from_0(void **state)
{
	const unsigned n = 5;

	(void)state;
	hakt_process_run_child(be_client, &n);
	hakt_ctl_wait_pool_of(hakt_keeper.daemon.socket, "default", "clients", 0);
	wait_for_frees("default", 5);
	hakt_keeper_kill(&hakt_keeper);
	hakt_keeper_remove(&hakt_keeper, "registry");
	hakt_keeper_remove(&hakt_keeper, "heap");
	expect(5, false); /* what the file has */
	hakt_keeper_start(&hakt_keeper);
	expect(0, true);
}

static void test_a_pool_that_has_ended_says_nothing(void **state)
{
	char path[HAK_SHOWN_PATH_MAX], *said;

	(void)state;
	free(CTL(0, 1, "pool", "create", "lab", "--limit", "8M"));
	path_of("lab", path);
	assert_int_equal(access(path, F_OK), 0);
	said = CTL(0, 1, "--pool", "lab", "stats", "limit_bytes");
	assert_non_null(strstr(said, "pool lab\n"));
	assert_null(strstr(said, "pool default\n"));
	free(said);
	free(CTL(0, 1, "pool", "reset", "lab"));
	assert_int_equal(access(path, F_OK), 0); /* that of the new one */
	wait_for_frees("lab", 0);
	free(CTL(0, 1, "pool", "delete", "lab"));
	assert_int_equal(access(path, F_OK), -1);
	free(CTL(1, 2, "--pool", "lab", "stats"));
}

/* Their daemon died, and the keeper has not got them. */
static void test_what_is_left_of_pools_that_are_no_more_goes(void **state)
{
	static const char *const parts[] = {"stats", "events"};
	char lab[HAK_SHOWN_PATH_MAX], other[HAK_SHOWN_PATH_MAX], own[HAK_SHOWN_PATH_MAX];

	(void)state;
	free(CTL(0, 1, "pool", "create", "lab", "--limit", "8M"));
	hakt_keeper_kill(&hakt_keeper);
	hakt_keeper_remove(&hakt_keeper, "registry.1");
	hakt_keeper_remove(&hakt_keeper, "heap.1");
	for (unsigned i = 0; i < 2;
	     i++) { /* lab of a daemon whose socket is another one, as ours and ".x" */
		hak_shown_path(hakt_keeper.daemon.socket, parts[i], "lab", lab);
		hak_shown_path(hakt_keeper.daemon.socket, parts[i], "x.lab", other);
		assert_int_equal(link(lab, other), 0);
	}
	hakt_keeper_start(&hakt_keeper);
	for (unsigned i = 0; i < 2; i++) {
		hak_shown_path(hakt_keeper.daemon.socket, parts[i], "lab", lab);
		hak_shown_path(hakt_keeper.daemon.socket, parts[i], "x.lab", other);
		hak_shown_path(hakt_keeper.daemon.socket, parts[i], "default", own);
		assert_int_equal(access(lab, F_OK), -1);
		assert_int_equal(access(other, F_OK), 0);
		assert_int_equal(access(own, F_OK), 0);
		assert_int_equal(unlink(other), 0);
	}
}

static void test_rates_are_shown_again_and_again(void **state)
{
	char *said;

	(void)state;
	said = CTL(0, 1, "--watch", "0.1", "--times", "3", "stats", "connections");
	assert_non_null(strstr(said, "/s  connections accepted\n\ndaemon\n"));
	free(said);
}

static void test_what_is_not_counted_is_wrong_usage(void **state)
{
	char *said;

	(void)state;
	said = CTL(2, 2, "stats", "claims", "nonsense*");
	assert_non_null(strstr(said, "nothing that is counted is called nonsense*"));
	free(said);
	free(CTL(2, 2, "--watch", "0", "stats"));
	free(CTL(2, 2, "--watch", "1s", "stats"));
	free(CTL(2, 2, "--times", "0", "stats"));
}

/* It can be opened, or not. */
static void check_reader(uid_t uid, gid_t gid, bool reads)
{
	char path[HAK_SHOWN_PATH_MAX];
	struct hakt_process cat = {.uid = uid, .gid = gid};

	path_of("lab", path);
	hakt_process_run(&cat, HAKT_LIST("/bin/cat", path));
	if ((cat.exit_code == 0) != reads)
		fail_msg("%u of %u: %d", uid, gid, cat.exit_code);
	hakt_process_end(&cat);
}

static void test_those_may_read_it_who_may_read_the_pool(void **state)
{
	static const struct {
		const char *mode;
		bool owner, member, stranger;
	} modes[] = {{"640", true, true, false},
		     {"400", true, false, false},
		     {"046", false, true, true},
		     {"300", false, false, false}};

	(void)state;
	if (getuid() != 0)
		skip();
	for (unsigned i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		free(CTL(0, 1, "pool", "create", "lab", "--limit", "8M", "--owner", "21001",
			 "--group", "22001", "--mode", modes[i].mode));
		check_reader(OWNER, GROUP, modes[i].owner);
		check_reader(MEMBER, GROUP, modes[i].member);
		check_reader(STRANGER, OTHER_GROUP, modes[i].stranger);
		free(CTL(0, 1, "pool", "delete", "lab"));
	}
}

/* As a directory of systemd's is, for a daemon with another user. */
static void test_without_a_file_the_daemon_works_and_says_so(void **state)
{
	char path[HAK_SHOWN_PATH_MAX], *log;

	(void)state;
	hakt_keeper_kill(&hakt_keeper);
	path_of("default", path);
	assert_int_equal(unlink(path), 0);
	*strrchr(path, '/') = 0;
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(symlink("/nonexistent", path), 0);
	hakt_keeper_start(&hakt_keeper);
	expect(0, true);
	log = hakt_keeper_log(&hakt_keeper);
	assert_non_null(strstr(log, "no statistics of pool default while no daemon runs"));
	free(log);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test_setup_teardown(test_a_file_says_it_within_a_second, start, stop),
	cmocka_unit_test_setup_teardown(test_it_can_be_read_while_the_daemon_is_down, start, stop),
	cmocka_unit_test_setup_teardown(test_the_next_daemon_counts_on, start, stop),
	cmocka_unit_test_setup_teardown(test_another_pool_of_the_name_counts_from_0, start, stop),
	cmocka_unit_test_setup_teardown(test_a_pool_that_has_ended_says_nothing, start, stop),
	cmocka_unit_test_setup_teardown(test_what_is_left_of_pools_that_are_no_more_goes, start,
					stop),
	cmocka_unit_test_setup_teardown(test_rates_are_shown_again_and_again, start, stop),
	cmocka_unit_test_setup_teardown(test_what_is_not_counted_is_wrong_usage, start, stop),
	cmocka_unit_test_setup_teardown(test_those_may_read_it_who_may_read_the_pool, start, stop),
	cmocka_unit_test_setup_teardown(test_without_a_file_the_daemon_works_and_says_so, start,
					stop),
};

HAKT_MAIN(tests, NULL, NULL)
