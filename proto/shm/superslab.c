/* SPDX-License-Identifier: MIT */
/*
 * The moves of a SuperSlab's word, all the daemon's. They assert what the
 * daemon itself guarantees: nobody else can write the registry.
 */
#include "proto/shm/superslab.h"

#include <assert.h>

#include "proto/shm/holders.h"

/*
 * [order:registry] Who reads GRANTED (hak_check_superslab) sees all that was
 * prepared before. Dead just before: the word is what it was, and the move is
 * made again from its start.
 */
static void move(hak_u64 *word, enum hak_superslab_state state, bool huge, unsigned owner,
		 uint32_t length, uint32_t grant)
{
	hak_store_release(word, hak_superslab_pack(state, huge, owner, length,
						   grant & HAK_SUPERSLAB_GRANT_MAX));
}

/* Relaxed below: the daemon's loop is the only writer and reads its own stores. */
void hak_superslab_grant_run(hak_u64 *head, unsigned owner, bool huge, uint32_t n)
{
	uint64_t before = hak_load_relaxed(head);

	assert(n >= 1 && (huge || n == 1));
	for (uint32_t i = n; i-- > 0;) {
		uint64_t s = hak_load_relaxed(&head[i]);

		assert(hak_superslab_state(s) == HAK_SUPERSLAB_FREE);
		if (i > 0)
			move(&head[i], HAK_SUPERSLAB_BODY, huge, owner, i, hak_superslab_grant(s));
	}
	move(head, HAK_SUPERSLAB_GRANTED, huge, owner, n, hak_superslab_grant(before) + 1);
}

/* Of a huge run's head: the same but for its length. */
static void set_length(hak_u64 *head, uint32_t n)
{
	uint64_t s = hak_load_relaxed(head);

	assert(hak_superslab_state(s) == HAK_SUPERSLAB_GRANTED && hak_superslab_is_huge(s));
	move(head, HAK_SUPERSLAB_GRANTED, true, hak_superslab_owner(s), n, hak_superslab_grant(s));
}

void hak_superslab_extend_run(hak_u64 *head, uint32_t n)
{
	uint64_t s = hak_load_relaxed(head);
	uint32_t before = hak_superslab_length(s);

	assert(hak_superslab_state(s) == HAK_SUPERSLAB_GRANTED && hak_superslab_is_huge(s));
	for (uint32_t i = before; i < before + n; i++) {
		uint64_t body = hak_load_relaxed(&head[i]);

		assert(hak_superslab_state(body) == HAK_SUPERSLAB_FREE);
		move(&head[i], HAK_SUPERSLAB_BODY, true, hak_superslab_owner(s), i,
		     hak_superslab_grant(body));
	}
	set_length(head, before + n);
}

void hak_superslab_shorten_run(hak_u64 *head, uint32_t stay)
{
	uint64_t s = hak_load_relaxed(head);
	uint32_t n = hak_superslab_length(s) - stay;

	assert(stay >= 1 && stay < hak_superslab_length(s));
	set_length(head, stay);
	for (uint32_t i = n; i-- > 0;) {
		uint64_t body = hak_load_relaxed(&head[stay + i]);

		assert(hak_superslab_state(body) == HAK_SUPERSLAB_BODY);
		move(&head[stay + i], i > 0 ? HAK_SUPERSLAB_BODY : HAK_SUPERSLAB_RECLAIMING, true,
		     hak_superslab_owner(s), i > 0 ? i : n, hak_superslab_grant(body));
	}
}

void hak_superslab_begin_collect(hak_u64 *head)
{
	uint64_t s = hak_load_relaxed(head);

	assert(hak_superslab_state(s) == HAK_SUPERSLAB_GRANTED ||
	       hak_superslab_state(s) == HAK_SUPERSLAB_ORPHAN);
	move(head, HAK_SUPERSLAB_RECLAIMING, hak_superslab_is_huge(s), hak_superslab_owner(s),
	     hak_superslab_length(s), hak_superslab_grant(s));
}

/* A run that is being collected is nobody's from now on. */
static void leave(hak_u64 *head, enum hak_superslab_state state)
{
	uint64_t s = hak_load_relaxed(head);
	uint32_t n = hak_superslab_length(s);

	assert(hak_superslab_state(s) == HAK_SUPERSLAB_RECLAIMING);
	for (uint32_t i = n; i-- > 1;)
		move(&head[i], HAK_SUPERSLAB_BODY, true, HAK_HOLDER_NONE, i,
		     hak_superslab_grant(hak_load_relaxed(&head[i])));
	move(head, state, hak_superslab_is_huge(s), HAK_HOLDER_NONE, n, hak_superslab_grant(s));
}

void hak_superslab_orphan(hak_u64 *head)
{
	leave(head, HAK_SUPERSLAB_ORPHAN);
}

void hak_superslab_disown(hak_u64 *head)
{
	leave(head, HAK_SUPERSLAB_RECLAIMING);
}

void hak_superslab_name_heir(hak_u64 *head, unsigned owner)
{
	uint64_t s = hak_load_relaxed(head);

	assert(hak_superslab_state(s) == HAK_SUPERSLAB_ORPHAN && !hak_superslab_is_huge(s));
	move(head, HAK_SUPERSLAB_ORPHAN, false, owner, 1, hak_superslab_grant(s));
}

void hak_superslab_inherit(hak_u64 *head, unsigned owner)
{
	uint64_t s = hak_load_relaxed(head);

	assert(hak_superslab_state(s) == HAK_SUPERSLAB_ORPHAN && !hak_superslab_is_huge(s));
	move(head, HAK_SUPERSLAB_GRANTED, false, owner, 1, hak_superslab_grant(s) + 1);
}

void hak_superslab_end_collect(hak_u64 *head)
{
	uint64_t s = hak_load_relaxed(head);
	uint32_t n = hak_superslab_length(s);

	assert(hak_superslab_state(s) == HAK_SUPERSLAB_RECLAIMING);
	for (uint32_t i = 0; i < n; i++)
		move(&head[i], HAK_SUPERSLAB_FREE, false, 0, 0,
		     hak_superslab_grant(hak_load_relaxed(&head[i])));
}

void hak_superslab_drop_body(hak_u64 *body)
{
	uint64_t s = hak_load_relaxed(body);

	assert(hak_superslab_state(s) == HAK_SUPERSLAB_BODY);
	move(body, HAK_SUPERSLAB_RECLAIMING, false, HAK_HOLDER_NONE, 1, hak_superslab_grant(s));
}
