/* SPDX-License-Identifier: MIT */
/*
 * hakmemctl profile against real daemons and processes: sites that are known by name have their
 * share, whether they live or not, however they were linked; and all forms say the same.
 */
#include "tests/support/run.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/ctl.h"
#include "tests/support/mortal.h"

enum { SITES = 3, STRANGER = 21999, MANY = 4096 };

/* Places that allocate; not a last call, so that each has a frame, and no two are alike. */
#define SITE(i)                                                                   \
	static __attribute__((noinline)) void *hakt_profile_site_##i(size_t size) \
	{                                                                         \
		void *volatile block = hakmem_malloc(size + (i));                 \
                                                                                  \
		return block;                                                     \
	}
SITE(0)
SITE(1)
SITE(2)

/* Called through these only: a compiler would make copies of them. */
static void *(*volatile sites[SITES])(size_t) = {hakt_profile_site_0, hakt_profile_site_1,
						 hakt_profile_site_2};
static const char *const names[SITES] = {"hakt_profile_site_0", "hakt_profile_site_1",
					 "hakt_profile_site_2"};

static void *blocks[200000];
static size_t n_blocks;

static int start_with(const char *interval)
{
	n_blocks = 0;
	return hakt_mortal_start(
		HAKT_LIST("--limit", "256M", "--log-level", "warn", "--profile", interval));
}

static int start(void **state)
{
	(void)state;
	return start_with("64K");
}

static int start_dense(void **state)
{
	(void)state;
	return start_with("4K");
}

static int start_off(void **state)
{
	(void)state;
	return start_with("0");
}

static void make(unsigned site, size_t size, unsigned n)
{
	while (n-- > 0) {
		assert_true(n_blocks < sizeof(blocks) / sizeof(blocks[0]));
		blocks[n_blocks] = sites[site](size);
		assert_non_null(blocks[n_blocks++]);
	}
}

static int stop(void **state)
{
	while (n_blocks > 0)
		hakmem_free(blocks[--n_blocks]);
	return hakt_mortal_stop(state);
}

/* What hakmemctl says on stdout, or with an exit code on stderr; to be freed. */
static char *say(int exit_code, const char *const *arguments)
{
	struct hakt_process ctl = {0};
	char *text;

	hakt_process_run(&ctl, arguments);
	if (ctl.exit_code != exit_code)
		fail_msg("exit code %d: %s", ctl.exit_code, hakt_process_output(&ctl, 2));
	text = strdup(hakt_process_output(&ctl, exit_code ? 2 : 1));
	assert_non_null(text);
	hakt_process_end(&ctl);
	return text;
}
#define SAY(exit_code, ...) say((exit_code), HAKT_LIST(HAKT_HAKMEMCTL, __VA_ARGS__))

static void expect_text(char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("\"%s\" isn't in %s", part, text);
	free(text);
}

static json_t *ask(const char *option)
{
	char *text = SAY(0, "profile", "--json", option);
	json_t *json = json_loads(text, 0, NULL);

	assert_non_null(json);
	free(text);
	return json;
}

/* Is the innermost frame in that function? */
static bool is_in(json_t *stack, const char *function)
{
	json_t *frames = json_object_get(stack, "frames");

	return json_array_size(frames) > 0 &&
	       strcmp(hakt_json_string(json_array_get(frames, 0), "function"), function) == 0;
}

struct sums {
	long long bytes, samples, gone_bytes;
};

/* Of a function; pid 0: of all processes. */
static struct sums sums_of(json_t *profile, const char *function, pid_t pid)
{
	json_t *stacks = json_object_get(profile, "stacks");
	struct sums sums = {0};

	for (size_t i = 0; i < json_array_size(stacks); i++) {
		json_t *stack = json_array_get(stacks, i);
		long long bytes = hakt_json_number(stack, "bytes");

		if (!is_in(stack, function) || (pid && hakt_json_number(stack, "pid") != pid))
			continue;
		sums.bytes += bytes;
		sums.samples += hakt_json_number(stack, "samples");
		sums.gone_bytes += hakt_json_number(stack, "gone_processes") ? bytes : 0;
	}
	return sums;
}

static struct sums now_of(const char *function, pid_t pid)
{
	json_t *profile = ask("--per-process");
	struct sums sums = sums_of(profile, function, pid);

	json_decref(profile);
	return sums;
}

static void check_near(long long value, long long expected)
{
	assert_in_range(value, expected * 2 / 3, expected * 4 / 3);
}

static char *decode(const char *options, const char *words)
{
	return say(0, HAKT_LIST("/bin/sh", "-c",
				"exec 3>&1; \"$0\" profile --pprof $2 | python3 \"$1\" $3",
				HAKT_HAKMEMCTL, HAKT_PPROF_PY, options, words));
}

/* 16 MiB by one site, 8 by another, among as many of a third that don't stay. */
static void fill(void)
{
	for (unsigned i = 0; i < 8192; i++) {
		make(0, 128, 16);
		make(1, 1024, 1);
		for (unsigned k = 0; k < 16; k++)
			hakmem_free(sites[2](128));
	}
}

static void test_each_site_has_its_share_of_what_is_alive(void **state)
{
	json_t *profile, *first;
	struct sums sums[SITES];

	(void)state;
	fill();
	profile = ask("--bytes");
	for (unsigned i = 0; i < SITES; i++)
		sums[i] = sums_of(profile, names[i], getpid());
	check_near(sums[0].bytes, 16 << 20);
	check_near(sums[1].bytes, 8 << 20);
	assert_true(sums[2].bytes < 2 << 20);
	first = json_array_get(json_object_get(profile, "stacks"), 0);
	assert_true(is_in(first, names[0]));
	assert_int_equal(hakt_json_number(first, "gone_processes"), 0);
	assert_string_equal(hakt_json_string(first, "name"), "profile_test");
	check_near(hakt_json_number(first, "objects"), 8192 * 16);
	assert_int_equal(hakt_json_number(profile, "interval_bytes"), 65536);
	assert_int_equal(hakt_json_number(profile, "broken_records"), 0);
	json_decref(profile);
}

/* Somebody else's blocks of the same program, so that there is something to add up. */
static int allocate_too(const void *context)
{
	(void)context;
	HAKT_EXPECT(hakmem_attach(NULL) == 0);
	for (unsigned i = 0; i < 2000; i++)
		HAKT_EXPECT(sites[0](1024));
	hakt_child_say("made");
	hakt_child_wait();
	return 0;
}

static void test_all_forms_say_the_same(void **state)
{
	struct hakt_process child = {0};
	char *collapsed, *pprof, expected[128];
	long long sum = 0;
	json_t *profile;

	(void)state;
	fill();
	hakt_mortal_start_child(&child, allocate_too, "made");
	profile = ask("--bytes");
	collapsed = SAY(0, "profile", "--collapsed");
	pprof = decode("", "");
	assert_string_equal(collapsed, pprof);
	assert_non_null(strstr(collapsed, ";hakt_profile_site_1 "));
	for (char *at = collapsed; *at; at = strchr(at, '\n') + 1)
		sum += strtoll(strchr(strstr(at, ";hakt_profile_site_"), ' '), NULL, 10);
	assert_int_equal(sum, hakt_json_number(profile, "bytes"));
	snprintf(expected, sizeof(expected), "%lld %lld 65536\n",
		 hakt_json_number(profile, "objects"), hakt_json_number(profile, "bytes"));
	expect_text(decode("", "--values"), expected);
	free(collapsed);
	free(pprof);
	collapsed = SAY(0, "profile", "--collapsed", "--per-process");
	pprof = decode("--per-process", "");
	assert_string_equal(collapsed, pprof);
	snprintf(expected, sizeof(expected), "profile_test (%d);", (int)child.pid);
	assert_non_null(strstr(collapsed, expected));
	assert_null(strchr(collapsed, '@')); /* no versions of libc's symbols */
	free(pprof);
	expect_text(collapsed, "hakt_profile_site_0 ");
	pprof = decode("--no-symbols", "");
	collapsed = SAY(0, "profile", "--collapsed", "--no-symbols");
	assert_string_equal(collapsed, pprof);
	assert_null(strstr(collapsed, "hakt_profile_site_0"));
	free(collapsed);
	free(pprof);
	json_decref(profile);
	hakt_mortal_kill(&child);
}

static void test_it_is_switched_on_and_off_at_run_time(void **state)
{
	struct sums sums;

	(void)state;
	assert_int_equal(hakmem_attach(NULL), 0);
	make(0, 60000, 200);
	expect_text(SAY(0, "profile"), "the profile is off, and nothing alive was sampled; "
				       "hakmemctl profile start\n");
	expect_text(SAY(0, "profile", "start", "64K"), "a sample is taken each 64.0 KiB");
	expect_text(SAY(0, "dump-config"), "\nprofile = 64K\n");
	expect_text(SAY(0, "profile"), "none is alive yet\n");
	make(1, 60000, 200);
	sums = now_of(names[1], getpid());
	check_near(sums.bytes, 200 * 60000);
	assert_int_equal(now_of(names[0], 0).samples, 0);
	expect_text(SAY(0, "profile", "stop"), "no more samples are taken");
	make(1, 60000, 200);
	assert_int_equal(now_of(names[1], getpid()).samples, sums.samples);
	expect_text(SAY(0, "profile"), "the profile is off; ");
	while (n_blocks > 0)
		hakmem_free(blocks[--n_blocks]);
	expect_text(SAY(0, "profile"), "nothing alive was sampled");
	expect_text(decode("", "--values"), "0 0 0\n");
	expect_text(SAY(0, "profile", "start"), "a sample is taken each 512.0 KiB");
}

static int make_to_be_taken(const void *context)
{
	(void)context;
	for (unsigned i = 0; i < HAKT_MORTAL_REFS; i++) {
		void *block = sites[1](4000);

		HAKT_EXPECT(block);
		hakt_mortal_shared->refs[i] = hakmem_ref(block);
	}
	hakt_child_say("made");
	hakt_child_wait();
	return 0;
}

static void test_blocks_of_the_dead_keep_their_stack(void **state)
{
	struct hakt_process child = {0};
	char expected[64];
	struct sums before, after;
	pid_t pid;

	(void)state;
	assert_int_equal(hakmem_attach(NULL), 0);
	hakt_mortal_start_child(&child, make_to_be_taken, "made");
	pid = child.pid;
	for (; n_blocks < HAKT_MORTAL_REFS; n_blocks++)
		assert_int_equal(hakmem_take(hakt_mortal_shared->refs[n_blocks], &blocks[n_blocks]),
				 0);
	before = now_of(names[1], pid);
	assert_true(before.samples > HAKT_MORTAL_REFS / 8);
	assert_int_equal(before.gone_bytes, 0);
	hakt_mortal_kill(&child);
	hakt_daemon_wait_clients(&hakt_mortal_daemon, 1);
	make(0, 60000, MANY / 2); /* what the dead one had is this process's by now */
	after = now_of(names[1], pid);
	assert_int_equal(after.bytes, before.bytes);
	assert_int_equal(after.samples, before.samples);
	assert_int_equal(after.gone_bytes, after.bytes);
	snprintf(expected, sizeof(expected), " %d profile_test, gone ", (int)pid);
	expect_text(SAY(0, "profile", "--per-process", "--all"), expected);
	for (unsigned i = 0; i < HAKT_MORTAL_REFS; i++) {
		hakmem_free(blocks[i]);
		blocks[i] = NULL;
	}
	assert_int_equal(now_of(names[1], pid).samples, 0);
	assert_true(now_of(names[0], getpid()).samples > 0);
}

/* What the table says of a program while it runs. */
static char *profile_of(const char *program)
{
	struct hakt_process process = {0};
	char *text;

	hakt_process_start(&process, HAKT_LIST(program, "400", "3000", "4000", "70000", "200000"));
	hakt_process_wait_output(&process, 1, "made");
	text = SAY(0, "profile", "--all");
	hakt_process_kill(&process);
	hakt_process_end(&process);
	return text;
}

/* The innermost function of all rows is that of site.c. */
static void expect_known(const char *program, const char *name)
{
	char expected[96], *text = profile_of(program), *rest = NULL;
	unsigned n_known = 0;

	snprintf(expected, sizeof(expected), "  allocate_in_a_known_function (%s+0x", name);
	for (char *row = strtok_r(text, "\n", &rest); row; row = strtok_r(NULL, "\n", &rest)) {
		if (!strstr(row, " % "))
			continue;
		if (!strstr(row, expected))
			fail_msg("%s is told as %s", expected, row);
		n_known++;
	}
	assert_true(n_known >= 4); /* one for each way to allocate */
	free(text);
}

static void test_a_program_is_told_by_its_functions(void **state)
{
	(void)state;
	expect_known(HAKT_SITE, "site");
}

static void test_sources_are_told_where_files_say_them(void **state)
{
	struct hakt_process process = {0};
	json_t *profile, *frame;
	const char *source;

	(void)state;
	hakt_process_start(&process, HAKT_LIST(HAKT_SITE, "400", "3000"));
	hakt_process_wait_output(&process, 1, "made");
	profile = ask("--bytes");
	hakt_process_kill(&process);
	hakt_process_end(&process);
	frame = json_array_get(json_object_get(profile, "stacks"), 0);
	frame = json_array_get(json_object_get(frame, "frames"), 0);
	assert_string_equal(hakt_json_string(frame, "file"), HAKT_SITE);
	source = strrchr(hakt_json_string(frame, "source"), '/');
	assert_string_equal(source ? source : "", "/site.c");
	assert_true(hakt_json_number(frame, "line") > 10);
	json_decref(profile);
}

/* Sanitizers link nothing statically. */
static void test_static_programs_are_told_by_their_functions(void **state)
{
	(void)state;
#ifdef HAKT_SITE_STATIC_PIE
	expect_known(HAKT_SITE_STATIC_PIE, "site_static_pie");
	expect_known(HAKT_SITE_STATIC, "site_static");
#else
	skip();
#endif
}

/* A copy that has gone, or been made another file, by the time that it is asked. */
static void test_files_that_went_or_changed_are_addresses(void **state)
{
	static const struct {
		const char *change, *said;
	} changes[] = {
		{"rm \"$1\"", "it isn't there, or can't be read\n"},
		{"rm \"$1\"; cp /bin/sh \"$1\"", "it is another file by now\n"},
		{"strip -s -o \"$1.new\" \"$1\"; mv \"$1.new\" \"$1\"", "it is stripped\n"},
	};
	char path[HAKT_DIRECTORY_BYTES + 16], *text;

	(void)state;
	snprintf(path, sizeof(path), "%s/copy", hakt_mortal_daemon.directory);
	for (unsigned i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		struct hakt_process process = {0};

		free(say(0, HAKT_LIST("/bin/cp", HAKT_SITE, path)));
		hakt_process_start(&process, HAKT_LIST(path, "2000", "4000"));
		hakt_process_wait_output(&process, 1, "made");
		expect_text(SAY(0, "profile", "--all"), "allocate_in_a_known_function (copy+0x");
		free(say(0, HAKT_LIST("/bin/sh", "-c", changes[i].change, "sh", path)));
		text = SAY(0, "profile", "--all");
		hakt_process_kill(&process);
		hakt_process_end(&process);
		assert_null(strstr(text, "allocate_in_a_known_function"));
		assert_non_null(strstr(text, "  copy+0x"));
		expect_text(text, changes[i].said);
		free(say(0, HAKT_LIST("/bin/rm", "-f", path)));
		hakt_daemon_wait_clients(&hakt_mortal_daemon, 0);
	}
}

static void test_the_json_is_as_its_schema_says(void **state)
{
	char *text;

	(void)state;
	make(0, 4000, 100);
	text = SAY(0, "profile", "--json", "--per-process");
	hakt_directory_write(hakt_mortal_daemon.directory, "json", text, strlen(text));
	free(text);
	free(say(0, HAKT_LIST("/bin/sh", "-c", "exec python3 \"$0\" \"$1\" <\"$2/json\"",
			      HAKT_SCHEMA_PY, HAKT_SCHEMAS "/profile.json",
			      hakt_mortal_daemon.directory)));
}

static void test_what_is_wrong_is_said(void **state)
{
	(void)state;
	expect_text(SAY(2, "profile", "start", "1K"), "takes a size of 4K or more, as 512K; ");
	expect_text(SAY(2, "profile", "start", "0"), "takes a size of 4K or more");
	expect_text(SAY(2, "profile", "start", "some"), "takes a size of 4K or more");
	expect_text(SAY(2, "profile", "start", "64K", "64K"), "one size only; ");
	expect_text(SAY(2, "profile", "stop", "now"), "one verb only, not also now; ");
	expect_text(SAY(2, "profile", "--pprof", "--json"), "--pprof: one of them; ");
	expect_text(SAY(2, "profile", "--collapsed", "--json"), "--pprof: one of them; ");
	expect_text(SAY(2, "map", "--pprof"), "--pprof is not for map; ");
	expect_text(SAY(1, "profile", "stop", "--pool", "nowhere"), "there is no pool nowhere at ");
	expect_text(SAY(1, "profile", "--pool", "nowhere"), "there is no pool nowhere at ");
	expect_text(say(0, HAKT_LIST("/usr/bin/script", "-qc", HAKT_HAKMEMCTL " profile --pprof",
				     "/dev/null")),
		    "is binary: send it to a file, > FILE; ");
}

static void test_who_may_read_but_not_administer_may_only_look(void **state)
{
	struct hakt_process reader = {.uid = STRANGER};

	(void)state;
	if (getuid() != 0)
		skip();
	assert_int_equal(chmod(hakt_mortal_daemon.directory, 0711), 0);
	assert_int_equal(chmod(hakt_mortal_daemon.socket, 0666), 0);
	make(0, 60000, 100);
	hakt_process_run(&reader, HAKT_LIST(HAKT_HAKMEMCTL, "profile"));
	assert_int_equal(reader.exit_code, 0);
	assert_non_null(strstr(hakt_process_output(&reader, 1), "ALLOCATED BY"));
	hakt_process_end(&reader);
	reader = (struct hakt_process){.uid = STRANGER};
	hakt_process_run(&reader, HAKT_LIST(HAKT_HAKMEMCTL, "profile", "stop"));
	assert_int_equal(reader.exit_code, 4);
	hakt_process_end(&reader);
	expect_text(SAY(0, "profile"), "a sample is taken each 64.0 KiB");
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test_setup_teardown(test_each_site_has_its_share_of_what_is_alive, start, stop),
	cmocka_unit_test_setup_teardown(test_all_forms_say_the_same, start, stop),
	cmocka_unit_test_setup_teardown(test_it_is_switched_on_and_off_at_run_time, start_off,
					stop),
	cmocka_unit_test_setup_teardown(test_blocks_of_the_dead_keep_their_stack, start_dense,
					stop),
	cmocka_unit_test_setup_teardown(test_a_program_is_told_by_its_functions, start, stop),
	cmocka_unit_test_setup_teardown(test_sources_are_told_where_files_say_them, start, stop),
	cmocka_unit_test_setup_teardown(test_static_programs_are_told_by_their_functions, start,
					stop),
	cmocka_unit_test_setup_teardown(test_files_that_went_or_changed_are_addresses, start, stop),
	cmocka_unit_test_setup_teardown(test_the_json_is_as_its_schema_says, start_dense, stop),
	cmocka_unit_test_setup_teardown(test_what_is_wrong_is_said, start, stop),
	cmocka_unit_test_setup_teardown(test_who_may_read_but_not_administer_may_only_look, start,
					stop),
};

HAKT_MAIN(tests, NULL, NULL)
