/* SPDX-License-Identifier: MIT */
/* What has happened, as hakmemctl lists it: with the daemon, without it, and after another one. */
#include "tests/support/run.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client_lib/include/hakmem.h"
#include "tests/support/ctl.h"
#include "tests/support/keeper.h"
#include "tests/support/process.h"

#define MIB ((size_t)1 << 20)

static const char *const options[] = {
	"--capacity", "1G", "--limit", "64M", "--client-limit", "8M", "--log-level", "debug", NULL};

static int start(void **state)
{
	(void)state;
	hakt_keeper = (struct hakt_keeper){.has_log = true};
	hakt_keeper_init(&hakt_keeper, NULL);
	hakt_keeper.options = options;
	hakt_keeper_start(&hakt_keeper);
	return 0;
}

/* How many of a kind are listed; the last one's number and pid. */
static unsigned count(const char *kind, json_int_t *ret_number, json_int_t *ret_pid)
{
	json_t *all = hakt_ctl(hakt_keeper.daemon.socket, "events"), *event;
	json_int_t number = 0;
	unsigned n = 0;
	size_t i;

	assert_int_equal(hakt_json_number(all, "schema_version"), 1);
	json_array_foreach(json_object_get(all, "events"), i, event)
	{
		assert_true(hakt_json_number(event, "number") > number);
		number = hakt_json_number(event, "number");
		assert_string_equal(hakt_json_string(event, "pool"), "default");
		if (strcmp(hakt_json_string(event, "kind"), kind) != 0)
			continue;
		n++;
		if (ret_number)
			*ret_number = number;
		if (ret_pid)
			*ret_pid = hakt_json_number(event, "pid");
	}
	json_decref(all);
	hakt_keeper_take(&hakt_keeper);
	return n;
}

static int leave(const void *unused)
{
	(void)unused;
	hakmem_free(hakmem_malloc(100));
	return hakmem_detach();
}

static int die(const void *unused)
{
	(void)unused;
	if (!hakmem_malloc(3 * MIB))
		return 1;
	raise(SIGKILL);
	return 1;
}

static void run_and_kill(void)
{
	struct hakt_process child = {0};

	hakt_process_fork(&child, die, NULL);
	hakt_process_wait(&child);
	assert_int_equal(child.exit_code, -1);
	hakt_process_end(&child);
	hakt_ctl_wait_pool_of(hakt_keeper.daemon.socket, "default", "clients", 0);
}

static void test_who_comes_goes_and_dies_is_listed(void **state)
{
	json_int_t pid = 0;
	char *log;

	(void)state;
	assert_int_equal(count("made", NULL, NULL), 1);
	hakt_process_run_child(leave, NULL);
	assert_int_equal(count("attached", NULL, &pid), 1);
	assert_true(pid > 0 && pid != getpid());
	assert_int_equal(count("detached", NULL, NULL), 1);
	assert_int_equal(count("died", NULL, NULL), 0);
	run_and_kill();
	assert_int_equal(count("attached", NULL, NULL), 2);
	assert_int_equal(count("died", NULL, &pid), 1);
	assert_int_equal(count("reclaimed", NULL, NULL), 2);
	log = hakt_keeper_log(&hakt_keeper);
	assert_non_null(strstr(log, "hakmemd: info: pool default: pid "));
	assert_non_null(strstr(log, "has died or called exec"));
	free(log);
}

static void test_they_are_there_without_the_daemon_and_after_another(void **state)
{
	json_int_t before = 0, now = 0;

	(void)state;
	run_and_kill();
	hakt_keeper_kill(&hakt_keeper);
	assert_int_equal(count("died", &before, NULL), 1);
	hakt_keeper_start(&hakt_keeper);
	assert_int_equal(count("died", NULL, NULL), 1);
	assert_int_equal(count("started", &now, NULL), 1);
	assert_true(now > before);
	run_and_kill();
	assert_int_equal(count("died", NULL, NULL), 2);
}

static void test_a_limit_is_told_the_more_seldom_the_oftener_it_is_reached(void **state)
{
	(void)state;
	assert_non_null(hakmem_malloc(5 * MIB));
	for (unsigned i = 0; i < 9; i++)
		assert_null(hakmem_malloc(5 * MIB));
	assert_in_range(count("limit", NULL, NULL), 3, 5); /* 1, 2, 4, 8 */
	hakmem_detach();
}

static void test_those_that_come_are_followed(void **state)
{
	struct hakt_process ctl = {0}, kinds = {0};

	(void)state;
	hakt_process_start(&ctl, HAKT_LIST(HAKT_HAKMEMCTL, "--follow", "--json", "events", "d*"));
	hakt_process_run_child(leave, NULL);
	hakt_process_wait_output(&ctl, 1, "\"kind\": \"detached\"");
	run_and_kill();
	hakt_process_wait_output(&ctl, 1, "\"kind\": \"died\"");
	assert_null(strstr(hakt_process_output(&ctl, 1), "\"attached\""));
	hakt_process_kill(&ctl);
	hakt_process_end(&ctl);
	hakt_process_run(&kinds, HAKT_LIST(HAKT_HAKMEMCTL, "events", "nonsense"));
	assert_int_equal(kinds.exit_code, 2);
	assert_non_null(strstr(hakt_process_output(&kinds, 2), "no kind of event is called"));
	hakt_process_end(&kinds);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test_setup_teardown(test_who_comes_goes_and_dies_is_listed, start,
					hakt_keeper_teardown),
	cmocka_unit_test_setup_teardown(test_they_are_there_without_the_daemon_and_after_another,
					start, hakt_keeper_teardown),
	cmocka_unit_test_setup_teardown(
		test_a_limit_is_told_the_more_seldom_the_oftener_it_is_reached, start,
		hakt_keeper_teardown),
	cmocka_unit_test_setup_teardown(test_those_that_come_are_followed, start,
					hakt_keeper_teardown),
};

HAKT_MAIN(tests, NULL, NULL)
