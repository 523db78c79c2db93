/* SPDX-License-Identifier: MIT */
/*
 * Tickets: the client's rows of docs/recovery.md. A slab gets tags when the
 * first ref of a block in it is made, by a thread of its owner; until then no
 * free there has to look at them. Each change is one CAS of a tag, so a process
 * that is killed here has taken, or freed, or has not.
 */
#include "client_lib/ticket.h"

#include <errno.h>

#include "client_lib/session.h"
#include "proto/shm/crossing.h"

static unsigned n_blocks_of(const struct hak_location *l)
{
	return hak_slab_state(l->word) == HAK_SLAB_SPAN
		       ? 1
		       : hak_classes[hak_slab_class(l->word)].n_blocks;
}

/*
 * Makes the slab TAGGED; its tags have memory before anybody looks at them. Others can't do
 * that for us: nobody may begin to tag the slab of a process that has died.
 */
static int set_tagged(struct hakc_heap *heap, const struct hak_location *l)
{
	int r;

	if (hak_slab_owner(l->word) != heap->holder)
		return -EPERM;
	r = hakc_session_back_tags(heap, l->slot, n_blocks_of(l));
	if (r < 0)
		return r;
	return hak_slab_set_tagged(&heap->segment.slab_words[l->slot], heap->holder) ? 0 : -EINVAL;
}

uint64_t hakc_ticket_make(struct hakc_thread *t, const void *block, int *ret_error)
{
	struct hak_location l;
	uint32_t tag;
	int r;

	hakc_thread_locate(t, (uintptr_t)block - t->base, &l);
	r = l.place == HAK_PLACE_BLOCK ? 0 : -EINVAL;
	if (r == 0 && !(l.word & HAK_SLAB_TAGGED))
		r = set_tagged(t->heap, &l);
	if (r < 0) {
		*ret_error = r;
		return HAK_REF_NONE;
	}
	tag = hak_tag_load(hakc_ticket_tag(t->heap, &l));
	if (hak_tag_state(tag) == HAK_TAG_NONE || hak_tag_state(tag) == HAK_TAG_OWNED)
		return hak_ref_make(l.start, hak_slab_epoch(l.word), hak_tag_inc(tag));
	*ret_error = -EINVAL; /* it is being freed */
	return HAK_REF_NONE;
}

/* In a crossing, or for a slab of ours: is the block still what the ref names, and is it ours now? */
static bool take(struct hakc_thread *t, uint64_t ref, uint64_t offset)
{
	struct hak_location l;

	hakc_thread_locate(t, offset, &l);
	return l.place == HAK_PLACE_BLOCK && (l.word & HAK_SLAB_TAGGED) &&
	       hak_slab_epoch(l.word) == hak_ref_epoch(ref) &&
	       hak_tag_take(hakc_ticket_tag(t->heap, &l), t->heap->holder, hak_ref_inc(ref));
}

int hakc_ticket_take(struct hakc_thread *t, uint64_t ref, void **ret_block)
{
	uint64_t offset = hak_ref_offset(ref);
	bool is_ours;

	if (hak_ref_epoch(ref) == 0 || offset >= t->heap->segment.geometry.capacity)
		return -EINVAL;
	hak_crossing_begin(t->crossing);
	is_ours = take(t, ref, offset);
	hak_crossing_end(t->crossing);
	hakc_thread_count(t, is_ours ? HAK_STAT_TAKES : HAK_STAT_STALE_TAKES, 1);
	if (!is_ours)
		return -ESTALE;
	*ret_block = (void *)(t->base + offset);
	return 0;
}

unsigned hakc_ticket_owner(const struct hakc_heap *heap, const struct hak_location *l)
{
	uint32_t tag;

	if (l->place != HAK_PLACE_BLOCK || hak_segment_is_free(&heap->segment, l))
		return HAK_HOLDER_NONE;
	if (!(l->word & HAK_SLAB_TAGGED))
		return hak_slab_owner(l->word);
	tag = hak_tag_load(hakc_ticket_tag(heap, l));
	switch (hak_tag_state(tag)) {
	case HAK_TAG_NONE:
		return hak_slab_owner(l->word);
	case HAK_TAG_OWNED:
		return hak_tag_holder(tag);
	default:
		return HAK_HOLDER_NONE;
	}
}

enum hakc_right hakc_ticket_free(struct hakc_thread *t, const struct hak_location *l,
				 unsigned *ret_inc)
{
	hak_u32 *tag = hakc_ticket_tag(t->heap, l);
	unsigned self = t->heap->holder;
	uint32_t seen;

	hakc_thread_count(t, HAK_STAT_TAGGED_FREES, 1);
	if (hak_slab_owner(l->word) == self)
		return hak_tag_free_local(tag, self) ? HAKC_RIGHT_OWN : HAKC_RIGHT_NONE;
	seen = hak_tag_load(tag);
	if (hak_tag_state(seen) == HAK_TAG_NONE) {
		*ret_inc = hak_tag_inc(seen);
		return HAKC_RIGHT_LENT;
	}
	/* No crossing for what is ours by its tag: that keeps the slab. */
	return hak_tag_free_held(tag, self) ? HAKC_RIGHT_HELD : HAKC_RIGHT_NONE;
}

bool hakc_ticket_revoke(struct hakc_heap *heap, const struct hak_location *l)
{
	uint64_t w = hak_slab_load(&heap->segment.slab_words[l->slot]);

	return !(w & HAK_SLAB_TAGGED) || hak_tag_revoke(hakc_ticket_tag(heap, l), heap->holder);
}
