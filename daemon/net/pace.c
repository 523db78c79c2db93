/* SPDX-License-Identifier: MIT */
/*
 * Strangers, peers that have not said hello, are a list in the order in which they came; a timer looks at the
 * first while there are any. When there are too many the first goes: whoever means it has said
 * hello in the moment in which it connected.
 *
 * Each peer has a bucket of requests that fills with time. One whose bucket is empty is paused: a
 * second list, which a timer lets go on after a moment.
 */
#include "daemon/net/pace.h"

#define STRANGERS_MAX 256u
#define LOOK_MS	      UINT64_C(1000)
#define PAUSE_MS      UINT64_C(10)
#define BURST_MS      UINT64_C(100) /* a bucket holds what comes in this time, and a request at least */
#define REQUEST	      UINT64_C(1000) /* in a bucket */

static void append(struct hakd_peer **first, struct hakd_peer *peer)
{
	struct hakd_peer *last = *first ? (*first)->pace.prev : peer;

	/* A ring, whose first one's prev is the last. */
	peer->pace.next = NULL;
	peer->pace.prev = last;
	if (*first) {
		last->pace.next = peer;
		(*first)->pace.prev = peer;
	} else {
		*first = peer;
		peer->pace.prev = peer;
	}
	peer->pace.list = first;
}

static void take_off(struct hakd_peer *peer)
{
	struct hakd_peer **first = peer->pace.list, *next = peer->pace.next;

	if (!first)
		return;
	if (*first == peer) {
		*first = next;
		if (next)
			next->pace.prev = peer->pace.prev;
	} else {
		peer->pace.prev->pace.next = next;
		(next ? next : *first)->pace.prev = peer->pace.prev;
	}
	peer->pace.list = NULL;
	peer->pace.next = peer->pace.prev = NULL;
}

static void send_off(struct hakd_peer *peer, const char *reason)
{
	peer->daemon->counters.strangers_cut_off++;
	hakd_peer_close(peer, reason);
}

static void on_look(uv_timer_t *timer)
{
	struct hakd_daemon *daemon = timer->data;
	struct hakd_paces *paces = &daemon->paces;
	uint64_t now = uv_now(&daemon->loop), most = daemon->config.hello_timeout * UINT64_C(1000);

	while (paces->strangers && now - paces->strangers->pace.since >= most)
		send_off(paces->strangers, "has not said hello in time");
	if (!paces->strangers)
		uv_timer_stop(timer);
}

static void on_pause_over(uv_timer_t *timer)
{
	struct hakd_daemon *daemon = timer->data;

	while (daemon->paces.paused) {
		struct hakd_peer *peer = daemon->paces.paused;

		take_off(peer);
		hakd_peer_go_on(peer);
	}
}

static uint64_t whole_bucket(const struct hakd_daemon *daemon)
{
	uint64_t burst = daemon->config.requests_per_second * BURST_MS;

	return burst > REQUEST ? burst : REQUEST;
}

void hakd_pace_init(struct hakd_daemon *daemon)
{
	uv_timer_init(&daemon->loop, &daemon->paces.look);
	uv_timer_init(&daemon->loop, &daemon->paces.pause);
	daemon->paces.look.data = daemon->paces.pause.data = daemon;
}

void hakd_pace_begin(struct hakd_peer *peer)
{
	struct hakd_daemon *daemon = peer->daemon;
	struct hakd_paces *paces = &daemon->paces;

	if (paces->n_strangers == STRANGERS_MAX)
		send_off(paces->strangers, "too many have not said hello");
	peer->pace.since = peer->pace.filled_at = uv_now(&daemon->loop);
	peer->pace.bucket = whole_bucket(daemon);
	append(&paces->strangers, peer);
	paces->n_strangers++;
	if (daemon->config.hello_timeout > 0 && !uv_is_active((uv_handle_t *)&paces->look))
		uv_timer_start(&paces->look, on_look, LOOK_MS, LOOK_MS);
}

void hakd_pace_welcome(struct hakd_peer *peer)
{
	hakd_pace_end(peer);
}

void hakd_pace_end(struct hakd_peer *peer)
{
	struct hakd_paces *paces = &peer->daemon->paces;

	paces->n_strangers -= peer->pace.list == &paces->strangers;
	take_off(peer);
}

bool hakd_pace_may_ask(struct hakd_peer *peer)
{
	struct hakd_daemon *daemon = peer->daemon;
	uint64_t rate = daemon->config.requests_per_second, now = uv_now(&daemon->loop);
	uint64_t most = whole_bucket(daemon);

	if (rate == 0 || !peer->has_said_hello)
		return true;
	peer->pace.bucket += (now - peer->pace.filled_at) * rate;
	peer->pace.filled_at = now;
	if (peer->pace.bucket > most)
		peer->pace.bucket = most;
	if (peer->pace.bucket >= REQUEST) {
		peer->pace.bucket -= REQUEST;
		return true;
	}
	daemon->counters.pauses++;
	hakd_peer_pause(peer);
	append(&daemon->paces.paused, peer);
	if (!uv_is_active((uv_handle_t *)&daemon->paces.pause))
		uv_timer_start(&daemon->paces.pause, on_pause_over, PAUSE_MS, 0);
	return false;
}
