/* SPDX-License-Identifier: MIT */
/* Transitions of the tag; the drawing in tag.h and docs/recovery.md say who may make them. */
#include "proto/shm/tag.h"

#include "proto/shm/holders.h"

/* NONE or OWNED by owner: a block that a thread of the slab's owner may use. */
static bool is_owners(uint32_t tag, unsigned owner)
{
	return hak_tag_state(tag) == HAK_TAG_NONE || hak_tag_is_held(tag, owner);
}

static bool is_freeing(uint32_t tag, unsigned holder)
{
	return hak_tag_state(tag) == HAK_TAG_FREEING && hak_tag_holder(tag) == holder;
}

/* [order:tag] See tag.h. */
static bool move(hak_u32 *tag, uint32_t *seen, enum hak_tag_state state, unsigned holder,
		 unsigned inc)
{
	return hak_cas_acq_rel(tag, seen, hak_tag_pack(state, holder, inc));
}

void hak_tag_clear(hak_u32 *tag)
{
	uint32_t t = hak_tag_load(tag);

	while (hak_tag_state(t) != HAK_TAG_NONE &&
	       !move(tag, &t, HAK_TAG_NONE, HAK_HOLDER_NONE, hak_tag_inc(t) + 1))
		;
}

/* No second try below where the tag has changed meanwhile: the caller's right to it has gone. */
bool hak_tag_free_local(hak_u32 *tag, unsigned owner)
{
	uint32_t t = hak_tag_load(tag);

	return is_owners(t, owner) &&
	       move(tag, &t, HAK_TAG_NONE, HAK_HOLDER_NONE, hak_tag_inc(t) + 1);
}

bool hak_tag_free_held(hak_u32 *tag, unsigned holder)
{
	uint32_t t = hak_tag_load(tag);

	return hak_tag_is_held(t, holder) && move(tag, &t, HAK_TAG_FREEING, holder, hak_tag_inc(t));
}

bool hak_tag_free_foreign(hak_u32 *tag, unsigned holder, unsigned inc)
{
	uint32_t t = hak_tag_pack(HAK_TAG_NONE, HAK_HOLDER_NONE, inc);

	return move(tag, &t, HAK_TAG_FREEING, holder, inc + 1);
}

bool hak_tag_take(hak_u32 *tag, unsigned holder, unsigned inc)
{
	uint32_t t = hak_tag_load(tag);

	return (hak_tag_state(t) == HAK_TAG_NONE || hak_tag_state(t) == HAK_TAG_OWNED) &&
	       hak_tag_holder(t) != HAK_HOLDER_ROOT && hak_tag_inc(t) == inc &&
	       move(tag, &t, HAK_TAG_OWNED, holder, inc + 1);
}

bool hak_tag_withdraw(hak_u32 *tag, unsigned holder)
{
	uint32_t t = hak_tag_load(tag);

	return hak_tag_is_held(t, HAK_HOLDER_ROOT) &&
	       move(tag, &t, HAK_TAG_OWNED, holder, hak_tag_inc(t) + 1);
}

bool hak_tag_revoke(hak_u32 *tag, unsigned owner)
{
	uint32_t t = hak_tag_load(tag);

	return is_owners(t, owner) &&
	       move(tag, &t, hak_tag_state(t), hak_tag_holder(t), hak_tag_inc(t) + 1);
}

/*
 * The scans try again: a take or a free of somebody who lives may come between, a few times. Who
 * writes it again and again means harm: then it is left as it is, and the audit's.
 */
#define TRIES 1000u

bool hak_tag_scan_own(hak_u32 *tag, unsigned owner)
{
	uint32_t t = hak_tag_load(tag);

	for (unsigned i = 0; i < TRIES && is_owners(t, owner); i++)
		if (move(tag, &t, HAK_TAG_FREED, HAK_HOLDER_NONE, hak_tag_inc(t)))
			return true;
	/* FREEING by it: of before the slab, an orphan, became its own. */
	return hak_tag_state(t) == HAK_TAG_FREED || is_freeing(t, owner);
}

bool hak_tag_scan_held(hak_u32 *tag, unsigned holder)
{
	uint32_t t = hak_tag_load(tag);

	for (unsigned i = 0; i < TRIES && hak_tag_is_held(t, holder); i++)
		if (move(tag, &t, HAK_TAG_FREEING, holder, hak_tag_inc(t)))
			return true;
	return is_freeing(t, holder);
}
