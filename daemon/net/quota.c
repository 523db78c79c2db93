/* SPDX-License-Identifier: MIT */
/*
 * Counted from the registry's words when there is a limit: a word a SuperSlab, some microseconds for a
 * pool of 64 GiB. So no count can go wrong, and a daemon that takes over needs none.
 */
#include "daemon/net/quota.h"

struct use {
	uint64_t of_client; /* SuperSlabs */
	uint64_t of_user;
};

/* Relaxed: the loop's own stores. */
static struct use count(const struct hakd_client *client)
{
	const struct hakd_pool *pool = client->realm->pool;
	uint32_t uid = pool->holders[client->holder].uid;
	struct use use = {0};

	for (uint32_t i = 0; i < pool->segment.geometry.n_superslabs; i++) {
		uint64_t s = hak_load_relaxed(&pool->superslabs[i]);
		unsigned owner = hak_superslab_owner(s);

		if (hak_superslab_state(s) != HAK_SUPERSLAB_GRANTED)
			continue;
		if (owner == client->holder)
			use.of_client += hak_superslab_length(s);
		if (pool->holders[owner].uid == uid)
			use.of_user += hak_superslab_length(s);
	}
	for (unsigned slot = 0; slot < client->realm->n_holders; slot++)
		if (client->realm->clients[slot] && pool->holders[slot].uid == uid)
			use.of_user += client->realm->clients[slot]->n_pending;
	return use;
}

static uint32_t least(uint32_t n, uint64_t limit, uint64_t used)
{
	uint64_t room = limit > used ? limit - used : 0;

	return room < n ? (uint32_t)room : n;
}

uint32_t hakd_quota_room(const struct hakd_client *client, uint32_t n)
{
	const struct hakd_pool_config *config = &client->realm->config;
	unsigned lg = client->realm->pool->segment.geometry.superslab_lg;
	struct use use;

	if (config->client_limit == 0 && config->user_limit == 0)
		return n;
	use = count(client);
	if (config->client_limit > 0)
		n = least(n, config->client_limit >> lg, use.of_client);
	if (config->user_limit > 0)
		n = least(n, config->user_limit >> lg, use.of_user);
	return n;
}

bool hakd_quota_may_attach(const struct hakd_realm *realm, uid_t uid)
{
	unsigned n = 0;

	if (realm->config.user_clients == 0)
		return true;
	for (unsigned slot = 0; slot < realm->n_holders; slot++)
		n += realm->clients[slot] && !realm->clients[slot]->is_leaving &&
		     realm->pool->holders[slot].uid == uid;
	return n < realm->config.user_clients;
}
