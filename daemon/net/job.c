/* SPDX-License-Identifier: MIT */
/* Jobs on libuv's threads. */
#include "daemon/net/job.h"

#include <stdlib.h>

#include "daemon/net/rejoin.h"
#include "daemon/net/upkeep.h"
#include "daemon/reclaim/collect.h"
#include "daemon/util/crash.h"

#define QUESTIONS_MAX 2u /* at once, of libuv's four threads */

struct hakd_job *hakd_job_new(struct hakd_realm *realm, struct hakd_peer *peer,
			      struct hakd_client *client, uint32_t n_runs)
{
	struct hakd_job *job;

	if (hakd_realm_is_going(realm)) /* nobody would see what it did */
		return NULL;
	job = calloc(1, sizeof(*job) + n_runs * sizeof(job->runs[0]));
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
	client->n_pending = 0;
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

static void run_questions(struct hakd_daemon *daemon);

static void on_end(uv_work_t *work, int status)
{
	struct hakd_job *job = work->data;
	struct hakd_realm *realm = job->realm;
	struct hakd_daemon *daemon = realm->daemon;

	(void)status;
	daemon->questions.n_running -= job->is_question;
	hakd_job_go_on(job, job->end);
	run_questions(daemon);
	hakd_upkeep_job_ended(realm);
}

static void run_questions(struct hakd_daemon *daemon)
{
	struct hakd_questions *questions = &daemon->questions;

	while (questions->first && questions->n_running < QUESTIONS_MAX) {
		struct hakd_job *job = questions->first;

		questions->first = job->next;
		questions->n_running++;
		uv_queue_work(job->realm->loop, &job->work, on_work, on_end);
	}
}

/* Behind those that wait: one of many steps gives way after each. */
static void add_question(struct hakd_job *job)
{
	struct hakd_questions *questions = &job->realm->daemon->questions;

	job->next = NULL;
	if (questions->first)
		questions->last->next = job;
	else
		questions->first = job;
	questions->last = job;
	run_questions(job->realm->daemon);
}

void hakd_job_start(struct hakd_job *job)
{
	job->goes_on = true;
	if (job->peer)
		hakd_peer_busy(job->peer);
	if (job->client)
		job->client->is_busy = true;
	if (job->is_question)
		add_question(job);
	else
		uv_queue_work(job->realm->loop, &job->work, on_work, on_end);
}
