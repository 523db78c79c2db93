/* SPDX-License-Identifier: MIT */
/*
 * Slabs of living owners change under the scan, and those of the dead are
 * collected beside it. So each step is a crossing: what is collected
 * meanwhile gets no new meaning before the step has ended. docs/recovery.md says
 * why a slab that is taken apart during a step is left alone all the same.
 */
#include "daemon/reclaim/scan.h"

#include <stdlib.h>

#include "daemon/net/job.h"
#include "proto/shm/crossing.h"

#define STEP 256u /* SuperSlabs a job */

static void scan_superslab(struct hakd_job *job, uint32_t at)
{
	const struct hak_segment *segment = &job->realm->pool->segment;
	uint32_t per = segment->geometry.slots_per_superslab;
	struct hakd_scan *scan = &job->realm->scan;
	/*
	 * [order:registry] What was prepared before it was granted is visible. One that is free
	 * here is granted to somebody who lives, later: there is nothing in it of the dead.
	 */
	uint64_t s = hak_load_acquire(&segment->superslabs[at]);

	/* The head's slots, of a run too: what a span covers is stepped over, and is its. */
	if (hak_superslab_state(s) != HAK_SUPERSLAB_FREE &&
	    hak_superslab_state(s) != HAK_SUPERSLAB_BODY)
		hak_scan_held(segment, at * per, (at + hak_superslab_length(s)) * per, &scan->dead,
			      scan->were_killed, &scan->found);
}

static void run_step(struct hakd_job *job)
{
	struct hakd_scan *scan = &job->realm->scan;
	uint32_t total = job->realm->pool->segment.geometry.n_superslabs;
	uint32_t end = total - scan->next > STEP ? scan->next + STEP : total;

	hak_crossing_begin(&scan->crossing);
	for (; scan->next < end; scan->next++)
		scan_superslab(job, scan->next);
	hak_crossing_end(&scan->crossing);
}

/* The next pass, for all who wait. */
static void begin(struct hakd_scan *scan)
{
	scan->served = scan->waiting;
	scan->waiting = NULL;
	scan->next = 0;
	scan->found = (struct hak_scan){.n_freed = 0};
	scan->dead = (struct hak_holder_set){.words = {0}};
	scan->were_killed = false;
	for (const struct hakd_job *job = scan->served; job; job = job->next) {
		hak_holder_set_add(&scan->dead, job->client->holder);
		scan->were_killed |= !job->client->has_detached;
	}
	hakd_job_start(scan->pass);
}

static void end_step(struct hakd_job *pass)
{
	struct hakd_realm *realm = pass->realm;
	struct hakd_scan *scan = &realm->scan;
	struct hakd_job *job = scan->served;

	if (scan->next < realm->pool->segment.geometry.n_superslabs) {
		hakd_job_start(pass);
		return;
	}
	realm->daemon->counters.scan_passes++;
	realm->daemon->counters.scan_freed += scan->found.n_freed;
	if (scan->waiting)
		begin(scan);
	else
		scan->pass = NULL;
	while (job) {
		struct hakd_job *next = job->next;

		hakd_job_go_on(job, job->passed);
		job = next;
	}
}

void hakd_scan_for(struct hakd_job *job, void (*done)(struct hakd_job *job))
{
	struct hakd_scan *scan = &job->realm->scan;

	job->passed = done;
	job->goes_on = true;
	job->next = scan->waiting;
	scan->waiting = job;
	if (scan->pass)
		return;
	scan->pass = hakd_job_new(job->realm, NULL, NULL, 0);
	if (!scan->pass)
		abort(); /* as in collect.c */
	scan->pass->run = run_step;
	scan->pass->end = end_step;
	begin(scan);
}
