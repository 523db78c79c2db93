/* SPDX-License-Identifier: MIT */
/*
 * The verbs: each asks, then prints either a table or JSON. The members of the
 * JSON are a promise to scripts; schema_version changes when one changes its
 * meaning or goes. Strings that other processes chose lose what a terminal
 * would obey.
 */
#include "client_lib/ctl/verb.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "client_lib/ctl/audit.h"
#include "client_lib/ctl/config.h"
#include "client_lib/ctl/events.h"
#include "client_lib/ctl/exporter.h"
#include "client_lib/ctl/json.h"
#include "client_lib/ctl/metrics.h"
#include "client_lib/ctl/orders.h"
#include "client_lib/ctl/pool.h"
#include "client_lib/ctl/profile_verb.h"
#include "client_lib/ctl/report.h"
#include "client_lib/ctl/roots.h"
#include "client_lib/ctl/sight.h"
#include "client_lib/ctl/stats.h"
#include "client_lib/ctl/style.h"
#include "client_lib/ctl/text.h"
#include "client_lib/ctl/top.h"

void hakc_verb_pool_json(struct hakc_json *json, const Hak__PoolStatus *pool)
{
	char mode[16];

	hakc_json_begin_object(json, NULL);
	hakc_json_string(json, "name", pool->name);
	hakc_json_unsigned(json, "capacity_bytes", pool->capacity_bytes);
	hakc_json_unsigned(json, "limit_bytes", pool->limit_bytes);
	hakc_json_unsigned(json, "granted_superslabs", pool->granted_superslabs);
	hakc_json_unsigned(json, "superslab_bytes", pool->superslab_bytes);
	hakc_json_unsigned(json, "clients", pool->clients);
	hakc_json_unsigned(json, "live_blocks", pool->live_blocks);
	hakc_json_unsigned(json, "allocated_bytes", pool->allocated_bytes);
	hakc_json_unsigned(json, "resident_bytes", pool->resident_bytes);
	hakc_json_unsigned(json, "anomalies", pool->anomalies);
	hakc_json_unsigned(json, "active_bytes", pool->active_bytes);
	hakc_json_unsigned(json, "metadata_bytes", pool->metadata_bytes);
	hakc_json_unsigned(json, "mapped_bytes", pool->mapped_bytes);
	hakc_json_unsigned(json, "retained_bytes", pool->retained_bytes);
	hakc_json_unsigned(json, "owner", pool->owner);
	hakc_json_unsigned(json, "group", pool->group);
	snprintf(mode, sizeof(mode), "%03" PRIo32, pool->mode);
	hakc_json_string(json, "mode", mode);
	hakc_json_hex(json, "base", pool->base_address);
	hakc_json_unsigned(json, "reserve_superslabs", pool->reserve_superslabs);
	hakc_json_unsigned(json, "kept_superslabs", pool->kept_superslabs);
	hakc_json_unsigned(json, "orphan_superslabs", pool->orphan_superslabs);
	hakc_json_unsigned(json, "waiting_superslabs", pool->waiting_superslabs);
	hakc_json_string(json, "huge_pages", pool->huge_pages);
	hakc_json_end_object(json);
}

static void status_json(const Hak__Status *status)
{
	struct hakc_json json;

	hakc_json_begin_answer(&json, stdout);
	hakc_json_string(&json, "version", status->version);
	hakc_json_unsigned(&json, "layout_version", status->layout_version);
	hakc_json_unsigned(&json, "generation", status->generation);
	hakc_json_signed(&json, "pid", status->pid);
	hakc_json_unsigned(&json, "uptime_seconds", status->uptime_seconds);
	hakc_json_begin_array(&json, "pools");
	for (size_t i = 0; i < status->n_pools; i++) {
		hakc_verb_pool_json(&json, status->pools[i]);
	}
	hakc_json_end_array(&json);
	hakc_json_end_object(&json);
}

static void print_bytes(const char *label, uint64_t bytes)
{
	char text[HAKC_TEXT_BYTES];

	printf("  %-20s %s\n", label, hakc_bytes_text(bytes, text));
}

static void print_pool(const Hak__PoolStatus *pool)
{
	char text[HAKC_TEXT_BYTES];
	uint64_t warm = pool->reserve_superslabs + pool->kept_superslabs;

	printf("\npool %s\n", hakc_safe_text(pool->name, text));
	print_bytes("capacity", pool->capacity_bytes);
	print_bytes("limit", pool->limit_bytes);
	printf("  %-20s %" PRIu64 " of %s\n", "granted SuperSlabs", pool->granted_superslabs,
	       hakc_bytes_text(pool->superslab_bytes, text));
	printf("  %-20s %" PRIu64 "\n", "  of them orphans", pool->orphan_superslabs);
	printf("  %-20s %" PRIu64 "\n", "not free yet", pool->waiting_superslabs);
	printf("  %-20s %" PRIu64 " (%" PRIu64 " in reserve, %" PRIu64 " kept)\n",
	       "warm SuperSlabs", warm, pool->reserve_superslabs, pool->kept_superslabs);
	printf("  %-20s %s\n", "huge pages", hakc_safe_text(pool->huge_pages, text));
	printf("  %-20s %" PRIu32 "\n", "clients", pool->clients);
	printf("  %-20s %" PRIu64 "\n", "live blocks", pool->live_blocks);
	print_bytes("allocated", pool->allocated_bytes);
	print_bytes("active", pool->active_bytes);
	print_bytes("mapped", pool->mapped_bytes);
	print_bytes("  of it retained", pool->retained_bytes);
	print_bytes("metadata", pool->metadata_bytes);
	print_bytes("resident", pool->resident_bytes);
	printf("  %-20s %" PRIu64 "\n", "anomalies", pool->anomalies);
	printf("  %-20s user %" PRIu32 ", group %" PRIu32 ", mode %03" PRIo32 "\n", "access",
	       pool->owner, pool->group, pool->mode);
	printf("  %-20s 0x%" PRIx64 "\n", "base", pool->base_address);
}

static int run_status(struct hakc_query *query, bool as_json, bool *ret_degraded)
{
	char text[HAKC_TEXT_BYTES];
	Hak__Reply *reply;
	int r = hakc_query_status(query, &reply);

	(void)ret_degraded;
	if (r != 0)
		return r;
	if (as_json) {
		status_json(reply->status);
	} else {
		const Hak__Status *status = reply->status;

		printf("hakmemd %s\n", hakc_safe_text(status->version, text));
		printf("  %-20s %" PRId32 "\n", "pid", status->pid);
		printf("  %-20s %s\n", "up", hakc_duration_text(status->uptime_seconds, text));
		printf("  %-20s %" PRIu32 "\n", "memory layout", status->layout_version);
		printf("  %-20s %" PRIu64 "\n", "generation", status->generation);
		for (size_t i = 0; i < status->n_pools; i++)
			print_pool(status->pools[i]);
	}
	hak__reply__free_unpacked(reply, NULL);
	return 0;
}

static void client_json(struct hakc_json *json, const Hak__Client *client)
{
	hakc_json_begin_object(json, NULL);
	hakc_json_unsigned(json, "holder", client->holder);
	hakc_json_unsigned(json, "generation", client->generation);
	hakc_json_signed(json, "pid", client->pid);
	hakc_json_unsigned(json, "uid", client->uid);
	hakc_json_string(json, "name", client->name);
	hakc_json_string(json, "pool", client->pool);
	hakc_json_string(json, "state", client->state);
	hakc_json_unsigned(json, "granted_superslabs", client->granted_superslabs);
	hakc_json_unsigned(json, "live_blocks", client->live_blocks);
	hakc_json_unsigned(json, "allocated_bytes", client->allocated_bytes);
	hakc_json_signed(json, "attached_at", client->attached_at);
	hakc_json_unsigned(json, "refused", client->refused);
	hakc_json_end_object(json);
}

static void print_client(const Hak__Client *client)
{
	char name[HAKC_TEXT_BYTES], pool[HAKC_TEXT_BYTES], state[HAKC_TEXT_BYTES],
		bytes[HAKC_TEXT_BYTES];
	char attached[HAKC_TEXT_BYTES] = "-";
	time_t at = (time_t)client->attached_at;
	struct tm tm;

	if (localtime_r(&at, &tm))
		strftime(attached, sizeof(attached), "%Y-%m-%d %H:%M:%S", &tm);
	printf("%6" PRIu32 " %8" PRId32 " %8" PRIu32 " %-16s %-12s %-12s %10" PRIu64 " %10" PRIu64
	       " %12s  %s\n",
	       client->holder, client->pid, client->uid, hakc_safe_text(client->name, name),
	       hakc_safe_text(client->pool, pool), hakc_safe_text(client->state, state),
	       client->granted_superslabs, client->live_blocks,
	       hakc_bytes_text(client->allocated_bytes, bytes), attached);
}

static int run_clients(struct hakc_query *query, bool as_json, bool *ret_degraded)
{
	struct hakc_query_clients all;
	struct hakc_json json;
	int r = hakc_query_clients(query, NULL, &all);

	(void)ret_degraded;
	if (r != 0)
		return r;
	if (as_json) {
		hakc_json_begin_answer(&json, stdout);
		hakc_json_begin_array(&json, "clients");
		for (size_t i = 0; i < all.n_clients; i++)
			client_json(&json, all.clients[i]);
		hakc_json_end_array(&json);
		hakc_json_end_object(&json);
	} else {
		hakc_style_header("%6s %8s %8s %-16s %-12s %-12s %10s %10s %12s  %s\n", "HOLDER",
				  "PID", "UID", "NAME", "POOL", "STATE", "SUPERSLABS", "BLOCKS",
				  "ALLOCATED", "ATTACHED");
		for (size_t i = 0; i < all.n_clients; i++)
			print_client(all.clients[i]);
	}
	hakc_query_clients_deinit(&all);
	return 0;
}

static int run_trim(struct hakc_query *query, bool as_json, bool *ret_degraded)
{
	char before[HAKC_TEXT_BYTES], after[HAKC_TEXT_BYTES];
	struct hakc_json json;
	Hak__Reply *reply;
	int r = hakc_query_trim(query, &reply);

	(void)ret_degraded;
	if (r != 0)
		return r;
	if (as_json) {
		hakc_json_begin_answer(&json, stdout);
		hakc_json_unsigned(&json, "resident_before", reply->trimmed->resident_before);
		hakc_json_unsigned(&json, "resident_after", reply->trimmed->resident_after);
		hakc_json_end_object(&json);
	} else {
		printf("resident: %s before, %s now\n",
		       hakc_bytes_text(reply->trimmed->resident_before, before),
		       hakc_bytes_text(reply->trimmed->resident_after, after));
	}
	hak__reply__free_unpacked(reply, NULL);
	return 0;
}

const struct hakc_verb hakc_verbs[] = {
	{"status", "the daemon and its pools", run_status, HAKC_TAKES_NOTHING, "", false},
	{"stats", "what is counted, or of it what globs match; also when the daemon is down",
	 hakc_verb_stats, HAKC_TAKES_WORDS, "[COUNTER...]", true},
	{"events", "what has happened, or of it what globs match; also when the daemon is down",
	 hakc_verb_events, HAKC_TAKES_WORDS, "[EVENT...]", true},
	{"metrics", "the same for Prometheus", hakc_verb_metrics, HAKC_TAKES_NOTHING, "", true},
	{"exporter", "metrics over HTTP, until it is ended: --listen; also when the daemon is down",
	 hakc_verb_exporter, HAKC_TAKES_NOTHING, "", true},
	{"clients", "the attached processes and what is in their SuperSlabs", run_clients,
	 HAKC_TAKES_NOTHING, "", false},
	{"check", "an audit: words, bits and tags that contradict each other", hakc_verb_check,
	 HAKC_TAKES_NOTHING, "", false},
	{"leaks", "live blocks by who owns them, and those of nobody", hakc_verb_leaks,
	 HAKC_TAKES_NOTHING, "", false},
	{"slabs", "size classes: slabs, blocks, what is live and what is waste", hakc_verb_slabs,
	 HAKC_TAKES_NOTHING, "", false},
	{"map", "a picture: who holds which SuperSlab, how full its slabs are; --svg, --all",
	 hakc_verb_map, HAKC_TAKES_NOTHING, "", false},
	{"profile", "who allocated what is alive, by samples; --collapsed, --pprof",
	 hakc_verb_profile, HAKC_TAKES_NOTHING, "", false},
	{"profile start", "samples are taken from now on, one in so many bytes (512K)",
	 hakc_verb_profile_start, HAKC_TAKES_WORDS, "[SIZE]", false},
	{"profile stop", "no more are taken; those that are there stay", hakc_verb_profile_stop,
	 HAKC_TAKES_NOTHING, "", false},
	{"top", "clients, size classes, SuperSlabs on a screen, with rates; --batch: as text",
	 hakc_verb_top, HAKC_TAKES_NOTHING, "", false},
	{"report", "map, waste, clients, counters, events as a page for a browser: --html",
	 hakc_verb_report, HAKC_TAKES_NOTHING, "", false},
	{"trim", "gives back memory that is free: the daemon's now, the clients' when they work",
	 run_trim, HAKC_TAKES_NOTHING, "", false},
	{"pools", "all pools, a line each", hakc_verb_pool_list, HAKC_TAKES_NOTHING, "", false},
	{"pool list", "the same", hakc_verb_pool_list, HAKC_TAKES_NOTHING, "", false},
	{"pool create", "makes one: NAME; settings are options", hakc_verb_pool_create,
	 HAKC_TAKES_ONE, "NAME", false},
	{"pool delete", "POOL, if nobody is attached; --drain: it goes with its last client",
	 hakc_verb_pool_delete, HAKC_TAKES_ONE, "POOL", false},
	{"pool reset", "POOL: ends it for its clients; an empty one with its settings is there",
	 hakc_verb_pool_reset, HAKC_TAKES_ONE, "POOL", false},
	{"roots", "published blocks, which outlive who made them, by name", hakc_verb_roots,
	 HAKC_TAKES_NOTHING, "", false},
	{"kick", "ends grants to the clients that are that process; --kill: ends it too",
	 hakc_verb_kick, HAKC_TAKES_ONE, "PID", false},
	{"ping", "asks whether the daemon answers, and how fast", hakc_verb_ping,
	 HAKC_TAKES_NOTHING, "", false},
	{"reload", "the daemon reads its configuration again, as by SIGHUP", hakc_verb_reload,
	 HAKC_TAKES_NOTHING, "", false},
	{"dump-config", "the configuration in force, as hakmemd.conf would say it",
	 hakc_verb_dump_config, HAKC_TAKES_NOTHING, "", false},
	{"log-level", "what the daemon's log says from now on", hakc_verb_log_level, HAKC_TAKES_ONE,
	 "error|warn|info|debug", false},
	{NULL, NULL, NULL, HAKC_TAKES_NOTHING, "", false},
};

static const struct hakc_verb *lookup(const char *name)
{
	for (const struct hakc_verb *verb = hakc_verbs; verb->name; verb++)
		if (strcmp(verb->name, name) == 0)
			return verb;
	return NULL;
}

int hakc_verb_find(int n, char **words, const struct hakc_verb **ret_verb)
{
	char two[64];

	*ret_verb = NULL;
	if (n > 1) {
		snprintf(two, sizeof(two), "%s %s", words[0], words[1]);
		*ret_verb = lookup(two);
	}
	if (*ret_verb)
		return 2;
	*ret_verb = n > 0 ? lookup(words[0]) : NULL;
	return *ret_verb ? 1 : 0;
}
