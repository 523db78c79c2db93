/* SPDX-License-Identifier: MIT */
/*
 * Stages by their cost: orphans with room, SuperSlabs that were returned and have
 * their pages, the reserve, cold ones. All but the last are answered at once on the
 * loop, with what there is, all of one kind; the last, and runs, are backed by a job. A run may
 * need room that warm SuperSlabs take: its job punches them first.
 *
 * A run that is to be longer takes the SuperSlabs behind it, warm ones too, and
 * nothing else: they are backed by a job like a run of their own, then they are
 * part of it. Its client is busy meanwhile, so it can neither give the run back
 * nor be collected.
 *
 * Nobody is refused because of what the daemon holds for itself: a request that
 * finds no room while a fill, a punch or a collection is under way waits for
 * its end (up to WAIT_MS, lest others' coming and going make it wait for ever),
 * and one that finds the machine short of memory is tried once more without
 * anything warm. Then other clients may have something: pressure.c.
 */
#include "daemon/net/refill.h"

#include <errno.h>
#include <stdlib.h>

#include "daemon/mem/backing.h"
#include "daemon/net/events.h"
#include "daemon/net/job.h"
#include "daemon/net/orders.h"
#include "daemon/net/pressure.h"
#include "daemon/net/quota.h"
#include "daemon/net/upkeep.h"
#include "daemon/util/probe.h"
#include "proto/error.h"

/* Cold SuperSlabs a request: each costs about as much as asking again does. */
#define COLD_MAX 4u
#define RUNS_MAX (COLD_MAX + 2 * HAKD_WARM_MAX)
#define WAIT_MS	 UINT64_C(2000)

_Static_assert(HAKD_WARM_MAX >= COLD_MAX, "a reply has room for what is granted");

static int32_t pid_of(const struct hakd_client *client)
{
	return client->realm->pool->holders[client->holder].pid;
}

static void refuse(struct hakd_job *job)
{
	/* Who can't have a longer run asks for a new one: that may be refused. */
	if (!job->refill.extends) {
		job->realm->daemon->counters.refused_no_memory++;
		if (job->client) {
			HAKD_PROBE(limit, job->realm->pool->name, job->client->holder,
				   pid_of(job->client), job->refill.count, HAK_E_NO_MEMORY);
			hakd_event_seldom(job->realm, HAK_EVENT_FULL, job->client,
					  ++job->client->n_unserved);
		}
	}
	hakd_peer_refuse(job->peer, job->request_id, HAK_E_NO_MEMORY,
			 hak_error_text(HAK_E_NO_MEMORY));
}

enum kind { KIND_ZEROED, KIND_KEPT, KIND_INHERITED };

static void tell(struct hakd_job *job, uint32_t *superslabs, uint32_t n, enum kind kind)
{
	Hak__Reply reply = HAK__REPLY__INIT;
	Hak__Grant answer = HAK__GRANT__INIT;

	answer.n_superslabs = n;
	answer.superslabs = superslabs;
	answer.huge = job->refill.huge;
	answer.zeroed = kind == KIND_ZEROED;
	answer.inherited = kind == KIND_INHERITED;
	if (job->refill.extends)
		answer.length = hakd_pool_granted(job->realm->pool, superslabs[0],
						  job->client->holder);
	reply.id = job->request_id;
	reply.body_case = HAK__REPLY__BODY_GRANT;
	reply.grant = &answer;
	hakd_peer_reply(job->peer, &reply, NULL, 0);
}

/* n runs are prepared: granted and told. */
static void grant(struct hakd_job *job, uint32_t n, enum kind kind, uint64_t *counter)
{
	struct hakd_realm *realm = job->realm;
	uint32_t extended = job->refill.extends - 1; /* if it does */
	uint32_t superslabs[HAKD_WARM_MAX];

	for (uint32_t i = 0; i < n; i++) {
		const struct hakd_run *run = &job->runs[i];

		if (job->refill.extends)
			hakd_pool_extend(realm->pool, extended, run->n);
		else if (kind == KIND_INHERITED)
			hakd_pool_inherit(realm->pool, run->head, job->client->holder);
		else
			hakd_pool_grant(realm->pool, run->head, run->n, job->refill.huge,
					job->client->holder);
		if (kind == KIND_INHERITED)
			HAKD_PROBE(adopt, realm->pool->name, job->client->holder,
				   pid_of(job->client), run->head, run->n);
		else
			HAKD_PROBE(grant, realm->pool->name, job->client->holder,
				   pid_of(job->client), run->head, run->n);
		realm->daemon->counters.granted_superslabs += run->n;
		*counter += run->n;
		superslabs[i] = job->refill.extends ? extended : run->head;
	}
	realm->daemon->counters.pressure_served += job->refill.has_waited;
	tell(job, superslabs, n, kind);
}

/* On a worker: makes room, then backs as many runs as there is memory for, from the first on. */
static void run_cold(struct hakd_job *job)
{
	struct hakd_pool *pool = job->realm->pool;
	unsigned lg = pool->segment.geometry.superslab_lg;
	uint64_t available;

	for (uint32_t i = 0; i < job->n_idle; i++)
		hakd_backing_punch(pool, job->runs[job->n_runs + i].head, 1);
	if (job->refill.huge) /* warm ones may lie in it: their pages are room too */
		hakd_backing_punch(pool, job->runs[0].head, job->runs[0].n);
	available = hakd_backing_available();
	for (; job->result < (int)job->n_runs; job->result++) {
		const struct hakd_run *run = &job->runs[job->result];
		uint64_t bytes = (uint64_t)run->n << lg;

		job->refill.is_short = bytes > available;
		if (job->refill.is_short || hakd_backing_fill(pool, run->head, run->n) < 0)
			break;
		hakd_backing_grant(pool, run->head, run->n, job->client->holder);
		available -= bytes;
	}
}

/* Warm ones that were taken to be punched by the job. */
static void add_idle(struct hakd_job *job, const uint32_t *superslabs, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		job->runs[job->n_runs + i] = (struct hakd_run){.head = superslabs[i], .n = 1};
	job->n_idle = n;
}

static void end_cold(struct hakd_job *job)
{
	struct hakd_pool *pool = job->realm->pool;
	uint32_t superslabs[2 * HAKD_WARM_MAX];
	uint32_t n = (uint32_t)job->result;

	for (uint32_t i = 0; i < job->n_idle; i++)
		hakd_pool_end_idle(pool, job->runs[job->n_runs + i].head);
	job->n_idle = 0;
	if (n == 0 && job->refill.is_short && !job->refill.has_given_warm) {
		job->refill.has_given_warm = true;
		add_idle(job, superslabs, hakd_pool_take_all_warm(pool, superslabs));
		if (job->n_idle > 0) {
			hakd_job_start(job);
			return;
		}
	}
	for (uint32_t i = n; i < job->n_runs; i++)
		hakd_pool_put_back(pool, job->runs[i].head, job->runs[i].n);
	if (n > 0)
		grant(job, n, KIND_ZEROED, &job->realm->daemon->counters.fresh_grants);
	else
		refuse(job);
}

static bool serve_warm(struct hakd_job *job)
{
	struct hakd_counters *counters = &job->realm->daemon->counters;
	struct hakd_pool *pool = job->realm->pool;
	uint32_t superslabs[HAKD_WARM_MAX];
	bool zeroed;
	uint32_t n = job->refill.count < HAKD_WARM_MAX ? job->refill.count : HAKD_WARM_MAX;

	n = hakd_pool_take_warm(pool, n, superslabs, &zeroed);
	for (uint32_t i = 0; i < n; i++) {
		job->runs[i] = (struct hakd_run){.head = superslabs[i], .n = 1};
		hakd_backing_grant(pool, superslabs[i], 1, job->client->holder);
	}
	if (n > 0)
		grant(job, n, zeroed ? KIND_ZEROED : KIND_KEPT,
		      zeroed ? &counters->reserve_hits : &counters->kept_hits);
	return n > 0;
}

/* Orphans first: they take up room already, and have their pages. */
static bool serve_inherited(struct hakd_job *job)
{
	uint32_t superslabs[HAKD_WARM_MAX];
	uint32_t n = job->refill.count < HAKD_WARM_MAX ? job->refill.count : HAKD_WARM_MAX;

	n = hakd_orphans_take(job->realm, n, job->client->holder, superslabs);
	for (uint32_t i = 0; i < n; i++)
		job->runs[i] = (struct hakd_run){.head = superslabs[i], .n = 1};
	for (uint32_t i = 0; i < n; i++)
		hakd_event(job->realm, HAK_EVENT_ADOPTED, job->client, superslabs[i], 0);
	if (n > 0)
		grant(job, n, KIND_INHERITED, &job->realm->daemon->counters.inherited_superslabs);
	return n > 0;
}

/* A run that is as long as it is to be: the answer to an earlier request got lost. */
static bool is_extended(struct hakd_job *job)
{
	uint32_t head = job->refill.extends - 1;

	if (!job->refill.extends ||
	    hakd_pool_granted(job->realm->pool, head, job->client->holder) < job->refill.count)
		return false;
	tell(job, &head, 1, KIND_KEPT);
	return true;
}

/* Takes a run, or what is missing behind one. */
static int take_run(struct hakd_job *job, struct hakd_run *ret_run)
{
	struct hakd_pool *pool = job->realm->pool;
	uint32_t head = job->refill.extends - 1, n;

	*ret_run = (struct hakd_run){.n = job->refill.count};
	if (!job->refill.extends)
		return hakd_pool_take_run(pool, job->refill.count, job->refill.alignment,
					  &ret_run->head);
	n = hakd_pool_granted(pool, head, job->client->holder);
	ret_run->head = head + n;
	ret_run->n -= n;
	return hakd_pool_take_behind(pool, ret_run->head, ret_run->n);
}

/* Takes what the job is to back; as hakd_pool_take. */
static int take(struct hakd_job *job)
{
	struct hakd_pool *pool = job->realm->pool;
	uint32_t superslabs[2 * HAKD_WARM_MAX];
	uint32_t n = job->refill.count < COLD_MAX ? job->refill.count : COLD_MAX;
	int r;

	if (job->refill.huge) {
		n = 1;
		r = take_run(job, &job->runs[0]);
	} else {
		r = hakd_pool_take(pool, &n, superslabs);
		for (uint32_t i = 0; i < n && r == 0; i++)
			job->runs[i] = (struct hakd_run){.head = superslabs[i], .n = 1};
	}
	if (r < 0)
		return r;
	job->n_runs = n;
	add_idle(job, superslabs, hakd_pool_take_over_limit(pool, superslabs));
	return 0;
}

void hakd_refill_try(struct hakd_job *job)
{
	bool is_late = uv_now(job->realm->loop) - job->refill.since > WAIT_MS;
	int r = -ENOMEM;

	if (!job->client->is_leaving) {
		if (job->refill.huge ? is_extended(job) : serve_inherited(job) || serve_warm(job)) {
			hakd_job_finish(job);
			return;
		}
		r = take(job);
		if (r == -ENOMEM && hakd_orphans_are_unsettled(job->realm))
			r = -EAGAIN;
	}
	if (r == 0) {
		hakd_job_start(job);
	} else if (r == -EAGAIN && !is_late) {
		hakd_upkeep_wait(job);
	} else if (r != -ENOMEM || job->client->is_leaving || !hakd_pressure_wait(job)) {
		refuse(job);
		hakd_job_finish(job);
	}
}

/* As much of it as its limits allow; 0: nothing. A run comes whole or not at all. */
static uint32_t allowed(const struct hakd_client *client, const Hak__Refill *request)
{
	const struct hakd_pool *pool = client->realm->pool;
	uint32_t has = request->extends
			       ? hakd_pool_granted(pool, request->extends - 1, client->holder)
			       : 0;
	uint32_t wanted = request->count > has ? request->count - has : 0;
	uint32_t room = hakd_quota_room(client, wanted);

	if (request->huge)
		return room == wanted ? request->count : 0;
	return room;
}

bool hakd_refill(struct hakd_peer *peer, uint64_t id, const Hak__Refill *request)
{
	struct hakd_realm *realm = peer->realm;
	struct hakd_job *job;
	uint32_t count;

	if (!peer->client || request->count == 0 ||
	    (!request->huge && request->count > HAK_WIRE_REFILL_MAX) ||
	    request->alignment > UINT64_C(1) << 21 || (request->extends && !request->huge))
		return false;
	if (request->extends &&
	    !hakd_pool_granted_huge(realm->pool, request->extends - 1, peer->client->holder)) {
		hakd_peer_refuse(peer, id, HAK_E_NOT_YOURS, hak_error_text(HAK_E_NOT_YOURS));
		return true;
	}
	if (realm->is_deleted) {
		hakd_peer_refuse(peer, id, HAK_E_ENDED, hak_error_text(HAK_E_ENDED));
		return true;
	}
	if (hakd_orders_has_kicked(peer->client)) {
		hakd_peer_refuse(peer, id, HAK_E_KICKED, hak_error_text(HAK_E_KICKED));
		return true;
	}
	count = allowed(peer->client, request);
	if (count == 0) {
		realm->daemon->counters.refused_quota++;
		HAKD_PROBE(limit, realm->pool->name, peer->client->holder, pid_of(peer->client),
			   request->count, HAK_E_QUOTA);
		hakd_event_seldom(realm, HAK_EVENT_LIMIT, peer->client, ++peer->client->n_refused);
		hakd_peer_refuse(peer, id, HAK_E_QUOTA, hak_error_text(HAK_E_QUOTA));
		return true;
	}
	job = hakd_job_new(realm, peer, peer->client, RUNS_MAX);
	if (!job) {
		realm->daemon->counters.refused_no_memory++;
		hakd_peer_refuse(peer, id, HAK_E_NO_MEMORY, hak_error_text(HAK_E_NO_MEMORY));
		return true;
	}
	job->request_id = id;
	peer->client->n_pending = count; /* until its job has ended */
	job->refill = (struct hakd_refill){.count = count,
					   .huge = request->huge,
					   .alignment = request->alignment,
					   .extends = request->extends,
					   .is_ahead = request->ahead,
					   .since = uv_now(realm->loop)};
	job->run = run_cold;
	job->end = end_cold;
	hakd_refill_try(job);
	hakd_upkeep_demand(realm);
	return true;
}
