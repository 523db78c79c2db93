/* SPDX-License-Identifier: MIT */
/*
 * Completion knows verbs and options from their tables. The words are those of bash, which makes of
 * "--pool=a" three: the "=" is left out. A daemon that doesn't answer soon has no pools.
 */
#include "client_lib/ctl/complete.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "client_lib/ctl/option.h"
#include "client_lib/ctl/query.h"
#include "client_lib/ctl/verb.h"
#include "proto/shm/counters.h"
#include "proto/shm/events.h"
#include "proto/shm/registry.h"
#include "proto/wire/socket_path.h"

#define TIMEOUT_MS 500u

enum { WORDS_MAX = 64 };

/* The line so far. */
struct line {
	const char *socket, *pool;	  /* of options before; NULL: not said */
	const struct hakc_option *option; /* of which the last word is the value; NULL: of none */
	char *words[WORDS_MAX];		  /* that are neither options nor their values */
	int n_words;
	const char *last;
};

static void offer(const struct line *line, const char *candidate)
{
	if (strncmp(candidate, line->last, strlen(line->last)) == 0)
		puts(candidate);
}

static const struct hakc_option *find_option(const char *word)
{
	bool is_letter = word[0] == '-' && word[1] && word[1] != '-' && !word[2];

	if (!is_letter && strncmp(word, "--", 2) != 0)
		return NULL;
	for (const struct hakc_option *option = hakc_options; option->name; option++)
		if (is_letter ? option->letter == word[1] : strcmp(option->name, word + 2) == 0)
			return option;
	return NULL;
}

static void read_line(struct line *line, int n, char **words)
{
	line->last = strcmp(words[n - 1], "=") == 0 ? "" : words[n - 1];
	for (int i = 0; i < n - 1; i++) {
		const struct hakc_option *option = find_option(words[i]);

		if (!option || !option->argument) {
			if (words[i][0] != '-' && line->n_words < WORDS_MAX)
				line->words[line->n_words++] = words[i];
			continue;
		}
		i += strcmp(words[i + 1], "=") == 0 && i + 2 < n;
		if (++i >= n - 1)
			line->option = option;
		else if (strcmp(option->name, "socket") == 0)
			line->socket = words[i];
		else if (strcmp(option->name, "pool") == 0)
			line->pool = words[i];
	}
}

/* Another's daemon may call a pool anything, and the shell puts it on the line as it is. */
static bool is_plain(const char *name)
{
	for (; *name; name++)
		if (!isalnum((unsigned char)*name) && !strchr("-_.", *name))
			return false;
	return true;
}

static void offer_pools(const struct line *line, struct hakc_query *query)
{
	Hak__Reply *reply;

	if (hakc_query_status(query, &reply) != 0)
		return;
	for (size_t i = 0; i < reply->status->n_pools; i++)
		if (is_plain(reply->status->pools[i]->name))
			offer(line, reply->status->pools[i]->name);
	hak__reply__free_unpacked(reply, NULL);
}

static void offer_pids(const struct line *line, struct hakc_query *query)
{
	struct hakc_query_clients all;

	if (hakc_query_clients(query, line->pool ? line->pool : HAK_POOL_FIRST, &all) != 0)
		return;
	for (size_t i = 0; i < all.n_clients; i++) {
		char pid[16];

		snprintf(pid, sizeof(pid), "%" PRId32, all.clients[i]->pid);
		offer(line, pid);
	}
	hakc_query_clients_deinit(&all);
}

static void ask(const struct line *line,
		void (*offer_all)(const struct line *line, struct hakc_query *query))
{
	char path[HAK_SOCKET_PATH_MAX];
	struct hakc_query query;

	if (hak_socket_path(line->socket, false, path) < 0)
		return;
	if (hakc_query_init(&query, path, NULL, TIMEOUT_MS) == 0)
		offer_all(line, &query);
	hakc_query_deinit(&query);
}

static void offer_counters(const struct line *line)
{
	for (unsigned i = 0; i < HAK_STAT_COUNT; i++)
		offer(line, hak_client_counters[i].name);
	for (unsigned i = 0; i < HAK_DAEMON_COUNTER_COUNT; i++)
		offer(line, hak_daemon_counters[i].name);
	for (unsigned i = 0; i < HAK_GAUGE_COUNT; i++)
		offer(line, hak_pool_gauges[i].name);
}

static void offer_events(const struct line *line)
{
	for (unsigned i = 0; i < HAK_EVENT_COUNT; i++)
		offer(line, hak_event_names[i]);
}

static void offer_choices(const struct line *line, const char *choices)
{
	char choice[32];

	for (size_t n; *choices; choices += n + (choices[n] == '|')) {
		n = strcspn(choices, "|");
		snprintf(choice, sizeof(choice), "%.*s", (int)n, choices);
		offer(line, choice);
	}
}

static void offer_values(const struct line *line, const char *argument)
{
	if (strcmp(argument, "PATH") == 0)
		puts(":file");
	else if (strcmp(argument, "USER") == 0)
		puts(":user");
	else if (strcmp(argument, "GROUP") == 0)
		puts(":group");
	else if (strcmp(argument, "POOL") == 0)
		ask(line, offer_pools);
	else if (strcmp(argument, "PID") == 0)
		ask(line, offer_pids);
	else if (strcmp(argument, "[COUNTER...]") == 0)
		offer_counters(line);
	else if (strcmp(argument, "[EVENT...]") == 0)
		offer_events(line);
	else if (strchr(argument, '|'))
		offer_choices(line, argument);
}

/* verb: NULL, not known yet. */
static void offer_options(const struct line *line, const struct hakc_verb *verb)
{
	char word[48];

	for (const struct hakc_option *option = hakc_options; option->name; option++) {
		snprintf(word, sizeof(word), "--%s", option->name);
		if (!verb || hakc_option_is_for(option, verb))
			offer(line, word);
	}
}

/* The next word of those whose words so far are these. What follows each other is said once. */
static void offer_verbs(const struct line *line)
{
	char before[64] = "", word[64], last[64] = "";

	if (line->n_words > 1)
		return;
	if (line->n_words == 1)
		snprintf(before, sizeof(before), "%s ", line->words[0]);
	for (const struct hakc_verb *verb = hakc_verbs; verb->name; verb++) {
		if (strncmp(verb->name, before, strlen(before)) != 0)
			continue;
		snprintf(word, sizeof(word), "%s", verb->name + strlen(before));
		word[strcspn(word, " ")] = 0;
		if (strcmp(word, last) != 0)
			offer(line, word);
		memcpy(last, word, sizeof(last));
	}
}

void hakc_complete(int n, char **words)
{
	struct line line = {.n_words = 0};
	const struct hakc_verb *verb;
	int used;

	read_line(&line, n, words);
	used = hakc_verb_find(line.n_words, line.words, &verb);
	if (line.option)
		offer_values(&line, line.option->argument);
	else if (line.last[0] == '-')
		offer_options(&line, verb);
	else
		offer_verbs(&line); /* behind one too: "profile" goes on with "start" */
	if (line.option || line.last[0] == '-' || !verb)
		return;
	if (verb->takes == HAKC_TAKES_WORDS ||
	    (verb->takes == HAKC_TAKES_ONE && line.n_words == used))
		offer_values(&line, verb->argument);
}
