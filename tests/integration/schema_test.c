/* SPDX-License-Identifier: MIT */
/*
 * docs/schema says what each verb's JSON is: what a real daemon answers is that, of a pool where
 * nothing is, and of one where there is something of everything. Which verbs there are hakmemctl says;
 * one without a schema fails.
 */
#include "tests/support/run.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client_lib/include/hakmem.h"
#include "tests/support/audit.h"
#include "tests/support/process.h"

enum { N_SMALL = 40, SMALL_BYTES = 3000, SPAN_BYTES = 5 * 65536, RUN_BYTES = 3 << 21 };

#define PID "PID" /* of the child */

/* How each is asked. A verb that isn't here needs no more than its name. */
static const struct question {
	const char *verb;
	const char *words[4];
	const char *empty_words[4]; /* likewise, where nothing is */
	int exit_code;		    /* where something is */
	bool needs_client;
} questions[] = {
	{.verb = "events", .empty_words = {"kicked"}},
	{.verb = "stats", .empty_words = {"claims"}},
	{.verb = "check", .exit_code = 6},
	{.verb = "trim", .words = {"--wait", "0"}, .empty_words = {"--wait", "0"}},
	{.verb = "pool create",
	 .words = {"lab", "--limit", "4M"},
	 .empty_words = {"lab", "--limit", "4M"}},
	{.verb = "pool reset", .words = {"lab"}, .empty_words = {"lab"}},
	{.verb = "pool delete", .words = {"gone"}, .empty_words = {"gone"}},
	{.verb = "kick", .words = {PID, "--kill"}, .needs_client = true},
	{.verb = "log-level", .words = {"error"}, .empty_words = {"warn"}},
};

static struct hakt_process child;

static const struct question *find_question(const char *verb)
{
	static struct question plain;

	for (unsigned i = 0; i < sizeof(questions) / sizeof(questions[0]); i++)
		if (strcmp(questions[i].verb, verb) == 0)
			return &questions[i];
	plain = (struct question){.verb = verb};
	return &plain;
}

/* hakmemctl VERB --json WORD..., a verb of two words being two; it must end with that. */
static void ask(const char *verb, const char *const *words, int exit_code, struct hakt_process *ctl)
{
	const char *arguments[12] = {HAKT_HAKMEMCTL};
	char copy[64], pid[16], *rest = NULL;
	unsigned n = 1;

	snprintf(copy, sizeof(copy), "%s", verb);
	snprintf(pid, sizeof(pid), "%d", (int)child.pid);
	for (char *word = strtok_r(copy, " ", &rest); word; word = strtok_r(NULL, " ", &rest))
		arguments[n++] = word;
	arguments[n++] = "--json";
	for (unsigned i = 0; i < 4 && words[i]; i++)
		arguments[n++] = strcmp(words[i], PID) == 0 ? pid : words[i];
	hakt_process_run(ctl, arguments);
	if (ctl->exit_code != exit_code)
		fail_msg("%s: exit code %d, %s", verb, ctl->exit_code, hakt_process_output(ctl, 2));
}

/* name: of the schema. */
static void expect_valid(const char *name, const char *json, const char *how)
{
	char schema[256], file[HAKT_DIRECTORY_BYTES + 16];
	struct hakt_process python = {0};

	snprintf(schema, sizeof(schema), HAKT_SCHEMAS "/%s.json", name);
	for (char *c = schema + sizeof(HAKT_SCHEMAS); *c; c++)
		*c = *c == ' ' ? '-' : *c;
	if (access(schema, R_OK) != 0)
		fail_msg("%s has no schema: %s", name, schema);
	hakt_directory_write(hakt_audited.directory, "json", json, strlen(json));
	snprintf(file, sizeof(file), "%s/json", hakt_audited.directory);
	hakt_process_run(&python,
			 HAKT_LIST("/bin/sh", "-c", "exec python3 \"$0\" \"$1\" $2 <\"$3\"",
				   HAKT_SCHEMA_PY, schema, how, file));
	if (python.exit_code != 0)
		fail_msg("%s: %s%s", name, hakt_process_output(&python, 2), json);
	hakt_process_end(&python);
}

static bool has_json(const char *verb)
{
	struct hakt_process ctl = {0};
	bool has;

	hakt_process_run(&ctl,
			 HAKT_LIST("/bin/sh", "-c", "\"$0\" $1 --help", HAKT_HAKMEMCTL, verb));
	assert_int_equal(ctl.exit_code, 0);
	has = strstr(hakt_process_output(&ctl, 1), "\n  --json ") != NULL;
	hakt_process_end(&ctl);
	return has;
}

/* All that the help lists; how many were asked. */
static unsigned ask_all(bool is_empty)
{
	static const char *const gone[4] = {"gone", "--limit", "4M"};
	struct hakt_process help = {0}, create = {0};
	char *text, *line, *rest = NULL;
	unsigned n = 0;

	ask("pool create", gone, 0, &create);
	hakt_process_end(&create);
	hakt_process_run(&help, HAKT_LIST(HAKT_HAKMEMCTL, "--help"));
	text = strdup(hakt_process_output(&help, 1));
	assert_non_null(text);
	hakt_process_end(&help);
	line = strstr(text, "\nverbs:\n");
	assert_non_null(line);
	*strstr(line, "\n\n") = 0;
	strtok_r(line, "\n", &rest); /* "verbs:" */
	while ((line = strtok_r(NULL, "\n", &rest))) {
		const struct question *question;
		struct hakt_process ctl = {0};
		char *verb = line + 2;

		*strstr(verb, "  ") = 0;
		question = find_question(verb);
		if (!has_json(verb) || (is_empty && question->needs_client))
			continue;
		ask(verb, is_empty ? question->empty_words : question->words,
		    is_empty ? 0 : question->exit_code, &ctl);
		expect_valid(verb, hakt_process_output(&ctl, 1), "");
		hakt_process_end(&ctl);
		n++;
	}
	free(text);
	return n;
}

static void test_of_an_empty_pool_each_answer_is_as_its_schema_says(void **state)
{
	(void)state;
	assert_true(ask_all(true) >= 18);
}

static void *small[N_SMALL], *span, *run, *taken;
static uint32_t damaged;
static uint64_t undamaged;

static int hold_a_block(const void *unused)
{
	(void)unused;
	hakt_child_say("ref %llu", (unsigned long long)hakmem_ref(hakmem_malloc(SMALL_BYTES)));
	hakt_child_wait();
	return 0;
}

/* Its block's ref. */
static hakmem_ref_t start_holding(struct hakt_process *client)
{
	*client = (struct hakt_process){0};
	hakt_process_fork(client, hold_a_block, NULL);
	hakt_process_wait_output(client, 1, "ref ");
	return strtoull(strstr(hakt_process_output(client, 1), "ref ") + 4, NULL, 10);
}

/* Clients, an orphan, roots, another pool, blocks of all sizes, and a word that can't be. */
static void fill(void)
{
	struct hakt_process sender;

	for (unsigned i = 0; i < N_SMALL; i++)
		small[i] = hakmem_malloc(SMALL_BYTES);
	span = hakmem_malloc(SPAN_BYTES);
	run = hakmem_malloc(RUN_BYTES);
	assert_true(small[N_SMALL - 1] && span && run);
	assert_int_equal(hakmem_root_publish("a \"root\"", hakmem_ref(hakmem_malloc(100))), 0);
	assert_int_equal(hakmem_take(start_holding(&sender), &taken), 0);
	hakt_process_kill(&sender);
	hakt_process_end(&sender);
	hakt_daemon_wait_orphans(&hakt_audited, 1);
	assert_true(start_holding(&child) != 0);
	hakt_audit_find_segment();
	damaged = hakt_audit_slot_of(span);
	undamaged = hakt_audit_scribble(damaged);
}

static void empty(void)
{
	hakmem_ref_t ref;

	hak_store_relaxed(&hakt_audit_segment.slab_words[damaged], undamaged);
	hakt_process_wait(&child);
	assert_int_equal(child.signal, SIGKILL); /* by kick */
	hakt_process_end(&child);
	assert_int_equal(hakmem_root_withdraw("a \"root\"", &ref), 0);
	hakmem_free(hakmem_ptr(ref));
	for (unsigned i = 0; i < N_SMALL; i++)
		hakmem_free(small[i]);
	hakmem_free(span);
	hakmem_free(run);
	hakmem_free(taken);
}

static void test_of_a_full_pool_each_answer_is_as_its_schema_says(void **state)
{
	(void)state;
	fill();
	assert_true(ask_all(false) >= 19);
	empty();
}

static void test_each_line_of_events_that_are_followed_is_as_its_schema_says(void **state)
{
	struct hakt_process ctl = {0};

	(void)state;
	hakt_process_start(&ctl, HAKT_LIST(HAKT_HAKMEMCTL, "events", "--follow", "--json"));
	hakt_process_wait_output(&ctl, 1, "\"made\"");
	hakmem_free(hakmem_malloc(100));
	hakt_process_wait_output(&ctl, 1, "\"attached\"");
	hakt_process_kill(&ctl);
	expect_valid("events-follow", hakt_process_output(&ctl, 1), "--lines");
	hakt_process_end(&ctl);
}

/* The figures are a file's. */
static void test_when_the_daemon_is_down_answers_are_as_their_schemas_say(void **state)
{
	static const char *const words[4];
	struct hakt_process stats = {0}, events = {0};

	(void)state;
	assert_non_null(hakmem_malloc(100));
	hakt_daemon_kill(&hakt_audited);
	ask("stats", words, 0, &stats);
	expect_valid("stats", hakt_process_output(&stats, 1), "");
	assert_non_null(strstr(hakt_process_output(&stats, 1), "\"daemon_answers\": false"));
	ask("events", words, 0, &events);
	expect_valid("events", hakt_process_output(&events, 1), "");
	hakt_process_end(&stats);
	hakt_process_end(&events);
}

static int leave(void **state)
{
	(void)state;
	hakmem_detach();
	return 0;
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test_setup_teardown(test_of_an_empty_pool_each_answer_is_as_its_schema_says,
					hakt_audit_start, hakt_audit_stop),
	cmocka_unit_test_setup_teardown(test_of_a_full_pool_each_answer_is_as_its_schema_says,
					hakt_audit_start, hakt_audit_stop),
	cmocka_unit_test_setup_teardown(
		test_each_line_of_events_that_are_followed_is_as_its_schema_says, hakt_audit_start,
		hakt_audit_stop),
	cmocka_unit_test_setup_teardown(
		test_when_the_daemon_is_down_answers_are_as_their_schemas_say, hakt_audit_start,
		leave),
};

HAKT_MAIN(tests, NULL, NULL)
