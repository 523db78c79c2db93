/* SPDX-License-Identifier: MIT */
/*
 * Roots, the client's side: the daemon alone moves blocks to the pool and back, so that what
 * dies with us or with it is finished by the next one; lookups read its table themselves. Where it
 * dies before it answers, the table and the blocks' tags answer, as the next one leaves them.
 */
#include "client_lib/root.h"

#include <errno.h>

#include "client_lib/log.h"
#include "client_lib/session.h"
#include "client_lib/ticket.h"
#include "proto/error.h"
#include "proto/shm/roots.h"

/*
 * Asks the daemon; 0 and its answer, or the error that it answered, or one of hakc_session_call.
 * -ENOTCONN: the answer is lost, and what can be seen now is how it ended.
 */
static int ask(struct hakc_heap *heap, Hak__Request *request, const char *what, const char *name,
	       int64_t deadline, Hak__Reply **ret_reply)
{
	Hak__Reply *reply;
	int r;

	pthread_mutex_lock(&heap->lock);
	r = hakc_session_call(heap, request, deadline, &reply);
	if (r == -ENOTCONN) { /* the next daemon finishes or undoes it before it welcomes anybody */
		int reached = hakc_session_reach_until(heap, deadline);

		r = reached < 0 ? reached : r;
	}
	pthread_mutex_unlock(&heap->lock);
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

/* Does the name name that block? Nobody but its owner can have published it. */
static bool is_name_of(const struct hakc_heap *heap, const char *name, uint64_t block)
{
	uint64_t ref;

	return hak_roots_lookup(&heap->segment, name, &ref) == 0 &&
	       hak_ref_offset(ref) == hak_ref_offset(block);
}

int hakc_root_publish(struct hakc_heap *heap, const char *name, const uint64_t *refs, size_t n)
{
	Hak__Request request = HAK__REQUEST__INIT;
	Hak__Publish publish = HAK__PUBLISH__INIT;
	int64_t deadline = hakc_session_deadline(heap);
	Hak__Reply *reply = NULL;
	bool was_there;
	uint64_t ref;
	int r = hak_roots_lookup(&heap->segment, name, &ref);

	if (r == -EINVAL)
		return r;
	if (n > HAK_ROOT_COUNT)
		return -ENOSPC;
	was_there = r == 0;
	publish.name = (char *)(uintptr_t)name;
	publish.n_refs = n;
	publish.refs = (uint64_t *)(uintptr_t)refs;
	request.body_case = HAK__REQUEST__BODY_PUBLISH;
	request.publish = &publish;
	do {
		r = ask(heap, &request, "publish", name, deadline, &reply);
		if (r == -ENOTCONN && !was_there && n > 0 && is_name_of(heap, name, refs[0]))
			return 0;
	} while (r == -ENOTCONN);
	if (r == 0)
		hak__reply__free_unpacked(reply, NULL);
	return r;
}

/* Is a block that had a name ours now? *ret_ref: a ticket of it. */
static bool is_withdrawn(struct hakc_heap *heap, uint64_t named, uint64_t *ret_ref)
{
	struct hak_location l = hak_segment_locate_offset(&heap->segment, hak_ref_offset(named));
	int error;

	if (hakc_ticket_owner(heap, &l) != heap->holder)
		return false;
	*ret_ref = hakc_ticket_make(hakc_self, (void *)(heap->segment.base + l.start), &error);
	return *ret_ref != HAK_REF_NONE;
}

int hakc_root_withdraw(struct hakc_heap *heap, const char *name, uint64_t *ret_ref)
{
	Hak__Request request = HAK__REQUEST__INIT;
	Hak__Withdraw withdraw = HAK__WITHDRAW__INIT;
	int64_t deadline = hakc_session_deadline(heap);
	Hak__Reply *reply = NULL;
	uint64_t ref;
	int r;

	withdraw.name = (char *)(uintptr_t)name;
	request.body_case = HAK__REQUEST__BODY_WITHDRAW;
	request.withdraw = &withdraw;
	do {
		r = hak_roots_lookup(&heap->segment, name, &ref);
		if (r < 0)
			return r;
		r = ask(heap, &request, "withdraw", name, deadline, &reply);
		if (r == -ENOTCONN && is_withdrawn(heap, ref, ret_ref))
			return 0;
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

int hakc_root_lookup(const struct hakc_heap *heap, const char *name, uint64_t *ret_ref)
{
	return hak_roots_lookup(&heap->segment, name, ret_ref);
}
