/* SPDX-License-Identifier: MIT */
/*
 * A kicked client is one by the registry's word, so that it is for the next daemon too. The
 * daemon ends nobody: it may not signal processes of other users. Who ordered it gets the pidfd,
 * and may or may not.
 */
#include "daemon/net/orders.h"

#include "daemon/mem/hints.h"
#include "daemon/net/access.h"
#include "daemon/net/events.h"
#include "daemon/util/log.h"
#include "proto/error.h"
#include "proto/shm/sample.h"

static void answer(struct hakd_peer *peer, uint64_t id)
{
	Hak__Reply reply = HAK__REPLY__INIT;

	reply.id = id;
	hakd_peer_reply(peer, &reply, NULL, 0);
}

bool hakd_orders_may(struct hakd_peer *peer, uint64_t id)
{
	if (hakd_access_is_admin(peer))
		return true;
	hakd_peer_refuse(peer, id, HAK_E_DENIED, hak_error_text(HAK_E_DENIED));
	return false;
}

bool hakd_orders_ping(struct hakd_peer *peer, uint64_t id)
{
	answer(peer, id);
	return true;
}

bool hakd_orders_reload(struct hakd_peer *peer, uint64_t id)
{
	if (!hakd_orders_may(peer, id))
		return true;
	if (hakd_daemon_reload(peer->daemon))
		answer(peer, id);
	else
		hakd_peer_refuse(peer, id, HAK_E_BAD_ARGUMENT,
				 "the configuration can't be used, its log says why: everything "
				 "stays as it was");
	return true;
}

bool hakd_orders_log_level(struct hakd_peer *peer, uint64_t id, const Hak__LogLevel *request)
{
	int level = hakd_log_level_of(request->level);

	if (!hakd_orders_may(peer, id))
		return true;
	if (level < 0) {
		hakd_peer_refuse(peer, id, HAK_E_BAD_ARGUMENT,
				 "there is no such level: error, warn, info, debug");
		return true;
	}
	peer->daemon->config.log_level = level;
	hakd_log_set_level((enum hakd_log_level)level);
	answer(peer, id);
	return true;
}

bool hakd_orders_has_kicked(const struct hakd_client *client)
{
	/* Relaxed: we wrote it, or a daemon that is gone. */
	return hak_load_relaxed(&client->realm->pool->holders[client->holder].kicked) != 0;
}

bool hakd_orders_kick(struct hakd_peer *peer, uint64_t id, const Hak__Kick *request)
{
	struct hakd_realm *realm = peer->realm;
	Hak__Reply reply = HAK__REPLY__INIT;
	Hak__Kicked kicked = HAK__KICKED__INIT;
	int pidfd = -1;

	for (unsigned i = 0; i < realm->n_holders; i++) {
		struct hakd_client *client = realm->clients[i];

		if (!client || client->is_leaving || realm->pool->holders[i].pid != request->pid)
			continue;
		if (!hakd_orders_has_kicked(client))
			hakd_event(realm, HAK_EVENT_KICKED, client, 0, 0);
		hak_store_relaxed(&realm->pool->holders[i].kicked, 1);
		kicked.clients++;
		pidfd = client->pidfd;
	}
	if (kicked.clients == 0) {
		hakd_peer_refuse(
			peer, id, HAK_E_BAD_ARGUMENT,
			"no client of the pool has that pid: hakmemctl clients lists them");
		return true;
	}
	reply.id = id;
	reply.body_case = HAK__REPLY__BODY_KICKED;
	reply.kicked = &kicked;
	hakd_peer_reply(peer, &reply, &pidfd, pidfd >= 0);
	return true;
}

bool hakd_orders_profile(struct hakd_peer *peer, uint64_t id, const Hak__Profile *request)
{
	if (!hak_sample_is_interval(request->interval)) {
		hakd_peer_refuse(peer, id, HAK_E_BAD_ARGUMENT,
				 "samples are 4 KiB apart at least; 0: none are taken");
		return true;
	}
	peer->realm->config.profile = request->interval;
	hakd_hints_set_profile(peer->realm->pool, request->interval);
	answer(peer, id);
	return true;
}
