/* SPDX-License-Identifier: MIT */
/*
 * Roots, the client's side: the daemon alone moves blocks to the pool and back, so that what
 * dies with us or with it is finished by the next one; lookups read its table themselves.
 */
#include "client_lib/root.h"

#include <errno.h>

#include "client_lib/log.h"
#include "client_lib/session.h"
#include "proto/error.h"
#include "proto/shm/roots.h"

/* Asks the daemon; 0 and its answer, or the error that it answered. */
static int ask(struct hakc_heap *heap, Hak__Request *request, const char *what, const char *name,
	       Hak__Reply **ret_reply)
{
	Hak__Reply *reply;
	int r;

	pthread_mutex_lock(&heap->lock);
	r = hakc_session_call(heap, request, &reply);
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

int hakc_root_publish(struct hakc_heap *heap, const char *name, const uint64_t *refs, size_t n)
{
	Hak__Request request = HAK__REQUEST__INIT;
	Hak__Publish publish = HAK__PUBLISH__INIT;
	Hak__Reply *reply = NULL;
	uint64_t ref;
	int r = hak_roots_lookup(&heap->segment, name, &ref);

	if (r == -EINVAL)
		return r;
	if (n > HAK_ROOT_COUNT)
		return -ENOSPC;
	publish.name = (char *)(uintptr_t)name;
	publish.n_refs = n;
	publish.refs = (uint64_t *)(uintptr_t)refs;
	request.body_case = HAK__REQUEST__BODY_PUBLISH;
	request.publish = &publish;
	r = ask(heap, &request, "publish", name, &reply);
	if (r == 0)
		hak__reply__free_unpacked(reply, NULL);
	return r;
}

int hakc_root_withdraw(struct hakc_heap *heap, const char *name, uint64_t *ret_ref)
{
	Hak__Request request = HAK__REQUEST__INIT;
	Hak__Withdraw withdraw = HAK__WITHDRAW__INIT;
	Hak__Reply *reply = NULL;
	uint64_t ref;
	int r = hak_roots_lookup(&heap->segment, name, &ref);

	if (r < 0)
		return r;
	withdraw.name = (char *)(uintptr_t)name;
	request.body_case = HAK__REQUEST__BODY_WITHDRAW;
	request.withdraw = &withdraw;
	r = ask(heap, &request, "withdraw", name, &reply);
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
