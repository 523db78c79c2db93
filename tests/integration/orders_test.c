/* SPDX-License-Identifier: MIT */
/* ping, reload, log-level, kick. */
#include "tests/support/run.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client_lib/include/hakmem.h"
#include "tests/support/ctl.h"
#include "tests/support/directory.h"
#include "tests/support/keeper.h"
#include "tests/support/process.h"

#define MIB	 ((size_t)1 << 20)
#define STRANGER 12345

static char config[HAKT_DIRECTORY_BYTES + 16];

static void write_config(const char *text)
{
	hakt_directory_write(hakt_keeper.daemon.directory, "conf", text, strlen(text));
}

static int start(void **state)
{
	static const char *options[] = {"--capacity", "1G", "--config", config, NULL};

	(void)state;
	hakt_keeper = (struct hakt_keeper){.has_log = true};
	hakt_keeper_init(&hakt_keeper, NULL);
	snprintf(config, sizeof(config), "%s/conf", hakt_keeper.daemon.directory);
	write_config("[pool default]\nlimit = 64M\n");
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

#define CTL(exit_code, text, ...)                                                             \
	hakt_keeper_run(&hakt_keeper, 0, HAKT_LIST(HAKT_HAKMEMCTL, __VA_ARGS__), (exit_code), \
			(text))
#define STRANGER_CTL(exit_code, text, ...)                                              \
	hakt_keeper_run(&hakt_keeper, STRANGER, HAKT_LIST(HAKT_HAKMEMCTL, __VA_ARGS__), \
			(exit_code), (text))

static void test_a_ping_is_answered(void **state)
{
	json_t *json = hakt_ctl(hakt_keeper.daemon.socket, "ping");

	(void)state;
	assert_true(hakt_json_number(json, "answered_in_us") > 0);
	json_decref(json);
	CTL(0, "answers, in ", "ping");
	hakt_keeper_kill(&hakt_keeper);
	CTL(3, "no daemon listens on", "ping");
	hakt_keeper_start(&hakt_keeper);
}

static void test_a_reload_takes_what_the_file_says_now(void **state)
{
	(void)state;
	write_config("[pool default]\nlimit = 32M\n");
	CTL(0, "reloaded", "reload");
	assert_int_equal(hakt_ctl_pool(hakt_keeper.daemon.socket, "limit_bytes"), 32 * MIB);
	write_config("[pool default]\nlimit = much\n");
	CTL(1, "the configuration can't be used", "reload");
	assert_int_equal(hakt_ctl_pool(hakt_keeper.daemon.socket, "limit_bytes"), 32 * MIB);
}

static int come_and_go(const void *unused)
{
	(void)unused;
	return hakmem_attach(NULL) || hakmem_detach();
}

static void test_the_log_says_more_or_less(void **state)
{
	char *log;

	(void)state;
	CTL(0, "debug", "log-level", "debug");
	hakt_process_run_child(come_and_go, NULL);
	log = hakt_keeper_log(&hakt_keeper);
	assert_non_null(strstr(log, "hakmemd: debug: pool default: pid "));
	free(log);
	CTL(1, "no such level", "log-level", "loud");
	CTL(2, "it needs to be said: error|warn|info|debug", "log-level");
}

/* How much more it gets, in MiB. */
static unsigned grow(void)
{
	unsigned n = 0;

	while (n < 100 && hakmem_malloc(MIB))
		n++;
	return n;
}

static void test_nothing_more_is_granted_to_who_is_kicked(void **state)
{
	char *mine = hakmem_malloc(5 * MIB), pid[16];

	(void)state;
	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	CTL(0, "nothing more is granted", "kick", pid);
	for (unsigned i = 0; i < 2; i++) {
		assert_true(grow() < 10); /* what it had in stock */
		assert_int_equal(errno, EPERM);
		memset(mine, 7, 5 * MIB);
		hakt_keeper_kill(&hakt_keeper); /* the next one knows it */
		hakt_keeper_start(&hakt_keeper);
	}
	hakmem_free(mine);
	assert_int_equal(hakmem_detach(), 0);
	assert_true(grow() > 40); /* another client by now */
}

static int allocate_and_wait(const void *unused)
{
	(void)unused;
	HAKT_EXPECT(hakmem_malloc(100) != NULL);
	hakt_child_say("ready");
	hakt_child_wait();
	return 0;
}

static void test_a_kick_can_end_the_process(void **state)
{
	struct hakt_process child = {0};
	char pid[16];

	(void)state;
	hakt_process_fork(&child, allocate_and_wait, NULL);
	hakt_process_wait_output(&child, 1, "ready");
	snprintf(pid, sizeof(pid), "%d", (int)child.pid);
	STRANGER_CTL(4, "user 12345 may not administer", "kick", pid);
	hakt_process_check_running(&child);
	CTL(0, "is ended", "--kill", "kick", pid);
	hakt_process_wait(&child);
	assert_int_equal(child.signal, SIGKILL);
	hakt_process_end(&child);
	hakt_ctl_wait_pool_of(hakt_keeper.daemon.socket, "default", "clients", 0);
	CTL(1, "no client of the pool has that pid", "kick", pid);
	CTL(2, "kick takes a pid", "kick", "12x");
}

static void test_orders_are_for_administrators(void **state)
{
	(void)state;
	STRANGER_CTL(0, "answers", "ping");
	STRANGER_CTL(4, "not permitted", "reload");
	STRANGER_CTL(4, "not permitted", "log-level", "debug");
	STRANGER_CTL(4, "not permitted", "dump-config");
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test_setup_teardown(test_a_ping_is_answered, start, stop),
	cmocka_unit_test_setup_teardown(test_a_reload_takes_what_the_file_says_now, start, stop),
	cmocka_unit_test_setup_teardown(test_the_log_says_more_or_less, start, stop),
	cmocka_unit_test_setup_teardown(test_nothing_more_is_granted_to_who_is_kicked, start, stop),
	cmocka_unit_test_setup_teardown(test_a_kick_can_end_the_process, start, stop),
	cmocka_unit_test_setup_teardown(test_orders_are_for_administrators, start, stop),
};

HAKT_MAIN(tests, NULL, NULL)
