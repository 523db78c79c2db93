/* SPDX-License-Identifier: MIT */
/*
 * Prometheus' text format: https://prometheus.io/docs/instrumenting/exposition_formats/. Counters
 * end in _total, gauges in their unit; a metric's lines are together.
 */
#include <inttypes.h>
#include <stdio.h>

#include "client_lib/ctl/figures.h"
#include "client_lib/ctl/json.h"
#include "client_lib/ctl/stats.h"

static void head(const char *name, const char *suffix, const char *type, const char *description)
{
	printf("# HELP %s%s %s\n# TYPE %s%s %s\n", name, suffix, description, name, suffix, type);
}

static void of_pools(const struct hakc_figures *figures)
{
	char name[96];

	for (unsigned i = 0; i < HAK_STAT_COUNT; i++) {
		const struct hak_counter *counter = &hak_client_counters[i];

		snprintf(name, sizeof(name), "hakmem_client_%s", counter->name);
		head(name, "_total", "counter", counter->description);
		for (unsigned k = 0; k < figures->n_pools; k++)
			printf("%s_total{pool=\"%s\"} %" PRIu64 "\n", name, figures->pools[k].name,
			       figures->pools[k].clients[i]);
	}
	for (unsigned i = 0; i < HAK_GAUGE_COUNT; i++) {
		const struct hak_counter *gauge = &hak_pool_gauges[i];

		snprintf(name, sizeof(name), "hakmem_pool_%s", gauge->name);
		head(name, "", "gauge", gauge->description);
		for (unsigned k = 0; k < figures->n_pools; k++)
			printf("%s{pool=\"%s\"} %" PRIu64 "\n", name, figures->pools[k].name,
			       figures->pools[k].gauges[i]);
	}
}

/* Names of pools have no characters that a label would have to escape. */
int hakc_verb_metrics(struct hakc_query *query, bool as_json, bool *ret_degraded)
{
	static struct hakc_figures figures;
	char name[96];
	int r = hakc_figures_get(query, &figures);

	(void)as_json;
	(void)ret_degraded;
	if (r != 0)
		return r;
	head("hakmem_up", "", "gauge", "1: the daemon answers");
	printf("hakmem_up %d\n", !figures.is_down);
	head("hakmem_figures_age_seconds", "", "gauge", "how old these figures are");
	printf("hakmem_figures_age_seconds %.3f\n", (double)figures.age_ms / 1000);
	for (unsigned i = 0; i < HAK_DAEMON_COUNTER_COUNT; i++) {
		const struct hak_counter *counter = &hak_daemon_counters[i];

		snprintf(name, sizeof(name), "hakmem_daemon_%s", counter->name);
		head(name, "_total", "counter", counter->description);
		printf("%s_total %" PRIu64 "\n", name, figures.daemon[i]);
	}
	of_pools(&figures);
	return 0;
}
