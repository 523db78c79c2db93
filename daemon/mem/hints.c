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

void hakd_hints_set_quotas(struct hakd_pool *pool, uint64_t client_limit, uint64_t user_limit,
			   unsigned user_clients)
{
	struct hak_registry *header = pool->registry;

	hak_store_relaxed(&header->client_limit, client_limit);
	hak_store_relaxed(&header->user_limit, user_limit);
	hak_store_relaxed(&header->user_clients, user_clients);
}

void hakd_hints_set_hardened(struct hakd_pool *pool, bool is_hardened)
{
	struct hak_registry *header = pool->registry;

	hak_store_relaxed(&header->hardened, is_hardened);
}

void hakd_hints_set_access(struct hakd_pool *pool, uint32_t uid, uint32_t gid, unsigned mode)
{
	struct hak_registry *header = pool->registry;

	hak_store_relaxed(&header->access, (uint64_t)gid << 32 | uid);
	hak_store_relaxed(&header->mode, mode);
}

struct hakd_hints hakd_hints_get(const struct hakd_pool *pool)
{
	const struct hak_registry *header = pool->registry;
	uint64_t access = hak_load_relaxed(&header->access);

	return (struct hakd_hints){
		.limit = hak_load_relaxed(&header->limit),
		.retain = hak_load_relaxed(&header->retain),
		.keep_ms = hak_load_relaxed(&header->keep_ms),
		.client_limit = hak_load_relaxed(&header->client_limit),
		.user_limit = hak_load_relaxed(&header->user_limit),
		.user_clients = (unsigned)hak_load_relaxed(&header->user_clients),
		.uid = (uint32_t)access,
		.gid = (uint32_t)(access >> 32),
		.mode = (unsigned)hak_load_relaxed(&header->mode) & 0777,
		.is_hardened = hak_load_relaxed(&header->hardened) != 0};
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
