/* SPDX-License-Identifier: MIT */
#include "tests/fuzz/acts.h"

#include "proto/shm/crossing.h"
#include "tests/fuzz/vacant.h"

uint64_t hakt_refs[HAKT_REFS];

static bool is_mapped(const struct hakt_caller *caller)
{
	return caller->lease_fd >= 0 && caller->generation != 0;
}

/* Relaxed in all of this file: one thread does it all, and the daemon is at rest. */
static bool is_granted(const struct hak_segment *segment, const struct hakt_caller *caller,
		       uint32_t superslab)
{
	uint64_t s = hak_load_relaxed(&segment->superslabs[superslab]);
	uint64_t word = hak_load_relaxed(&segment->holders[caller->holder].word);

	return hak_superslab_state(s) == HAK_SUPERSLAB_GRANTED &&
	       hak_superslab_owner(s) == caller->holder && is_mapped(caller) &&
	       word == hak_holder_pack(HAK_HOLDER_ATTACHED, caller->generation);
}

uint32_t hakt_act_granted(const struct hak_segment *segment, const struct hakt_caller *caller,
			  uint32_t from)
{
	while (from < segment->geometry.n_superslabs && !is_granted(segment, caller, from))
		from++;
	return from;
}

/* A slot of a SuperSlab of the caller's that is no run; false: it has none. */
static bool pick_slot(const struct hak_segment *segment, const struct hakt_caller *caller,
		      struct hakt_input *input, uint32_t *ret_slot)
{
	uint32_t total = segment->geometry.n_superslabs,
		 per = segment->geometry.slots_per_superslab;
	uint32_t at = hakt_act_granted(segment, caller, hakt_input_pick(input, total));

	if (at == total)
		at = hakt_act_granted(segment, caller, 0);
	if (at == total || hak_superslab_is_huge(hak_load_relaxed(&segment->superslabs[at])))
		return false;
	*ret_slot = at * per + hakt_input_pick(input, per);
	return true;
}

static bool is_slab_of(uint64_t w, unsigned owner)
{
	return hak_slab_state(w) == HAK_SLAB_ACTIVE && hak_slab_owner(w) == owner &&
	       hak_slab_class(w) < HAK_CLASS_COUNT && hak_slab_thread(w) == 1;
}

void hakt_act_allocate(const struct hak_segment *segment, const struct hakt_caller *caller,
		       struct hakt_input *input)
{
	uint32_t per = segment->geometry.slots_per_superslab, slot;
	unsigned cls = hakt_input_pick(input, HAK_CLASS_COUNT);
	hak_u64 *word;

	if (!pick_slot(segment, caller, input, &slot))
		return;
	word = &segment->slab_words[slot];
	if (!is_slab_of(hak_slab_load(word), caller->holder) &&
	    (slot % per + hak_classes[cls].n_slots > per ||
	     !hakt_are_vacant(segment, slot, hak_classes[cls].n_slots) ||
	     !hak_slab_cut(word, hak_segment_bits(segment, slot), caller->holder, cls, 1)))
		return;
	hak_slab_claim(word, hak_segment_bits(segment, slot), hak_segment_tags(segment, slot),
		       hakt_input_byte(input) & 15);
}

void hakt_act_ref(const struct hak_segment *segment, const struct hakt_caller *caller,
		  struct hakt_input *input)
{
	struct hak_location l;
	uint64_t offset;
	uint32_t slot;

	if (!pick_slot(segment, caller, input, &slot) ||
	    !is_slab_of(hak_slab_load(&segment->slab_words[slot]), caller->holder) ||
	    !hak_slab_set_tagged(&segment->slab_words[slot], caller->holder))
		return;
	offset = (uint64_t)slot << HAK_SLOT_LG;
	l = hak_segment_locate_offset(segment, offset);
	offset += hakt_input_pick(input, 4) * l.bytes;
	l = hak_segment_locate_offset(segment, offset);
	if (l.place != HAK_PLACE_BLOCK || hak_segment_is_free(segment, &l))
		return;
	hakt_refs[hakt_input_pick(input, HAKT_REFS)] = hak_ref_make(
		offset, hak_slab_epoch(l.word),
		hak_tag_inc(hak_tag_load(&hak_segment_tags(segment, l.slot)[l.index])));
}

/* The block of one of the refs, while that is none of a slab of before. */
static hak_u32 *find(const struct hak_segment *segment, uint64_t ref, struct hak_location *ret)
{
	*ret = hak_segment_locate_offset(segment, hak_ref_offset(ref));
	if (ref == HAK_REF_NONE || ret->place != HAK_PLACE_BLOCK ||
	    !(ret->word & HAK_SLAB_TAGGED) || hak_slab_epoch(ret->word) != hak_ref_epoch(ref))
		return NULL;
	return &hak_segment_tags(segment, ret->slot)[ret->index];
}

static bool is_attached(const struct hak_segment *segment, const struct hakt_caller *caller)
{
	return is_mapped(caller) &&
	       hak_load_relaxed(&segment->holders[caller->holder].word) ==
		       hak_holder_pack(HAK_HOLDER_ATTACHED, caller->generation);
}

void hakt_act_take(const struct hak_segment *segment, const struct hakt_caller *caller,
		   struct hakt_input *input)
{
	uint64_t *ref = &hakt_refs[hakt_input_pick(input, HAKT_REFS)];
	struct hak_location l;
	hak_u32 *tag = find(segment, *ref, &l);

	if (tag && is_attached(segment, caller) && !hak_segment_is_free(segment, &l) &&
	    hak_tag_take(tag, caller->holder, hak_ref_inc(*ref)))
		*ref = hak_ref_make(hak_ref_offset(*ref), hak_ref_epoch(*ref),
				    hak_tag_inc(hak_tag_load(tag)));
}

void hakt_act_free(const struct hak_segment *segment, const struct hakt_caller *caller,
		   struct hakt_input *input)
{
	struct hak_location l;
	hak_u32 *tag = find(segment, hakt_refs[hakt_input_pick(input, HAKT_REFS)], &l);

	if (!tag || !is_attached(segment, caller) || hak_segment_is_free(segment, &l))
		return;
	if (hak_slab_owner(l.word) == caller->holder ? !hak_tag_free_local(tag, caller->holder)
						     : !hak_tag_free_held(tag, caller->holder))
		return;
	hak_slab_free(&hak_segment_bits(segment, l.slot)[l.index / 64], UINT64_C(1)
										<< l.index % 64);
	hak_segment_raise_pending(segment, l.slot);
}

void hakt_act_cross(const struct hak_segment *segment, const struct hakt_caller *caller,
		    struct hakt_input *input)
{
	struct hak_client_area *area = &segment->areas[caller->holder];
	hak_u64 *counter = hak_crossing_of(area, 1 + hakt_input_pick(input, 4));

	if (!is_attached(segment, caller))
		return;
	hak_store_relaxed(&area->n_crossings, 4);
	if (hak_load_relaxed(counter) % 2 == 0)
		hak_crossing_begin(counter);
	else
		hak_crossing_end(counter);
}

static uint64_t pick_word(struct hakt_input *input)
{
	uint8_t how = hakt_input_byte(input);
	uint32_t arg = hakt_input_index(input, 32);

	if (how < 64)
		return hakt_input_take(input, 8);
	return hak_slab_pack((enum hak_slab_state)(how & 3), 1 + (how & 1), how >> 2 & 7,
			     how & 32 ? arg << 16 : arg) |
	       (how & 128 ? HAK_SLAB_TAGGED : 0);
}

void hakt_act_scribble(const struct hak_segment *segment, struct hakt_input *input)
{
	const struct hak_geometry *g = &segment->geometry;
	uint32_t slot = hakt_input_slot(input, g->n_superslabs, g->slots_per_superslab);
	unsigned what = hakt_input_pick(input, 6);
	uint8_t at = hakt_input_byte(input);
	struct hak_client_area *area = &segment->areas[at % 8];

	switch (what) {
	case 0:
		hak_store_relaxed(&hak_segment_bits(segment, slot)[at % HAK_SLAB_BITS_WORDS],
				  hakt_input_take(input, 8));
		break;
	case 1:
		hak_store_relaxed(&hak_segment_tags(segment, slot)[at],
				  (uint32_t)hakt_input_take(input, 4));
		break;
	case 2:
		hak_store_relaxed(&segment->pending[at % g->n_superslabs],
				  (uint32_t)hakt_input_take(input, 4));
		break;
	case 3:
		hak_store_relaxed(&area->n_crossings, hakt_input_take(input, 8));
		hak_store_relaxed(&area->crossings[at], hakt_input_take(input, 8));
		break;
	default:
		hak_store_relaxed(&segment->slab_words[slot], pick_word(input));
	}
}

bool hakt_act_is_unused(const struct hak_segment *segment, uint32_t head)
{
	uint32_t per = segment->geometry.slots_per_superslab;
	uint32_t n = hak_superslab_length(hak_load_relaxed(&segment->superslabs[head]));

	for (uint32_t slot = head * per; slot < (head + n) * per; slot++)
		if (hak_slab_state(hak_slab_load(&segment->slab_words[slot])) != HAK_SLAB_UNUSED)
			return false;
	return true;
}
