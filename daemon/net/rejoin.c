/* SPDX-License-Identifier: MIT */
/*
 * Who says that it is a client must be the process that its slot was given to: the kernel tells
 * its pid, and while the pidfd of that process hasn't fired no other one has it. A child of a fork
 * is another process, and so is who heard of the numbers.
 */
#include "daemon/net/rejoin.h"

#include <string.h>

#include "daemon/net/dispatch.h"
#include "daemon/net/events.h"
#include "daemon/net/pace.h"
#include "daemon/util/log.h"
#include "proto/error.h"

static bool is_pool(const struct hakd_pool *pool, const Hak__Resume *resume)
{
	return resume->uuid.len == HAK_UUID_BYTES &&
	       memcmp(resume->uuid.data, pool->uuid, HAK_UUID_BYTES) == 0 &&
	       resume->generation == pool->generation;
}

struct hakd_realm *hakd_rejoin_find(const struct hakd_peer *peer, const Hak__Resume *resume)
{
	for (unsigned i = 0; i < HAKD_POOLS_MAX; i++) {
		struct hakd_realm *realm = peer->daemon->realms[i];

		if (realm && is_pool(realm->pool, resume))
			return realm;
	}
	return NULL;
}

/* Whom a resume names; NULL: nobody who is there, or not its sender. */
static struct hakd_client *find_client(const struct hakd_peer *peer, const Hak__Resume *resume)
{
	const struct hak_holder *holder;
	struct hakd_client *client;

	if (resume->holder >= HAK_HOLDER_COUNT)
		return NULL;
	client = peer->realm->clients[resume->holder]; /* of the slots that no client has: NULL */
	holder = &peer->realm->pool->holders[resume->holder];
	if (!client || client->is_leaving || client->generation != resume->holder_generation ||
	    holder->pid != peer->pid || holder->uid != peer->uid)
		return NULL;
	return client;
}

/*
 * The connection before is of no use any more, though it may not have hung up: a child of a fork
 * can hold it. That raises no doubt, since its client is here.
 */
static void drop_peer(struct hakd_client *client)
{
	struct hakd_peer *old = client->peer;

	if (!old)
		return;
	client->peer = NULL;
	old->client = NULL;
	if (old->is_busy)
		old->is_replaced = true; /* until its job's reply */
	else
		hakd_peer_close(old, "its client has another connection");
}

static void refuse(struct hakd_peer *peer, uint64_t id)
{
	hakd_peer_refuse(peer, id, HAK_E_ENDED, hak_error_text(HAK_E_ENDED));
}

static void welcome(struct hakd_client *client, struct hakd_peer *peer, uint64_t id)
{
	client->peer = peer;
	peer->client = client;
	peer->has_said_hello = true;
	hakd_pace_welcome(peer);
	peer->realm->daemon->counters.resumed++;
	hakd_event(peer->realm, HAK_EVENT_RESUMED, client, 0, 0);
	hakd_dispatch_welcome(peer, id, client, false);
}

void hakd_rejoin(struct hakd_peer *peer, uint64_t id, const Hak__Resume *resume)
{
	struct hakd_client *client = find_client(peer, resume);

	if (!client) {
		refuse(peer, id);
		return;
	}
	drop_peer(client);
	if (client->rejoining) /* it didn't wait, and tries again */
		hakd_peer_close(client->rejoining, "its client has another connection");
	client->rejoining = NULL;
	if (!client->is_busy) {
		welcome(client, peer, id);
		return;
	}
	client->rejoining = peer;
	client->rejoin_id = id;
	hakd_peer_busy(peer);
}

void hakd_rejoin_end(struct hakd_client *client)
{
	struct hakd_peer *peer = client->rejoining;

	client->rejoining = NULL;
	if (!peer)
		return;
	if (client->is_leaving)
		refuse(peer, client->rejoin_id);
	else
		welcome(client, peer, client->rejoin_id);
}
