/* SPDX-License-Identifier: MIT */
/* Jobs on libuv's threads, and the two that take memory back. */
#include "daemon/net/job.h"

#include <stdlib.h>

#include "daemon/mem/backing.h"
#include "daemon/net/upkeep.h"
#include "daemon/reclaim/liveness.h"
#include "daemon/util/crash.h"
#include "daemon/util/log.h"

struct hakd_job *hakd_job_new(struct hakd_daemon *daemon, struct hakd_peer *peer,
			      struct hakd_client *client, uint32_t n_runs)
{
	struct hakd_job *job = calloc(1, sizeof(*job) + n_runs * sizeof(job->runs[0]));

	if (!job)
		return NULL;
	job->daemon = daemon;
	job->peer = peer;
	job->client = client;
	job->work.data = job;
	return job;
}

static void on_work(uv_work_t *work)
{
	struct hakd_job *job = work->data;

	hakd_doing("a job on a worker");
	job->run(job);
	hakd_doing("nothing, as a worker");
}

void hakd_job_finish(struct hakd_job *job)
{
	struct hakd_client *client = job->client;

	free(job);
	if (client)
		client->is_busy = false;
	if (client && client->is_leaving)
		hakd_job_collect_client(client, NULL, 0);
}

static void on_end(uv_work_t *work, int status)
{
	struct hakd_job *job = work->data;
	struct hakd_daemon *daemon = job->daemon;

	(void)status;
	job->goes_on = false;
	job->end(job);
	if (!job->goes_on)
		hakd_job_finish(job);
	hakd_upkeep_job_ended(daemon);
}

void hakd_job_start(struct hakd_job *job)
{
	job->goes_on = true;
	if (job->peer)
		hakd_peer_busy(job->peer);
	if (job->client)
		job->client->is_busy = true;
	uv_queue_work(&job->daemon->loop, &job->work, on_work, on_end);
}

static void run_collect(struct hakd_job *job)
{
	for (uint32_t i = 0; i < job->n_runs; i++)
		hakd_backing_reset(job->daemon->pool, job->runs[i].head, job->runs[i].n,
				   job->runs[i].keep);
}

static void end_runs(struct hakd_job *job)
{
	for (uint32_t i = 0; i < job->n_runs; i++) {
		hakd_pool_end_collect(job->daemon->pool, job->runs[i].head, job->runs[i].n,
				      job->runs[i].keep, uv_now(&job->daemon->loop));
		job->daemon->counters.collected_superslabs += job->runs[i].n;
	}
}

static void reply_done(struct hakd_job *job)
{
	Hak__Reply reply = HAK__REPLY__INIT;

	reply.id = job->request_id;
	if (job->peer)
		hakd_peer_reply(job->peer, &reply, NULL, 0);
}

static void end_collect(struct hakd_job *job)
{
	end_runs(job);
	reply_done(job);
}

void hakd_job_collect(struct hakd_job *job)
{
	job->run = run_collect;
	job->end = end_collect;
	hakd_job_start(job);
}

static void end_collect_client(struct hakd_job *job)
{
	struct hakd_daemon *daemon = job->daemon;
	struct hakd_client *client = job->client;
	struct hak_client_area *area = &daemon->pool->segment.areas[client->holder];

	for (unsigned i = 0; i < HAK_STAT_COUNT; i++)
		daemon->left[i] += hak_load_relaxed(&area->counters[i]); /* only shown */
	end_runs(job);
	/* [order:registry] The slot is free when nothing is its any more. */
	hak_store_release(&daemon->pool->holders[client->holder].word,
			  hak_holder_pack(HAK_HOLDER_FREE, client->generation));
	daemon->clients[client->holder] = NULL;
	hakd_daemon_count_client(daemon, -1);
	if (client->peer)
		client->peer->client = NULL;
	job->client = NULL;
	reply_done(job);
	hakd_liveness_free_client(client);
}

void hakd_job_collect_client(struct hakd_client *client, struct hakd_peer *peer,
			     uint64_t request_id)
{
	struct hakd_daemon *daemon = client->daemon;
	uint32_t total = daemon->pool->segment.geometry.n_superslabs;
	uint32_t n_runs = 0, n;
	struct hakd_job *job;

	for (uint32_t i = 0; i < total; i++)
		n_runs += hakd_pool_granted(daemon->pool, i, client->holder) > 0;
	job = hakd_job_new(daemon, peer, client, n_runs);
	if (!job)
		abort(); /* a few KiB: the machine is past helping, and memory would be lost */
	/* [order:registry] First of all: from now on it is being taken from. */
	hak_store_release(&daemon->pool->holders[client->holder].word,
			  hak_holder_pack(HAK_HOLDER_RECLAIMING, client->generation));
	for (uint32_t i = 0; i < total; i++) {
		n = hakd_pool_granted(daemon->pool, i, client->holder);
		if (n == 0)
			continue;
		job->runs[job->n_runs++] = (struct hakd_run){
			i, n, hakd_pool_begin_collect(daemon->pool, i, n)};
	}
	job->request_id = request_id;
	job->run = run_collect;
	job->end = end_collect_client;
	uv_poll_stop(&client->liveness);
	hakd_job_start(job);
}
