/* SPDX-License-Identifier: MIT */
/* hakmem-demo on a folder of known words: its counts, its exit codes, and what it leaves behind. */
#include "tests/support/run.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "tests/support/ctl.h"
#include "tests/support/daemon.h"
#include "tests/support/process.h"

static struct hakt_daemon hakd;
static char folder[HAKT_DIRECTORY_BYTES];

static int start(void **state)
{
	(void)state;
	hakt_daemon_start(&hakd, HAKT_LIST("--limit", "256M", "--log-level", "error"));
	hakt_directory_make(folder);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	hakt_directory_remove(folder);
	return hakt_daemon_stop_empty(&hakd);
}

static void begin_folder(void)
{
	hakt_directory_remove(folder);
	hakt_directory_make(folder);
}

static void write_text(const char *name, const char *text)
{
	hakt_directory_write(folder, name, text, strlen(text));
}

/* 5 files of 67 bytes can be read, and one more can't. */
static void make_known_words(void)
{
	static const char binary[] = "peace\0peace";
	char path[128], target[128];

	begin_folder();
	write_text("a.txt", "Hello, hello WORLD!\n");
	write_text("b.txt", "world world2 peace");
	write_text("sub/deep/c.txt", "Peace; don't\nhello");
	write_text("empty", "");
	write_text("secret", "hello hello hello");
	hakt_directory_write(folder, "binary", binary, sizeof(binary) - 1);
	snprintf(path, sizeof(path), "%s/secret", folder);
	assert_int_equal(chmod(path, 0), 0);
	snprintf(path, sizeof(path), "%s/fifo", folder);
	assert_int_equal(mkfifo(path, 0600), 0);
	snprintf(path, sizeof(path), "%s/link", folder);
	snprintf(target, sizeof(target), "%s/a.txt", folder);
	assert_int_equal(symlink(target, path), 0);
}

static void check_output(struct hakt_process *demo, int fd, const char *expected)
{
	if (!strstr(hakt_process_output(demo, fd), expected))
		fail_msg("no \"%s\" in: %s%s", expected, hakt_process_output(demo, 1),
			 hakt_process_output(demo, 2));
}

static void check_pool_is_empty(void)
{
	struct hakt_status s = hakt_daemon_status(&hakd);

	assert_int_equal(s.clients, 0);
	assert_int_equal(s.granted_superslabs, 0);
	assert_int_equal(s.live_blocks, 0);
	assert_int_equal(s.anomalies, 0);
}

/* Counts the known words with so many workers. */
static void check_known_words(const char *workers)
{
	/* The most frequent first, then by the alphabet. */
	static const char table[] = "           3  hello\n"
				    "           3  world\n"
				    "           2  peace\n"
				    "           1  don\n"
				    "           1  t\n"
				    "files: 5\n"
				    "bytes: 67\n"
				    "words: 10 (5 distinct)\n"
				    "blocks allocated: ";
	struct hakt_process demo = {.obeys_modes = true};

	make_known_words();
	hakt_process_run(&demo,
			 HAKT_LIST(HAKT_HAKMEM_DEMO, "--workers", workers, "--verify", folder));
	check_output(&demo, 2, "/secret (Permission denied)\n");
	assert_int_equal(demo.exit_code, 0);
	if (strncmp(hakt_process_output(&demo, 1), table, strlen(table)) != 0)
		fail_msg("not the table: %s", demo.output[1]);
	check_output(&demo, 1, "unreadable files: 1\nbinary files: 1\n");
	check_output(&demo, 1, "verify: agrees (10 words, 5 distinct)\n");
	check_output(&demo, 1, "pool: empty\n");
	check_pool_is_empty();
	hakt_process_end(&demo);
}

static void test_one_worker_counts_exactly(void **state)
{
	(void)state;
	check_known_words("1");
}

static void test_eight_workers_count_exactly(void **state)
{
	(void)state;
	check_known_words("8");
}

/* So many files of 5000 words, most of them different. */
static void make_many_words(unsigned n_files)
{
	static char text[5000 * 9 + 1];
	uint32_t random = 1;

	begin_folder();
	for (unsigned i = 0; i < n_files; i++) {
		char name[32];
		size_t length = 0;

		while (length < sizeof(text) - 1) {
			for (unsigned letter = 0; letter < 8; letter++) {
				random = random * 1664525u + 1013904223u;
				text[length++] = (char)('a' + (random >> 24) % 26);
			}
			text[length++] = ' ';
		}
		snprintf(name, sizeof(name), "many/%u", i);
		hakt_directory_write(folder, name, text, length);
	}
}

static void test_many_words_agree_with_a_count_in_one_process(void **state)
{
	struct hakt_process demo = {0};

	(void)state;
	make_many_words(60);
	hakt_process_start(&demo, HAKT_LIST(HAKT_HAKMEM_DEMO, "--verify", folder));
	hakt_process_wait_done(&demo);
	check_output(&demo, 1, "verify: agrees (300000 words, ");
	check_pool_is_empty();
	hakt_process_end(&demo);
}

#define WORKERS 3

/* The pids of attached processes of the demo with that name; how many there are, most at most. */
static unsigned find_clients(const char *wanted, pid_t *pids, unsigned most)
{
	json_t *json = hakt_ctl(hakd.socket, "clients");
	json_t *client;
	size_t i;
	unsigned n = 0;

	json_array_foreach(json_object_get(json, "clients"), i, client)
	{
		const char *name = json_string_value(json_object_get(client, "name"));
		const char *state = json_string_value(json_object_get(client, "state"));

		if (n < most && name && strcmp(name, wanted) == 0 && state &&
		    strcmp(state, "attached") == 0)
			pids[n++] = (pid_t)json_integer_value(json_object_get(client, "pid"));
	}
	json_decref(json);
	return n;
}

static void wait_clients(const char *name, pid_t *pids, unsigned n)
{
	while (find_clients(name, pids, n) < n)
		;
}

/* Starts a count of many words and kills a process of it, which must have attached. */
static pid_t kill_one_of(struct hakt_process *demo, const char *name)
{
	pid_t pid;

	make_many_words(200);
	hakt_process_start(demo, HAKT_LIST(HAKT_HAKMEM_DEMO, "--workers", "3", "--verify", folder));
	wait_clients(name, &pid, 1);
	assert_int_equal(kill(pid, SIGKILL), 0);
	return pid;
}

static void check_killed_fails_the_count(const char *role)
{
	struct hakt_process demo = {0};
	char name[32], expected[64];
	pid_t pid;

	snprintf(name, sizeof(name), "demo-%s", role);
	pid = kill_one_of(&demo, name);
	hakt_process_wait(&demo);
	assert_int_equal(demo.exit_code, 1);
	snprintf(expected, sizeof(expected), "a %s (pid %d) was killed by signal 9", role,
		 (int)pid);
	check_output(&demo, 2, expected);
	check_output(&demo, 1, "pool: empty\n");
	check_pool_is_empty();
	hakt_process_end(&demo);
}

static void test_a_killed_reader_fails_the_count_and_leaves_the_pool_empty(void **state)
{
	(void)state;
	check_killed_fails_the_count("reader");
}

static void test_a_killed_reporter_fails_the_count_and_leaves_the_pool_empty(void **state)
{
	(void)state;
	check_killed_fails_the_count("reporter");
}

/* The number behind this text in what the demo printed. */
static unsigned long long number_of(struct hakt_process *demo, const char *text)
{
	const char *found;

	check_output(demo, 1, text);
	found = strstr(hakt_process_output(demo, 1), text);
	return strtoull(found + strlen(text), NULL, 10);
}

static void test_a_worker_killed_from_outside_is_replaced(void **state)
{
	struct hakt_process demo = {0};

	(void)state;
	kill_one_of(&demo, "demo-worker");
	hakt_process_wait_done(&demo);
	check_output(&demo, 1, "verify: agrees (1000000 words, ");
	check_output(&demo, 1, "workers killed: 1\n");
	check_output(&demo, 1, "pool: empty\n");
	check_pool_is_empty();
	hakt_process_end(&demo);
}

static bool is_idle(pid_t pid)
{
	char path[32], text[256], *end;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	file = fopen(path, "r");
	assert_non_null(file);
	text[fread(text, 1, sizeof(text) - 1, file)] = 0;
	fclose(file);
	end = strrchr(text, ')');
	assert_non_null(end);
	return strncmp(end, ") S ", 4) == 0;
}

/* Waits until none of n processes has anything to do for a while, because others don't go on. */
static void wait_idle(const pid_t *pids, unsigned n)
{
	const struct timespec pause = {.tv_nsec = 5000000};

	for (unsigned n_idle = 0; n_idle < 20; n_idle++) {
		for (unsigned i = 0; i < n; i++)
			if (!is_idle(pids[i]))
				n_idle = 0;
		nanosleep(&pause, NULL);
	}
}

/* A count of 200 files of many words whose reporter is stopped; returns that one's pid. */
static pid_t start_stopped(struct hakt_process *demo, pid_t workers[WORKERS])
{
	pid_t reporter, others[WORKERS + 2] = {[WORKERS] = hakd.pid};

	make_many_words(200);
	hakt_process_start(demo, HAKT_LIST(HAKT_HAKMEM_DEMO, "--workers", "3", "--verify", folder));
	wait_clients("demo-reporter", &reporter, 1);
	wait_clients("demo-worker", workers, WORKERS);
	wait_clients("demo-reader", &others[WORKERS + 1], 1);
	assert_int_equal(kill(reporter, SIGSTOP), 0);
	memcpy(others, workers, WORKERS * sizeof(*workers));
	wait_idle(others, WORKERS + 2);
	return reporter;
}

/* Kills them, and waits until the daemon has taken back what was theirs. */
static void kill_workers(const pid_t workers[WORKERS])
{
	char state[HAKT_CTL_STATE_BYTES];

	for (unsigned i = 0; i < WORKERS; i++)
		assert_int_equal(kill(workers[i], SIGKILL), 0);
	for (unsigned i = 0; i < WORKERS; i++)
		do
			hakt_ctl_client_state(hakd.socket, workers[i], state);
		while (*state);
}

/* Tables that were sent and not taken die with their workers. */
static void test_what_the_dead_had_sent_and_nobody_taken_is_counted_again(void **state)
{
	struct hakt_process demo = {0};
	pid_t workers[WORKERS], reporter;

	(void)state;
	reporter = start_stopped(&demo, workers);
	kill_workers(workers);
	assert_int_equal(kill(reporter, SIGCONT), 0);
	hakt_process_wait_done(&demo);
	check_output(&demo, 1, "verify: agrees (1000000 words, ");
	check_output(&demo, 1, "workers killed: 3\n");
	assert_true(number_of(&demo, "files handed out again: ") >= 1);
	check_output(&demo, 1, "pool: empty\n");
	check_pool_is_empty();
	hakt_process_end(&demo);
}

/* Those that the dead had taken can't be loaded again. The count ends, and tells. */
static void test_files_that_went_with_their_workers_and_from_disk_are_unreadable(void **state)
{
	struct hakt_process demo = {0};
	pid_t workers[WORKERS], reporter;
	unsigned long long n_files;

	(void)state;
	reporter = start_stopped(&demo, workers);
	begin_folder();
	kill_workers(workers);
	assert_int_equal(kill(reporter, SIGCONT), 0);
	hakt_process_wait(&demo);
	n_files = number_of(&demo, "files: ");
	assert_true(n_files < 200);
	assert_int_equal(n_files + number_of(&demo, "unreadable files: "), 200);
	check_output(&demo, 2, " (No such file or directory)\n");
	check_output(&demo, 1, "pool: empty\n");
	check_pool_is_empty();
	hakt_process_end(&demo);
}

/* What must be the same however often workers die: all up to the times. */
static void keep_counts(struct hakt_process *demo, char *to, size_t size)
{
	const char *output = hakt_process_output(demo, 1);
	const char *end = strstr(output, "seconds: ");

	assert_non_null(end);
	assert_true((size_t)(end - output) < size);
	memcpy(to, output, (size_t)(end - output));
	to[end - output] = 0;
}

/* Counts the folder killing workers so often: exact, empty and clean at the end. */
static void run_killing(struct hakt_process *demo, const char *workers, const char *every)
{
	json_t *check;

	hakt_process_start(demo, HAKT_LIST(HAKT_HAKMEM_DEMO, "--workers", workers, "--kill-every",
					   every, "--verify", folder));
	hakt_process_wait_done(demo);
	check_output(demo, 1, "verify: agrees (");
	check_output(demo, 1, "pool: empty\n");
	assert_true(number_of(demo, "workers killed: ") >= 1);
	check_pool_is_empty();
	check = hakt_ctl(hakd.socket, "check"); /* fails if something is wrong */
	json_decref(check);
}

static void test_killed_workers_change_no_count(void **state)
{
	static char with[4096], without[4096];
	struct hakt_process calm = {0}, killing = {0};

	(void)state;
	make_many_words(120);
	hakt_process_start(&calm, HAKT_LIST(HAKT_HAKMEM_DEMO, folder));
	hakt_process_wait_done(&calm);
	assert_int_equal(number_of(&calm, "workers killed: "), 0);
	assert_int_equal(number_of(&calm, "files handed out again: "), 0);
	keep_counts(&calm, without, sizeof(without));
	run_killing(&killing, "4", "20");
	keep_counts(&killing, with, sizeof(with));
	assert_string_equal(with, without);
	hakt_process_end(&calm);
	hakt_process_end(&killing);
}

/* Each kill hits a worker that has files, and some kill is in time for them. */
static void test_files_of_a_killed_worker_are_handed_out_again(void **state)
{
	struct hakt_process demo = {0};

	(void)state;
	make_many_words(60);
	run_killing(&demo, "1", "2");
	assert_true(number_of(&demo, "files handed out again: ") >= 1);
	hakt_process_end(&demo);
}

/* One file for eight workers: those killed without a file cost nothing. */
static void test_workers_are_killed_with_nothing_left_to_do(void **state)
{
	static char text[8 << 20];
	struct hakt_process demo = {0};

	(void)state;
	begin_folder();
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (char)(i % 8 == 7 ? ' ' : 'a' + i / 8 % 26);
	hakt_directory_write(folder, "one", text, sizeof(text));
	run_killing(&demo, "8", "5");
	check_output(&demo, 1, "words: 1048576 (26 distinct)\n");
	assert_true(number_of(&demo, "workers killed: ") >
		    number_of(&demo, "files handed out again: "));
	hakt_process_end(&demo);
}

static void test_wrong_usage_is_exit_code_2(void **state)
{
	static const struct {
		const char *option, *value, *expected;
	} wrong[] = {
		{"--workers", "0", "--workers takes 1 to 256, not 0"},
		{"--workers", "257", "--workers takes 1 to 256, not 257"},
		{"--workers", "two", "--workers takes 1 to 256, not two"},
		{"--kill-every", "0", "--kill-every takes 1 to 60000, not 0"},
		{"--kill-every", "60001", "--kill-every takes 1 to 60000, not 60001"},
		{"--kill-every", "-5", "--kill-every takes 1 to 60000, not -5"},
		{"--kill-every", "5ms", "--kill-every takes 1 to 60000, not 5ms"},
		{"--kill-every", NULL, "option '--kill-every' requires an argument"},
		{"--fast", NULL, "hakmem-demo --help lists the options"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct hakt_process demo = {0};

		hakt_process_run(&demo,
				 HAKT_LIST(HAKT_HAKMEM_DEMO, wrong[i].option, wrong[i].value));
		assert_int_equal(demo.exit_code, 2);
		check_output(&demo, 2, wrong[i].expected);
		hakt_process_end(&demo);
	}
}

static void test_without_a_daemon_it_is_exit_code_3(void **state)
{
	struct hakt_process demo = {0};

	(void)state;
	hakt_process_run(&demo,
			 HAKT_LIST(HAKT_HAKMEM_DEMO, "--socket", "/nonexistent/d.sock", folder));
	assert_int_equal(demo.exit_code, 3);
	check_output(&demo, 2, "no daemon answers on /nonexistent/d.sock");
	hakt_process_end(&demo);
}

static void test_the_option_beats_the_environment(void **state)
{
	struct hakt_process demo = {.environment = HAKT_LIST("HAKMEM_SOCKET=/nonexistent/d.sock")};

	(void)state;
	begin_folder();
	write_text("one", "word");
	hakt_process_start(&demo, HAKT_LIST(HAKT_HAKMEM_DEMO, "--socket", hakd.socket, folder));
	hakt_process_wait_done(&demo);
	check_output(&demo, 1, "           1  word\n");
	hakt_process_end(&demo);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_one_worker_counts_exactly),
	cmocka_unit_test(test_eight_workers_count_exactly),
	cmocka_unit_test(test_many_words_agree_with_a_count_in_one_process),
	cmocka_unit_test(test_a_killed_reader_fails_the_count_and_leaves_the_pool_empty),
	cmocka_unit_test(test_a_killed_reporter_fails_the_count_and_leaves_the_pool_empty),
	cmocka_unit_test(test_a_worker_killed_from_outside_is_replaced),
	cmocka_unit_test(test_what_the_dead_had_sent_and_nobody_taken_is_counted_again),
	cmocka_unit_test(test_files_that_went_with_their_workers_and_from_disk_are_unreadable),
	cmocka_unit_test(test_killed_workers_change_no_count),
	cmocka_unit_test(test_files_of_a_killed_worker_are_handed_out_again),
	cmocka_unit_test(test_workers_are_killed_with_nothing_left_to_do),
	cmocka_unit_test(test_wrong_usage_is_exit_code_2),
	cmocka_unit_test(test_without_a_daemon_it_is_exit_code_3),
	cmocka_unit_test(test_the_option_beats_the_environment),
};

HAKT_MAIN(tests, start, stop)
