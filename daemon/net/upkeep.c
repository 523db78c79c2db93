/* SPDX-License-Identifier: MIT */
/*
 * The reserve is filled by one job at a time, a SuperSlab each, so a worker is
 * always left for requests, and a request that needs the room waits for no more
 * than that one. While requests wait nothing is filled.
 *
 * A timer looks five times in the keeping time at what lies there: kept
 * SuperSlabs that are old are punched, the reserve's size is decided anew once
 * in that time. It stops when nothing is left that could grow old. If the
 * machine runs short of memory, all that is warm goes.
 */
#include "daemon/net/upkeep.h"

#include "daemon/mem/backing.h"
#include "daemon/net/job.h"
#include "daemon/net/refill.h"
#include "daemon/util/log.h"

#define TICKS		     5u
#define TICK_MIN_MS	     UINT64_C(100)
#define FILL_SPARE	     (UINT64_C(192) << 20) /* what the machine must have left beyond SPARE_BYTES */
#define SUPERSLAB_SIZE(pool) (UINT64_C(1) << (pool)->segment.geometry.superslab_lg)

static void run_fill(struct hakd_job *job)
{
	struct hakd_pool *pool = job->realm->pool;

	job->result = -1;
	if (hakd_backing_available() >= FILL_SPARE)
		job->result = hakd_backing_fill(pool, job->runs[0].head, 1);
}

static void end_fill(struct hakd_job *job)
{
	struct hakd_realm *realm = job->realm;

	realm->upkeep.is_filling = false;
	if (job->result < 0) {
		realm->upkeep.is_filling_suspended = true;
		hakd_pool_end_idle(realm->pool, job->runs[0].head);
		return;
	}
	hakd_pool_end_fill(realm->pool, job->runs[0].head, uv_now(realm->loop));
	realm->daemon->counters.reserve_filled++;
	if (realm->upkeep.is_shrunk) /* since this fill began */
		hakd_upkeep_shrink(realm);
}

static void fill(struct hakd_realm *realm)
{
	struct hakd_upkeep *upkeep = &realm->upkeep;
	struct hakd_job *job;
	uint32_t superslab;

	if (upkeep->is_filling || upkeep->is_filling_suspended || upkeep->is_shrunk ||
	    upkeep->waiting || !hakd_pool_take_to_fill(realm->pool, &superslab))
		return;
	job = hakd_job_new(realm, NULL, NULL, 1);
	if (!job) {
		hakd_pool_end_idle(realm->pool, superslab);
		return;
	}
	job->n_runs = 1;
	job->runs[0] = (struct hakd_run){.head = superslab, .n = 1};
	job->run = run_fill;
	job->end = end_fill;
	upkeep->is_filling = true;
	hakd_job_start(job);
}

static void run_punch(struct hakd_job *job)
{
	for (uint32_t i = 0; i < job->n_runs; i++)
		hakd_backing_punch(job->realm->pool, job->runs[i].head, 1);
}

static void end_punch(struct hakd_job *job)
{
	for (uint32_t i = 0; i < job->n_runs; i++)
		hakd_pool_end_idle(job->realm->pool, job->runs[i].head);
}

/* Punches what has been taken for it. */
static void punch(struct hakd_realm *realm, const uint32_t *superslabs, uint32_t n)
{
	struct hakd_job *job = n > 0 ? hakd_job_new(realm, NULL, NULL, n) : NULL;

	if (!job) { /* no memory: they go back unpunched, the next grant finds the pages */
		while (n > 0)
			hakd_pool_end_idle(realm->pool, superslabs[--n]);
		return;
	}
	for (; job->n_runs < n; job->n_runs++)
		job->runs[job->n_runs] = (struct hakd_run){.head = superslabs[job->n_runs], .n = 1};
	job->run = run_punch;
	job->end = end_punch;
	hakd_job_start(job);
}

void hakd_upkeep_shrink(struct hakd_realm *realm)
{
	uint32_t superslabs[2 * HAKD_WARM_MAX];

	realm->upkeep.is_shrunk = true;
	punch(realm, superslabs, hakd_pool_take_all_warm(realm->pool, superslabs));
}

void hakd_upkeep_demand(struct hakd_realm *realm)
{
	realm->upkeep.is_shrunk = realm->trims.first != NULL;
	hakd_upkeep_check(realm);
}

/* Is there anything that a tick may change? */
static bool is_at_rest(const struct hakd_realm *realm)
{
	const struct hakd_pool *pool = realm->pool;

	return pool->kept.n == 0 && !realm->upkeep.is_filling_suspended &&
	       pool->reserve.target == hakd_reserve_first(&pool->reserve) &&
	       hakd_reserve_excess(&pool->reserve, 0) == 0;
}

static void on_tick(uv_timer_t *timer)
{
	struct hakd_realm *realm = timer->data;
	struct hakd_pool *pool = realm->pool;
	uint64_t now = uv_now(realm->loop), keep = hakd_config_keep_ms(&realm->config);
	uint32_t superslabs[2 * HAKD_WARM_MAX];
	uint32_t n;

	realm->upkeep.is_filling_suspended = false;
	if (now - realm->upkeep.decayed_at >= keep) {
		realm->upkeep.decayed_at = now;
		hakd_reserve_decay(&pool->reserve);
	}
	if (hakd_backing_available() == 0)
		n = hakd_pool_take_all_warm(pool, superslabs);
	else
		n = hakd_pool_take_stale(pool, now > keep ? now - keep : 0, superslabs);
	punch(realm, superslabs, n);
	if (is_at_rest(realm))
		uv_timer_stop(timer);
	hakd_upkeep_check(realm);
}

void hakd_upkeep_check(struct hakd_realm *realm)
{
	uv_timer_t *timer = &realm->upkeep.timer;
	uint64_t period = hakd_config_keep_ms(&realm->config) / TICKS;

	fill(realm);
	if (is_at_rest(realm) || uv_is_active((uv_handle_t *)timer))
		return;
	if (period < TICK_MIN_MS)
		period = TICK_MIN_MS;
	realm->upkeep.decayed_at = uv_now(realm->loop);
	uv_timer_start(timer, on_tick, period, period);
}

/* What was kept, or filled, under a limit that has fallen since. */
static void punch_over_limit(struct hakd_realm *realm)
{
	uint32_t superslabs[2 * HAKD_WARM_MAX];

	if (hakd_pool_is_over_limit(realm->pool))
		punch(realm, superslabs, hakd_pool_take_over_limit(realm->pool, superslabs));
}

void hakd_upkeep_job_ended(struct hakd_realm *realm)
{
	struct hakd_job *job = realm->upkeep.waiting;

	realm->upkeep.waiting = NULL;
	while (job) {
		struct hakd_job *next = job->next;

		hakd_refill_try(job);
		job = next;
	}
	punch_over_limit(realm);
	hakd_upkeep_check(realm);
}

void hakd_upkeep_wait(struct hakd_job *job)
{
	struct hakd_job **last = &job->realm->upkeep.waiting;

	while (*last)
		last = &(*last)->next;
	*last = job;
	job->next = NULL;
	job->goes_on = true;
	job->client->is_busy = true;
	hakd_peer_busy(job->peer);
}

void hakd_upkeep_reload(struct hakd_realm *realm)
{
	uint32_t superslabs[2 * HAKD_WARM_MAX];

	punch_over_limit(realm);
	punch(realm, superslabs, hakd_pool_take_over_retain(realm->pool, superslabs));
	uv_timer_stop(&realm->upkeep.timer); /* its period is of the old keeping time */
	hakd_upkeep_check(realm);
}

void hakd_upkeep_init(struct hakd_realm *realm)
{
	uv_timer_init(realm->loop, &realm->upkeep.timer);
	realm->upkeep.timer.data = realm;
	hakd_upkeep_check(realm);
}
