/* SPDX-License-Identifier: MIT */
/*
 * check lists what the daemon's audit found. leaks is the table of clients
 * seen from their blocks, and what the audit found to belong to nobody. The
 * two walks of leaks are not at one moment: sums need not agree on a pool at work.
 */
#include "client_lib/ctl/audit.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "client_lib/ctl/json.h"
#include "client_lib/ctl/text.h"

static uint64_t count_anomalies(const struct hakc_query_check *check)
{
	return check->n_anomalies + check->sums.more_anomalies;
}

static void anomaly_json(struct hakc_json *json, const Hak__Anomaly *anomaly)
{
	hakc_json_begin_object(json, NULL);
	hakc_json_string(json, "kind", anomaly->kind);
	hakc_json_unsigned(json, "superslab", anomaly->superslab);
	hakc_json_signed(json, "slot", anomaly->slot);
	hakc_json_unsigned(json, "offset", anomaly->offset);
	hakc_json_unsigned(json, "owner", anomaly->owner);
	hakc_json_string(json, "text", anomaly->text);
	hakc_json_end_object(json);
}

static void check_json(const struct hakc_query_check *check)
{
	struct hakc_json json;

	hakc_json_init(&json, stdout);
	hakc_json_begin_object(&json, NULL);
	hakc_json_unsigned(&json, "schema_version", HAKC_SCHEMA_VERSION);
	hakc_json_unsigned(&json, "superslabs", check->sums.superslabs);
	hakc_json_unsigned(&json, "slabs", check->sums.slabs);
	hakc_json_unsigned(&json, "spans", check->sums.spans);
	hakc_json_unsigned(&json, "live_blocks", check->sums.live_blocks);
	hakc_json_unsigned(&json, "live_bytes", check->sums.live_bytes);
	hakc_json_unsigned(&json, "stale_hints", check->sums.stale_hints);
	hakc_json_unsigned(&json, "anomaly_count", count_anomalies(check));
	hakc_json_unsigned(&json, "unlisted_anomalies", check->sums.more_anomalies);
	hakc_json_begin_array(&json, "anomalies");
	for (size_t i = 0; i < check->n_anomalies; i++)
		anomaly_json(&json, check->anomalies[i]);
	hakc_json_end_array(&json);
	hakc_json_end_object(&json);
}

static void print_anomaly(const Hak__Anomaly *anomaly)
{
	char kind[HAKC_TEXT_BYTES];

	printf("%s: SuperSlab %" PRIu32, hakc_safe_text(anomaly->kind, kind), anomaly->superslab);
	if (anomaly->slot >= 0)
		printf(", slot %" PRId32, anomaly->slot);
	printf(", offset 0x%" PRIx64, anomaly->offset);
	if (anomaly->owner)
		printf(", owner %" PRIu32, anomaly->owner);
	printf(": %s\n", anomaly->text);
}

static void print_check(const struct hakc_query_check *check)
{
	uint64_t n = count_anomalies(check);

	for (size_t i = 0; i < check->n_anomalies; i++)
		print_anomaly(check->anomalies[i]);
	if (check->sums.more_anomalies)
		printf("and %" PRIu64 " more\n", check->sums.more_anomalies);
	printf("checked %" PRIu64 " SuperSlabs, %" PRIu64 " slabs, %" PRIu64 " blocks live: ",
	       check->sums.superslabs, check->sums.slabs + check->sums.spans,
	       check->sums.live_blocks);
	if (n)
		printf("%" PRIu64 " anomalies\n", n);
	else
		printf("clean\n");
}

int hakc_verb_check(struct hakc_query *query, bool as_json, bool *ret_degraded)
{
	struct hakc_query_check check;
	int r = hakc_query_check(query, &check);

	if (r != 0)
		return r;
	*ret_degraded = count_anomalies(&check) > 0;
	if (as_json)
		check_json(&check);
	else
		print_check(&check);
	hakc_query_check_deinit(&check);
	return 0;
}

/* Seconds since it attached; a clock that was set back makes none. */
static uint64_t age_of(const Hak__Client *client)
{
	int64_t now = time(NULL);

	return now > client->attached_at ? (uint64_t)(now - client->attached_at) : 0;
}

static void leaks_json(const struct hakc_query_clients *all, const Hak__Check *sums)
{
	struct hakc_json json;

	hakc_json_init(&json, stdout);
	hakc_json_begin_object(&json, NULL);
	hakc_json_unsigned(&json, "schema_version", HAKC_SCHEMA_VERSION);
	hakc_json_begin_array(&json, "owners");
	for (size_t i = 0; i < all->n_clients; i++) {
		const Hak__Client *client = all->clients[i];

		hakc_json_begin_object(&json, NULL);
		hakc_json_unsigned(&json, "holder", client->holder);
		hakc_json_unsigned(&json, "generation", client->generation);
		hakc_json_signed(&json, "pid", client->pid);
		hakc_json_string(&json, "name", client->name);
		hakc_json_string(&json, "state", client->state);
		hakc_json_unsigned(&json, "age_seconds", age_of(client));
		hakc_json_unsigned(&json, "live_blocks", client->live_blocks);
		hakc_json_unsigned(&json, "live_bytes", client->allocated_bytes);
		hakc_json_end_object(&json);
	}
	hakc_json_end_array(&json);
	hakc_json_begin_object(&json, "nobody");
	hakc_json_unsigned(&json, "live_blocks", sums->lost_blocks);
	hakc_json_unsigned(&json, "live_bytes", sums->lost_bytes);
	hakc_json_end_object(&json);
	hakc_json_end_object(&json);
}

static void print_leaks(const struct hakc_query_clients *all, const Hak__Check *sums)
{
	char name[HAKC_TEXT_BYTES], age[HAKC_TEXT_BYTES], bytes[HAKC_TEXT_BYTES];

	printf("%6s %8s %-16s %14s %12s %12s\n", "HOLDER", "PID", "NAME", "AGE", "BLOCKS", "BYTES");
	for (size_t i = 0; i < all->n_clients; i++) {
		const Hak__Client *client = all->clients[i];

		printf("%6" PRIu32 " %8" PRId32 " %-16s %14s %12" PRIu64 " %12s\n", client->holder,
		       client->pid, hakc_safe_text(client->name, name),
		       hakc_duration_text(age_of(client), age), client->live_blocks,
		       hakc_bytes_text(client->allocated_bytes, bytes));
	}
	printf("nobody's: %" PRIu64 " blocks, %s\n", sums->lost_blocks,
	       hakc_bytes_text(sums->lost_bytes, bytes));
}

int hakc_verb_leaks(struct hakc_query *query, bool as_json, bool *ret_degraded)
{
	struct hakc_query_clients all;
	struct hakc_query_check check;
	int r = hakc_query_check(query, &check);

	if (r != 0)
		return r;
	r = hakc_query_clients(query, &all);
	if (r == 0) {
		*ret_degraded = check.sums.lost_blocks > 0;
		if (as_json)
			leaks_json(&all, &check.sums);
		else
			print_leaks(&all, &check.sums);
		hakc_query_clients_deinit(&all);
	}
	hakc_query_check_deinit(&check);
	return r;
}
