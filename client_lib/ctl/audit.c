/* SPDX-License-Identifier: MIT */
/*
 * check lists what the daemon's audit found. leaks is whose the blocks are: the
 * audit counts them by their owners, wherever they lie, and finds what belongs to
 * nobody; the table of clients says who the owners are. It is asked for
 * afterwards: who owned blocks and isn't in it has left since, and they went too.
 */
#include "client_lib/ctl/audit.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "client_lib/ctl/json.h"
#include "client_lib/ctl/style.h"
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

	hakc_json_begin_answer(&json, stdout);
	hakc_json_unsigned(&json, "superslabs", check->sums.superslabs);
	hakc_json_unsigned(&json, "orphans", check->sums.orphans);
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
	       check->sums.superslabs + check->sums.orphans, check->sums.slabs + check->sums.spans,
	       check->sums.live_blocks);
	if (n)
		printf("%" PRIu64 " anomalies\n", n);
	else
		printf("clean\n");
}

int hakc_verb_check(struct hakc_query *query, bool as_json, bool *ret_degraded)
{
	struct hakc_query_check check;
	int r = hakc_query_check(query, false, &check);

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

/* What a holder owns; the daemon may be of another version and name any holder. */
static const struct hak_share *share_of(const struct hakc_query_check *check, uint32_t holder)
{
	static const struct hak_share none;

	return holder < HAK_HOLDER_COUNT ? &check->owners[holder] : &none;
}

static void share_json(struct hakc_json *json, const char *name, const struct hak_share *share)
{
	hakc_json_begin_object(json, name);
	hakc_json_unsigned(json, "live_blocks", share->blocks);
	hakc_json_unsigned(json, "live_bytes", share->bytes);
	hakc_json_end_object(json);
}

static void owner_json(struct hakc_json *json, const Hak__Client *client,
		       const struct hak_share *share)
{
	hakc_json_begin_object(json, NULL);
	hakc_json_unsigned(json, "holder", client->holder);
	hakc_json_unsigned(json, "generation", client->generation);
	hakc_json_signed(json, "pid", client->pid);
	hakc_json_string(json, "name", client->name);
	hakc_json_string(json, "state", client->state);
	hakc_json_unsigned(json, "age_seconds", age_of(client));
	hakc_json_unsigned(json, "live_blocks", share->blocks);
	hakc_json_unsigned(json, "live_bytes", share->bytes);
	hakc_json_end_object(json);
}

static void leaks_json(const struct hakc_query_clients *all, const struct hakc_query_check *check,
		       const struct hak_share *nobody)
{
	struct hakc_json json;

	hakc_json_begin_answer(&json, stdout);
	hakc_json_begin_array(&json, "owners");
	for (size_t i = 0; i < all->n_clients; i++)
		owner_json(&json, all->clients[i], share_of(check, all->clients[i]->holder));
	hakc_json_end_array(&json);
	share_json(&json, "root", &check->owners[HAK_HOLDER_ROOT]);
	share_json(&json, "nobody", nobody);
	hakc_json_unsigned(&json, "orphans", check->sums.orphans);
	hakc_json_end_object(&json);
}

static void print_owner(const Hak__Client *client, const struct hak_share *share)
{
	char name[HAKC_TEXT_BYTES], age[HAKC_TEXT_BYTES], bytes[HAKC_TEXT_BYTES];

	printf("%6" PRIu32 " %8" PRId32 " %-16s %14s %12" PRIu64 " %12s\n", client->holder,
	       client->pid, hakc_safe_text(client->name, name),
	       hakc_duration_text(age_of(client), age), share->blocks,
	       hakc_bytes_text(share->bytes, bytes));
}

static void print_leaks(const struct hakc_query_clients *all, const struct hakc_query_check *check,
			const struct hak_share *nobody)
{
	const struct hak_share *root = &check->owners[HAK_HOLDER_ROOT];
	char bytes[HAKC_TEXT_BYTES];

	hakc_style_header("%6s %8s %-16s %14s %12s %12s\n", "HOLDER", "PID", "NAME", "AGE",
			  "BLOCKS", "BYTES");
	for (size_t i = 0; i < all->n_clients; i++)
		print_owner(all->clients[i], share_of(check, all->clients[i]->holder));
	printf("%6u %8s %-16s %14s %12" PRIu64 " %12s\n", HAK_HOLDER_ROOT, "-", "(roots)", "-",
	       root->blocks, hakc_bytes_text(root->bytes, bytes));
	if (hakc_style.no_headers)
		return;
	if (check->sums.orphans)
		printf("SuperSlabs whose owner died, with blocks of others: %" PRIu64 "\n",
		       check->sums.orphans);
	printf("nobody's: %" PRIu64 " blocks, %s\n", nobody->blocks,
	       hakc_bytes_text(nobody->bytes, bytes));
}

int hakc_verb_leaks(struct hakc_query *query, bool as_json, bool *ret_degraded)
{
	struct hakc_query_clients all;
	struct hakc_query_check check;
	int r = hakc_query_check(query, true, &check);

	if (r != 0)
		return r;
	r = hakc_query_clients(query, hakc_query_pool(query), &all);
	if (r == 0) {
		struct hak_share nobody = {check.sums.lost_blocks, check.sums.lost_bytes};

		*ret_degraded = nobody.blocks > 0;
		if (as_json)
			leaks_json(&all, &check, &nobody);
		else
			print_leaks(&all, &check, &nobody);
		hakc_query_clients_deinit(&all);
	}
	hakc_query_check_deinit(&check);
	return r;
}
