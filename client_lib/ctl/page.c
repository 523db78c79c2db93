/* SPDX-License-Identifier: MIT */
/*
 * Section by section, each from a table or a chart. What is largest comes first; lists are cut where
 * nobody reads on. Figures are those of the other verbs, since they come from the same sums.
 */
#include "client_lib/ctl/page.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>
#include <time.h>

#include "client_lib/ctl/html.h"
#include "client_lib/ctl/tabs.h"
#include "client_lib/ctl/text.h"

enum { LISTED = 200 };

#define N_OF(columns) (sizeof(columns) / sizeof((columns)[0]))

static const struct hakc_column pool_columns[] = {
	{"POOL", HAKC_COLUMN_TEXT, 20, NULL},
	{"CLIENTS", HAKC_COLUMN_COUNT, 8, NULL},
	{"LIVE", HAKC_COLUMN_BYTES, 10, "bytes of live blocks"},
	{"ACTIVE", HAKC_COLUMN_BYTES, 10, "slabs and spans: live, and what is free in them"},
	{"MAPPED", HAKC_COLUMN_BYTES, 10, "SuperSlabs that have pages"},
	{"RETAINED", HAKC_COLUMN_BYTES, 10, "of these, free ones: kept, or in the reserve"},
	{"RESIDENT", HAKC_COLUMN_BYTES, 10, "memory that the heap has, by the kernel's count"},
	{"LIMIT", HAKC_COLUMN_BYTES, 10, NULL},
	{"SUPERSLABS", HAKC_COLUMN_COUNT, 10, "granted, orphans included"},
	{"ORPHANS", HAKC_COLUMN_COUNT, 8, "of these: the owner is dead, others have blocks there"},
	{"BLOCKS", HAKC_COLUMN_COUNT, 10, "live"},
	{"ANOMALIES", HAKC_COLUMN_COUNT, 9, "that audits have found"},
};

static const struct hakc_column root_columns[] = {
	{"NAME", HAKC_COLUMN_TEXT, 24, NULL},
	{"BLOCKS", HAKC_COLUMN_COUNT, 8, NULL},
	{"BYTES", HAKC_COLUMN_BYTES, 10, NULL},
	{"BY PID", HAKC_COLUMN_COUNT, 8, "who published it; it may be gone"},
	{"PUBLISHED", HAKC_COLUMN_TEXT, 20, NULL},
};

static const struct hakc_column counter_columns[] = {
	{"COUNTER", HAKC_COLUMN_TEXT, 24, NULL},
	{"VALUE", HAKC_COLUMN_COUNT, 14, NULL},
	{"A SECOND", HAKC_COLUMN_RATE, 10, "while the report was made"},
	{"WHAT", HAKC_COLUMN_TEXT, 60, NULL},
};

static const struct hakc_column event_columns[] = {
	{"TIME", HAKC_COLUMN_TEXT, 23, NULL},
	{"EVENT", HAKC_COLUMN_TEXT, 10, NULL},
	{"WHAT", HAKC_COLUMN_TEXT, 60, NULL},
};

static void time_text(int64_t seconds, char text[HAKC_TEXT_BYTES])
{
	time_t at = (time_t)seconds;
	struct tm tm;

	snprintf(text, HAKC_TEXT_BYTES, "-");
	if (localtime_r(&at, &tm))
		strftime(text, HAKC_TEXT_BYTES, "%Y-%m-%d %H:%M:%S", &tm);
}

/* Sorted, written, released. */
static int write_table(FILE *out, struct hakc_table *table, unsigned column, const char *hidden)
{
	int r = hakc_table_sort(table, column, false);

	hakc_html_table(out, table, LISTED, hidden);
	hakc_table_deinit(table);
	return r;
}

static void write_tile(FILE *out, const char *value, const char *what)
{
	fputs("<div class=\"tile\"><b>", out);
	hakc_html_text(out, value);
	fputs("</b><span>", out);
	hakc_html_text(out, what);
	fputs("</span></div>\n", out);
}

static void write_tiles(const struct hakc_page *page, FILE *out)
{
	const struct hakc_look *now = page->now;
	const uint64_t *n = now->view.totals.superslabs;
	uint64_t used = n[HAKC_ROW_GRANTED] + n[HAKC_ROW_ORPHAN];
	unsigned lg = now->view.geometry.superslab_lg;
	char text[HAKC_TEXT_BYTES], more[2 * HAKC_TEXT_BYTES];

	fputs("<div class=\"tiles\">\n", out);
	write_tile(out, hakc_bytes_text(now->view.totals.live_bytes, text), "in live blocks");
	snprintf(more, sizeof(more), "granted, %" PRIu64 " SuperSlabs", used);
	write_tile(out, hakc_bytes_text(used << lg, text), more);
	write_tile(out, hakc_bytes_text(now->resident_bytes, text), "resident");
	write_tile(out, hakc_bytes_text(now->limit_bytes, text), "limit");
	snprintf(text, sizeof(text), "%zu", now->n_clients);
	write_tile(out, text, "clients");
	snprintf(text, sizeof(text), "%" PRIu64, n[HAKC_ROW_ORPHAN]);
	write_tile(out, text, "orphaned SuperSlabs");
	snprintf(text, sizeof(text), "%" PRIu64, now->anomalies);
	write_tile(out, text, "anomalies found by audits");
	fputs("</div>\n", out);
}

static void write_head(const struct hakc_page *page, FILE *out)
{
	static const struct {
		const char *id, *name;
	} links[] = {{"time", "over time"},  {"map", "map"},	      {"waste", "waste"},
		     {"clients", "clients"}, {"pools", "pools"},      {"roots", "roots"},
		     {"events", "events"},   {"counters", "counters"}};
	const struct hakc_look *now = page->now;
	char text[256], pool[HAKC_TEXT_BYTES], version[HAKC_TEXT_BYTES], up[HAKC_TEXT_BYTES];

	snprintf(text, sizeof(text), "hakmem: pool %s", hakc_safe_text(now->view.pool, pool));
	hakc_html_begin(out, text);
	snprintf(text, sizeof(text),
		 "%s on %.64s; hakmemd %s, pid %" PRId32 ", up %s, generation %" PRIu64, page->time,
		 page->host, hakc_safe_text(now->version, version), now->daemon_pid,
		 hakc_duration_text(now->uptime_seconds, up), now->generation);
	fputs("<p class=\"mute\">", out);
	hakc_html_text(out, text);
	fputs("</p>\n<nav>", out);
	for (unsigned i = 0; i < sizeof(links) / sizeof(links[0]); i++)
		fprintf(out, "<a href=\"#%s\">%s</a>", links[i].id, links[i].name);
	fputs("</nav>\n", out);
}

static int write_waste(const struct hakc_page *page, FILE *out)
{
	struct hakc_table table;
	char text[HAKC_TEXT_BYTES];
	int r;

	hakc_html_section(
		out, "waste", "Waste by size class",
		"What slabs take and no live block has. Blocks in caches of clients count "
		"as live.");
	hakc_chart_waste(out, &page->now->slabs);
	fprintf(out, "<p>Granted, and in no slab or span: %s</p>\n",
		hakc_bytes_text(page->now->slabs.unused_bytes, text));
	if (page->now->slabs.damaged_slots)
		fprintf(out,
			"<p class=\"warn\">Slots whose words can't be: %" PRIu64
			"; hakmemctl check says what is wrong</p>\n",
			page->now->slabs.damaged_slots);
	fputs("<details><summary>as a table</summary>\n", out);
	hakc_tab_init(&table, HAKC_TAB_CLASSES, page->now, page->before);
	r = write_table(out, &table, hakc_tab_column(HAKC_TAB_CLASSES, "WASTE"), NULL);
	fputs("</details>\n", out);
	return r;
}

static int write_clients(const struct hakc_page *page, FILE *out)
{
	struct hakc_table table;

	hakc_html_section(out, "clients", "Clients",
			  "The largest first. Rates are those while the report was made.");
	hakc_tab_init(&table, HAKC_TAB_CLIENTS, page->now, page->before);
	return write_table(out, &table, hakc_tab_column(HAKC_TAB_CLIENTS, "ALLOCATED"),
			   "REMOTE/S,ASKS/S,UID,HOLDER,");
}

static int write_pools(const struct hakc_page *page, FILE *out)
{
	struct hakc_table table;

	hakc_html_section(out, "pools", "Pools of this daemon", NULL);
	hakc_table_init(&table, pool_columns, N_OF(pool_columns));
	for (size_t i = 0; i < page->n_pools; i++) {
		const Hak__PoolStatus *pool = page->pools[i];

		hakc_table_begin_row(&table);
		hakc_table_put_text(&table, pool->name);
		hakc_table_put(&table, pool->clients);
		hakc_table_put(&table, (double)pool->allocated_bytes);
		hakc_table_put(&table, (double)pool->active_bytes);
		hakc_table_put(&table, (double)pool->mapped_bytes);
		hakc_table_put(&table, (double)pool->retained_bytes);
		hakc_table_put(&table, (double)pool->resident_bytes);
		hakc_table_put(&table, (double)pool->limit_bytes);
		hakc_table_put(&table, (double)pool->granted_superslabs);
		hakc_table_put(&table, (double)pool->orphan_superslabs);
		hakc_table_put(&table, (double)pool->live_blocks);
		hakc_table_put(&table, (double)pool->anomalies);
	}
	return write_table(out, &table, 2, NULL);
}

static int write_roots(const struct hakc_page *page, FILE *out)
{
	struct hakc_table table;
	char text[HAKC_TEXT_BYTES];

	hakc_html_section(out, "roots", "Roots", "Published blocks, which outlive who made them.");
	hakc_table_init(&table, root_columns, N_OF(root_columns));
	for (size_t i = 0; i < page->n_roots; i++) {
		const Hak__Root *root = page->roots[i];

		hakc_table_begin_row(&table);
		hakc_table_put_text(&table, root->name);
		hakc_table_put(&table, root->blocks);
		hakc_table_put(&table, (double)root->bytes);
		hakc_table_put(&table, root->pid);
		time_text(root->published_at, text);
		hakc_table_put_text(&table, text);
	}
	return write_table(out, &table, 2, NULL);
}

static int write_events(const struct hakc_page *page, FILE *out)
{
	struct hakc_table table;
	int r;

	hakc_html_section(out, "events", "What has happened",
			  "The newest first; hakmemctl events has those before.");
	hakc_table_init(&table, event_columns, N_OF(event_columns));
	for (size_t i = page->n_events; i-- > 0;) {
		const struct hak_event *event = &page->events[i];
		char at[HAKC_TEXT_BYTES], text[256], all[HAKC_TEXT_BYTES + 8];

		hakc_table_begin_row(&table);
		time_text((int64_t)(event->at / 1000), at);
		snprintf(all, sizeof(all), "%s.%03u", at, (unsigned)(event->at % 1000));
		hakc_table_put_text(&table, all);
		hakc_table_put_text(&table, hak_event_names[event->kind]);
		hak_event_text(event, text, sizeof(text));
		hakc_table_put_text(&table, text);
	}
	r = table.is_lacking ? -ENOMEM : 0;
	hakc_html_table(out, &table, HAKC_PAGE_EVENTS_MAX, NULL);
	hakc_table_deinit(&table);
	return r;
}

/* What isn't 0, in the table's order. was: NULL, or values that only grow. */
static int write_counters(const struct hakc_page *page, FILE *out, const char *title,
			  const struct hak_counter *counters, unsigned n, const uint64_t *is,
			  const uint64_t *was)
{
	struct hakc_table table;
	unsigned n_zero = 0;
	int r;

	fputs("<h3>", out);
	hakc_html_text(out, title);
	fputs("</h3>\n", out);
	hakc_table_init(&table, counter_columns, N_OF(counter_columns));
	for (unsigned i = 0; i < n; i++) {
		n_zero += is[i] == 0;
		if (is[i] == 0)
			continue;
		hakc_table_begin_row(&table);
		hakc_table_put_text(&table, counters[i].name);
		hakc_table_put(&table, (double)is[i]);
		hakc_table_put(&table,
			       was && is[i] >= was[i]
				       ? hakc_tab_rate(page->now, page->before, is[i], was[i])
				       : NAN);
		hakc_table_put_text(&table, counters[i].description);
	}
	r = table.is_lacking ? -ENOMEM : 0;
	hakc_html_table(out, &table, n, was ? NULL : "A SECOND,");
	if (n_zero)
		fprintf(out, "<p class=\"mute\">%u more are 0</p>\n", n_zero);
	hakc_table_deinit(&table);
	return r;
}

static int write_all_counters(const struct hakc_page *page, FILE *out)
{
	const struct hakc_look *now = page->now, *before = page->before;
	int r;

	hakc_html_section(
		out, "counters", "Counters",
		"Of clients: what those of the pool have counted, the ones that have left "
		"too. Of the daemon: over all pools. hakmem-counters(7)");
	r = write_counters(page, out, "clients", hak_client_counters, HAK_STAT_COUNT, now->counters,
			   before->counters);
	if (r == 0)
		r = write_counters(page, out, "daemon", hak_daemon_counters,
				   HAK_DAEMON_COUNTER_COUNT, now->daemon, before->daemon);
	if (r == 0)
		r = write_counters(page, out, "pool", hak_pool_gauges, HAK_GAUGE_COUNT, now->gauges,
				   NULL);
	return r;
}

int hakc_page_write(const struct hakc_page *page, FILE *out)
{
	static int (*const sections[])(const struct hakc_page *page, FILE *out) = {
		write_waste, write_clients, write_pools,
		write_roots, write_events,  write_all_counters};
	int r = 0;

	write_head(page, out);
	write_tiles(page, out);
	hakc_html_section(out, "time", "Occupancy over time", NULL);
	hakc_chart_occupancy(out, page->points, page->n_points);
	hakc_html_section(
		out, "map", "Map",
		"A row is a SuperSlab, a box a slot; the pointer on a slab says what it is.");
	fprintf(out, "<div class=\"map\">\n%s</div>\n", page->map);
	for (unsigned i = 0; r == 0 && i < sizeof(sections) / sizeof(sections[0]); i++)
		r = sections[i](page, out);
	hakc_html_end(out);
	return r;
}
