/* SPDX-License-Identifier: MIT */
/*
 * report: a look, the occupancy as points for as long as was asked for, and another look, which is
 * what the page shows; the two make its rates. All is seen before anything is written, so that a
 * report that fails leaves no half of one, nor an empty file in place of an old one.
 */
#include "client_lib/ctl/report.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "client_lib/ctl/page.h"
#include "client_lib/ctl/shown.h"
#include "client_lib/ctl/svg.h"
#include "client_lib/ctl/text.h"

#define DEFAULT_FOR_MS 2000u
#define INTERVAL_MS    100u /* between two points, at least */

enum { POINTS_MAX = 120 };

struct report {
	struct hakc_query *query;
	struct hakc_look before, now;
	struct hakc_chart_point points[POINTS_MAX + 1];
	size_t n_points;
	char *map;
	size_t map_bytes;
	struct hak_event events[HAKC_PAGE_EVENTS_MAX];
	size_t n_events;
};

static struct report report; /* too large for a stack */

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void sleep_until(double at)
{
	double left = at - now();
	struct timespec pause = {.tv_sec = (time_t)left};

	pause.tv_nsec = (long)((left - (double)pause.tv_sec) * 1e9);
	if (left > 0)
		nanosleep(&pause, NULL);
}

static int add_point(void)
{
	struct hakc_chart_point *point = &report.points[report.n_points];
	Hak__Reply *reply;
	int r;

	point->at = now();
	r = hakc_query_status(report.query, &reply);
	if (r != 0)
		return r;
	for (size_t i = 0; i < reply->status->n_pools; i++) {
		const Hak__PoolStatus *pool = reply->status->pools[i];

		if (strcmp(pool->name, report.before.view.pool) != 0)
			continue;
		point->live = pool->allocated_bytes;
		point->granted = pool->granted_superslabs * pool->superslab_bytes;
		point->resident = pool->resident_bytes;
		report.n_points++;
		break;
	}
	hak__reply__free_unpacked(reply, NULL);
	return 0;
}

/* On a terminal, where somebody waits. */
static void show_progress(double seconds, double all)
{
	if (!isatty(STDERR_FILENO))
		return;
	if (seconds < all)
		fprintf(stderr, "\rlooking for %.1f of %.1f s ", seconds, all);
	else
		fprintf(stderr, "\r%40s\r", "");
}

static int sample(unsigned for_ms)
{
	double begin = now(), all = for_ms / 1e3;
	unsigned n = for_ms / INTERVAL_MS;
	int r;

	n = n > POINTS_MAX ? POINTS_MAX : n < 1 ? 1 : n;
	r = add_point();
	for (unsigned i = 1; r == 0 && i <= n; i++) {
		sleep_until(begin + all * i / n);
		r = add_point();
		show_progress(i < n ? all * i / n : all, all);
	}
	return r;
}

/* The last look, with the map of the same walk. */
static int look_with_map(void)
{
	FILE *stream = open_memstream(&report.map, &report.map_bytes);
	struct hakc_svg svg = {.out = stream, .view = &report.now.view};
	int r = stream ? hakc_svg_begin(&svg) : -ENOMEM, ended;

	if (!stream)
		return r;
	if (r == 0)
		r = hakc_look_init(&report.now, report.query, hakc_svg_row, &svg);
	if (r == 0)
		r = hakc_svg_end(&svg);
	else
		hakc_svg_drop(&svg);
	ended = fclose(stream) == 0 ? 0 : -ENOMEM;
	return r != 0 ? r : ended;
}

static int take_events(void *context, const char *pool, const void *bytes, size_t n)
{
	const struct hak_events *events = bytes;
	uint64_t last, first;

	(void)context;
	if (!hak_events_are_known(events, n, pool))
		return -EPROTO;
	if (strcmp(pool, report.now.view.pool) != 0)
		return 0;
	last = hak_events_last(events);
	first = last > HAKC_PAGE_EVENTS_MAX ? last - HAKC_PAGE_EVENTS_MAX + 1 : 1;
	report.n_events = 0;
	for (uint64_t i = first; i <= last; i++) {
		const struct hak_event *event = &events->ring[i % HAK_EVENTS_MAX];

		if (hak_event_holds(event, i))
			report.events[report.n_events++] = *event;
	}
	return 0;
}

/* What the daemon has shown; none, if it shows none. */
static void read_events(void)
{
	static struct hak_events buffer;

	(void)hakc_shown_each(report.query, "events", &buffer, sizeof(buffer), take_events, NULL);
}

static int write_page(FILE *out, const Hak__Status *status, const struct hakc_query_roots *roots)
{
	char host[HAKC_TEXT_BYTES] = "", at[HAKC_TEXT_BYTES] = "-";
	time_t seconds = time(NULL);
	struct tm tm;
	struct hakc_page page = {.host = host,
				 .time = at,
				 .now = &report.now,
				 .before = &report.before,
				 .points = report.points,
				 .n_points = report.n_points,
				 .map = report.map,
				 .pools = status->pools,
				 .n_pools = status->n_pools,
				 .roots = roots->roots,
				 .n_roots = roots->n_roots,
				 .events = report.events,
				 .n_events = report.n_events};

	gethostname(host, sizeof(host) - 1);
	if (localtime_r(&seconds, &tm))
		strftime(at, sizeof(at), "%Y-%m-%d %H:%M:%S", &tm);
	return hakc_page_write(&page, out);
}

/* The whole page as a text, to be freed. */
static int make_page(char **ret_text, size_t *ret_bytes)
{
	struct hakc_query_roots roots;
	Hak__Reply *reply;
	FILE *out;
	int r = hakc_query_status(report.query, &reply);

	if (r != 0)
		return r;
	r = hakc_query_roots(report.query, &roots);
	if (r == 0) {
		out = open_memstream(ret_text, ret_bytes);
		r = out ? write_page(out, reply->status, &roots) : -ENOMEM;
		if (out && fclose(out) != 0 && r == 0)
			r = -ENOMEM;
		hakc_query_roots_deinit(&roots);
	}
	hak__reply__free_unpacked(reply, NULL);
	return r;
}

static int see_all(unsigned for_ms)
{
	int r = hakc_look_init(&report.before, report.query, NULL, NULL);

	if (r == 0)
		r = sample(for_ms);
	if (r == 0 && report.n_points == 0) {
		snprintf(report.query->reason, sizeof(report.query->reason), "the pool has ended");
		return -ESTALE;
	}
	if (r == 0)
		r = look_with_map();
	if (r == 0)
		read_events();
	return r;
}

/* stdout is the file from then on; main sees whether all of it could be written. */
static int open_output(struct hakc_query *query)
{
	const char *path = query->arguments->output;
	int number;

	if (!path || freopen(path, "we", stdout))
		return 0;
	number = errno;
	snprintf(query->reason, sizeof(query->reason), "--output %.160s can't be written: %s", path,
		 strerror(number));
	return -EINVAL;
}

static int check_arguments(struct hakc_query *query)
{
	const char *reason = NULL;

	if (!query->arguments->as_html)
		reason = "a report is HTML: say --html";
	else if (!query->arguments->output && isatty(STDOUT_FILENO))
		reason = "a report is no text for a terminal: --output FILE, and a browser";
	if (reason)
		snprintf(query->reason, sizeof(query->reason), "%s", reason);
	return reason ? -EINVAL : 0;
}

int hakc_verb_report(struct hakc_query *query, bool as_json, bool *ret_degraded)
{
	unsigned for_ms = query->arguments->for_ms;
	char *text = NULL;
	size_t bytes = 0;
	int r = check_arguments(query);

	(void)as_json;
	(void)ret_degraded;
	report.query = query;
	if (r == 0)
		r = see_all(for_ms ? for_ms : DEFAULT_FOR_MS);
	if (r == 0)
		r = make_page(&text, &bytes);
	if (r == 0)
		r = open_output(query);
	if (r == 0)
		fwrite(text, 1, bytes, stdout);
	free(text);
	free(report.map);
	hakc_look_deinit(&report.before);
	hakc_look_deinit(&report.now);
	return r;
}
