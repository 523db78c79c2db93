/* SPDX-License-Identifier: MIT */
/*
 * Memory from the daemon and back to it, over a connection that may break at any time.
 *
 * What the registry says is granted to us and we don't know is no loss, it is what a welcome
 * makes us look for: a grant whose answer got lost, an orphan that we inherited, what we gave back
 * to a daemon that died before it took it. Single SuperSlabs are taken in by their slab words; of
 * those that nobody has cut, or that we have given back, all slots are unused. Runs go back.
 *
 * Who gives back forgets first, then tells, and only over the connection that it was up by when it
 * forgot. So nothing is told that a look in between has found again.
 */
#include <errno.h>
#include <string.h>

#include "client_lib/log.h"
#include "client_lib/probe.h"
#include "client_lib/session.h"
#include "proto/error.h"

int64_t hakc_session_deadline(const struct hakc_heap *heap)
{
	return hakc_link_now() + (int64_t)heap->link.timeout_ms * 1000;
}

static unsigned left_ms(int64_t deadline)
{
	int64_t left = deadline - hakc_link_now();

	return left > 0 ? (unsigned)((left + 999) / 1000) : 0;
}

static bool is_up(const struct hakc_heap *heap)
{
	return heap->link.state == HAKC_LINK_UP;
}

/* A run that we have without knowing it, or that is longer than we know. */
static void note_late(struct hakc_heap *heap, uint32_t head)
{
	if (heap->n_late < HAKC_LATE_MAX)
		heap->late[heap->n_late++] = head;
}

/* The word of a SuperSlab that is granted to us; 0: it is not. */
static uint64_t granted(const struct hakc_heap *heap, uint32_t index)
{
	/* Relaxed: the daemon has written it before it sent what we have received. */
	uint64_t s = hak_load_relaxed(&heap->segment.superslabs[index]);

	return hak_superslab_state(s) == HAK_SUPERSLAB_GRANTED &&
			       hak_superslab_owner(s) == heap->holder
		       ? s
		       : 0;
}

/* After a welcome: what do we have? A run that is being extended is asked about again. */
static void find_granted(struct hakc_heap *heap)
{
	heap->n_late = 0;
	for (uint32_t i = 0; i < heap->segment.geometry.n_superslabs; i++) {
		const struct hakc_superslab *known = &heap->superslabs[i];
		uint64_t s = granted(heap, i);

		if (s == 0)
			continue;
		if (!hak_superslab_is_huge(s) && known->position == 0)
			hakc_heap_inherit(heap, &i, 1);
		else if (hak_superslab_is_huge(s) && heap->extended != i + 1 &&
			 (known->position == 0 || hak_superslab_length(s) > known->n))
			note_late(heap, i);
	}
}

/* After the link went on: what was under way is not any more, or is an answer that we find. */
static void notice(struct hakc_heap *heap)
{
	if (!is_up(heap) || heap->link.is_fresh)
		heap->is_asked = false;
	if (!heap->link.is_fresh)
		return;
	heap->link.is_fresh = false;
	find_granted(heap);
}

/* The result of using the connection; -ENOTCONN: it is gone, whether it was done isn't known. */
static int judge(struct hakc_heap *heap, int r)
{
	if (r == 0 || r == -ETIMEDOUT)
		return r;
	hakc_link_lose(&heap->link);
	notice(heap);
	return r == -EPROTO ? -ENOTCONN : r;
}

static void return_late(struct hakc_heap *heap)
{
	uint32_t late[HAKC_LATE_MAX], n = heap->n_late;

	memcpy(late, heap->late, n * sizeof(late[0]));
	heap->n_late = 0;
	for (uint32_t i = 0; i < n && is_up(heap); i++) {
		const struct hakc_superslab *known = &heap->superslabs[late[i]];
		uint64_t s = granted(heap, late[i]);

		if (s != 0 && known->position == 0)
			hakc_session_giveback(heap, &late[i], 1);
		else if (s != 0 && known->is_huge && hak_superslab_length(s) > known->n)
			hakc_session_giveback_end(heap, late[i], known->n);
	}
}

bool hakc_session_is_up(struct hakc_heap *heap)
{
	(void)hakc_link_try(&heap->link);
	notice(heap);
	return is_up(heap);
}

int hakc_session_reach_until(struct hakc_heap *heap, int64_t deadline)
{
	int r;

	do { /* late ones first: what is asked for may need their room */
		r = hakc_link_wait(&heap->link, deadline);
		notice(heap);
		if (r == 0)
			return_late(heap);
	} while (r == 0 && !is_up(heap));
	return r;
}

int hakc_session_reach(struct hakc_heap *heap)
{
	return hakc_session_reach_until(heap, hakc_session_deadline(heap));
}

/* Takes the numbers of a grant; false: it is nonsense. */
static bool read_grant(const struct hakc_heap *heap, const Hak__Reply *reply, uint32_t room,
		       uint32_t *superslabs, uint32_t *ret_n)
{
	const Hak__Grant *grant = reply->grant;

	if (reply->body_case != HAK__REPLY__BODY_GRANT || grant->n_superslabs == 0 ||
	    grant->n_superslabs > room)
		return false;
	for (size_t i = 0; i < grant->n_superslabs; i++) {
		if (grant->superslabs[i] >= heap->segment.geometry.n_superslabs)
			return false;
		superslabs[i] = grant->superslabs[i];
	}
	*ret_n = (uint32_t)grant->n_superslabs;
	return true;
}

/*
 * A reply that nobody waits for. The refill that was asked for ahead: ours from
 * now on. A run that came after we gave up waiting: to be given back, though
 * not from in here. A longer run likewise: nothing, it goes back with the run.
 */
static void take_late(void *context, const Hak__Reply *reply)
{
	struct hakc_heap *heap = context;
	uint32_t superslabs[HAKC_REFILL_MAX], n;

	if (reply->id == heap->asked_id)
		heap->is_asked = false;
	if (!read_grant(heap, reply, HAKC_REFILL_MAX, superslabs, &n) || reply->grant->length)
		return;
	if (reply->grant->inherited) {
		hakc_heap_inherit(heap, superslabs, n);
		hakc_count(heap, HAK_STAT_INHERITED, n);
	} else if (reply->id == heap->asked_id) {
		hakc_heap_own(heap, superslabs, n, reply->grant->zeroed);
	} else {
		note_late(heap, superslabs[0]);
	}
}

/* Asks over the connection that there is, and waits. */
static int exchange(struct hakc_heap *heap, Hak__Request *request, int64_t deadline,
		    Hak__Reply **ret_reply)
{
	if (!is_up(heap))
		return -ENOTCONN;
	heap->link.conn.timeout_ms = left_ms(deadline);
	return judge(heap, hakc_conn_call(&heap->link.conn, request, ret_reply, NULL, NULL,
					  take_late, heap));
}

int hakc_session_call(struct hakc_heap *heap, Hak__Request *request, int64_t deadline,
		      Hak__Reply **ret_reply)
{
	int r = hakc_session_reach_until(heap, deadline);

	if (r < 0)
		return r;
	r = exchange(heap, request, deadline, ret_reply);
	return_late(heap);
	return r;
}

void hakc_session_bye(struct hakc_heap *heap)
{
	Hak__Request request = HAK__REQUEST__INIT;
	Hak__Bye bye = HAK__BYE__INIT;
	Hak__Reply *reply;

	request.body_case = HAK__REQUEST__BODY_BYE;
	request.bye = &bye;
	if (exchange(heap, &request, hakc_session_deadline(heap), &reply) == 0)
		hak__reply__free_unpacked(reply, NULL);
}

static void count_wait(struct hakc_heap *heap, uint32_t n, int64_t us)
{
	static const int64_t limits[] = {100, 1000, 10000, 100000};
	unsigned i = 0;

	while (i < sizeof(limits) / sizeof(limits[0]) && us > limits[i])
		i++;
	HAKC_PROBE(refill_wait, n, us);
	hakc_count(heap, HAK_STAT_WAITS, 1);
	hakc_count(heap, (enum hak_stat)(HAK_STAT_WAITS_100US + i), 1);
}

/* Sends a refill whose answer is taken in by take_late. */
static int ask(struct hakc_heap *heap, uint32_t n, bool ahead, int64_t deadline)
{
	Hak__Request request = HAK__REQUEST__INIT;
	Hak__Refill refill = HAK__REFILL__INIT;
	int r;

	refill.count = n;
	refill.ahead = ahead;
	request.body_case = HAK__REQUEST__BODY_REFILL;
	request.refill = &refill;
	hakc_count(heap, HAK_STAT_STAGE_3, 1);
	heap->link.conn.timeout_ms = left_ms(deadline);
	r = judge(heap, hakc_conn_send(&heap->link.conn, &request));
	heap->asked_id = request.id;
	heap->is_asked = r == 0;
	return r;
}

/* Takes in one reply, if it comes in time; 0, an error of the daemon's, or of receiving. */
static int take_reply(struct hakc_heap *heap, int64_t deadline)
{
	Hak__Reply *reply;
	int r = judge(heap, hakc_conn_receive(&heap->link.conn, left_ms(deadline), &reply));

	if (r < 0)
		return r;
	take_late(heap, reply);
	if (reply->id == heap->asked_id && reply->error)
		r = -hak_error_errno(reply->error);
	hak__reply__free_unpacked(reply, NULL);
	return r;
}

static int await(struct hakc_heap *heap, int64_t deadline)
{
	int r = 0;

	while (heap->is_asked && r == 0)
		r = take_reply(heap, deadline);
	return r;
}

/*
 * Once, over the connection that there is; -ENOTCONN: it is gone. What was asked ahead comes
 * first, but that it was refused means nothing: nobody was asked to give something back for it.
 */
static int refill(struct hakc_heap *heap, uint32_t n, int64_t deadline)
{
	int r = heap->is_asked ? await(heap, deadline) : -ENOMEM;

	if (r != -ENOMEM)
		return r;
	r = ask(heap, n, false, deadline);
	return r == 0 ? await(heap, deadline) : r;
}

void hakc_session_take_ahead(struct hakc_heap *heap, bool waits)
{
	int64_t until = waits ? hakc_session_deadline(heap) : hakc_link_now();

	while (heap->is_asked && take_reply(heap, until) == 0)
		;
}

int hakc_session_refill(struct hakc_heap *heap, uint32_t n)
{
	int64_t start = hakc_link_now(), deadline = hakc_session_deadline(heap);
	uint32_t before = heap->n_owned;
	int r;

	hakc_session_take_ahead(heap, false);
	if (heap->n_owned > before)
		return 0;
	do { /* over one connection after another; a welcome may bring what we want */
		r = hakc_session_reach_until(heap, deadline);
		if (r < 0 || heap->n_owned > before)
			break;
		r = refill(heap, n, deadline);
	} while (r == -ENOTCONN && heap->n_owned <= before);
	count_wait(heap, n, hakc_link_now() - start);
	if (heap->n_owned > before)
		return 0;
	return r < 0 ? r : -EPROTO;
}

void hakc_session_ask_ahead(struct hakc_heap *heap, uint32_t n)
{
	if (!heap->is_asked && hakc_session_is_up(heap) && ask(heap, n, true, 0) == 0)
		hakc_count(heap, HAK_STAT_AHEAD, 1);
}

/*
 * Asks for a run, new or longer; 0 and what is granted, its first SuperSlab; a negative errno.
 * When the answer is lost it asks again: a new run that was granted has gone back by then, and of
 * one that is so long already that is the answer.
 */
static int call_refill(struct hakc_heap *heap, Hak__Refill *refill, uint32_t *ret_head,
		       bool *ret_zeroed, uint32_t *ret_length)
{
	Hak__Request request = HAK__REQUEST__INIT;
	int64_t start = hakc_link_now(), deadline = hakc_session_deadline(heap);
	Hak__Reply *reply;
	uint32_t one;
	int r;

	request.body_case = HAK__REQUEST__BODY_REFILL;
	request.refill = refill;
	hakc_count(heap, HAK_STAT_STAGE_3, 1);
	do
		r = hakc_session_call(heap, &request, deadline, &reply);
	while (r == -ENOTCONN);
	count_wait(heap, refill->count, hakc_link_now() - start);
	if (r < 0)
		return r;
	if (reply->error) {
		r = -hak_error_errno(reply->error);
	} else if (!read_grant(heap, reply, 1, ret_head, &one)) {
		r = -EPROTO;
	} else {
		*ret_zeroed = reply->grant->zeroed;
		*ret_length = reply->grant->length;
	}
	hak__reply__free_unpacked(reply, NULL);
	return r;
}

int hakc_session_refill_huge(struct hakc_heap *heap, uint32_t n, uint64_t alignment,
			     uint32_t *ret_superslab, bool *ret_zeroed)
{
	Hak__Refill refill = HAK__REFILL__INIT;
	uint32_t length;

	refill.count = n;
	refill.huge = 1;
	refill.alignment = alignment;
	return call_refill(heap, &refill, ret_superslab, ret_zeroed, &length);
}

int hakc_session_extend(struct hakc_heap *heap, uint32_t head, uint32_t n)
{
	Hak__Refill refill = HAK__REFILL__INIT;
	uint32_t granted, length;
	bool zeroed;
	int r;

	refill.count = n;
	refill.huge = 1;
	refill.extends = heap->extended = head + 1;
	r = call_refill(heap, &refill, &granted, &zeroed, &length);
	heap->extended = 0;
	if (r < 0)
		return r;
	if (length == 0) { /* a daemon that can't extend runs takes it for the wish for a new one */
		hakc_session_giveback(heap, &granted, 1);
		return -ENOTSUP;
	}
	return granted == head && length >= n ? 0 : -EPROTO;
}

static void call_giveback(struct hakc_heap *heap, Hak__Giveback *giveback, uint32_t n)
{
	Hak__Request request = HAK__REQUEST__INIT;
	Hak__Reply *reply;

	request.body_case = HAK__REQUEST__BODY_GIVEBACK;
	request.giveback = giveback;
	if (exchange(heap, &request, hakc_session_deadline(heap), &reply) < 0)
		return;
	if (reply->error)
		hakc_log(HAKC_LOG_WARN, "the daemon did not take memory back: %s",
			 reply->reason ? reply->reason : hak_error_text(reply->error));
	else
		hakc_count(heap, HAK_STAT_RETURNS, n);
	hak__reply__free_unpacked(reply, NULL);
}

void hakc_session_giveback(struct hakc_heap *heap, const uint32_t *superslabs, uint32_t n)
{
	Hak__Giveback giveback = HAK__GIVEBACK__INIT;

	if (n == 0)
		return;
	giveback.n_superslabs = n;
	giveback.superslabs = (uint32_t *)(uintptr_t)superslabs;
	call_giveback(heap, &giveback, n);
}

void hakc_session_giveback_end(struct hakc_heap *heap, uint32_t head, uint32_t stay)
{
	Hak__Giveback giveback = HAK__GIVEBACK__INIT;
	uint32_t first = head + stay; /* a daemon that can't shorten runs refuses a body */

	giveback.n_superslabs = 1;
	giveback.superslabs = &first;
	giveback.shortens = head + 1;
	call_giveback(heap, &giveback, 1);
}
