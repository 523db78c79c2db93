/* SPDX-License-Identifier: MIT */
/*
 * A timer looks at the hints, which costs a load an orphan; a job looks at the
 * slabs of those that have any, and of new ones. While it does they are busy,
 * and nobody else touches their words. What has become empty leaves the list and
 * is collected like what is given back.
 *
 * One grace at a time serves all that have changed before it began.
 */
#include "daemon/reclaim/orphan.h"

#include <stdlib.h>

#include "daemon/net/job.h"
#include "daemon/net/upkeep.h"
#include "daemon/reclaim/collect.h"

#define PERIOD_MS 50u
#define STEP	  64u /* orphans a job */

void hakd_orphans_init(struct hakd_realm *realm)
{
	uv_timer_init(realm->loop, &realm->orphans.timer);
	realm->orphans.timer.data = realm;
}

void hakd_orphans_deinit(struct hakd_realm *realm)
{
	hakd_grace_end(&realm->orphans.grace);
	free(realm->orphans.list);
}

/* Relaxed: the loop's own store. */
static uint64_t registry_word(const struct hakd_realm *realm, uint32_t head)
{
	return hak_load_relaxed(&realm->pool->superslabs[head]);
}

/* The grace is over. */
static void end_grace(struct hakd_orphans *orphans)
{
	orphans->is_in_grace = false;
	for (uint32_t i = 0; i < orphans->n; i++)
		if (orphans->list[i].state == HAKD_ORPHAN_IN_GRACE)
			orphans->list[i].state = HAKD_ORPHAN_SETTLED;
}

/* Ends a grace that is over, begins the next one. Busy ones may change meanwhile: end_look knows. */
static void settle(struct hakd_realm *realm)
{
	struct hakd_orphans *orphans = &realm->orphans;
	struct hakd_crossers crossers = hakd_graces_crossers(realm);

	if (orphans->is_in_grace && !hakd_grace_is_over(&orphans->grace, &crossers))
		return;
	end_grace(orphans);
	for (uint32_t i = 0; i < orphans->n; i++) {
		if (orphans->list[i].state != HAKD_ORPHAN_CHANGED)
			continue;
		orphans->list[i].state = HAKD_ORPHAN_IN_GRACE;
		orphans->is_in_grace = true;
	}
	if (!orphans->is_in_grace)
		return;
	hakd_grace_begin(&orphans->grace, &crossers);
	if (hakd_grace_is_over(&orphans->grace, &crossers))
		end_grace(orphans);
}

static void run_look(struct hakd_job *job)
{
	struct hak_segment *segment = &job->realm->pool->segment;
	uint32_t per = segment->geometry.slots_per_superslab;

	for (uint32_t i = 0; i < job->n_runs; i++) {
		struct hakd_run *run = &job->runs[i];
		struct hak_scan found = {.n_heads = 0};

		hak_scan_orphan(segment, run->head * per, (run->head + run->n) * per, &found);
		run->survives = found.n_heads > 0;
		run->has_room = found.n_vacant > 0;
		run->has_changed = found.has_changed;
	}
}

/* Those without a block leave the list; the job keeps them. */
static void end_look(struct hakd_job *job)
{
	struct hakd_realm *realm = job->realm;
	struct hakd_orphans *orphans = &realm->orphans;
	uint32_t n = 0;

	/* Busy ones are there still, and in the same order. */
	for (uint32_t i = 0, run = 0, to = 0, end = orphans->n; i < end; i++) {
		struct hakd_orphan orphan = orphans->list[i];

		if (orphan.is_busy) {
			struct hakd_run looked = job->runs[run++];

			orphan.is_busy = orphan.is_new = false;
			orphan.has_room = looked.has_room;
			if (looked.has_changed)
				orphan.state = HAKD_ORPHAN_CHANGED;
			if (!looked.survives) {
				looked.keep = hakd_pool_begin_collect(realm->pool, looked.head,
								      looked.n);
				job->runs[n++] = looked;
				orphans->n--;
				continue;
			}
		}
		orphans->list[to++] = orphan;
	}
	orphans->is_looking = false;
	job->n_runs = n;
	settle(realm);
	if (n > 0)
		hakd_collect_runs(job);
}

static bool is_due(const struct hakd_realm *realm, const struct hakd_orphan *orphan, uint32_t n)
{
	const hak_u32 *pending = &realm->pool->segment.pending[orphan->head];

	if (orphan->is_new)
		return true;
	for (uint32_t i = 0; i < n; i++)
		if (hak_load_relaxed(&pending[i])) /* the look takes it, and acquires */
			return true;
	return false;
}

static void look(struct hakd_realm *realm)
{
	struct hakd_orphans *orphans = &realm->orphans;
	struct hakd_job *job = NULL;

	for (uint32_t i = 0; i < orphans->n && !orphans->is_looking; i++) {
		struct hakd_orphan *orphan = &orphans->list[i];
		uint32_t n = hak_superslab_length(registry_word(realm, orphan->head));

		if (!is_due(realm, orphan, n))
			continue;
		if (!job)
			job = hakd_job_new(realm, NULL, NULL, STEP);
		if (!job || job->n_runs == STEP) /* at the next tick */
			break;
		orphan->is_busy = true;
		job->runs[job->n_runs++] = (struct hakd_run){.head = orphan->head, .n = n};
	}
	if (!job)
		return;
	orphans->is_looking = true;
	job->run = run_look;
	job->end = end_look;
	hakd_job_start(job);
}

static void on_tick(uv_timer_t *timer)
{
	struct hakd_realm *realm = timer->data;

	settle(realm);
	look(realm);
	if (realm->orphans.n == 0)
		uv_timer_stop(timer);
	hakd_upkeep_job_ended(realm); /* who waits for room: one may have been settled */
}

void hakd_orphans_add(struct hakd_realm *realm, uint32_t head)
{
	struct hakd_orphans *orphans = &realm->orphans;

	if (orphans->n == orphans->room) {
		orphans->room = orphans->room ? 2 * orphans->room : 64;
		orphans->list = realloc(orphans->list, orphans->room * sizeof(orphans->list[0]));
		if (!orphans->list)
			abort(); /* a few KiB: as in collect.c */
	}
	orphans->list[orphans->n++] = (struct hakd_orphan){.head = head, .is_new = true};
	if (!uv_is_active((uv_handle_t *)&orphans->timer))
		uv_timer_start(&orphans->timer, on_tick, 0, PERIOD_MS);
}

bool hakd_orphans_are_unsettled(const struct hakd_realm *realm)
{
	const struct hakd_orphans *orphans = &realm->orphans;

	for (uint32_t i = 0; i < orphans->n; i++) {
		const struct hakd_orphan *orphan = &orphans->list[i];
		uint64_t s = registry_word(realm, orphan->head);

		if (orphan->is_busy || is_due(realm, orphan, hak_superslab_length(s)) ||
		    (orphan->has_room && orphan->state != HAKD_ORPHAN_SETTLED &&
		     !hak_superslab_is_huge(s)))
			return true;
	}
	return false;
}

uint32_t hakd_orphans_take(struct hakd_realm *realm, uint32_t n, unsigned holder,
			   uint32_t *superslabs)
{
	const struct hak_segment *segment = &realm->pool->segment;
	uint32_t per = segment->geometry.slots_per_superslab;
	struct hakd_orphans *orphans = &realm->orphans;
	uint32_t got = 0, to = 0, end = orphans->n;

	if (end == 0)
		return 0;
	settle(realm);
	for (uint32_t i = 0; i < end; i++) {
		const struct hakd_orphan orphan = orphans->list[i];

		if (got == n || orphan.state != HAKD_ORPHAN_SETTLED || orphan.is_busy ||
		    !orphan.has_room || hak_superslab_is_huge(registry_word(realm, orphan.head))) {
			orphans->list[to++] = orphan;
			continue;
		}
		hakd_pool_name_heir(realm->pool, orphan.head, holder);
		hak_scan_inherit(segment, orphan.head * per, (orphan.head + 1) * per, holder);
		superslabs[got++] = orphan.head;
	}
	orphans->n = to;
	return got;
}
