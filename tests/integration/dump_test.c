/* SPDX-License-Identifier: MIT */
/* dump-config: what a daemon goes by, as a configuration that another one goes by. */
#include "tests/support/run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/ctl.h"
#include "tests/support/daemon.h"
#include "tests/support/process.h"

/* None of them is what it is where nothing is said. */
static const char *const options[] = {"--capacity",
				      "1G",
				      "--limit",
				      "64M",
				      "--superslab-lg",
				      "20",
				      "--keep",
				      "3",
				      "--retain",
				      "4M",
				      "--mode",
				      "751",
				      "--socket-mode",
				      "666",
				      "--idle-exit",
				      "3600",
				      "--admin-group",
				      "22003",
				      "--hello-timeout",
				      "9",
				      "--requests-per-second",
				      "1234",
				      "--log-level",
				      "info",
				      "--profile",
				      "512K",
				      NULL};

static const char *const options_of_pool[] = {
	HAKT_HAKMEMCTL,	  "pool",    "create",	       "lab.2",	    "--capacity",   "256M",
	"--limit",	  "16385K",  "--superslab-lg", "21",	    "--keep",	    "0",
	"--retain",	  "0",	     "--client-limit", "3M",	    "--user-limit", "5M",
	"--user-clients", "7",	     "--hardened",     "--profile", "3M",	    "--owner",
	"21001",	  "--group", "22001",	       "--mode",    "707",	    NULL};

static struct hakt_daemon hakd;

static int start(void **state)
{
	(void)state;
	hakt_daemon_start(&hakd, options);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	return hakt_daemon_stop_empty(&hakd);
}

/* What hakmemctl prints; to be freed. */
static char *run(const char *const *arguments)
{
	struct hakt_process ctl = {0};
	char *text;

	hakt_process_run(&ctl, arguments);
	if (ctl.exit_code != 0)
		fail_msg("%s", hakt_process_output(&ctl, 2));
	text = strdup(hakt_process_output(&ctl, 1));
	assert_non_null(text);
	hakt_process_end(&ctl);
	return text;
}

static char *dump(void)
{
	return run(HAKT_LIST(HAKT_HAKMEMCTL, "dump-config"));
}

static void test_all_that_was_said_is_dumped(void **state)
{
	char expected[1024], *text;

	(void)state;
	free(run(options_of_pool));
	free(run(HAKT_LIST(HAKT_HAKMEMCTL, "log-level", "error")));
	text = dump();
	snprintf(expected, sizeof(expected),
		 "[daemon]\nsocket = %s\nsocket_mode = 666\nidle_exit = 3600\n"
		 "admin_group = 22003\nhello_timeout = 9\nrequests_per_second = 1234\n"
		 "log_level = error\n\n"
		 "[pool default]\ncapacity = 1G\nlimit = 64M\nsuperslab_lg = 20\nkeep = 3\n"
		 "retain = 4M\nclient_limit = 0\nuser_limit = 0\nuser_clients = 0\nhardened = no\n"
		 "profile = 512K\n"
		 "owner = %u\ngroup = %u\nmode = 751\n\n"
		 "[pool lab.2]\ncapacity = 256M\nlimit = 16385K\nsuperslab_lg = 21\nkeep = 0\n"
		 "retain = 0\nclient_limit = 3M\nuser_limit = 5M\nuser_clients = 7\n"
		 "hardened = yes\nprofile = 3M\nowner = 21001\ngroup = 22001\nmode = 707\n",
		 hakd.socket, (unsigned)geteuid(), (unsigned)getegid());
	assert_string_equal(text, expected);
	free(text);
}

static void test_a_daemon_that_starts_with_the_dump_dumps_the_same(void **state)
{
	char path[HAKT_DIRECTORY_BYTES + 16], *before, *after;

	(void)state;
	free(run(options_of_pool));
	free(run(HAKT_LIST(HAKT_HAKMEMCTL, "log-level", "error")));
	before = dump();
	hakt_directory_write(hakd.directory, "dump.conf", before, strlen(before));
	snprintf(path, sizeof(path), "%s/dump.conf", hakd.directory);
	hakt_daemon_kill(&hakd);
	hakt_daemon_fork(&hakd, HAKT_LIST("--config", path), NULL, NULL);
	hakt_daemon_wait_listening(&hakd);
	after = dump();
	assert_string_equal(after, before);
	free(before);
	free(after);
}

static void test_a_reload_and_a_deletion_are_seen(void **state)
{
	char *text;

	(void)state;
	free(run(options_of_pool));
	free(run(HAKT_LIST(HAKT_HAKMEMCTL, "log-level", "error")));
	free(run(HAKT_LIST(HAKT_HAKMEMCTL, "reload")));
	free(run(HAKT_LIST(HAKT_HAKMEMCTL, "pool", "delete", "lab.2")));
	text = dump();
	assert_non_null(strstr(text, "\nlog_level = info\n"));
	assert_null(strstr(text, "lab.2"));
	free(text);
}

/* The same, as strings. */
static void test_the_json_says_the_same(void **state)
{
	json_t *json, *object, *value;
	const char *name;
	char *text, line[256];
	size_t i, n_lines = 0;

	(void)state;
	free(run(options_of_pool));
	text = dump();
	json = hakt_ctl(hakd.socket, "dump-config");
	json_object_foreach(json_object_get(json, "daemon"), name, value)
	{
		snprintf(line, sizeof(line), "\n%s = %s\n", name, json_string_value(value));
		assert_non_null(strstr(text, line));
		n_lines++;
	}
	assert_int_equal(json_array_size(json_object_get(json, "pools")), 2);
	json_array_foreach(json_object_get(json, "pools"), i, object)
	{
		json_object_foreach(object, name, value)
		{
			if (strcmp(name, "name") == 0)
				snprintf(line, sizeof(line), "\n[pool %s]\n",
					 json_string_value(value));
			else
				snprintf(line, sizeof(line), "\n%s = %s\n", name,
					 json_string_value(value));
			assert_non_null(strstr(text, line));
			n_lines++;
		}
	}
	for (const char *c = text; *c; c++)
		n_lines -= *c == '\n' && c[1] != '\n';
	assert_int_equal(n_lines, (size_t)-1); /* and nothing more but [daemon] */
	json_decref(json);
	free(text);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test_setup_teardown(test_all_that_was_said_is_dumped, start, stop),
	cmocka_unit_test_setup_teardown(test_a_daemon_that_starts_with_the_dump_dumps_the_same,
					start, stop),
	cmocka_unit_test_setup_teardown(test_a_reload_and_a_deletion_are_seen, start, stop),
	cmocka_unit_test_setup_teardown(test_the_json_says_the_same, start, stop),
};

HAKT_MAIN(tests, NULL, NULL)
