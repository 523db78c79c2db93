/* SPDX-License-Identifier: MIT */
/*
 * Holders first, so that each run that is being collected finds its client, and
 * each grace all who may be in a crossing; then orphans and collections, all of
 * them jobs: the daemon answers meanwhile.
 */
#include "daemon/reclaim/resume.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/net/events.h"
#include "daemon/net/job.h"
#include "daemon/reclaim/collect.h"
#include "daemon/reclaim/liveness.h"
#include "daemon/reclaim/orphan.h"
#include "daemon/util/log.h"

/* Its process is watched again, or it is leaving. */
static int watch(struct hakd_client *client, const struct hak_holder *holder)
{
	struct hakd_realm *realm = client->realm;
	struct hakd_kept *pidfd = hakd_keeper_find(&realm->daemon->keeper, HAKD_KEPT_CLIENT,
						   realm->number, client->holder,
						   client->generation);
	struct hakd_kept *lease = hakd_keeper_find(&realm->daemon->keeper, HAKD_KEPT_LEASE,
						   realm->number, client->holder,
						   client->generation);
	int r = hakd_liveness_resume(client, holder, pidfd ? pidfd->fd : -1,
				     lease ? lease->fd : -1);

	if (r == 0 && pidfd)
		pidfd->fd = -1; /* the client's now */
	if (r == 0 && lease)
		lease->fd = -1;
	if (r != -ESRCH)
		return r;
	realm->daemon->counters.deaths++;
	hakd_event(realm, HAK_EVENT_DIED, client, 0, 0);
	client->is_leaving = true;
	return 0;
}

static int resume_holder(struct hakd_realm *realm, unsigned slot)
{
	const struct hak_holder *holder = &realm->pool->holders[slot];
	uint64_t word = hak_load_relaxed(
		&holder->word); /* its writer is dead, and we are the next */
	struct hakd_client *client;
	int r = 0;

	realm->generations[slot] = hak_holder_generation(word);
	if (hak_holder_state(word) == HAK_HOLDER_FREE)
		return 0;
	client = calloc(1, sizeof(*client));
	if (!client)
		return -ENOMEM;
	client->realm = realm;
	client->holder = slot;
	client->generation = hak_holder_generation(word);
	client->pidfd = -1;
	client->lease = (struct hakd_lease){.fd = -1, .client_fd = -1, .watch = -1};
	if (hak_holder_state(word) == HAK_HOLDER_ATTACHED)
		r = watch(client, holder);
	else
		client->is_leaving = true;
	if (r < 0) {
		fprintf(stderr, "hakmemd: cannot watch process %d, client %u: %s\n",
			(int)holder->pid, slot, strerror(-r));
		free(client);
		return r;
	}
	realm->clients[slot] = client;
	realm->n_holders = slot + 1;
	hakd_realm_count_client(realm, 1);
	return 0;
}

/*
 * Ends the collections that were under way from an owner that lives, which gave these runs
 * back, or from nobody any more: they are reset again, and wait for a grace of ours. Their tags
 * are zeroed in any case: of an owner that died more of them may have memory than say something.
 */
static int collect_begun(struct hakd_realm *realm, unsigned owner, uint32_t n_runs)
{
	uint32_t total = realm->pool->segment.geometry.n_superslabs;
	struct hakd_job *job = hakd_job_new(realm, NULL, realm->clients[owner], n_runs);

	if (!job)
		return -ENOMEM;
	for (uint32_t i = 0; i < total; i++) {
		uint32_t n = hakd_pool_reclaiming(realm->pool, i, owner);

		if (n > 0)
			job->runs[job->n_runs++] = (struct hakd_run){
				.head = i, .n = n, .has_tags = true};
	}
	hakd_collect_runs(job);
	return 0;
}

static int collect_all(struct hakd_realm *realm)
{
	static uint32_t n_begun[HAK_HOLDER_COUNT]; /* runs RECLAIMING, an owner; NONE too */
	const struct hakd_pool *pool = realm->pool;

	for (uint32_t i = 0; i < pool->segment.geometry.n_superslabs; i++) {
		uint64_t s = hak_load_relaxed(&pool->superslabs[i]); /* as the holders' words */

		n_begun[hak_superslab_owner(s)] += hak_superslab_state(s) ==
						   HAK_SUPERSLAB_RECLAIMING;
		if (hak_superslab_state(s) == HAK_SUPERSLAB_ORPHAN)
			hakd_orphans_add(realm, i);
	}
	for (unsigned slot = 0; slot < HAK_HOLDER_COUNT; slot++) {
		struct hakd_client *client = realm->clients[slot];
		int r = 0;

		if (client && client->is_leaving)
			hakd_collect_client(client, NULL, 0);
		else if (n_begun[slot] > 0)
			r = collect_begun(realm, slot, n_begun[slot]);
		if (r < 0)
			return r;
	}
	return 0;
}

int hakd_resume(struct hakd_realm *realm)
{
	int r = 0;

	for (unsigned slot = HAK_HOLDER_FIRST; slot < HAK_HOLDER_COUNT && r == 0; slot++)
		r = resume_holder(realm, slot);
	if (r < 0)
		return r;
	return collect_all(realm);
}
