/* SPDX-License-Identifier: MIT */
/*
 * The registry says RECLAIMING from before the first step until after the last;
 * with the owner's name until its scans have ended, with none afterwards. So a
 * daemon that takes over (resume.c) knows which is due: all of it, or the grace.
 */
#include "daemon/reclaim/collect.h"

#include <stdlib.h>

#include "daemon/mem/backing.h"
#include "daemon/net/events.h"
#include "daemon/net/figures.h"
#include "daemon/net/pressure.h"
#include "daemon/reclaim/grace.h"
#include "daemon/reclaim/liveness.h"
#include "daemon/reclaim/orphan.h"
#include "daemon/reclaim/scan.h"
#include "daemon/util/probe.h"

#define STEP 64u /* SuperSlabs a job; a huge run is not divided */

static void reply_done(struct hakd_job *job)
{
	Hak__Reply reply = HAK__REPLY__INIT;

	reply.id = job->request_id;
	if (job->peer)
		hakd_peer_reply(job->peer, &reply, NULL, 0);
	job->peer = NULL;
}

static void end_runs(struct hakd_job *job)
{
	struct hakd_realm *realm = job->realm;

	for (uint32_t i = 0; i < job->n_runs; i++) {
		hakd_pool_end_collect(realm->pool, job->runs[i].head, job->runs[i].n,
				      job->runs[i].keep, uv_now(realm->loop));
		HAKD_PROBE(collect, realm->pool->name, job->runs[i].head, job->runs[i].n);
		realm->daemon->counters.collected_superslabs += job->runs[i].n;
	}
}

static void run_zero_tags(struct hakd_job *job)
{
	for (uint32_t i = 0; i < job->n_runs; i++)
		if (job->runs[i].has_tags)
			hakd_backing_zero_tags(job->realm->pool, job->runs[i].head, job->runs[i].n);
}

/* A grace has passed since their words were reset. */
static void free_runs(struct hakd_job *job)
{
	bool has_tags = false;

	for (uint32_t i = 0; i < job->n_runs; i++)
		has_tags |= job->runs[i].has_tags;
	if (!has_tags) {
		end_runs(job);
		return;
	}
	job->run = run_zero_tags;
	job->end = end_runs;
	hakd_job_start(job);
}

/* Their words are reset: nobody's from now on. Who waits for that needn't wait for the grace. */
static void pass_runs(struct hakd_job *job)
{
	for (uint32_t i = 0; i < job->n_runs; i++)
		hakd_pool_disown(job->realm->pool, job->runs[i].head, job->runs[i].n);
	if (job->n_runs > 0 && hakd_graces_pass(job, free_runs))
		free_runs(job);
	reply_done(job);
}

static void end_reset(struct hakd_job *job)
{
	struct hakd_client *client = job->client;

	job->client = NULL;
	pass_runs(job);
	if (client)
		hakd_job_release_client(client);
}

static void run_reset(struct hakd_job *job)
{
	struct hakd_run *run = job->runs;

	for (uint32_t i = 0; i < job->n_runs; i++, run++)
		run->has_tags |= hakd_backing_reset(job->realm->pool, run->head, run->n, run->keep);
}

void hakd_collect_runs(struct hakd_job *job)
{
	hakd_pressure_note(job->realm, job->client);
	job->run = run_reset;
	job->end = end_reset;
	hakd_job_start(job);
}

/* A run of the dead: what nobody else holds goes, and its memory if that is all. */
static void scan_own(struct hakd_job *job, struct hakd_run *run)
{
	struct hakd_pool *pool = job->realm->pool;
	uint32_t per = pool->segment.geometry.slots_per_superslab;

	run->survives = hak_scan_own(&pool->segment, run->head * per, (run->head + run->n) * per,
				     job->client->holder, &job->found);
	if (!run->survives)
		hakd_backing_reset(pool, run->head, run->n, run->keep);
	/* One that was killed may have given memory to tags that it didn't come to use. */
	run->has_tags = true;
}

static void run_own(struct hakd_job *job)
{
	uint32_t n = 0;

	for (; job->next_run < job->n_runs && n < STEP; job->next_run++) {
		n += job->runs[job->next_run].n;
		scan_own(job, &job->runs[job->next_run]);
	}
}

/* Runs with survivors are orphans; the others remain the job's. */
static void part_runs(struct hakd_job *job)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < job->n_runs; i++) {
		const struct hakd_run run = job->runs[i];

		if (!run.survives) {
			job->runs[n++] = run;
			continue;
		}
		HAKD_PROBE(orphan, job->realm->pool->name, run.head, run.n);
		hakd_pool_orphan(job->realm->pool, run.head, run.n, run.keep);
		hakd_orphans_add(job->realm, run.head);
	}
	job->n_runs = n;
}

/* Nothing is the client's any more. */
static void free_client(struct hakd_client *client)
{
	struct hakd_realm *realm = client->realm;
	struct hak_client_area *area = &realm->pool->segment.areas[client->holder];

	for (unsigned i = 0; i < HAK_STAT_COUNT; i++)
		realm->left[i] += hak_load_relaxed(&area->counters[i]); /* only shown */
	hakd_figures_left(realm);
	hakd_backing_drop_area(realm->pool, client->holder);
	/* [order:registry] The slot is free when nothing is its any more. */
	hak_store_release(&realm->pool->holders[client->holder].word,
			  hak_holder_pack(HAK_HOLDER_FREE, client->generation));
	realm->clients[client->holder] = NULL;
	hakd_realm_count_client(realm, -1);
	if (client->peer)
		client->peer->client = NULL;
	hakd_liveness_free_client(client);
}

static uint64_t count_superslabs(const struct hakd_job *job)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < job->n_runs; i++)
		n += job->runs[i].n;
	return n;
}

/* Both scans have ended. */
static void end_scans(struct hakd_job *job)
{
	struct hakd_client *client = job->client;
	uint64_t n, n_left;

	job->client = NULL;
	job->realm->daemon->counters.scan_survived += job->found.n_survived;
	job->realm->daemon->counters.scan_freed += job->found.n_freed;
	n = count_superslabs(job);
	part_runs(job);
	n_left = count_superslabs(job);
	hakd_event(job->realm, HAK_EVENT_RECLAIMED, client, n_left, n - n_left);
	pass_runs(job);
	free_client(client);
}

static void end_own(struct hakd_job *job)
{
	if (job->next_run < job->n_runs)
		hakd_job_start(job);
	else
		hakd_scan_for(job, end_scans);
}

/* All that is the client's, as runs of its job, which has room for them. */
static void take_all(struct hakd_job *job)
{
	struct hakd_pool *pool = job->realm->pool;
	unsigned holder = job->client->holder;

	for (uint32_t i = 0; i < pool->segment.geometry.n_superslabs; i++) {
		uint32_t n = hakd_pool_granted(pool, i, holder);

		if (n > 0)
			job->runs[job->n_runs++] = (struct hakd_run){
				.head = i, .n = n, .keep = hakd_pool_begin_collect(pool, i, n)};
		/* Begun by an earlier daemon: nobody else has a job, since the client isn't busy. */
		else if ((n = hakd_pool_reclaiming(pool, i, holder)) > 0)
			job->runs[job->n_runs++] = (struct hakd_run){.head = i, .n = n};
	}
}

static uint32_t count_runs(const struct hakd_pool *pool, unsigned holder)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < pool->segment.geometry.n_superslabs; i++)
		n += hakd_pool_granted(pool, i, holder) > 0 ||
		     hakd_pool_reclaiming(pool, i, holder) > 0;
	return n;
}

void hakd_collect_client(struct hakd_client *client, struct hakd_peer *peer, uint64_t request_id)
{
	struct hakd_realm *realm = client->realm;
	struct hakd_job *job = hakd_job_new(realm, peer, client,
					    count_runs(realm->pool, client->holder));

	if (!job)
		abort(); /* a few KiB: the machine is past helping, and memory would be lost */
	/* [order:registry] First of all: from now on it is being taken from. */
	hak_store_release(&realm->pool->holders[client->holder].word,
			  hak_holder_pack(HAK_HOLDER_RECLAIMING, client->generation));
	take_all(job);
	if (job->n_runs > 0)
		hakd_pressure_note(realm, NULL);
	job->request_id = request_id;
	job->run = run_own;
	job->end = end_own;
	hakd_liveness_stop(client);
	hakd_job_start(job);
}
