/* SPDX-License-Identifier: MIT */
/*
 * Requests about roots, answered at once on the loop, which alone writes the table. A request is
 * bounded by it: 512 entries. Blocks are moved without a crossing: a slab that is seen in use is not
 * granted, nor are its tags zeroed, before a grace, for which the loop waits.
 *
 * A client that is leaving publishes nothing more, and gets nothing: its scan may have passed.
 */
#include "daemon/net/roots.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "proto/error.h"
#include "proto/shm/roots.h"

static unsigned error_of(int r)
{
	switch (r) {
	case -ESTALE:
		return HAK_E_STALE;
	case -EPERM:
		return HAK_E_NOT_OWNER;
	case -EEXIST:
		return HAK_E_EXISTS;
	case -ENOENT:
		return HAK_E_NO_ROOT;
	case -ENOSPC:
		return HAK_E_ROOTS_FULL;
	case -EINVAL:
		return HAK_E_BAD_ARGUMENT;
	default:
		return HAK_E_INTERNAL;
	}
}

static struct hak_root_client client_of(const struct hakd_peer *peer)
{
	return (struct hak_root_client){.holder = peer->client->holder,
					.generation = peer->client->generation,
					.pid = peer->pid,
					.now = time(NULL)};
}

/* Refuses what a client asks that is leaving; true: it did. */
static bool refuse_leaving(struct hakd_peer *peer, uint64_t id)
{
	if (!peer->client->is_leaving)
		return false;
	hakd_peer_refuse(peer, id, HAK_E_DENIED, "the client has left the pool");
	return true;
}

bool hakd_roots_publish(struct hakd_peer *peer, uint64_t id, const Hak__Publish *request)
{
	Hak__Reply reply = HAK__REPLY__INIT;
	struct hak_root_client client;
	struct hakd_pool *pool = peer->realm->pool;
	char reason[160];
	uint32_t at;
	int r;

	if (!peer->client)
		return false;
	if (refuse_leaving(peer, id))
		return true;
	client = client_of(peer);
	r = hak_roots_publish(&pool->segment, pool->roots, &client, request->name, request->refs,
			      request->n_refs > UINT32_MAX ? UINT32_MAX : (uint32_t)request->n_refs,
			      &at);
	if (r < 0) {
		snprintf(reason, sizeof(reason), "%s", hak_error_text(error_of(r)));
		if (at < request->n_refs)
			snprintf(reason, sizeof(reason), "ref %u of %zu: %s", at + 1,
				 request->n_refs, hak_error_text(error_of(r)));
		hakd_peer_refuse(peer, id, error_of(r), reason);
		return true;
	}
	reply.id = id;
	hakd_peer_reply(peer, &reply, NULL, 0);
	return true;
}

bool hakd_roots_withdraw(struct hakd_peer *peer, uint64_t id, const Hak__Withdraw *request)
{
	Hak__Reply reply = HAK__REPLY__INIT;
	Hak__Withdrawn answer = HAK__WITHDRAWN__INIT;
	struct hakd_pool *pool = peer->realm->pool;
	struct hak_root_client client;
	int r;

	if (!peer->client)
		return false;
	if (refuse_leaving(peer, id))
		return true;
	client = client_of(peer);
	r = hak_roots_withdraw(&pool->segment, pool->roots, &client, request->name, &answer.ref,
			       &answer.blocks);
	if (r < 0) {
		hakd_peer_refuse(peer, id, error_of(r), hak_error_text(error_of(r)));
		return true;
	}
	reply.id = id;
	reply.body_case = HAK__REPLY__BODY_WITHDRAWN;
	reply.withdrawn = &answer;
	hakd_peer_reply(peer, &reply, NULL, 0);
	return true;
}

/* Bytes of the blocks of each list, at its head's entry. */
static void add_bytes(const struct hak_segment *segment, uint64_t bytes[HAK_ROOT_COUNT])
{
	memset(bytes, 0, HAK_ROOT_COUNT * sizeof(bytes[0]));
	for (uint32_t i = 0; i < HAK_ROOT_COUNT; i++) {
		const struct hak_root *root = &segment->roots[i];
		uint32_t head = hak_root_place_head(hak_root_load(&root->place));
		struct hak_location l;

		if (hak_root_state(hak_root_load(&root->word)) == HAK_ROOT_FREE)
			continue;
		l = hak_segment_locate_offset(segment, hak_ref_offset(hak_root_load(&root->ref)));
		if (l.place == HAK_PLACE_BLOCK && head < HAK_ROOT_COUNT)
			bytes[head] += l.bytes;
	}
}

static void fill_root(const struct hak_segment *segment, uint32_t entry, uint32_t n, uint64_t bytes,
		      Hak__Root *ret, char *name)
{
	const struct hak_root *root = &segment->roots[entry];
	uint64_t publisher = hak_root_load(&root->publisher);

	hak__root__init(ret);
	ret->name = name;
	ret->ref = hak_root_taken(hak_root_load(&root->ref));
	ret->offset = hak_ref_offset(ret->ref);
	ret->bytes = bytes;
	ret->blocks = n;
	ret->pid = (int32_t)hak_root_load(&root->pid);
	ret->holder = (uint32_t)publisher;
	ret->generation = (uint32_t)(publisher >> 32);
	ret->published_at = (int64_t)hak_root_load(&root->since);
}

bool hakd_roots_list(struct hakd_peer *peer, uint64_t id, uint32_t from_entry)
{
	static Hak__Root page[HAK_WIRE_ROOTS_PAGE]; /* the loop's thread only */
	static char names[HAK_WIRE_ROOTS_PAGE][HAK_ROOT_NAME_BYTES];
	const struct hak_segment *segment = &peer->realm->pool->segment;
	Hak__Root *all[HAK_WIRE_ROOTS_PAGE];
	Hak__Reply reply = HAK__REPLY__INIT;
	Hak__Roots roots = HAK__ROOTS__INIT;
	uint64_t bytes[HAK_ROOT_COUNT], place;
	uint32_t i = from_entry, n = 0;

	add_bytes(segment, bytes);
	for (; i < HAK_ROOT_COUNT && n < HAK_WIRE_ROOTS_PAGE; i++) {
		if (!hak_roots_read(segment, i, names[n], &place))
			continue;
		fill_root(segment, i, hak_root_place_n(place), bytes[i], &page[n], names[n]);
		all[n] = &page[n];
		n++;
	}
	roots.n_roots = n;
	roots.roots = all;
	roots.next_entry = i < HAK_ROOT_COUNT ? i : 0;
	reply.id = id;
	reply.body_case = HAK__REPLY__BODY_ROOTS;
	reply.roots = &roots;
	hakd_peer_reply(peer, &reply, NULL, 0);
	return true;
}
