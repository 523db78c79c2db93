/* SPDX-License-Identifier: MIT */
/*
 * A trim is a job that waits, with its peer, while a timer ticks:
 *
 * | at a tick                                   |                                        |
 * |---------------------------------------------|----------------------------------------|
 * | something lies warm                         | it is taken to be punched              |
 * | jobs have something that may become free    | goes on, past its time too: they end   |
 * | nothing of that; its time isn't over, and   | goes on: they may give back something  |
 * | clients have SuperSlabs                     |                                        |
 * | else                                        | its peer is told                       |
 *
 * While there is one, and until somebody asks for memory, the reserve isn't filled.
 */
#include "daemon/net/trim.h"

#include "daemon/mem/hints.h"
#include "daemon/net/events.h"
#include "daemon/net/job.h"
#include "daemon/net/upkeep.h"
#include "proto/error.h"

#define TICK_MS	    UINT64_C(10)
#define WAIT_MS_MAX 60000u
#define PAST_MS	    UINT64_C(2000) /* beyond its time, for jobs under way */

static void tell(struct hakd_job *job)
{
	Hak__Reply reply = HAK__REPLY__INIT;
	Hak__Trimmed trimmed = HAK__TRIMMED__INIT;

	trimmed.resident_before = job->trim.resident;
	trimmed.resident_after = hakd_pool_resident(job->realm->pool);
	reply.id = job->request_id;
	reply.body_case = HAK__REPLY__BODY_TRIMMED;
	reply.trimmed = &trimmed;
	hakd_peer_reply(job->peer, &reply, NULL, 0);
	hakd_event(job->realm, HAK_EVENT_TRIMMED, NULL, trimmed.resident_before >> 20,
		   trimmed.resident_after >> 20);
}

static bool is_over(const struct hakd_job *job, uint64_t now)
{
	const struct hakd_pool *pool = job->realm->pool;

	if (pool->n_idle + pool->n_collecting > 0 || hakd_pool_n_warm(pool) > 0)
		return now >= job->trim.until + PAST_MS;
	return now >= job->trim.until || pool->n_taken == 0;
}

static void on_tick(uv_timer_t *timer)
{
	struct hakd_realm *realm = timer->data;
	struct hakd_job **at = &realm->trims.first;

	hakd_upkeep_shrink(realm);
	while (*at) {
		struct hakd_job *job = *at;

		if (!is_over(job, uv_now(realm->loop))) {
			at = &job->next;
			continue;
		}
		*at = job->next;
		hakd_job_go_on(job, tell);
	}
	if (!realm->trims.first)
		uv_timer_stop(timer);
}

bool hakd_trim(struct hakd_peer *peer, uint64_t id, uint32_t wait_ms)
{
	struct hakd_realm *realm = peer->realm;
	struct hakd_trims *trims = &realm->trims;
	struct hakd_job *job = hakd_job_new(realm, peer, NULL, 0);

	if (!job) {
		hakd_peer_refuse(peer, id, HAK_E_INTERNAL, "no memory");
		return true;
	}
	if (wait_ms > WAIT_MS_MAX)
		wait_ms = WAIT_MS_MAX;
	job->request_id = id;
	job->trim.resident = hakd_pool_resident(realm->pool);
	job->trim.until = uv_now(realm->loop) + wait_ms;
	job->goes_on = true;
	job->next = trims->first;
	trims->first = job;
	hakd_peer_busy(peer);
	realm->daemon->counters.trims++;
	hakd_hints_ask(realm->pool);
	uv_timer_start(&trims->timer, on_tick, 0, TICK_MS);
	return true;
}

void hakd_trims_init(struct hakd_realm *realm)
{
	uv_timer_init(realm->loop, &realm->trims.timer);
	realm->trims.timer.data = realm;
}
