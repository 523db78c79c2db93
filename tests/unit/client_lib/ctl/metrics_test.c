/* SPDX-License-Identifier: MIT */
/* The text for Prometheus, of what a daemon of any version may say. */
#include "tests/support/run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client_lib/ctl/metrics.h"

static struct hakc_metrics metrics;

static int clear(void **state)
{
	(void)state;
	memset(&metrics, 0, sizeof(metrics));
	return 0;
}

/* To be freed. */
static char *print(void)
{
	static char *text;
	static size_t n;
	FILE *file = open_memstream(&text, &n);

	assert_non_null(file);
	hakc_metrics_print(&metrics, file);
	assert_int_equal(fclose(file), 0);
	return text;
}

static void expect(const char *line)
{
	char *text = print();

	if (!strstr(text, line))
		fail_msg("no %s in %s", line, text);
	free(text);
}

static void add_pool(const char *name, uint64_t claims)
{
	struct hakc_figures_pool *pool = &metrics.figures.pools[metrics.figures.n_pools++];

	snprintf(pool->name, sizeof(pool->name), "%s", name);
	pool->clients[HAK_STAT_CLAIMS] = claims;
}

static void test_of_nothing_it_says_that_the_daemon_is_down(void **state)
{
	char *text;

	(void)state;
	text = print();
	assert_non_null(strstr(text, "\nhakmem_up 0\n"));
	assert_null(strstr(text, "hakmem_client_"));
	assert_null(strstr(text, "hakmem_figures_age_seconds"));
	free(text);
}

static void test_labels_are_escaped(void **state)
{
	(void)state;
	metrics.has_figures = true;
	add_pool("a\"b\\c\nd", 7);
	expect("\nhakmem_client_claims_total{pool=\"a\\\"b\\\\c\\nd\"} 7\n");
}

static void test_a_metric_s_lines_are_together_and_said_once(void **state)
{
	char *text, *first;

	(void)state;
	metrics.has_figures = true;
	add_pool("a", 1);
	add_pool("b", UINT64_MAX);
	text = print();
	first = strstr(text, "# TYPE hakmem_client_claims_total counter\n");
	assert_non_null(first);
	assert_non_null(strstr(first, "counter\nhakmem_client_claims_total{pool=\"a\"} 1\n"
				      "hakmem_client_claims_total{pool=\"b\"} "
				      "18446744073709551615\n# HELP "));
	assert_null(strstr(first + 1, "# TYPE hakmem_client_claims_total counter\n"));
	free(text);
}

static void test_of_a_status_it_says_what_the_pool_has_that_was_asked_for(void **state)
{
	Hak__Reply reply = HAK__REPLY__INIT;
	Hak__Status status = HAK__STATUS__INIT;
	Hak__PoolStatus a = HAK__POOL_STATUS__INIT, b = HAK__POOL_STATUS__INIT;
	Hak__PoolStatus *pools[] = {&a, &b};
	char *text;

	(void)state;
	a.name = (char *)(uintptr_t) "a";
	b.name = (char *)(uintptr_t) "b";
	b.live_blocks = 3;
	b.anomalies = 4;
	status.version = (char *)(uintptr_t) "9 \"x\"";
	status.pools = pools;
	status.n_pools = 2;
	status.uptime_seconds = 61;
	reply.status = &status;
	metrics.has_figures = true;
	metrics.status = &reply;
	expect("\nhakmem_up 1\n");
	expect("\nhakmem_daemon_info{version=\"9 \\\"x\\\"\",layout=\"0\"} 1\n");
	expect("\nhakmem_daemon_uptime_seconds 61\n");
	expect("\nhakmem_pool_live_blocks{pool=\"a\"} 0\nhakmem_pool_live_blocks{pool=\"b\"} 3\n");
	metrics.pool_name = "b";
	expect("\nhakmem_pool_anomalies{pool=\"b\"} 4\n");
	text = print();
	assert_null(strstr(text, "pool=\"a\""));
	free(text);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test_setup(test_of_nothing_it_says_that_the_daemon_is_down, clear),
	cmocka_unit_test_setup(test_labels_are_escaped, clear),
	cmocka_unit_test_setup(test_a_metric_s_lines_are_together_and_said_once, clear),
	cmocka_unit_test_setup(test_of_a_status_it_says_what_the_pool_has_that_was_asked_for,
			       clear),
};

HAKT_MAIN(tests, NULL, NULL)
