/* SPDX-License-Identifier: MIT */
#include "client_lib/ctl/events.h"

#include <errno.h>
#include <fnmatch.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "client_lib/ctl/json.h"
#include "client_lib/ctl/shown.h"
#include "client_lib/ctl/text.h"
#include "client_lib/ctl/verb.h"
#include "proto/error.h"
#include "proto/shm/events.h"

#define POOLS_MAX 64u
#define TEXT_MAX  256

static const struct timespec pause_between = {.tv_nsec = 200000000};

static const char *const levels[HAK_EVENT_COUNT] = {
#define X(NAME, name, level, text) #level,
	HAK_EVENTS(X)
#undef X
};

struct seen {
	char pool[HAK_POOL_NAME_BYTES];
	uint64_t last;
};

struct line {
	struct hak_event event;
	char pool[HAK_POOL_NAME_BYTES];
};

/* What has been seen of each pool, and what is to be shown now. */
struct look {
	const struct hakc_query *query;
	struct seen seen[POOLS_MAX];
	unsigned n_seen;
	struct line *lines;
	size_t n_lines;
};

/* NULL: there are more pools than there can be. */
static struct seen *seen_of(struct look *look, const char *pool)
{
	for (unsigned i = 0; i < look->n_seen; i++)
		if (strcmp(look->seen[i].pool, pool) == 0)
			return &look->seen[i];
	if (look->n_seen == POOLS_MAX)
		return NULL;
	snprintf(look->seen[look->n_seen].pool, HAK_POOL_NAME_BYTES, "%s", pool);
	return &look->seen[look->n_seen++];
}

static void add(struct look *look, const struct hak_event *event, const char *pool)
{
	struct line *more;

	if (!hakc_query_asks_for(look->query, hak_event_names[event->kind]))
		return;
	if ((look->n_lines & (look->n_lines - 1)) == 0) { /* room for twice as many */
		more = realloc(look->lines, (2 * look->n_lines + 1) * sizeof(*more));
		if (!more)
			return;
		look->lines = more;
	}
	look->lines[look->n_lines].event = *event;
	snprintf(look->lines[look->n_lines++].pool, HAK_POOL_NAME_BYTES, "%s", pool);
}

/* One that was just being written is seen the next time: those behind it wait for it. */
static int take(void *context, const char *pool, const void *bytes, size_t n)
{
	const struct hak_events *events = bytes;
	struct look *look = context;
	uint64_t last, first;
	struct seen *seen;

	if (!hak_events_are_known(events, n, pool))
		return -EPROTO;
	seen = seen_of(look, pool);
	last = hak_events_last(events);
	if (!seen)
		return 0;
	if (last < seen->last) /* the pool has ended, and there is another one of its name */
		seen->last = 0;
	first = last > HAK_EVENTS_MAX ? last - HAK_EVENTS_MAX + 1 : 1;
	for (uint64_t i = seen->last + 1 > first ? seen->last + 1 : first; i <= last; i++)
		if (hak_event_holds(&events->ring[i % HAK_EVENTS_MAX], i))
			add(look, &events->ring[i % HAK_EVENTS_MAX], pool);
	seen->last = last;
	return 0;
}

static int by_time(const void *a, const void *b)
{
	const struct line *x = a, *y = b;

	if (x->event.at != y->event.at)
		return x->event.at < y->event.at ? -1 : 1;
	return x->event.number < y->event.number ? -1 : x->event.number > y->event.number;
}

static void time_text(uint64_t ms, char text[HAKC_TEXT_BYTES])
{
	time_t at = (time_t)(ms / 1000);
	char seconds[32] = "-";
	struct tm tm;

	if (localtime_r(&at, &tm))
		strftime(seconds, sizeof(seconds), "%Y-%m-%d %H:%M:%S", &tm);
	snprintf(text, HAKC_TEXT_BYTES, "%s.%03u", seconds, (unsigned)(ms % 1000));
}

static void print_line(const struct line *line)
{
	char at[HAKC_TEXT_BYTES], pool[HAKC_TEXT_BYTES], text[TEXT_MAX];

	time_text(line->event.at, at);
	hak_event_text(&line->event, text, sizeof(text));
	printf("%s  %-12s %-10s %s\n", at, hakc_safe_text(line->pool, pool),
	       hak_event_names[line->event.kind], text);
}

static void line_json(struct hakc_json *json, const struct line *line)
{
	char name[HAK_EVENT_NAME_BYTES + 1] = "", text[TEXT_MAX];
	const struct hak_event *event = &line->event;

	memcpy(name, event->name, HAK_EVENT_NAME_BYTES);
	hak_event_text(event, text, sizeof(text));
	hakc_json_begin_object(json, NULL);
	hakc_json_unsigned(json, "number", event->number);
	hakc_json_unsigned(json, "at_ms", event->at);
	hakc_json_string(json, "pool", line->pool);
	hakc_json_string(json, "kind", hak_event_names[event->kind]);
	hakc_json_string(json, "level", levels[event->kind]);
	hakc_json_unsigned(json, "holder", event->holder);
	hakc_json_signed(json, "pid", event->pid);
	hakc_json_string(json, "name", name);
	hakc_json_unsigned(json, "a", event->a);
	hakc_json_unsigned(json, "b", event->b);
	hakc_json_string(json, "text", text);
	hakc_json_end_object(json);
}

static void show(const struct look *look, bool as_json)
{
	bool is_list = as_json && !look->query->follows;
	struct hakc_json json;

	if (is_list) {
		hakc_json_begin_answer(&json, stdout);
		hakc_json_begin_array(&json, "events");
	}
	for (size_t i = 0; i < look->n_lines; i++) {
		if (!as_json) {
			print_line(&look->lines[i]);
			continue;
		}
		if (!is_list)
			hakc_json_init_line(&json, stdout);
		line_json(&json, &look->lines[i]);
	}
	if (is_list) {
		hakc_json_end_array(&json);
		hakc_json_end_object(&json);
	}
}

/* 0, or what hakc_shown_each returns. */
static int look_again(struct look *look, bool as_json)
{
	static struct hak_events buffer;
	int n = hakc_shown_each(look->query, "events", &buffer, sizeof(buffer), take, look);

	qsort(look->lines, look->n_lines, sizeof(*look->lines), by_time);
	if (n > 0 || look->query->follows)
		show(look, as_json);
	free(look->lines);
	look->lines = NULL;
	look->n_lines = 0;
	return n;
}

static bool knows_words(struct hakc_query *query)
{
	for (unsigned i = 0; i < query->n_words; i++) {
		char text[HAKC_TEXT_BYTES];
		bool is_known = false;

		for (unsigned k = 0; k < HAK_EVENT_COUNT; k++)
			is_known |= fnmatch(query->words[i], hak_event_names[k], 0) == 0;
		if (is_known)
			continue;
		snprintf(query->reason, sizeof(query->reason),
			 "no kind of event is called %s: attached, died, limit and so on",
			 hakc_safe_text(query->words[i], text));
		return false;
	}
	return true;
}

int hakc_verb_events(struct hakc_query *query, bool as_json, bool *ret_degraded)
{
	struct look look = {.query = query};
	int n;

	(void)ret_degraded;
	if (!knows_words(query))
		return -EINVAL;
	n = look_again(&look, as_json);
	if (n == 0 && !query->follows && query->error == 0)
		snprintf(query->reason, sizeof(query->reason), "it shows no events");
	if (n <= 0 && !query->follows)
		return query->error ? query->error : HAK_E_NO_POOL;
	while (query->follows && fflush(stdout) == 0) {
		nanosleep(&pause_between, NULL);
		look_again(&look, as_json);
	}
	return 0;
}
