/* SPDX-License-Identifier: MIT */
/* Relaxed in all of this file: each word is looked at by itself, and nothing follows from it. */
#include "daemon/mem/hints.h"

void hakd_hints_set_keep(struct hakd_pool *pool, uint64_t ms)
{
	struct hak_registry *header = pool->registry;

	hak_store_relaxed(&header->keep_ms, ms);
}

void hakd_hints_set_bounds(struct hakd_pool *pool, uint64_t limit, uint64_t retain)
{
	struct hak_registry *header = pool->registry;

	hak_store_relaxed(&header->limit, limit);
	hak_store_relaxed(&header->retain, retain);
}

void hakd_hints_get_bounds(const struct hakd_pool *pool, uint64_t *ret_limit, uint64_t *ret_retain,
			   uint64_t *ret_keep_ms)
{
	const struct hak_registry *header = pool->registry;

	*ret_limit = hak_load_relaxed(&header->limit);
	*ret_retain = hak_load_relaxed(&header->retain);
	*ret_keep_ms = hak_load_relaxed(&header->keep_ms);
}

void hakd_hints_ask(struct hakd_pool *pool)
{
	struct hak_registry *header = pool->registry;

	hak_store_relaxed(&header->asked, hak_load_relaxed(&header->asked) + 1);
}

void hakd_hints_end(struct hakd_pool *pool)
{
	struct hak_registry *header = pool->registry;

	hak_store_relaxed(&header->ended, 1);
}

bool hakd_hints_has_ended(const struct hakd_pool *pool)
{
	const struct hak_registry *header = pool->registry;

	return hak_load_relaxed(&header->ended) != 0;
}
