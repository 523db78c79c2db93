/* SPDX-License-Identifier: MIT */
/* hakmemctl against a real daemon: what it prints, as text and as JSON, and its exit codes. */
#include "tests/support/run.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client_lib/include/hakmem.h"
#include "proto/shm/registry.h"
#include "proto/wire/wire.h"
#include "tests/support/ctl.h"
#include "tests/support/daemon.h"
#include "tests/support/process.h"

#define NOWHERE "/nonexistent/d.sock"

static struct hakt_daemon hakd;

static int start(void **state)
{
	(void)state;
	hakt_daemon_start(&hakd,
			  HAKT_LIST("--limit", "64M", "--capacity", "1G", "--log-level", "warn"));
	return 0;
}

static int stop(void **state)
{
	(void)state;
	hakmem_detach();
	return hakt_daemon_stop_empty(&hakd);
}

/* Runs hakmemctl, which must end with that exit code and say that on stdout or on stderr. */
static void check(const char *const *arguments, const char *const *environment, int exit_code,
		  const char *expected)
{
	struct hakt_process ctl = {.environment = environment};

	hakt_process_run(&ctl, arguments);
	if (ctl.exit_code != exit_code ||
	    !strstr(hakt_process_output(&ctl, exit_code ? 2 : 1), expected))
		fail_msg("exit code %d instead of %d; stdout: %s; stderr: %s", ctl.exit_code,
			 exit_code, hakt_process_output(&ctl, 1), hakt_process_output(&ctl, 2));
	/* Either an answer or an error. */
	assert_string_equal(hakt_process_output(&ctl, exit_code ? 1 : 2), "");
	hakt_process_end(&ctl);
}

/* A member that must be a whole number from least to most. */
static void check_number(json_t *object, const char *name, long long least, long long most)
{
	json_t *value = json_object_get(object, name);

	if (!json_is_integer(value))
		fail_msg("%s is no whole number", name);
	if (json_integer_value(value) < least || json_integer_value(value) > most)
		fail_msg("%s is %lld", name, (long long)json_integer_value(value));
}

static void check_string(json_t *object, const char *name, const char *expected)
{
	json_t *value = json_object_get(object, name);

	if (!json_is_string(value))
		fail_msg("%s is no string", name);
	assert_string_equal(json_string_value(value), expected);
}

static void test_the_status_as_json_has_its_promised_members(void **state)
{
	char *block = hakmem_malloc(100000);
	json_t *status, *pools, *pool;

	(void)state;
	assert_non_null(block);
	*block = 1;
	status = hakt_ctl(hakd.socket, "status");
	pools = json_object_get(status, "pools");
	pool = json_array_get(pools, 0);
	check_number(status, "schema_version", 1, 1);
	check_string(status, "version", HAKMEM_VERSION);
	check_number(status, "layout_version", HAK_LAYOUT_VERSION, HAK_LAYOUT_VERSION);
	check_number(status, "generation", 1, 1);
	check_number(status, "pid", hakd.pid, hakd.pid);
	check_number(status, "uptime_seconds", 0, 3600);
	assert_true(json_is_array(pools));
	assert_int_equal(json_array_size(pools), 1);
	check_string(pool, "name", "default");
	check_number(pool, "capacity_bytes", 1 << 30, 1 << 30);
	check_number(pool, "limit_bytes", 64 << 20, 64 << 20);
	check_number(pool, "superslab_bytes", 1 << 21, 1 << 21);
	check_number(pool, "granted_superslabs", 1, 32);
	check_number(pool, "clients", 1, 1);
	check_number(pool, "live_blocks", 1, 1000);
	check_number(pool, "allocated_bytes", 100000, 64 << 20);
	check_number(pool, "resident_bytes", 100000, 1 << 30);
	check_number(pool, "active_bytes", 100000, 64 << 20);
	check_number(pool, "mapped_bytes", 1 << 21, 64 << 20);
	check_number(pool, "retained_bytes", 0, 62 << 20);
	check_number(pool, "metadata_bytes", 65536, 64 << 20);
	check_number(pool, "anomalies", 0, 0);
	check_number(pool, "reserve_superslabs", 0, 4);
	check_number(pool, "kept_superslabs", 0, 32);
	check_number(pool, "orphan_superslabs", 0, 0);
	check_number(pool, "waiting_superslabs", 0, 0);
	assert_true(json_is_string(json_object_get(pool, "huge_pages")));
	json_decref(status);
	hakmem_free(block);
}

static void test_the_status_as_text_names_daemon_and_pool(void **state)
{
	char pid[64];

	(void)state;
	snprintf(pid, sizeof(pid), "hakmemd %s\n  pid                  %d\n", HAKMEM_VERSION,
		 (int)hakd.pid);
	check(HAKT_LIST(HAKT_HAKMEMCTL, "status"), NULL, 0, pid);
	check(HAKT_LIST(HAKT_HAKMEMCTL, "status"), NULL, 0, "\npool default\n");
	check(HAKT_LIST(HAKT_HAKMEMCTL, "status"), NULL, 0, "  limit                64.0 MiB\n");
	check(HAKT_LIST(HAKT_HAKMEMCTL, "status"), NULL, 0, "  huge pages           ");
	check(HAKT_LIST(HAKT_HAKMEMCTL, "status"), NULL, 0, " in reserve, ");
	check(HAKT_LIST(HAKT_HAKMEMCTL, "status"), NULL, 0, "    of it retained ");
	check(HAKT_LIST(HAKT_HAKMEMCTL, "status"), NULL, 0,
	      "    of them orphans    0\n  not free yet         0\n");
}

static void test_the_stats_count_what_clients_and_daemon_did(void **state)
{
	json_t *stats, *clients, *daemon, *value;
	const char *name;

	(void)state;
	hakmem_free(hakmem_malloc(100));
	stats = hakt_ctl(hakd.socket, "stats");
	clients = json_object_get(stats, "clients");
	daemon = json_object_get(stats, "daemon");
	check_number(stats, "schema_version", 1, 1);
	assert_true(json_object_size(clients) > 0 && json_object_size(daemon) > 0);
	json_object_foreach(clients, name, value)
	{
		assert_true(json_is_integer(value));
	}
	json_object_foreach(daemon, name, value)
	{
		assert_true(json_is_integer(value));
	}
	check_number(clients, "claims", 1, 100000);
	check_number(daemon, "attached", 1, 10);
	check_number(daemon, "granted_superslabs", 1, 32);
	for (unsigned i = 0; i < 4; i++)
		check_number(daemon,
			     (const char *const[]){"reserve_hits", "kept_hits", "fresh_grants",
						   "reserve_filled"}[i],
			     0, 100);
	check_number(daemon, "protocol_errors", 0, 0);
	json_decref(stats);
	check(HAKT_LIST(HAKT_HAKMEMCTL, "stats"), NULL, 0, "clients that attached");
}

static void test_the_clients_are_listed_with_what_they_hold(void **state)
{
	void *block = hakmem_malloc(100000);
	json_t *json, *clients, *client;
	char pid[32];

	(void)state;
	assert_non_null(block);
	json = hakt_ctl(hakd.socket, "clients");
	clients = json_object_get(json, "clients");
	client = json_array_get(clients, 0);
	check_number(json, "schema_version", 1, 1);
	assert_int_equal(json_array_size(clients), 1);
	check_number(client, "holder", 2, 4095);
	check_number(client, "generation", 1, 100);
	check_number(client, "pid", getpid(), getpid());
	check_number(client, "uid", geteuid(), geteuid());
	check_string(client, "name", "ctl_test");
	check_string(client, "pool", "default");
	check_string(client, "state", "attached");
	check_number(client, "granted_superslabs", 1, 32);
	check_number(client, "live_blocks", 1, 1000);
	check_number(client, "allocated_bytes", 100000, 64 << 20);
	check_number(client, "attached_at", 1600000000, 1ll << 40);
	json_decref(json);
	snprintf(pid, sizeof(pid), " %d ", (int)getpid());
	check(HAKT_LIST(HAKT_HAKMEMCTL, "clients"), NULL, 0, pid);
	check(HAKT_LIST(HAKT_HAKMEMCTL, "clients"), NULL, 0, " ctl_test ");
	hakmem_free(block);
}

static void test_the_roots_are_listed_with_who_published_them(void **state)
{
	hakmem_ref_t refs[2] = {hakmem_ref(hakmem_malloc(100000)), hakmem_ref(hakmem_malloc(1000))};
	json_t *json, *root, *clients, *client;
	hakmem_ref_t ref;
	char text[64];

	(void)state;
	assert_int_equal(hakmem_root_publish_list("the \"config\"", refs, 2), 0);
	assert_int_equal(hakmem_root_lookup("the \"config\"", &ref), 0);
	json = hakt_ctl(hakd.socket, "roots");
	check_number(json, "schema_version", 1, 1);
	assert_int_equal(json_array_size(json_object_get(json, "roots")), 1);
	root = json_array_get(json_object_get(json, "roots"), 0);
	check_string(root, "name", "the \"config\"");
	snprintf(text, sizeof(text), "0x%llx", (unsigned long long)ref);
	check_string(root, "ref", text);
	check_number(root, "offset", (long long)hak_ref_offset(ref),
		     (long long)hak_ref_offset(ref));
	check_number(root, "blocks", 2, 2);
	check_number(root, "bytes", 131072 + 1000, 131072 + 1100);
	check_number(root, "pid", getpid(), getpid());
	clients = hakt_ctl(hakd.socket, "clients");
	client = json_array_get(json_object_get(clients, "clients"), 0);
	for (unsigned i = 0; i < 2; i++) {
		const char *member = i ? "generation" : "holder";
		long long number = json_integer_value(json_object_get(client, member));

		check_number(root, member, number, number);
	}
	json_decref(clients);
	check_number(root, "published_at", 1600000000, 1ll << 40);
	check_number(root, "age_seconds", 0, 3600);
	json_decref(json);
	snprintf(text, sizeof(text), "0x%016llx 0x%010llx      2 ", (unsigned long long)ref,
		 (unsigned long long)hak_ref_offset(ref));
	check(HAKT_LIST(HAKT_HAKMEMCTL, "roots"), NULL, 0, text);
	check(HAKT_LIST(HAKT_HAKMEMCTL, "roots"), NULL, 0, "\nthe \"config\" ");
	assert_int_equal(hakmem_root_withdraw("the \"config\"", &ref), 0);
	hakmem_free(hakmem_ptr(ref));
	hakmem_free(hakmem_ptr(refs[1]));
	json = hakt_ctl(hakd.socket, "roots");
	assert_true(json_is_array(json_object_get(json, "roots")));
	assert_int_equal(json_array_size(json_object_get(json, "roots")), 0);
	json_decref(json);
}

static void test_a_trim_says_what_it_gave_back(void **state)
{
	(void)state;
	check(HAKT_LIST(HAKT_HAKMEMCTL, "--wait", "0", "trim"), NULL, 0, "resident: ");
	check(HAKT_LIST(HAKT_HAKMEMCTL, "--wait", "0", "trim"), NULL, 0, " before, ");
}

static void test_nobody_attached_is_an_empty_list(void **state)
{
	json_t *json, *clients;

	(void)state;
	hakmem_detach();
	hakt_daemon_wait_empty(&hakd);
	json = hakt_ctl(hakd.socket, "clients");
	clients = json_object_get(json, "clients");
	assert_true(json_is_array(clients));
	assert_int_equal(json_array_size(clients), 0);
	json_decref(json);
}

static void test_help_and_version_need_no_daemon(void **state)
{
	(void)state;
	check(HAKT_LIST(HAKT_HAKMEMCTL, "--socket", NOWHERE, "--help"), NULL, 0, "exit codes: 0");
	check(HAKT_LIST(HAKT_HAKMEMCTL, "--help"), NULL, 0, "6 degraded");
	check(HAKT_LIST(HAKT_HAKMEMCTL, "--help"), NULL, 0, "\n  check  ");
	check(HAKT_LIST(HAKT_HAKMEMCTL, "--help"), NULL, 0, "\n  leaks  ");
	check(HAKT_LIST(HAKT_HAKMEMCTL, "--help"), NULL, 0, "\n  roots  ");
	check(HAKT_LIST(HAKT_HAKMEMCTL, "--socket", NOWHERE, "--version"), NULL, 0,
	      "hakmemctl " HAKMEM_VERSION "\n");
}

static void test_a_failed_write_is_exit_code_1(void **state)
{
	(void)state;
	check(HAKT_LIST("/bin/sh", "-c", "exec \"$0\" status >/dev/full", HAKT_HAKMEMCTL), NULL, 1,
	      "can't write the output (No space left on device)");
}

static void test_wrong_usage_is_exit_code_2(void **state)
{
	char path[200];

	(void)state;
	memset(path, 'p', sizeof(path));
	path[sizeof(path) - 1] = 0;
	check(HAKT_LIST(HAKT_HAKMEMCTL), NULL, 2, "a verb is missing");
	check(HAKT_LIST(HAKT_HAKMEMCTL, "frobnicate"), NULL, 2, "no such verb: frobnicate; ");
	check(HAKT_LIST(HAKT_HAKMEMCTL, "stauts"), NULL, 2,
	      "no such verb: stauts (did you mean status?)");
	check(HAKT_LIST(HAKT_HAKMEMCTL, "pool", "lst"), NULL, 2,
	      "no such verb: pool lst (did you mean pool list?)");
	check(HAKT_LIST(HAKT_HAKMEMCTL, "clientele"), NULL, 2, "(did you mean clients?)");
	check(HAKT_LIST(HAKT_HAKMEMCTL, "status", "stats"), NULL, 2, "one verb only");
	check(HAKT_LIST(HAKT_HAKMEMCTL, "--xml", "status"), NULL, 2, "no such option: --xml; ");
	check(HAKT_LIST(HAKT_HAKMEMCTL, "--jsno", "status"), NULL, 2,
	      "no such option: --jsno (did you mean --json?)");
	check(HAKT_LIST(HAKT_HAKMEMCTL, "-j", "status"), NULL, 2, "no such option: -j; ");
	check(HAKT_LIST(HAKT_HAKMEMCTL, "--json=1", "status"), NULL, 2, "--json takes no value");
	check(HAKT_LIST(HAKT_HAKMEMCTL, "map", "--pool"), NULL, 2, "--pool needs POOL");
	check(HAKT_LIST(HAKT_HAKMEMCTL, "--svg", "status"), NULL, 2, "--svg is not for status");
	check(HAKT_LIST(HAKT_HAKMEMCTL, "--json", "metrics"), NULL, 2, "--json is not for metrics");
	check(HAKT_LIST(HAKT_HAKMEMCTL, "--json", "--watch", "1", "stats"), NULL, 2,
	      "--json answers once");
	check(HAKT_LIST(HAKT_HAKMEMCTL, "--times", "2", "stats"), NULL, 2, "--times is how often");
	check(HAKT_LIST(HAKT_HAKMEMCTL, "--timeout", "0", "status"), NULL, 2,
	      "--timeout takes 1 to 86400000 milliseconds, not 0");
	check(HAKT_LIST(HAKT_HAKMEMCTL, "--timeout", "1s", "status"), NULL, 2, "not 1s");
	check(HAKT_LIST(HAKT_HAKMEMCTL, "--wait", "60001", "trim"), NULL, 2,
	      "--wait takes 0 to 60000 milliseconds, not 60001");
	check(HAKT_LIST(HAKT_HAKMEMCTL, "--wait", "-1", "trim"), NULL, 2, "not -1");
	check(HAKT_LIST(HAKT_HAKMEMCTL, "--socket", path, "status"), NULL, 2, "107 bytes");
}

static void test_each_verb_has_a_help_of_its_own(void **state)
{
	(void)state;
	check(HAKT_LIST(HAKT_HAKMEMCTL, "--help"), NULL, 0, "options of trim:");
	check(HAKT_LIST(HAKT_HAKMEMCTL, "trim", "--help"), NULL, 0, "--wait MS");
	check(HAKT_LIST(HAKT_HAKMEMCTL, "--help", "pool", "create"), NULL, 0, "--hardened");
	check(HAKT_LIST(HAKT_HAKMEMCTL, "pool", "delete", "--help"), NULL, 0,
	      "[OPTION...] pool delete POOL");
}

static void test_no_daemon_is_exit_code_3(void **state)
{
	(void)state;
	check(HAKT_LIST(HAKT_HAKMEMCTL, "--socket", NOWHERE, "status"), NULL, 3,
	      "no daemon listens on " NOWHERE " (No such file or directory)");
	check(HAKT_LIST(HAKT_HAKMEMCTL, "--socket", NOWHERE, "status"), NULL, 3,
	      "start hakmemd or name its socket with --socket\n");
}

static void test_a_pool_that_is_not_there_is_named(void **state)
{
	static const char *const verbs[] = {"stats", "metrics", "events", "check", "leaks",
					    "trim",  "roots",	"map",	  "slabs"};

	(void)state;
	for (unsigned i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		check(HAKT_LIST(HAKT_HAKMEMCTL, verbs[i], "--pool", "nowhere"), NULL, 1,
		      "there is no pool nowhere at ");
	check(HAKT_LIST(HAKT_HAKMEMCTL, "pool", "reset", "nowhere"), NULL, 1,
	      "; hakmemctl pools lists those that are\n");
	check(HAKT_LIST(HAKT_HAKMEMCTL, "kick", "1"), NULL, 1,
	      "refuses it: no client of the pool has that pid: hakmemctl clients lists them");
}

static void test_a_daemon_that_hangs_is_exit_code_3(void **state)
{
	(void)state;
	assert_int_equal(kill(hakd.pid, SIGSTOP), 0);
	check(HAKT_LIST(HAKT_HAKMEMCTL, "--timeout", "50", "status"), NULL, 3, "did not answer");
	assert_int_equal(kill(hakd.pid, SIGCONT), 0);
}

static void test_a_socket_that_may_not_be_opened_is_exit_code_4(void **state)
{
	struct hakt_process ctl = {.obeys_modes = true};
	struct stat st;

	(void)state;
	assert_int_equal(stat(hakd.socket, &st), 0);
	assert_int_equal(chmod(hakd.socket, 0), 0);
	hakt_process_run(&ctl, HAKT_LIST(HAKT_HAKMEMCTL, "status"));
	assert_int_equal(chmod(hakd.socket, st.st_mode & 0777), 0);
	assert_int_equal(ctl.exit_code, 4);
	assert_non_null(strstr(hakt_process_output(&ctl, 2), "not permitted"));
	hakt_process_end(&ctl);
}

static void test_another_user_is_exit_code_4(void **state)
{
	struct hakt_process ctl = {.uid = 65534};

	(void)state;
	if (geteuid() != 0)
		skip();
	hakt_process_run(&ctl, HAKT_LIST(HAKT_HAKMEMCTL, "status"));
	assert_int_equal(ctl.exit_code, 4);
	assert_non_null(
		strstr(hakt_process_output(&ctl, 2), "run as the daemon's user or join its group"));
	hakt_process_end(&ctl);
}

static void test_another_protocol_version_is_exit_code_5(void **state)
{
	char expected[64];

	(void)state;
	snprintf(expected, sizeof(expected), "you speak protocol 99 and layout %u",
		 HAK_LAYOUT_VERSION);
	check(HAKT_LIST(HAKT_HAKMEMCTL_V99, "status"), NULL, 5, expected);
	snprintf(expected, sizeof(expected), "the daemon %u and %u", HAK_PROTOCOL_VERSION,
		 HAK_LAYOUT_VERSION);
	check(HAKT_LIST(HAKT_HAKMEMCTL_V99, "status"), NULL, 5, expected);
}

static void test_the_option_beats_the_environment_beats_the_user_s_socket(void **state)
{
	char link[128], runtime[128], own[128];

	(void)state;
	snprintf(link, sizeof(link), "%s/hakmem/hakmemd.sock", hakd.directory);
	snprintf(runtime, sizeof(runtime), "XDG_RUNTIME_DIR=%s", hakd.directory);
	snprintf(own, sizeof(own), "HAKMEM_SOCKET=%s", hakd.socket);
	hakt_directory_write(hakd.directory, "hakmem/no", "", 0);
	check(HAKT_LIST(HAKT_HAKMEMCTL, "--socket", hakd.socket, "status"),
	      HAKT_LIST("HAKMEM_SOCKET=" NOWHERE), 0, "hakmemd");
	check(HAKT_LIST(HAKT_HAKMEMCTL, "--socket", NOWHERE, "status"), HAKT_LIST(own), 3, NOWHERE);
	assert_int_equal(symlink(hakd.socket, link), 0);
	check(HAKT_LIST(HAKT_HAKMEMCTL, "status"), HAKT_LIST("HAKMEM_SOCKET=", runtime), 0,
	      "hakmemd");
	check(HAKT_LIST(HAKT_HAKMEMCTL, "status"), HAKT_LIST("HAKMEM_SOCKET=" NOWHERE, runtime), 3,
	      NOWHERE);
	assert_int_equal(unlink(link), 0);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_the_status_as_json_has_its_promised_members),
	cmocka_unit_test(test_the_status_as_text_names_daemon_and_pool),
	cmocka_unit_test(test_the_stats_count_what_clients_and_daemon_did),
	cmocka_unit_test(test_the_clients_are_listed_with_what_they_hold),
	cmocka_unit_test(test_the_roots_are_listed_with_who_published_them),
	cmocka_unit_test(test_a_trim_says_what_it_gave_back),
	cmocka_unit_test(test_nobody_attached_is_an_empty_list),
	cmocka_unit_test(test_help_and_version_need_no_daemon),
	cmocka_unit_test(test_a_failed_write_is_exit_code_1),
	cmocka_unit_test(test_wrong_usage_is_exit_code_2),
	cmocka_unit_test(test_each_verb_has_a_help_of_its_own),
	cmocka_unit_test(test_no_daemon_is_exit_code_3),
	cmocka_unit_test(test_a_pool_that_is_not_there_is_named),
	cmocka_unit_test(test_a_daemon_that_hangs_is_exit_code_3),
	cmocka_unit_test(test_a_socket_that_may_not_be_opened_is_exit_code_4),
	cmocka_unit_test(test_another_user_is_exit_code_4),
	cmocka_unit_test(test_another_protocol_version_is_exit_code_5),
	cmocka_unit_test(test_the_option_beats_the_environment_beats_the_user_s_socket),
};

HAKT_MAIN(tests, start, stop)
