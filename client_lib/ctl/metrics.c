/* SPDX-License-Identifier: MIT */
/*
 * Prometheus' text format: https://prometheus.io/docs/instrumenting/exposition_formats/. Counters
 * end in _total, gauges in their unit; a metric's lines are together. What comes from the daemon is
 * escaped: it may be of any version.
 */
#include "client_lib/ctl/metrics.h"

#include <inttypes.h>
#include <stddef.h>
#include <string.h>

/* What a status says of a pool beyond its gauges. */
static const struct {
	const char *name, *description;
	size_t place;
} of_status[] = {
	{"live_blocks", "blocks that are allocated", offsetof(Hak__PoolStatus, live_blocks)},
	{"allocated_bytes", "size of these blocks", offsetof(Hak__PoolStatus, allocated_bytes)},
	{"active_bytes", "slots of slabs and spans: what is allocated, and what is free in them",
	 offsetof(Hak__PoolStatus, active_bytes)},
	{"mapped_bytes", "SuperSlabs that have pages: granted, kept, in reserve",
	 offsetof(Hak__PoolStatus, mapped_bytes)},
	{"retained_bytes", "of these, free ones, kept or in reserve",
	 offsetof(Hak__PoolStatus, retained_bytes)},
	{"metadata_bytes", "pages of the registry, of slab words, bits and tags",
	 offsetof(Hak__PoolStatus, metadata_bytes)},
	{"anomalies", "words that contradict each other: hakmemctl check says which",
	 offsetof(Hak__PoolStatus, anomalies)},
};

enum { N_OF_STATUS = sizeof(of_status) / sizeof(of_status[0]) };

static void print_escaped(FILE *file, const char *text)
{
	for (; *text; text++) {
		if (*text == '\n')
			fputs("\\n", file);
		else if (*text == '\\' || *text == '"')
			fprintf(file, "\\%c", *text);
		else
			fputc(*text, file);
	}
}

static void head(FILE *file, const char *name, const char *suffix, const char *type,
		 const char *description)
{
	fprintf(file, "# HELP %s%s %s\n# TYPE %s%s %s\n", name, suffix, description, name, suffix,
		type);
}

static void sample_of_pool(FILE *file, const char *name, const char *suffix, const char *pool,
			   uint64_t value)
{
	fprintf(file, "%s%s{pool=\"", name, suffix);
	print_escaped(file, pool);
	fprintf(file, "\"} %" PRIu64 "\n", value);
}

static void print_pools(const struct hakc_figures *figures, FILE *file)
{
	char name[96];

	for (unsigned i = 0; i < HAK_STAT_COUNT; i++) {
		const struct hak_counter *counter = &hak_client_counters[i];

		snprintf(name, sizeof(name), "hakmem_client_%s", counter->name);
		head(file, name, "_total", "counter", counter->description);
		for (unsigned k = 0; k < figures->n_pools; k++)
			sample_of_pool(file, name, "_total", figures->pools[k].name,
				       figures->pools[k].clients[i]);
	}
	for (unsigned i = 0; i < HAK_GAUGE_COUNT; i++) {
		const struct hak_counter *gauge = &hak_pool_gauges[i];

		snprintf(name, sizeof(name), "hakmem_pool_%s", gauge->name);
		head(file, name, "", "gauge", gauge->description);
		for (unsigned k = 0; k < figures->n_pools; k++)
			sample_of_pool(file, name, "", figures->pools[k].name,
				       figures->pools[k].gauges[i]);
	}
}

static void print_daemon(const struct hakc_figures *figures, FILE *file)
{
	char name[96];

	head(file, "hakmem_figures_age_seconds", "", "gauge", "how old these figures are");
	fprintf(file, "hakmem_figures_age_seconds %.3f\n", (double)figures->age_ms / 1000);
	for (unsigned i = 0; i < HAK_DAEMON_COUNTER_COUNT; i++) {
		const struct hak_counter *counter = &hak_daemon_counters[i];

		snprintf(name, sizeof(name), "hakmem_daemon_%s", counter->name);
		head(file, name, "_total", "counter", counter->description);
		fprintf(file, "%s_total %" PRIu64 "\n", name, figures->daemon[i]);
	}
}

static void print_status(const struct hakc_metrics *metrics, FILE *file)
{
	const Hak__Status *status = metrics->status->status;
	char name[96];

	head(file, "hakmem_daemon_info", "", "gauge", "the daemon that answers");
	fputs("hakmem_daemon_info{version=\"", file);
	print_escaped(file, status->version);
	fprintf(file, "\",layout=\"%" PRIu32 "\"} 1\n", status->layout_version);
	head(file, "hakmem_daemon_uptime_seconds", "", "gauge", "how long it has been up");
	fprintf(file, "hakmem_daemon_uptime_seconds %" PRIu64 "\n", status->uptime_seconds);
	for (unsigned i = 0; i < N_OF_STATUS; i++) {
		snprintf(name, sizeof(name), "hakmem_pool_%s", of_status[i].name);
		head(file, name, "", "gauge", of_status[i].description);
		for (size_t k = 0; k < status->n_pools; k++) {
			const Hak__PoolStatus *pool = status->pools[k];
			const char *place = (const char *)pool + of_status[i].place;

			if (!metrics->pool_name || strcmp(metrics->pool_name, pool->name) == 0)
				sample_of_pool(file, name, "", pool->name,
					       *(const uint64_t *)(const void *)place);
		}
	}
}

void hakc_metrics_print(const struct hakc_metrics *metrics, FILE *file)
{
	bool is_up = metrics->has_figures && !metrics->figures.is_down;

	head(file, "hakmem_up", "", "gauge", "1: the daemon answers");
	fprintf(file, "hakmem_up %d\n", is_up);
	head(file, "hakmem_build_info", "", "gauge", "the hakmemctl that says this");
	fprintf(file, "hakmem_build_info{version=\"%s\"} 1\n", HAKMEM_VERSION);
	if (metrics->has_figures) {
		print_daemon(&metrics->figures, file);
		print_pools(&metrics->figures, file);
	}
	if (metrics->status)
		print_status(metrics, file);
}

int hakc_metrics_get(struct hakc_query *query, struct hakc_metrics *metrics)
{
	int r = hakc_figures_get(query, &metrics->figures);

	metrics->has_figures = r == 0;
	metrics->status = NULL;
	metrics->pool_name = query->pool_name;
	/* The figures are worth something without it. */
	if (r == 0 && !metrics->figures.is_down && hakc_query_status(query, &metrics->status) != 0)
		metrics->status = NULL;
	return r;
}

void hakc_metrics_deinit(struct hakc_metrics *metrics)
{
	if (metrics->status)
		hak__reply__free_unpacked(metrics->status, NULL);
	metrics->status = NULL;
}

int hakc_verb_metrics(struct hakc_query *query, bool as_json, bool *ret_degraded)
{
	static struct hakc_metrics metrics;
	int r = hakc_metrics_get(query, &metrics);

	(void)as_json;
	(void)ret_degraded;
	if (r == 0)
		hakc_metrics_print(&metrics, stdout);
	hakc_metrics_deinit(&metrics);
	return r;
}
