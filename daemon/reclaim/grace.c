/* SPDX-License-Identifier: MIT */
/*
 * A grace remembers the counters that were odd, and forgets each as it moves or
 * its client goes. One that gets odd again has ended a crossing in between.
 *
 * Where there is no memory to remember them, or where they are more than crossings can be, it
 * begins anew at the next look: later is right too.
 *
 * All jobs that wait share one grace, those that came after it had begun the next one. A client
 * can leave all its counters odd, and give back its SuperSlabs one by one: a grace for each
 * would be as much memory, and time, as it wants.
 */
#include "daemon/reclaim/grace.h"

#include <stdlib.h>

#include "daemon/net/job.h"
#include "daemon/net/upkeep.h"

/* When the counters are looked at again: soon, then ever more rarely. */
#define PERIOD_FIRST_MS 1u
#define PERIOD_MOST_MS	100u

#define CROSSINGS_MAX 65536u /* that a grace remembers */

static bool remember(struct hakd_grace *grace, struct hakd_crossing crossing)
{
	struct hakd_crossing *more;
	uint32_t room = grace->room ? 2 * grace->room : 8;

	if (grace->n == CROSSINGS_MAX)
		return false;
	if (grace->n == grace->room) {
		more = realloc(grace->crossings, room * sizeof(*more));
		if (!more)
			return false;
		grace->crossings = more;
		grace->room = room;
	}
	grace->crossings[grace->n++] = crossing;
	return true;
}

static bool note_counter(struct hakd_grace *grace, const hak_u64 *counter, unsigned holder,
			 uint32_t generation)
{
	/* [order:crossing] Behind the fence: even, or it sees what we changed before. */
	uint64_t count = hak_crossing_load(counter);

	return count % 2 == 0 ||
	       remember(grace, (struct hakd_crossing){counter, count, generation, holder});
}

/* Relaxed below: holders' words are the loop's own stores; the fence orders n_crossings. */
static bool note_client(struct hakd_grace *grace, const struct hak_segment *segment,
			unsigned holder)
{
	uint64_t word = hak_load_relaxed(&segment->holders[holder].word);
	struct hak_client_area *area = &segment->areas[holder];
	uint64_t n;

	if (hak_holder_state(word) != HAK_HOLDER_ATTACHED)
		return true;
	n = hak_load_relaxed(&area->n_crossings);
	if (n > HAK_CROSSINGS) /* a client's word */
		n = HAK_CROSSINGS;
	for (uint32_t thread = 1; thread <= n; thread++)
		if (!note_counter(grace, hak_crossing_of(area, thread), holder,
				  hak_holder_generation(word)))
			return false;
	return true;
}

void hakd_grace_begin(struct hakd_grace *grace, const struct hakd_crossers *crossers)
{
	bool is_noted;

	grace->n = 0;
	hak_crossing_begin_grace(); /* [order:crossing] */
	is_noted = note_counter(grace, crossers->own, HAK_HOLDER_NONE, 0);
	for (unsigned i = HAK_HOLDER_FIRST; i < crossers->n_holders && is_noted; i++)
		is_noted = note_client(grace, crossers->segment, i);
	grace->has_begun = is_noted;
}

static bool is_under_way(const struct hakd_crossing *crossing, const struct hak_segment *segment)
{
	uint64_t word = hak_load_relaxed(&segment->holders[crossing->holder].word);

	if (crossing->holder != HAK_HOLDER_NONE &&
	    word != hak_holder_pack(HAK_HOLDER_ATTACHED, crossing->generation))
		return false;
	/* [order:crossing] What was done in it is visible if it has ended. */
	return hak_crossing_load(crossing->counter) == crossing->count;
}

void hakd_grace_end(struct hakd_grace *grace)
{
	free(grace->crossings);
	*grace = (struct hakd_grace){.has_begun = false};
}

bool hakd_grace_is_over(struct hakd_grace *grace, const struct hakd_crossers *crossers)
{
	if (!grace->has_begun)
		hakd_grace_begin(grace, crossers);
	for (uint32_t i = grace->n; i-- > 0;)
		if (!is_under_way(&grace->crossings[i], crossers->segment))
			grace->crossings[i] = grace->crossings[--grace->n];
	if (!grace->has_begun || grace->n > 0)
		return false;
	hakd_grace_end(grace);
	return true;
}

struct hakd_crossers hakd_graces_crossers(const struct hakd_realm *realm)
{
	return (struct hakd_crossers){&realm->pool->segment, realm->n_holders,
				      &realm->scan.crossing};
}

/* All whose grace is over; the next one is begun for who has come since this one began. */
static struct hakd_job *take_passed(struct hakd_realm *realm)
{
	struct hakd_graces *graces = &realm->graces;
	struct hakd_crossers crossers = hakd_graces_crossers(realm);
	struct hakd_job *passed = NULL;

	while (graces->served && hakd_grace_is_over(&graces->grace, &crossers)) {
		while (graces->served) {
			struct hakd_job *job = graces->served;

			graces->served = job->next;
			job->next = passed;
			passed = job;
		}
		graces->served = graces->waiting;
		graces->waiting = NULL;
		if (graces->served)
			hakd_grace_begin(&graces->grace, &crossers);
	}
	return passed;
}

static void on_tick(uv_timer_t *timer)
{
	struct hakd_realm *realm = timer->data;
	struct hakd_graces *graces = &realm->graces;
	struct hakd_job *passed = take_passed(realm);

	graces->period = graces->period * 2 < PERIOD_MOST_MS ? graces->period * 2 : PERIOD_MOST_MS;
	if (graces->served)
		uv_timer_start(timer, on_tick, graces->period, 0);
	while (passed) {
		struct hakd_job *job = passed;

		passed = job->next;
		hakd_job_go_on(job, job->passed);
	}
	/* Who waits for this memory, and has waited long enough. */
	hakd_upkeep_job_ended(realm);
}

bool hakd_graces_pass(struct hakd_job *job, void (*passed)(struct hakd_job *job))
{
	struct hakd_graces *graces = &job->realm->graces;
	struct hakd_crossers crossers = hakd_graces_crossers(job->realm);
	struct hakd_job **list = graces->served ? &graces->waiting : &graces->served;

	if (!graces->served) {
		hakd_grace_begin(&graces->grace, &crossers);
		if (hakd_grace_is_over(&graces->grace, &crossers))
			return true;
	}
	job->realm->daemon->counters.graces_waited++;
	job->passed = passed;
	job->goes_on = true;
	job->next = *list;
	*list = job;
	graces->period = PERIOD_FIRST_MS;
	uv_timer_start(&graces->timer, on_tick, graces->period, 0);
	return false;
}

void hakd_graces_init(struct hakd_realm *realm)
{
	uv_timer_init(realm->loop, &realm->graces.timer);
	realm->graces.timer.data = realm;
}
