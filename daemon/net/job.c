/* SPDX-License-Identifier: MIT */
/* Jobs on libuv's threads. */
#include "daemon/net/job.h"

#include <stdlib.h>

#include "daemon/net/rejoin.h"
#include "daemon/net/upkeep.h"
#include "daemon/reclaim/collect.h"
#include "daemon/util/crash.h"

struct hakd_job *hakd_job_new(struct hakd_realm *realm, struct hakd_peer *peer,
			      struct hakd_client *client, uint32_t n_runs)
{
	struct hakd_job *job = calloc(1, sizeof(*job) + n_runs * sizeof(job->runs[0]));

	if (!job)
		return NULL;
	hakd_realm_get(realm);
	job->realm = realm;
	job->peer = peer;
	job->client = client;
	job->work.data = job;
	return job;
}

void hakd_job_free(struct hakd_job *job)
{
	if (!job)
		return;
	hakd_realm_put(job->realm);
	free(job);
}

static void on_work(uv_work_t *work)
{
	struct hakd_job *job = work->data;

	hakd_doing("a job on a worker");
	job->run(job);
	hakd_doing("nothing, as a worker");
}

void hakd_job_release_client(struct hakd_client *client)
{
	client->is_busy = false;
	hakd_rejoin_end(client);
	if (client->is_leaving)
		hakd_collect_client(client, NULL, 0);
}

void hakd_job_finish(struct hakd_job *job)
{
	struct hakd_client *client = job->client;

	hakd_job_free(job);
	if (client)
		hakd_job_release_client(client);
}

void hakd_job_go_on(struct hakd_job *job, void (*step)(struct hakd_job *job))
{
	job->goes_on = false;
	step(job);
	if (!job->goes_on)
		hakd_job_finish(job);
}

static void on_end(uv_work_t *work, int status)
{
	struct hakd_job *job = work->data;
	struct hakd_realm *realm = job->realm;

	(void)status;
	hakd_job_go_on(job, job->end);
	hakd_upkeep_job_ended(realm);
}

void hakd_job_start(struct hakd_job *job)
{
	job->goes_on = true;
	if (job->peer)
		hakd_peer_busy(job->peer);
	if (job->client)
		job->client->is_busy = true;
	uv_queue_work(job->realm->loop, &job->work, on_work, on_end);
}
