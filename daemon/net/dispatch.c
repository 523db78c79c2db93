/* SPDX-License-Identifier: MIT */
/* What each request does. A client asks for memory, anybody who said hello may ask questions. */
#include "daemon/net/dispatch.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "daemon/mem/backing.h"
#include "daemon/net/access.h"
#include "daemon/net/audit.h"
#include "daemon/net/events.h"
#include "daemon/net/job.h"
#include "daemon/net/pace.h"
#include "daemon/net/pools.h"
#include "daemon/net/query.h"
#include "daemon/net/quota.h"
#include "daemon/net/refill.h"
#include "daemon/net/rejoin.h"
#include "daemon/net/roots.h"
#include "daemon/net/trim.h"
#include "daemon/reclaim/collect.h"
#include "daemon/reclaim/liveness.h"
#include "daemon/util/log.h"
#include "proto/error.h"

/* What a welcome says of the pool. */
static void describe_pool(struct hakd_pool *pool, Hak__Welcome *answer)
{
	static char version[] = HAKMEM_VERSION;

	hak__welcome__init(answer);
	answer->daemon_version = version;
	answer->uuid.data = pool->uuid;
	answer->uuid.len = sizeof(pool->uuid);
	answer->generation = pool->generation;
	answer->registry_bytes = pool->segment.geometry.registry_bytes;
	answer->heap_bytes = pool->segment.geometry.heap_bytes;
}

/* No holder: it owns nothing, so nobody has to know whether it lives. */
static void welcome_reader(struct hakd_peer *peer, uint64_t id)
{
	struct hakd_pool *pool = peer->realm->pool;
	const int fds[] = {pool->registry_reader_fd, pool->heap_reader_fd};
	Hak__Reply reply = HAK__REPLY__INIT;
	Hak__Welcome answer;

	describe_pool(pool, &answer);
	reply.id = id;
	reply.body_case = HAK__REPLY__BODY_WELCOME;
	reply.welcome = &answer;
	peer->daemon->counters.readers++;
	hakd_peer_reply(peer, &reply, fds, 2);
}

void hakd_dispatch_welcome(struct hakd_peer *peer, uint64_t id, struct hakd_client *client,
			   bool is_new)
{
	struct hakd_pool *pool = peer->realm->pool;
	int fds[HAK_WIRE_FDS_MAX] = {pool->registry_reader_fd, pool->heap_fd};
	Hak__Reply reply = HAK__REPLY__INIT;
	Hak__Welcome answer;

	describe_pool(pool, &answer);
	if (client) {
		answer.holder = client->holder;
		answer.holder_generation = client->generation;
		fds[2] = client->lease.client_fd;
	}
	reply.id = id;
	reply.body_case = HAK__REPLY__BODY_WELCOME;
	reply.welcome = &answer;
	hakd_peer_reply(peer, &reply, fds, is_new ? HAK_WIRE_FDS_MAX : 0);
	if (is_new)
		hakd_lease_hand_over(&client->lease);
}

static void write_holder(struct hakd_client *client, const struct hakd_peer *peer, const char *name)
{
	struct hak_holder *holder = &client->realm->pool->holders[client->holder];

	holder->pid = peer->pid;
	holder->uid = peer->uid;
	holder->start_time = hakd_liveness_start_time(peer->pid);
	holder->attached_at = time(NULL);
	memset(holder->name, 0, sizeof(holder->name));
	for (size_t i = 0; name[i] && i < sizeof(holder->name) - 1; i++)
		holder->name[i] = isprint((unsigned char)name[i]) ? name[i] : '?';
	/* [order:registry] The fields are there before the slot is taken. */
	hak_store_release(&holder->word, hak_holder_pack(HAK_HOLDER_ATTACHED, client->generation));
}

/* A free slot, its area backed; NULL and *ret_error. */
static struct hakd_client *attach(struct hakd_peer *peer, const char *name, unsigned *ret_error)
{
	struct hakd_realm *realm = peer->realm;
	struct hakd_client *client = calloc(1, sizeof(*client));
	unsigned slot = HAK_HOLDER_FIRST;

	while (slot < HAK_HOLDER_COUNT && realm->clients[slot])
		slot++;
	if (!hakd_keeper_has_room(&realm->daemon->keeper))
		slot = HAK_HOLDER_COUNT;
	*ret_error = slot == HAK_HOLDER_COUNT ? HAK_E_NO_SLOT : HAK_E_NO_MEMORY;
	if (!hakd_quota_may_attach(realm, peer->uid)) {
		realm->daemon->counters.refused_quota++;
		*ret_error = HAK_E_QUOTA;
		slot = HAK_HOLDER_COUNT;
	}
	if (!client || slot == HAK_HOLDER_COUNT ||
	    hakd_backing_prepare_area(realm->pool, slot) < 0) {
		free(client);
		return NULL;
	}
	client->realm = realm;
	client->holder = slot;
	client->generation = ++realm->generations[slot];
	client->peer = peer;
	if (hakd_liveness_watch(client, peer) < 0) {
		*ret_error = HAK_E_INTERNAL;
		free(client);
		return NULL;
	}
	realm->clients[slot] = client;
	if (realm->n_holders <= slot)
		realm->n_holders = slot + 1;
	peer->client = client;
	write_holder(client, peer, name);
	realm->daemon->counters.attached++;
	hakd_event(realm, HAK_EVENT_ATTACHED, client, 0, 0);
	hakd_realm_count_client(realm, 1);
	return client;
}

static bool hello(struct hakd_peer *peer, uint64_t id, const Hak__Hello *h)
{
	char reason[160];
	struct hakd_client *client = NULL;
	unsigned error;

	if (peer->has_said_hello || (h->resume && h->kind != HAK__PEER_KIND__PEER_CLIENT))
		return false;
	hakd_peer_set_realm(peer, h->resume ? hakd_rejoin_find(peer, h->resume)
					    : hakd_daemon_find(peer->daemon, h->pool));
	if (h->resume && !peer->realm) { /* whatever it speaks */
		hakd_peer_refuse(peer, id, HAK_E_ENDED, hak_error_text(HAK_E_ENDED));
		return true;
	}
	if (h->protocol_version != HAK_PROTOCOL_VERSION ||
	    (h->kind != HAK__PEER_KIND__PEER_TOOL &&
	     (h->layout_version != HAK_LAYOUT_VERSION ||
	      h->layout_fingerprint != hak_layout_fingerprint()))) {
		snprintf(reason, sizeof(reason),
			 "you speak protocol %u and layout %u (%016llx), the daemon %u and %u "
			 "(%016llx)",
			 h->protocol_version, h->layout_version,
			 (unsigned long long)h->layout_fingerprint, HAK_PROTOCOL_VERSION,
			 HAK_LAYOUT_VERSION, (unsigned long long)hak_layout_fingerprint());
		hakd_peer_refuse(peer, id, HAK_E_VERSION, reason);
		return true;
	}
	if (h->resume) {
		hakd_rejoin(peer, id, h->resume);
		return true;
	}
	if (!peer->realm) {
		hakd_peer_refuse(peer, id, HAK_E_NO_POOL, hak_error_text(HAK_E_NO_POOL));
		return true;
	}
	if (h->kind != HAK__PEER_KIND__PEER_TOOL &&
	    !hakd_access_check(peer, id,
			       h->kind == HAK__PEER_KIND__PEER_READER
				       ? HAKD_MAY_READ
				       : HAKD_MAY_READ | HAKD_MAY_WRITE))
		return true;
	if (h->kind == HAK__PEER_KIND__PEER_CLIENT) {
		client = attach(peer, h->name, &error);
		if (!client) {
			hakd_peer_refuse(peer, id, error, hak_error_text(error));
			return true;
		}
	}
	peer->has_said_hello = true;
	hakd_pace_welcome(peer);
	if (h->kind == HAK__PEER_KIND__PEER_READER)
		welcome_reader(peer, id);
	else
		hakd_dispatch_welcome(peer, id, client, client != NULL);
	return true;
}

/* Takes the end of a run; false: it is not one of theirs. */
static bool take_end(struct hakd_job *job, const Hak__Giveback *g)
{
	struct hakd_pool *pool = job->realm->pool;
	uint32_t head = g->shortens - 1;
	uint32_t n = hakd_pool_granted_huge(pool, head, job->client->holder);
	uint32_t stay = g->superslabs[0] - head; /* more than n if it lies before */

	if (n == 0 || stay == 0 || stay >= n || g->n_superslabs != 1)
		return false;
	job->runs[job->n_runs++] = (struct hakd_run){
		.head = head + stay,
		.n = n - stay,
		.keep = hakd_pool_begin_collect_end(pool, head, stay)};
	return true;
}

/* Takes all that is theirs; false: nothing is. */
static bool take_back(struct hakd_job *job, const Hak__Giveback *g)
{
	struct hakd_pool *pool = job->realm->pool;

	for (size_t i = 0; i < g->n_superslabs; i++) {
		uint32_t head = g->superslabs[i];
		uint32_t n = hakd_pool_granted(pool, head, job->client->holder);

		if (n == 0) /* not theirs; the others go back all the same */
			continue;
		job->runs[job->n_runs++] = (struct hakd_run){
			.head = head, .n = n, .keep = hakd_pool_begin_collect(pool, head, n)};
	}
	return job->n_runs > 0;
}

static bool giveback(struct hakd_peer *peer, uint64_t id, const Hak__Giveback *g)
{
	struct hakd_job *job;

	if (!peer->client || g->n_superslabs == 0 || g->n_superslabs > HAK_WIRE_REFILL_MAX)
		return false;
	job = hakd_job_new(peer->realm, peer, peer->client, (uint32_t)g->n_superslabs);
	if (!job) {
		hakd_peer_refuse(peer, id, HAK_E_INTERNAL, "no memory");
		return true;
	}
	if (g->shortens ? !take_end(job, g) : !take_back(job, g)) {
		hakd_job_free(job);
		hakd_peer_refuse(peer, id, HAK_E_NOT_YOURS, hak_error_text(HAK_E_NOT_YOURS));
		return true;
	}
	job->request_id = id;
	hakd_collect_runs(job);
	return true;
}

static bool bye(struct hakd_peer *peer, uint64_t id)
{
	struct hakd_client *client = peer->client;

	if (!client || client->is_leaving)
		return false;
	peer->realm->daemon->counters.detached++;
	hakd_event(client->realm, HAK_EVENT_DETACHED, client, 0, 0);
	client->is_leaving = client->has_detached = true;
	hakd_collect_client(client, peer, id);
	return true;
}

/* What a tool must be allowed to the pool that it is about; status, stats and clients are for all. */
static unsigned rights_for(const Hak__Request *request)
{
	switch (request->body_case) {
	case HAK__REQUEST__BODY_CHECK:
	case HAK__REQUEST__BODY_ROOTS:
		return HAKD_MAY_READ;
	case HAK__REQUEST__BODY_TRIM:
		return HAKD_MAY_ADMINISTER;
	default:
		return 0;
	}
}

bool hakd_dispatch(struct hakd_peer *peer, const Hak__Request *request)
{
	if (request->body_case == HAK__REQUEST__BODY_HELLO)
		return hello(peer, request->id, request->hello);
	if (!peer->has_said_hello || (peer->client && peer->client->is_busy))
		return false;
	if (!peer->client && peer->realm->is_deleted) {
		hakd_peer_refuse(peer, request->id, HAK_E_NO_POOL, hak_error_text(HAK_E_NO_POOL));
		return true;
	}
	if (!peer->client && rights_for(request) != 0 &&
	    !hakd_access_check(peer, request->id, rights_for(request)))
		return true;
	switch (request->body_case) {
	case HAK__REQUEST__BODY_REFILL:
		return hakd_refill(peer, request->id, request->refill);
	case HAK__REQUEST__BODY_GIVEBACK:
		return giveback(peer, request->id, request->giveback);
	case HAK__REQUEST__BODY_BYE:
		return bye(peer, request->id);
	case HAK__REQUEST__BODY_STATUS:
		return hakd_query_status(peer, request->id);
	case HAK__REQUEST__BODY_STATS:
		return hakd_query_stats(peer, request->id);
	case HAK__REQUEST__BODY_CLIENTS:
		return hakd_query_clients(peer, request->id, request->clients->from_holder);
	case HAK__REQUEST__BODY_CHECK:
		return hakd_audit(peer, request->id, request->check->from_superslab,
				  request->check->owners);
	case HAK__REQUEST__BODY_PUBLISH:
		return hakd_roots_publish(peer, request->id, request->publish);
	case HAK__REQUEST__BODY_WITHDRAW:
		return hakd_roots_withdraw(peer, request->id, request->withdraw);
	case HAK__REQUEST__BODY_ROOTS:
		return hakd_roots_list(peer, request->id, request->roots->from_entry);
	case HAK__REQUEST__BODY_POOL_CREATE:
		return hakd_pools_create(peer, request->id, request->pool_create);
	case HAK__REQUEST__BODY_POOL_DELETE:
		return hakd_pools_delete(peer, request->id, request->pool_delete);
	case HAK__REQUEST__BODY_POOL_RESET:
		return hakd_pools_reset(peer, request->id, request->pool_reset);
	case HAK__REQUEST__BODY_TRIM:
		return hakd_trim(peer, request->id, request->trim->wait_ms);
	default:
		return false;
	}
}
