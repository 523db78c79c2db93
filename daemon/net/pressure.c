/* SPDX-License-Identifier: MIT */
/*
 * Others may keep what one asks for: stock, caches, kept runs. They are asked by a word of the
 * registry, look at it when they next leave their caches, and a client that does nothing never
 * does. So a request waits for them, though not for long, and not every request does:
 *
 * | state    | a refill without room          | what ends it                                  |
 * |----------|--------------------------------|-----------------------------------------------|
 * | QUIET    | asks, and waits: WAITING       |                                               |
 * | WAITING  | waits along                    | after WAIT_MS, with those refused that still  |
 * |          |                                | find no room: DEAF                            |
 * | DEAF     | is refused at once             | a client gives something back: ANSWERED       |
 * | ANSWERED | waits, without asking: WAITING |                                               |
 *
 * From DEAF and ANSWERED it is QUIET when ASK_MS have passed since the asking. What is given back
 * while WAITING makes it ANSWERED afterwards; what only the one who asks has given back itself
 * does so for others alone. Asked for another reason than a request, it is ANSWERED: answers may
 * come.
 *
 * Refused at once in every state are those that can do without (a run that is to be longer, what
 * is asked for ahead of need), those that ask for more than the limit, and one beside whom no
 * connected client has anything: what it keeps itself it need not be asked for.
 */
#include "daemon/net/pressure.h"

#include "daemon/mem/hints.h"
#include "daemon/net/upkeep.h"
#include "daemon/util/log.h"

#define ASK_MS	UINT64_C(1000)
#define WAIT_MS UINT64_C(200)

/* Who gave something back since the last wait began: a holder's slot, or these. */
enum { NOBODY = -1, SEVERAL = -2 };

static void on_time(uv_timer_t *timer)
{
	hakd_upkeep_job_ended(timer->data);
}

void hakd_pressure_init(struct hakd_realm *realm)
{
	struct hakd_pressure *p = &realm->pressure;

	uv_timer_init(realm->loop, &p->timer);
	p->timer.data = realm;
	p->came_from = NOBODY;
}

static bool is_waiting(const struct hakd_pressure *p)
{
	return uv_is_active((const uv_handle_t *)&p->timer);
}

static bool is_quiet(struct hakd_realm *realm)
{
	const struct hakd_pressure *p = &realm->pressure;

	return !p->has_asked || uv_now(realm->loop) - p->asked_at >= ASK_MS;
}

static bool is_answered(const struct hakd_pressure *p, const struct hakd_client *client)
{
	return p->came_from != NOBODY && p->came_from != (int)client->holder;
}

void hakd_pressure_ask(struct hakd_realm *realm)
{
	struct hakd_pressure *p = &realm->pressure;

	if (!is_quiet(realm))
		return;
	p->has_asked = true;
	p->asked_at = uv_now(realm->loop);
	p->came_from = SEVERAL;
	realm->daemon->counters.pressure_asked++;
	hakd_hints_ask(realm->pool);
	hakd_log(HAKD_LOG_DEBUG, "clients are asked for what they keep without need");
}

void hakd_pressure_note(struct hakd_realm *realm, const struct hakd_client *client)
{
	struct hakd_pressure *p = &realm->pressure;
	int from = client ? (int)client->holder : SEVERAL;

	p->came_from = p->came_from == NOBODY || p->came_from == from ? from : SEVERAL;
}

static bool can_answer(const struct hakd_client *client)
{
	return client && client->peer && !client->is_leaving;
}

/* Has anybody else who can be asked anything at all? */
static bool others_have(const struct hakd_realm *realm, const struct hakd_client *client)
{
	const struct hakd_pool *pool = realm->pool;
	uint32_t n = realm->n_clients > 1 ? pool->segment.geometry.n_superslabs : 0;

	for (uint32_t i = 0; i < n; i++) {
		uint64_t s = hak_load_relaxed(&pool->superslabs[i]); /* the loop's own store */

		if (hak_superslab_state(s) == HAK_SUPERSLAB_GRANTED &&
		    hak_superslab_owner(s) != client->holder &&
		    can_answer(realm->clients[hak_superslab_owner(s)]))
			return true;
	}
	return false;
}

static bool may_wait(const struct hakd_job *job)
{
	const struct hakd_pool *pool = job->realm->pool;
	uint64_t n = job->refill.huge ? job->refill.count : 1;

	return !job->refill.extends && !job->refill.is_ahead &&
	       n <= pool->limit >> pool->segment.geometry.superslab_lg &&
	       others_have(job->realm, job->client);
}

bool hakd_pressure_wait(struct hakd_job *job)
{
	struct hakd_pressure *p = &job->realm->pressure;

	if (job->refill.has_waited ? !is_waiting(p) : !may_wait(job))
		return false;
	if (!is_waiting(p)) {
		hakd_pressure_ask(job->realm);
		if (!is_answered(p, job->client))
			return false;
		p->came_from = NOBODY;
		uv_timer_start(&p->timer, on_time, WAIT_MS, 0);
	}
	job->realm->daemon->counters.pressure_waits += !job->refill.has_waited;
	job->refill.has_waited = true;
	hakd_upkeep_wait(job);
	return true;
}
