/* SPDX-License-Identifier: MIT */
/* What the daemon is told: sizes, flags, and the INI file below them. */
#include "tests/support/run.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "daemon/config.h"
#include "proto/wire/size.h"
#include "daemon/util/log.h"
#include "proto/shm/registry.h"

#define MIB UINT64_C(1048576)
#define GIB (1024 * MIB)

static char file[64]; /* the settings of a case; empty at first */
static struct hakd_config config;

static int prepare(void **state)
{
	int fd;

	(void)state;
	strcpy(file, "/tmp/hakmem-test-XXXXXX");
	fd = mkstemp(file);
	assert_true(fd >= 0);
	close(fd);
	unsetenv("HAKMEM_SOCKET");
	unsetenv("HAKMEM_LOG");
	unsetenv("XDG_RUNTIME_DIR");
	return 0;
}

static int clean_up(void **state)
{
	(void)state;
	return unlink(file);
}

static void write_file(const char *text)
{
	FILE *stream = fopen(file, "w");

	assert_non_null(stream);
	assert_true(fputs(text, stream) >= 0);
	assert_int_equal(fclose(stream), 0);
}

/* Reads the case's file and these flags. */
static int init(const char *const *flags)
{
	static char words[32][128]; /* getopt may permute them */
	static char *arguments[33]; /* a reload reads them again */
	int n = 0;

	strcpy(words[n++], "hakmemd");
	strcpy(words[n++], "--config");
	strcpy(words[n++], file);
	while (flags && *flags)
		snprintf(words[n++], sizeof(words[0]), "%s", *flags++);
	for (int i = 0; i < n; i++)
		arguments[i] = words[i];
	arguments[n] = NULL;
	optind = 0; /* glibc: begin anew */
	return hakd_config_init(&config, n, arguments);
}

static int init_with(const char *flag, const char *value)
{
	return init((const char *const[]){flag, value, NULL});
}

static int init_file(const char *text)
{
	write_file(text);
	return init(NULL);
}

static void test_sizes_have_units(void **state)
{
	static const struct {
		const char *text;
		uint64_t bytes;
	} good[] = {
		{"0", 0},
		{"4096", 4096},
		{"1K", 1024},
		{"007M", 7 * MIB},
		{"64G", 64 * GIB},
		{"1T", 1024 * GIB},
		{"18446744073709551615", UINT64_MAX},
		{"16777215T", UINT64_C(16777215) << 40},
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		uint64_t bytes = 1;

		assert_int_equal(hak_size_parse(good[i].text, &bytes), 0);
		assert_true(bytes == good[i].bytes);
	}
}

static void test_sizes_that_overflow_are_EINVAL(void **state)
{
	static const char *const bad[] = {
		"18446744073709551616",	     "18446744073709551615K", "18014398509481984K",
		"17592186044416M",	     "17179869184G",	      "16777216T",
		"99999999999999999999999999"};

	(void)state;
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		uint64_t bytes = 77;

		assert_int_equal(hak_size_parse(bad[i], &bytes), -EINVAL);
		assert_int_equal(bytes, 77);
	}
}

static void test_sizes_that_are_none_are_EINVAL(void **state)
{
	static const char *const bad[] = {"",	  " ",	 "G",	 "-1",	"+1",  " 1", "1 ",
					  "1 G",  "1GB", "1KiB", "1k",	"1g",  "1P", "0x10",
					  "1.5G", "1e9", "1G\n", "1KK", "one", "--", "\xff"};

	(void)state;
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		uint64_t bytes = 77;

		assert_int_equal(hak_size_parse(bad[i], &bytes), -EINVAL);
		assert_int_equal(bytes, 77);
	}
}

static void test_without_settings_the_defaults_hold(void **state)
{
	(void)state;
	assert_int_equal(init(NULL), 0);
	assert_string_equal(config.socket, HAK_SOCKET_SYSTEM);
	assert_true(config.pools[0].capacity == 64 * GIB);
	assert_true(config.pools[0].limit > 0 && config.pools[0].limit <= config.pools[0].capacity);
	assert_true(config.pools[0].limit <=
		    (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE) / 2);
	assert_int_equal(config.pools[0].superslab_lg, 21);
	assert_int_equal(config.pools[0].keep, 10);
	assert_true(config.pools[0].retain == 128 * MIB);
	assert_int_equal(config.idle_exit, 0);
	assert_int_equal(config.socket_mode, 0660);
	assert_int_equal(config.log_level, HAKD_LOG_INFO);
	assert_false(config.foreground);
}

static void test_flags_set_everything(void **state)
{
	static const char *const flags[] = {
		"--socket",    "/a/socket",	 "--capacity",	"128M",		 "--limit",
		"66M",	       "--superslab-lg", "20",		"--socket-mode", "600",
		"--idle-exit", "31536000",	 "--log-level", "debug",	 "--foreground",
		"--keep",      "86400",		 "--retain",	"10M",		 NULL};

	(void)state;
	assert_int_equal(init(flags), 0);
	assert_string_equal(config.socket, "/a/socket");
	assert_true(config.pools[0].capacity == 128 * MIB);
	assert_true(config.pools[0].limit == 66 * MIB);
	assert_int_equal(config.pools[0].superslab_lg, 20);
	assert_int_equal(config.pools[0].keep, 86400);
	assert_true(config.pools[0].retain == 10 * MIB);
	assert_int_equal(config.socket_mode, 0600);
	assert_int_equal(config.idle_exit, 31536000);
	assert_int_equal(config.log_level, HAKD_LOG_DEBUG);
	assert_true(config.foreground);
}

static const char all_settings[] = "# a comment\n"
				   "[daemon]\n"
				   "socket = /of/the/file\n"
				   "socket_mode = 0666\n"
				   "idle_exit = 30\n"
				   "log_level = warn\n"
				   "hello_timeout = 3\n"
				   "requests_per_second = 0\n"
				   "admin_group = 20003\n"
				   "\n"
				   "[pool default]\n"
				   "capacity = 32G ; another comment\n"
				   "limit=1G\n"
				   "superslab_lg = 20\n"
				   "keep = 0\n"
				   "retain = 0\n"
				   "client_limit = 4M\n"
				   "user_limit = 16M\n"
				   "user_clients = 5\n"
				   "hardened = yes\n"
				   "owner = 20001\n"
				   "group = 20002\n"
				   "mode = 640\n";

static void expect_what_can_change(void)
{
	const struct hakd_pool_config *pool = &config.pools[0];

	assert_int_equal(config.log_level, HAKD_LOG_WARN);
	assert_int_equal(config.hello_timeout, 3);
	assert_int_equal(config.requests_per_second, 0);
	assert_int_equal(config.admin_group, 20003);
	assert_true(pool->limit == GIB);
	assert_int_equal(pool->keep, 0);
	assert_true(pool->retain == 0);
	assert_true(pool->client_limit == 4 * MIB);
	assert_true(pool->user_limit == 16 * MIB);
	assert_int_equal(pool->user_clients, 5);
	assert_true(pool->is_hardened);
	assert_int_equal(pool->owner, 20001);
	assert_int_equal(pool->group, 20002);
	assert_int_equal(pool->mode, 0640);
}

static void test_the_file_sets_everything(void **state)
{
	(void)state;
	assert_int_equal(init_file(all_settings), 0);
	assert_string_equal(config.socket, "/of/the/file");
	assert_true(config.pools[0].capacity == 32 * GIB);
	assert_int_equal(config.pools[0].superslab_lg, 20);
	assert_int_equal(config.socket_mode, 0666);
	assert_int_equal(config.idle_exit, 30);
	expect_what_can_change();
}

static void test_flags_beat_the_file(void **state)
{
	static const char *const flags[] = {"--socket",
					    "/a/socket",
					    "--capacity",
					    "128M",
					    "--limit",
					    "66M",
					    "--superslab-lg",
					    "21",
					    "--socket-mode",
					    "600",
					    "--idle-exit",
					    "0",
					    "--log-level",
					    "error",
					    NULL};

	(void)state;
	write_file(all_settings);
	assert_int_equal(init(flags), 0);
	assert_string_equal(config.socket, "/a/socket");
	assert_true(config.pools[0].capacity == 128 * MIB);
	assert_true(config.pools[0].limit == 66 * MIB);
	assert_int_equal(config.pools[0].superslab_lg, 21);
	assert_int_equal(config.socket_mode, 0600);
	assert_int_equal(config.idle_exit, 0);
	assert_int_equal(config.log_level, HAKD_LOG_ERROR);
}

static void test_the_file_beats_the_environment(void **state)
{
	(void)state;
	setenv("HAKMEM_SOCKET", "/of/the/environment", 1);
	setenv("HAKMEM_LOG", "debug", 1);
	assert_int_equal(init(NULL), 0);
	assert_string_equal(config.socket, "/of/the/environment");
	assert_int_equal(config.log_level, HAKD_LOG_DEBUG);
	assert_int_equal(init_file(all_settings), 0);
	assert_string_equal(config.socket, "/of/the/file");
	assert_int_equal(config.log_level, HAKD_LOG_WARN);
}

static void test_a_level_in_the_environment_that_is_none_is_ignored(void **state)
{
	(void)state;
	setenv("HAKMEM_LOG", "loud", 1);
	assert_int_equal(init(NULL), 0);
	assert_int_equal(config.log_level, HAKD_LOG_INFO);
}

static void test_bad_values_of_flags_are_EINVAL(void **state)
{
	static const char *const bad[][2] = {
		{"--socket", ""},
		{"--capacity", "0"},
		{"--capacity", "1M"},
		{"--capacity", "3M"},
		{"--capacity", "2T"},
		{"--capacity", "much"},
		{"--limit", "0"},
		{"--limit", "1M"},
		{"--limit", "65G"},
		{"--limit", "half"},
		{"--superslab-lg", "19"},
		{"--superslab-lg", "22"},
		{"--superslab-lg", ""},
		{"--superslab-lg", "20x"},
		{"--socket-mode", "577"},
		{"--socket-mode", "1000"},
		{"--socket-mode", "668"},
		{"--socket-mode", "-1"},
		{"--keep", "86401"},
		{"--keep", "-1"},
		{"--retain", "129M"},
		{"--retain", "-1"},
		{"--retain", "all"},
		{"--keep", "2s"},
		{"--idle-exit", "31536001"},
		{"--idle-exit", "-1"},
		{"--idle-exit", "1s"},
		{"--log-level", "loud"},
		{"--log-level", ""},
		{"--log-level", "INFO"},
		{"--config", "/nonexistent"},
		{"--idle-exit", "99999999999999999999999"},
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(init_with(bad[i][0], bad[i][1]), -EINVAL);
}

static void test_a_socket_too_long_is_EINVAL(void **state)
{
	char path[HAK_SOCKET_PATH_MAX + 1] = {0};

	(void)state;
	memset(path, 'x', HAK_SOCKET_PATH_MAX);
	assert_int_equal(init_with("--socket", path), -EINVAL);
	setenv("HAKMEM_SOCKET", path, 1);
	assert_int_equal(init(NULL), -EINVAL);
	path[HAK_SOCKET_PATH_MAX - 1] = 0;
	assert_int_equal(init_with("--socket", path), 0);
	assert_string_equal(config.socket, path);
}

static void test_what_is_no_flag_is_EINVAL(void **state)
{
	(void)state;
	assert_int_equal(init_with("--colour", "red"), -EINVAL);
	assert_int_equal(init_with("--foreground", "please"), -EINVAL);
	assert_int_equal(init((const char *const[]){"--limit", NULL}), -EINVAL);
	assert_int_equal(init((const char *const[]){"-x", NULL}), -EINVAL);
	assert_int_equal(init((const char *const[]){"word", NULL}), -EINVAL);
}

static void test_bad_values_in_the_file_are_EINVAL(void **state)
{
	static const char *const bad[] = {
		"[daemon]\nsocket =\n",
		"[daemon]\nsocket_mode = 800\n",
		"[daemon]\nidle_exit = soon\n",
		"[daemon]\nlog_level = loud\n",
		"[pool default]\ncapacity = 3M\n",
		"[pool default]\ncapacity = lots\n",
		"[pool default]\nlimit = 65G\n",
		"[pool default]\nlimit = 0\n",
		"[pool default]\nsuperslab_lg = 22\n",
		"[pool default]\nkeep = long\n",
		"[pool default]\nhardened = perhaps\n",
		"[pool default]\nmode = 778\n",
		"[pool default]\nowner = nobody at all\n",
		"[pool default]\nuser_clients = 4097\n",
		"[daemon]\nadmin_group = nobody at all\n",
		"[daemon]\nhello_timeout = 3601\n",
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(init_file(bad[i]), -EINVAL);
}

static void test_unknown_settings_in_the_file_are_EINVAL(void **state)
{
	static const char *const bad[] = {
		"[daemon]\ncolour = red\n",
		"[daemon]\ncapacity = 32G\n", /* of the other section */
		"[pool default]\nsocket = /x\n",
		"[pool an other]\ncapacity = 32G\n",
		"[pool .]\ncapacity = 32G\n",
		"[pool 01234567890123456789012345678901]\nkeep = 1\n",
		"[default]\ncapacity = 32G\n",
		"socket = /x\n",		 /* of no section */
		"[daemon]\nsuperslab-lg = 20\n", /* the flag's name */
		"[daemon]\nnonsense\n",
		"[daemon\nidle_exit = 1\n",
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(init_file(bad[i]), -EINVAL);
}

static void test_each_pool_has_a_section_of_its_own(void **state)
{
	const struct hakd_pool_config *pool;

	(void)state;
	assert_int_equal(init_file("[pool video]\ncapacity = 32G\nlimit = 1G\n"
				   "[pool default]\nkeep = 3\n"
				   "[pool video]\nkeep = 4\n"
				   "[pool a.B-c_9]\n"
				   "superslab_lg = 20\n"),
			 0);
	assert_int_equal(config.n_pools, 3);
	assert_string_equal(config.pools[0].name, "default");
	assert_int_equal(config.pools[0].keep, 3);
	pool = hakd_config_pool(&config, "video");
	assert_true(pool->capacity == 32 * GIB && pool->limit == GIB && pool->keep == 4);
	assert_int_equal(pool->superslab_lg, 21);
	pool = hakd_config_pool(&config, "a.B-c_9");
	assert_true(pool->superslab_lg == 20 && pool->keep == 10 && pool->limit > 0);
	assert_null(hakd_config_pool(&config, "other"));
	assert_int_equal(init_file("[pool video]\ncapacity = 1G\nlimit = 2G\n"), -EINVAL);
}

static void test_there_are_no_more_pools_than_can_be(void **state)
{
	char text[4096] = "";

	(void)state;
	for (unsigned i = 1; i < HAKD_POOLS_MAX; i++)
		sprintf(text + strlen(text), "[pool p%u]\nkeep = 1\n", i);
	assert_int_equal(init_file(text), 0);
	assert_int_equal(config.n_pools, HAKD_POOLS_MAX);
	sprintf(text + strlen(text), "[pool one-more]\nkeep = 1\n");
	assert_int_equal(init_file(text), -EINVAL);
}

static void test_a_reload_takes_new_pools_and_keeps_the_old_ones(void **state)
{
	(void)state;
	write_file("[pool a]\nlimit = 1G\n[pool b]\nlimit = 2G\n");
	assert_int_equal(init(NULL), 0);
	write_file("[pool c]\nlimit = 3G\n[pool b]\nlimit = 4G\nkeep = 2\n");
	assert_int_equal(hakd_config_reload(&config), 0);
	assert_int_equal(config.n_pools, 4);
	assert_true(hakd_config_pool(&config, "a")->limit == GIB);
	assert_true(hakd_config_pool(&config, "b")->limit == 4 * GIB);
	assert_int_equal(hakd_config_pool(&config, "b")->keep, 2);
	assert_true(hakd_config_pool(&config, "c")->limit == 3 * GIB);
}

static void test_a_good_flag_does_not_excuse_a_bad_file(void **state)
{
	(void)state;
	write_file("[daemon]\nidle_exit = soon\n");
	assert_int_equal(init_with("--idle-exit", "5"), -EINVAL);
}

static void test_a_file_that_cannot_be_read_is_EINVAL(void **state)
{
	(void)state;
	assert_int_equal(init_with("--config", "/nonexistent"), -EINVAL);
	assert_int_equal(init_with("--config", "/tmp"), -EINVAL); /* a directory opens */
}

static void test_a_reload_takes_what_can_change_and_no_more(void **state)
{
	struct hakd_config before;

	(void)state;
	write_file("[daemon]\nlog_level = debug\n[pool default]\nlimit = 2G\nkeep = 7\n");
	assert_int_equal(init_with("--capacity", "32G"), 0);
	before = config;
	write_file(all_settings);
	assert_int_equal(hakd_config_reload(&config), 0);
	expect_what_can_change();
	assert_true(config.pools[0].capacity == before.pools[0].capacity);
	assert_int_equal(config.pools[0].superslab_lg, before.pools[0].superslab_lg);
	assert_string_equal(config.socket, before.socket);
	assert_int_equal(config.socket_mode, before.socket_mode);
	assert_int_equal(config.idle_exit, before.idle_exit);
}

static void test_a_reload_of_a_bad_file_changes_nothing(void **state)
{
	static const char *const bad[] = {"[pool default]\nlimit = 2G\nkeep = long\n",
					  "[pool default]\nkeep = 3\nlimit = 65G\n",
					  "[pool default]\nkeep = 3\nnonsense\n"};
	struct hakd_config before;

	(void)state;
	write_file("[pool default]\nlimit = 1G\nkeep = 7\n");
	assert_int_equal(init(NULL), 0);
	before = config;
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		write_file(bad[i]);
		assert_int_equal(hakd_config_reload(&config), -EINVAL);
		assert_memory_equal(&config, &before, sizeof(config));
	}
}

static void test_help_and_version_are_answered(void **state)
{
	(void)state;
	assert_int_equal(init((const char *const[]){"--help", NULL}), 1);
	assert_int_equal(init((const char *const[]){"--version", NULL}), 1);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_sizes_have_units),
	cmocka_unit_test(test_sizes_that_overflow_are_EINVAL),
	cmocka_unit_test(test_sizes_that_are_none_are_EINVAL),
	cmocka_unit_test_setup_teardown(test_without_settings_the_defaults_hold, prepare, clean_up),
	cmocka_unit_test_setup_teardown(test_flags_set_everything, prepare, clean_up),
	cmocka_unit_test_setup_teardown(test_the_file_sets_everything, prepare, clean_up),
	cmocka_unit_test_setup_teardown(test_flags_beat_the_file, prepare, clean_up),
	cmocka_unit_test_setup_teardown(test_the_file_beats_the_environment, prepare, clean_up),
	cmocka_unit_test_setup_teardown(test_a_level_in_the_environment_that_is_none_is_ignored,
					prepare, clean_up),
	cmocka_unit_test_setup_teardown(test_bad_values_of_flags_are_EINVAL, prepare, clean_up),
	cmocka_unit_test_setup_teardown(test_a_socket_too_long_is_EINVAL, prepare, clean_up),
	cmocka_unit_test_setup_teardown(test_what_is_no_flag_is_EINVAL, prepare, clean_up),
	cmocka_unit_test_setup_teardown(test_bad_values_in_the_file_are_EINVAL, prepare, clean_up),
	cmocka_unit_test_setup_teardown(test_unknown_settings_in_the_file_are_EINVAL, prepare,
					clean_up),
	cmocka_unit_test_setup_teardown(test_a_good_flag_does_not_excuse_a_bad_file, prepare,
					clean_up),
	cmocka_unit_test_setup_teardown(test_each_pool_has_a_section_of_its_own, prepare, clean_up),
	cmocka_unit_test_setup_teardown(test_there_are_no_more_pools_than_can_be, prepare,
					clean_up),
	cmocka_unit_test_setup_teardown(test_a_reload_takes_new_pools_and_keeps_the_old_ones,
					prepare, clean_up),
	cmocka_unit_test_setup_teardown(test_a_file_that_cannot_be_read_is_EINVAL, prepare,
					clean_up),
	cmocka_unit_test_setup_teardown(test_a_reload_takes_what_can_change_and_no_more, prepare,
					clean_up),
	cmocka_unit_test_setup_teardown(test_a_reload_of_a_bad_file_changes_nothing, prepare,
					clean_up),
	cmocka_unit_test_setup_teardown(test_help_and_version_are_answered, prepare, clean_up),
};

HAKT_MAIN(tests, NULL, NULL)
