/* SPDX-License-Identifier: MIT */
#ifndef HAKC_TICKET_H
#define HAKC_TICKET_H

/* Who owns a block: making refs, taking by them, and what a free asks the tag. */

#include "client_lib/thread.h"

/* The ref of a block of the pool; HAK_REF_NONE and *ret_error, a negative errno. */
uint64_t hakc_ticket_make(struct hakc_thread *t, const void *block, int *ret_error);

/* As hakmem_take. */
int hakc_ticket_take(struct hakc_thread *t, uint64_t ref, void **ret_block);

/* Slot of the holder that owns a block; 0: it is free, or no block, or its owner has died. */
unsigned hakc_ticket_owner(const struct hakc_heap *heap, const struct hak_location *l);

/* What may be done about a block of a TAGGED slab that is freed. */
enum hakc_right {
	HAKC_RIGHT_NONE, /* nothing: it is somebody else's */
	HAKC_RIGHT_OWN,	 /* as in an untagged slab of ours */
	HAKC_RIGHT_HELD, /* its bit may be set at any time; until then it is ours by its tag */
	HAKC_RIGHT_LENT, /* its owner's: its tag is to be moved with its bit, in a crossing */
};

/*
 * Frees it as far as that can be done at once: OWN and HELD, no ref takes it from here on; LENT,
 * until then. *ret_inc: of LENT, of its tag.
 */
enum hakc_right hakc_ticket_free(struct hakc_thread *t, const struct hak_location *l,
				 unsigned *ret_inc);

/* A span of ours is changed in place: its refs are void. False: it is somebody else's. */
bool hakc_ticket_revoke(struct hakc_heap *heap, const struct hak_location *l);

static inline hak_u32 *hakc_ticket_tag(const struct hakc_heap *heap, const struct hak_location *l)
{
	return &hak_segment_tags(&heap->segment, l->slot)[l->index];
}

#endif
