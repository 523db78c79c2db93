/* SPDX-License-Identifier: MIT */
/*
 * Pools come and go while others are at work:
 *
 * | a pool  | what it is                             | its name   | its number                   |
 * |---------|----------------------------------------|------------|------------------------------|
 * | there   | in daemon->realms                      | is taken   | is its                       |
 * | deleted | its clients, if any, are told at their | is free    | is its: the keeper may have  |
 * |         | next request for memory                |            | descriptors of its clients   |
 * | gone    | its last client has left               | is free    | is free                      |
 *
 * A daemon that dies amid a creation leaves a registry without a heap to the keeper, or both: then the
 * pool is there. Amid a deletion a heap without a registry, or both: its clients are told by the registry
 * before the keeper lets go of it, so the next daemon does not take it for one that is there. One without
 * the other goes when the next daemon starts, as the files do of pools that are no more.
 *
 * A reset, by its steps, and what there is if the daemon dies after each:
 *
 * | step                     | the keeper has                | the next daemon                        |
 * |--------------------------|-------------------------------|----------------------------------------|
 * | the new one is made      | both, the new without clients | lets go of the new one: there was none |
 * | the old one has ended    | both                          | lets go of the old one                 |
 * | the keeper lets go of it | the new one                   | has that; may have to let go of its    |
 * |                          |                               | clients' descriptors                   |
 */
#include "daemon/net/pools.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "daemon/net/access.h"
#include "proto/error.h"

static void refuse(struct hakd_peer *peer, uint64_t id, unsigned error)
{
	hakd_peer_refuse(peer, id, error, hak_error_text(error));
}

static void answer(struct hakd_peer *peer, uint64_t id)
{
	Hak__Reply reply = HAK__REPLY__INIT;

	reply.id = id;
	hakd_peer_reply(peer, &reply, NULL, 0);
}

static unsigned error_of(int r)
{
	return r == -ENOMEM ? HAK_E_NO_MEMORY : HAK_E_INTERNAL;
}

/* What isn't said is as usual. */
static void read_config(const Hak__PoolCreate *request, struct hakd_pool_config *ret)
{
	hakd_config_usual_pool(ret);
	snprintf(ret->name, sizeof(ret->name), "%s", request->name);
	ret->capacity = request->capacity_bytes ? request->capacity_bytes : ret->capacity;
	ret->limit = request->limit_bytes;
	ret->superslab_lg = request->superslab_lg ? request->superslab_lg : ret->superslab_lg;
	ret->keep = request->sets_keep ? request->keep_seconds : ret->keep;
	ret->retain = request->sets_retain ? request->retain_bytes : ret->retain;
	ret->client_limit = request->client_limit_bytes;
	ret->user_limit = request->user_limit_bytes;
	ret->user_clients = request->user_clients;
	ret->is_hardened = request->hardened;
	ret->profile = request->profile_bytes;
	ret->owner = request->sets_owner ? request->owner : ret->owner;
	ret->group = request->sets_group ? request->group : ret->group;
	ret->mode = request->sets_mode ? request->mode : ret->mode;
}

bool hakd_pools_create(struct hakd_peer *peer, uint64_t id, const Hak__PoolCreate *request)
{
	struct hakd_daemon *daemon = peer->daemon;
	unsigned number = hakd_daemon_number(daemon);
	struct hakd_pool_config config;
	char flaw[HAKD_FLAW_BYTES];
	int r;

	if (!hakd_access_is_admin(peer)) {
		refuse(peer, id, HAK_E_DENIED);
		return true;
	}
	if (!hakd_config_is_pool_name(request->name)) {
		hakd_peer_refuse(peer, id, HAK_E_BAD_ARGUMENT,
				 "a pool's name is 1 to 31 letters, digits, '-', '_' and '.', a "
				 "letter or digit first");
		return true;
	}
	if (hakd_daemon_find(daemon, request->name)) {
		hakd_peer_refuse(peer, id, HAK_E_EXISTS, "there is a pool of that name");
		return true;
	}
	if (number == HAKD_POOLS_MAX) {
		refuse(peer, id, HAK_E_POOLS_FULL);
		return true;
	}
	read_config(request, &config);
	if (hakd_config_check_pool(&config, flaw) < 0) {
		hakd_peer_refuse(peer, id, HAK_E_BAD_ARGUMENT, flaw);
		return true;
	}
	r = hakd_realm_new(daemon, number, &config);
	if (r == 0)
		r = hakd_realm_start(daemon->realms[number]);
	if (r < 0) {
		refuse(peer, id, error_of(r));
		return true;
	}
	answer(peer, id);
	return true;
}

/* The pool that an administrator wants to end; NULL: it has been refused. */
static struct hakd_realm *find_to_end(struct hakd_peer *peer, uint64_t id, const char *name)
{
	struct hakd_realm *realm = *name ? hakd_daemon_find(peer->daemon, name) : NULL;

	if (!hakd_access_is_admin(peer))
		refuse(peer, id, HAK_E_DENIED);
	else if (!realm)
		refuse(peer, id, HAK_E_NO_POOL);
	else
		return realm;
	return NULL;
}

bool hakd_pools_delete(struct hakd_peer *peer, uint64_t id, const Hak__PoolDelete *request)
{
	struct hakd_realm *realm = find_to_end(peer, id, request->name);

	if (!realm)
		return true;
	if (hakd_daemon_is_first(realm)) {
		hakd_peer_refuse(peer, id, HAK_E_BAD_ARGUMENT,
				 "the first pool stays; a reset empties it");
		return true;
	}
	if (realm->n_clients > 0 && !request->drain) {
		refuse(peer, id, HAK_E_BUSY);
		return true;
	}
	hakd_realm_delete(realm);
	answer(peer, id);
	return true;
}

/* The next one is made first: if that fails the pool is what it was. */
bool hakd_pools_reset(struct hakd_peer *peer, uint64_t id, const Hak__PoolReset *request)
{
	struct hakd_daemon *daemon = peer->daemon;
	struct hakd_realm *realm = find_to_end(peer, id, request->name);
	unsigned number = hakd_daemon_number(daemon);
	int r;

	if (!realm)
		return true;
	if (number == HAKD_POOLS_MAX) {
		refuse(peer, id, HAK_E_POOLS_FULL);
		return true;
	}
	r = hakd_realm_new(daemon, number, &realm->config);
	if (r < 0) {
		refuse(peer, id, error_of(r));
		return true;
	}
	hakd_realm_tell_end(realm); /* in the list of events that the next one goes on with */
	(void)hakd_realm_start(daemon->realms[number]); /* of a new one it can't fail */
	hakd_realm_delete(realm);
	answer(peer, id);
	return true;
}
