/* SPDX-License-Identifier: MIT */
/* pool list, create and delete. */
#include "client_lib/ctl/pool.h"

#include <inttypes.h>
#include <stdio.h>

#include "client_lib/ctl/json.h"
#include "client_lib/ctl/style.h"
#include "client_lib/ctl/text.h"

static void print_row(const Hak__PoolStatus *pool)
{
	char name[HAKC_TEXT_BYTES], limit[HAKC_TEXT_BYTES], resident[HAKC_TEXT_BYTES],
		allocated[HAKC_TEXT_BYTES];

	hakc_style_header("%-32s %10s %10s %10s %8" PRIu32 " %10" PRIu64 "\n",
			  hakc_safe_text(pool->name, name),
			  hakc_bytes_text(pool->limit_bytes, limit),
			  hakc_bytes_text(pool->resident_bytes, resident),
			  hakc_bytes_text(pool->allocated_bytes, allocated), pool->clients,
			  pool->live_blocks);
}

static void list_json(const Hak__Status *status)
{
	struct hakc_json json;

	hakc_json_begin_answer(&json, stdout);
	hakc_json_begin_array(&json, "pools");
	for (size_t i = 0; i < status->n_pools; i++)
		hakc_verb_pool_json(&json, status->pools[i]);
	hakc_json_end_array(&json);
	hakc_json_end_object(&json);
}

int hakc_verb_pool_list(struct hakc_query *query, bool as_json, bool *ret_degraded)
{
	Hak__Reply *reply;
	int r = hakc_query_status(query, &reply);

	(void)ret_degraded;
	if (r != 0)
		return r;
	if (as_json) {
		list_json(reply->status);
	} else {
		printf("%-32s %10s %10s %10s %8s %10s\n", "POOL", "LIMIT", "RESIDENT", "ALLOCATED",
		       "CLIENTS", "BLOCKS");
		for (size_t i = 0; i < reply->status->n_pools; i++)
			print_row(reply->status->pools[i]);
	}
	hak__reply__free_unpacked(reply, NULL);
	return 0;
}

/* What was done, where somebody reads it. */
static int report(int r, const struct hakc_query *query, bool as_json, const char *what)
{
	char name[HAKC_TEXT_BYTES];
	struct hakc_json json;

	if (r != 0)
		return r;
	if (!as_json) {
		printf("pool %s is %s\n", hakc_safe_text(query->pool.name, name), what);
		return 0;
	}
	hakc_json_begin_answer(&json, stdout);
	hakc_json_string(&json, "pool", query->pool.name);
	hakc_json_string(&json, "is", what);
	hakc_json_end_object(&json);
	return 0;
}

int hakc_verb_pool_create(struct hakc_query *query, bool as_json, bool *ret_degraded)
{
	(void)ret_degraded;
	return report(hakc_query_pool_create(query), query, as_json, "made");
}

int hakc_verb_pool_delete(struct hakc_query *query, bool as_json, bool *ret_degraded)
{
	(void)ret_degraded;
	return report(hakc_query_pool_delete(query), query, as_json, "deleted");
}

int hakc_verb_pool_reset(struct hakc_query *query, bool as_json, bool *ret_degraded)
{
	(void)ret_degraded;
	return report(hakc_query_pool_reset(query), query, as_json, "empty");
}
