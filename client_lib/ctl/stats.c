/* SPDX-License-Identifier: MIT */
#include "client_lib/ctl/stats.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "client_lib/ctl/figures.h"
#include "client_lib/ctl/json.h"
#include "client_lib/ctl/style.h"
#include "client_lib/ctl/text.h"
#include "client_lib/ctl/verb.h"

/* What stands under one title. */
struct section {
	const struct hak_counter *table;
	unsigned n;
	uint64_t values[HAK_FIGURES_COUNT];
	uint64_t before[HAK_FIGURES_COUNT]; /* of the look before, for rates */
};

static bool has_any(const struct hakc_query *query, const struct section *section)
{
	for (unsigned i = 0; i < section->n; i++)
		if (hakc_query_asks_for(query, section->table[i].name))
			return true;
	return false;
}

static struct section clients_of(const struct hakc_figures *now, const struct hakc_figures *before)
{
	struct section section = {.table = hak_client_counters, .n = HAK_STAT_COUNT};

	for (unsigned i = 0; i < section.n; i++) {
		section.values[i] = hakc_figures_sum(now, i);
		section.before[i] = before ? hakc_figures_sum(before, i) : 0;
	}
	return section;
}

static struct section section_of(const struct hak_counter *table, unsigned n,
				 const uint64_t *values, const uint64_t *before)
{
	struct section section = {.table = table, .n = n};

	memcpy(section.values, values, n * sizeof(*values));
	if (before)
		memcpy(section.before, before, n * sizeof(*before));
	return section;
}

/* seconds > 0: since the look before, and how much more it is a second. */
static void print_section(const struct hakc_query *query, const char *title,
			  const struct section *section, double seconds)
{
	if (!has_any(query, section))
		return;
	hakc_style_header("%s\n", title);
	for (unsigned i = 0; i < section->n; i++) {
		if (!hakc_query_asks_for(query, section->table[i].name))
			continue;
		printf("  %-24s %20" PRIu64, section->table[i].name, section->values[i]);
		if (seconds > 0)
			printf(" %14.1f/s",
			       (double)(int64_t)(section->values[i] - section->before[i]) /
				       seconds);
		printf("  %s\n", section->table[i].description);
	}
}

static const struct hakc_figures_pool *pool_before(const struct hakc_figures *before,
						   const char *name)
{
	for (unsigned i = 0; before && i < before->n_pools; i++)
		if (strcmp(before->pools[i].name, name) == 0)
			return &before->pools[i];
	return NULL;
}

static void print_all(const struct hakc_query *query, const struct hakc_figures *now,
		      const struct hakc_figures *before, double seconds)
{
	char title[64 + HAKC_TEXT_BYTES], name[HAKC_TEXT_BYTES];
	struct section section = clients_of(now, before);

	print_section(query, "clients, those that have left included", &section, seconds);
	section = section_of(hak_daemon_counters, HAK_DAEMON_COUNTER_COUNT, now->daemon,
			     before ? before->daemon : NULL);
	print_section(query, "daemon", &section, seconds);
	for (unsigned i = 0; i < now->n_pools; i++) {
		const struct hakc_figures_pool *pool = &now->pools[i];
		const struct hakc_figures_pool *then = pool_before(before, pool->name);

		section = section_of(hak_pool_gauges, HAK_GAUGE_COUNT, pool->gauges,
				     then ? then->gauges : NULL);
		snprintf(title, sizeof(title), "pool %s", hakc_safe_text(pool->name, name));
		print_section(query, title, &section, then ? seconds : 0);
	}
}

static void section_json(const struct hakc_query *query, struct hakc_json *json, const char *name,
			 const struct hak_counter *table, unsigned n, const uint64_t *values)
{
	hakc_json_begin_object(json, name);
	for (unsigned i = 0; i < n; i++)
		if (hakc_query_asks_for(query, table[i].name))
			hakc_json_unsigned(json, table[i].name, values[i]);
	hakc_json_end_object(json);
}

static void print_json(const struct hakc_query *query, const struct hakc_figures *now)
{
	const struct section clients = clients_of(now, NULL);
	struct hakc_json json;

	hakc_json_begin_answer(&json, stdout);
	hakc_json_boolean(&json, "daemon_answers", !now->is_down);
	hakc_json_unsigned(&json, "age_ms", now->age_ms);
	section_json(query, &json, "clients", clients.table, clients.n, clients.values);
	section_json(query, &json, "daemon", hak_daemon_counters, HAK_DAEMON_COUNTER_COUNT,
		     now->daemon);
	hakc_json_begin_array(&json, "pools");
	for (unsigned i = 0; i < now->n_pools; i++) {
		hakc_json_begin_object(&json, NULL);
		hakc_json_string(&json, "name", now->pools[i].name);
		section_json(query, &json, "clients", hak_client_counters, HAK_STAT_COUNT,
			     now->pools[i].clients);
		section_json(query, &json, "gauges", hak_pool_gauges, HAK_GAUGE_COUNT,
			     now->pools[i].gauges);
		hakc_json_end_object(&json);
	}
	hakc_json_end_array(&json);
	hakc_json_end_object(&json);
}

static void say_age(const struct hakc_query *query, const struct hakc_figures *figures)
{
	if (figures->is_down)
		fprintf(stderr, "hakmemctl: no daemon answers at %s (%s): figures of %.1f s ago\n",
			query->path, query->reason, (double)figures->age_ms / 1000);
}

static bool knows_words(struct hakc_query *query)
{
	for (unsigned i = 0; i < query->n_words; i++) {
		struct hakc_query one = {.words = &query->words[i], .n_words = 1};
		const struct section all[] = {
			{.table = hak_client_counters, .n = HAK_STAT_COUNT},
			{.table = hak_daemon_counters, .n = HAK_DAEMON_COUNTER_COUNT},
			{.table = hak_pool_gauges, .n = HAK_GAUGE_COUNT}};
		char text[HAKC_TEXT_BYTES];

		if (has_any(&one, &all[0]) || has_any(&one, &all[1]) || has_any(&one, &all[2]))
			continue;
		snprintf(query->reason, sizeof(query->reason),
			 "nothing that is counted is called %s: 'hakmemctl stats' lists all",
			 hakc_safe_text(query->words[i], text));
		return false;
	}
	return true;
}

static double seconds_since(const struct timespec *then, struct timespec *ret_now)
{
	clock_gettime(CLOCK_MONOTONIC, ret_now);
	return (double)(ret_now->tv_sec - then->tv_sec) +
	       (double)(ret_now->tv_nsec - then->tv_nsec) / 1e9;
}

/* Again and again, in place on a terminal. */
static int watch(struct hakc_query *query, struct hakc_figures *figures)
{
	const struct timespec pause = {.tv_sec = query->watch_ms / 1000,
				       .tv_nsec = (long)(query->watch_ms % 1000) * 1000000};
	static struct hakc_figures before;
	struct timespec then, now;
	int r;

	clock_gettime(CLOCK_MONOTONIC, &then);
	for (unsigned i = 1; query->n_times == 0 || i < query->n_times; i++) {
		double seconds;

		if (fflush(stdout) != 0)
			return 0; /* nobody reads it any more; main says so */
		before = *figures;
		nanosleep(&pause, NULL);
		(void)hakc_query_again(query); /* it may be another daemon by now */
		r = hakc_figures_get(query, figures);
		if (r != 0)
			return r;
		seconds = seconds_since(&then, &now);
		then = now;
		printf("%s", isatty(STDOUT_FILENO) ? "\033[H\033[2J" : "\n");
		say_age(query, figures);
		print_all(query, figures, &before, seconds);
	}
	return 0;
}

int hakc_verb_stats(struct hakc_query *query, bool as_json, bool *ret_degraded)
{
	static struct hakc_figures figures;
	int r;

	(void)ret_degraded;
	if (!knows_words(query))
		return -EINVAL;
	r = hakc_figures_get(query, &figures);
	if (r != 0)
		return r;
	say_age(query, &figures);
	if (as_json) {
		print_json(query, &figures);
		return 0;
	}
	print_all(query, &figures, NULL, 0);
	return query->watch_ms > 0 ? watch(query, &figures) : 0;
}
