/* SPDX-License-Identifier: MIT */
/*
 * Roots, the client's side: the daemon alone moves blocks to the pool and back, so that what
 * dies with us or with it is finished by the next one; lookups read its table themselves. Where it
 * dies before it answers, the table and the blocks' tags answer, as the next one leaves them.
 */
#include "client_lib/root.h"

#include <errno.h>
#include <string.h>

#include "client_lib/log.h"
#include "client_lib/session.h"
#include "client_lib/ticket.h"
#include "proto/error.h"
#include "proto/shm/roots.h"

/*
 * Asks the daemon, with the heap's lock held; 0 and its answer, or the error that it answered, or
 * one of hakc_session_call. -ENOTCONN: the answer is lost, and what can be seen now is how it ended.
 */
static int ask(struct hakc_heap *heap, Hak__Request *request, const char *what, const char *name,
	       int64_t deadline, Hak__Reply **ret_reply)
{
	Hak__Reply *reply;
	int r = hakc_session_call(heap, request, deadline, &reply);

	if (r == -ENOTCONN) { /* the next daemon finishes or undoes it before it welcomes anybody */
		int reached = hakc_session_reach_until(heap, deadline);

		r = reached < 0 ? reached : r;
	}
	if (r == 0 && reply->error) {
		hakc_log(HAKC_LOG_WARN, "the daemon did not %s root %s: %s", what, name,
			 reply->reason && *reply->reason ? reply->reason
							 : hak_error_text(reply->error));
		r = -hak_error_errno(reply->error);
		hak__reply__free_unpacked(reply, NULL);
	}
	if (r == 0)
		*ret_reply = reply;
	return r;
}

/* The tag of a ref's block; false: that is no block with a tag, or another one by now. */
static bool read_tag(const struct hakc_heap *heap, uint64_t ref, uint32_t *ret_tag)
{
	uint64_t offset = hak_ref_offset(ref);
	struct hak_location l;

	if (offset >= heap->segment.geometry.capacity)
		return false;
	l = hak_segment_locate_offset(&heap->segment, offset);
	if (l.place != HAK_PLACE_BLOCK || !(l.word & HAK_SLAB_TAGGED) ||
	    hak_slab_epoch(l.word) != hak_ref_epoch(ref))
		return false;
	*ret_tag = hak_tag_load(hakc_ticket_tag(heap, &l));
	return true;
}

/* Is that still the block's ref? */
static bool is_valid(const struct hakc_heap *heap, uint64_t ref)
{
	uint32_t tag;

	return read_tag(heap, ref, &tag) && hak_tag_inc(tag) == hak_ref_inc(ref) &&
	       (hak_tag_state(tag) == HAK_TAG_NONE || hak_tag_state(tag) == HAK_TAG_OWNED);
}

/* Is the block this process's, so that it may publish it by that ref? */
static bool may_publish(const struct hakc_heap *heap, uint64_t ref)
{
	struct hak_location l;

	if (!is_valid(heap, ref))
		return false;
	l = hak_segment_locate_offset(&heap->segment, hak_ref_offset(ref));
	return hakc_ticket_owner(heap, &l) == heap->holder;
}

/* Has this process the block since the move that made the ref? */
static bool is_ours_by(const struct hakc_heap *heap, uint64_t ref)
{
	uint32_t tag;

	return read_tag(heap, ref, &tag) &&
	       tag == hak_tag_pack(HAK_TAG_OWNED, heap->holder, hak_ref_inc(ref));
}

/* Has somebody taken the block by the ref, instead of ROOT? */
static bool is_taken(const struct hakc_heap *heap, uint64_t ref)
{
	uint64_t taken = hak_root_taken(ref);
	uint32_t tag;

	return is_valid(heap, taken) && read_tag(heap, taken, &tag) &&
	       hak_tag_holder(tag) != HAK_HOLDER_ROOT;
}

/* What a block's ref is after ROOT has had it and gave it back. */
static uint64_t given_back(uint64_t ref)
{
	return hak_root_taken(hak_root_taken(ref));
}

/*
 * The answer to a publication is lost, whose first block was ours before. Each move of a block adds
 * one to its inc, and the heap's lock keeps other threads of ours from publishing and
 * withdrawing, so its tag says what was done:
 *
 * | the first block              | what was done                | then                         |
 * |------------------------------|------------------------------|------------------------------|
 * | ours, the ref is valid       | nothing                      | ask again                    |
 * | ours, inc + 2                | undone: it wasn't whole, or  | ask again, by refs of now of |
 * |                              | somebody took one of them    | those that have moved        |
 * | another's, inc + 1           | not this: the ref was taken  | ask again, for the error     |
 * | ROOT's, or any other         | all; withdrawn since         | true                         |
 *
 * In the last row may be a block, too, that somebody took by its ref and has passed on or freed
 * since: as if it had been published and withdrawn, it is somebody else's.
 */
static bool is_published(const struct hakc_heap *heap, uint64_t *refs, size_t n)
{
	if (is_valid(heap, refs[0]) || is_taken(heap, refs[0]))
		return false;
	if (!is_ours_by(heap, given_back(refs[0])))
		return true;
	for (size_t i = 0; i < n; i++)
		if (is_ours_by(heap, given_back(refs[i])))
			refs[i] = given_back(refs[i]);
	return false;
}

/* Asks until there is an answer; refs: n, may change. */
static int publish(struct hakc_heap *heap, const char *name, uint64_t *refs, size_t n)
{
	Hak__Request request = HAK__REQUEST__INIT;
	Hak__Publish body = HAK__PUBLISH__INIT;
	int64_t deadline = hakc_session_deadline(heap);
	Hak__Reply *reply = NULL;
	bool was_ours;
	int r;

	body.name = (char *)(uintptr_t)name;
	body.n_refs = n;
	body.refs = refs;
	request.body_case = HAK__REQUEST__BODY_PUBLISH;
	request.publish = &body;
	do {
		was_ours = n > 0 && may_publish(heap, refs[0]);
		r = ask(heap, &request, "publish", name, deadline, &reply);
		if (r == -ENOTCONN && was_ours && is_published(heap, refs, n))
			return 0;
	} while (r == -ENOTCONN);
	if (r == 0)
		hak__reply__free_unpacked(reply, NULL);
	return r;
}

int hakc_root_publish(struct hakc_heap *heap, const char *name, const uint64_t *refs, size_t n)
{
	uint64_t current[HAK_ROOT_COUNT], ref;
	int r = hak_roots_lookup(&heap->segment, name, &ref);

	if (r == -EINVAL)
		return r;
	if (n > HAK_ROOT_COUNT)
		return -ENOSPC;
	memcpy(current, refs, n * sizeof(current[0]));
	pthread_mutex_lock(&heap->lock);
	r = publish(heap, name, current, n);
	pthread_mutex_unlock(&heap->lock);
	return r;
}

/*
 * Asks until there is an answer. Is it lost, the tag of the block that was looked up says what was
 * done: a withdrawal by us is the one move that makes it ours with the next inc, and with the lock
 * held since the look-up no other thread of ours has made it.
 */
static int withdraw(struct hakc_heap *heap, const char *name, uint64_t *ret_ref)
{
	Hak__Request request = HAK__REQUEST__INIT;
	Hak__Withdraw body = HAK__WITHDRAW__INIT;
	int64_t deadline = hakc_session_deadline(heap);
	Hak__Reply *reply = NULL;
	uint64_t named;
	int r;

	body.name = (char *)(uintptr_t)name;
	request.body_case = HAK__REQUEST__BODY_WITHDRAW;
	request.withdraw = &body;
	do {
		r = hak_roots_lookup(&heap->segment, name, &named);
		if (r < 0)
			return r;
		r = ask(heap, &request, "withdraw", name, deadline, &reply);
		if (r == -ENOTCONN && is_ours_by(heap, hak_root_taken(named))) {
			*ret_ref = hak_root_taken(named);
			return 0;
		}
	} while (r == -ENOTCONN);
	if (r < 0)
		return r;
	if (reply->body_case == HAK__REPLY__BODY_WITHDRAWN)
		*ret_ref = reply->withdrawn->ref;
	else
		r = -EPROTO;
	hak__reply__free_unpacked(reply, NULL);
	return r;
}

int hakc_root_withdraw(struct hakc_heap *heap, const char *name, uint64_t *ret_ref)
{
	int r;

	pthread_mutex_lock(&heap->lock);
	r = withdraw(heap, name, ret_ref);
	pthread_mutex_unlock(&heap->lock);
	return r;
}

int hakc_root_lookup(const struct hakc_heap *heap, const char *name, uint64_t *ret_ref)
{
	return hak_roots_lookup(&heap->segment, name, ret_ref);
}
