/* SPDX-License-Identifier: MIT */
/*
 * The scans walk slot by slot and step over what a head covers. The order within
 * a slab is what docs/recovery.md rests on:
 *
 *   own     each block whose bit is 0: its tag -> FREED, then the bit; the head's
 *           W last, before its bodies' (a body without a head is in no slab)
 *   held    the bits, *then* the tags: a tag is cleared before its bit is claimed,
 *           so a tag that is seen behind a bit 0 is no older than that claim
 *   orphan  the hints, then the bits; W of a head first
 *
 * Bits go by words of 64: a word's tags are moved one by one, then one OR sets
 * the bits of those that were.
 */
#include "proto/shm/scan.h"

/* A slab or span, as its head says. */
struct slab {
	uint32_t slot;
	uint32_t length; /* slots */
	unsigned n_blocks;
	uint64_t word;
};

/* What begins at slot, within what was granted; a single slot without blocks: nothing does. */
static struct slab look(const struct hak_segment *segment, uint32_t slot, uint32_t end)
{
	uint64_t w = hak_slab_load(&segment->slab_words[slot]);
	const struct slab none = {slot, 1, 0, w};
	struct slab slab = none;

	if (hak_slab_state(w) == HAK_SLAB_SPAN) {
		slab.length = hak_slab_arg(w);
		slab.n_blocks = 1;
	} else if (hak_slab_state(w) == HAK_SLAB_ACTIVE && hak_slab_class(w) < HAK_CLASS_COUNT) {
		slab.length = hak_classes[hak_slab_class(w)].n_slots;
		slab.n_blocks = hak_classes[hak_slab_class(w)].n_blocks;
	}
	return slab.length >= 1 && slab.length <= end - slot ? slab : none;
}

/* The same where nobody cuts any more: then the bodies of a slab are there, or it is none. */
static struct slab look_at_rest(const struct hak_segment *segment, uint32_t slot, uint32_t end)
{
	struct slab slab = look(segment, slot, end);

	for (uint32_t i = 1; i < slab.length; i++) {
		uint64_t body = hak_slab_load(&segment->slab_words[slot + i]);

		if (hak_slab_state(body) != HAK_SLAB_BODY || hak_slab_arg(body) != i)
			return (struct slab){slot, 1, 0, slab.word};
	}
	return slab;
}

/* What a scan does to one word of bits: which of the taken blocks are to be freed. */
typedef uint64_t choose_fn(hak_u32 *tags, uint64_t taken, const void *whose);

/* The blocks of a tagged slab; returns how many are taken still, and adds to *n_freed. */
static uint64_t scan_blocks(const struct hak_segment *segment, const struct slab *slab,
			    choose_fn *choose, const void *whose, uint64_t *n_freed)
{
	hak_u64 *bits = hak_segment_bits(segment, slab->slot);
	hak_u32 *tags = hak_segment_tags(segment, slab->slot);
	uint64_t n_taken = 0;

	for (unsigned i = 0; i < hak_slab_bits_words(slab->n_blocks); i++) {
		uint64_t all = hak_slab_bits_mask(slab->n_blocks, i);
		uint64_t taken = hak_slab_taken_bits(&bits[i]) & all;
		uint64_t gone = taken ? choose(&tags[(uint64_t)i * 64], taken, whose) : 0;

		if (gone)
			hak_slab_free(&bits[i], gone);
		*n_freed += (uint64_t)__builtin_popcountll(gone);
		n_taken += (uint64_t)__builtin_popcountll(taken & ~gone);
	}
	return n_taken;
}

static uint64_t choose_own(hak_u32 *tags, uint64_t taken, const void *whose)
{
	unsigned owner = *(const unsigned *)whose;
	uint64_t gone = 0;

	for (uint64_t rest = taken; rest; rest &= rest - 1)
		if (hak_tag_scan_own(&tags[__builtin_ctzll(rest)], owner))
			gone |= rest & -rest;
	return gone;
}

static uint64_t choose_held(hak_u32 *tags, uint64_t taken, const void *whose)
{
	const struct hak_holder_set *dead = whose;
	uint64_t gone = 0;

	for (uint64_t rest = taken; rest; rest &= rest - 1) {
		hak_u32 *tag = &tags[__builtin_ctzll(rest)];
		unsigned holder = hak_tag_holder(hak_tag_load(tag));

		if (hak_holder_set_has(dead, holder) && hak_tag_scan_held(tag, holder))
			gone |= rest & -rest;
	}
	return gone;
}

/* The head before its bodies: what is cut short is a head that is whole, or none. */
static void collect(const struct hak_segment *segment, const struct slab *slab)
{
	for (uint32_t i = 0; i < slab->length; i++)
		hak_slab_collect(&segment->slab_words[slab->slot + i]);
}

static void orphan(const struct hak_segment *segment, const struct slab *slab)
{
	for (uint32_t i = 0; i < slab->length; i++)
		hak_slab_orphan(&segment->slab_words[slab->slot + i]);
}

bool hak_scan_own(const struct hak_segment *segment, uint32_t first, uint32_t end, unsigned owner,
		  struct hak_scan *scan)
{
	uint64_t n_before = scan->n_survived;
	struct slab slab;

	for (uint32_t slot = first; slot < end; slot += slab.length) {
		unsigned named;
		uint64_t n = 0;

		slab = look_at_rest(segment, slot, end);
		named = hak_slab_owner(slab.word);
		/* Nobody's: it was made an orphan before the scan was cut short. */
		if (slab.n_blocks > 0 && (slab.word & HAK_SLAB_TAGGED) &&
		    (named == owner || named == HAK_HOLDER_NONE))
			n = scan_blocks(segment, &slab, choose_own, &owner, &scan->n_freed);
		if (n > 0)
			orphan(segment, &slab);
		else
			collect(segment, &slab);
		scan->n_survived += n;
	}
	return scan->n_survived > n_before;
}

void hak_scan_held(const struct hak_segment *segment, uint32_t first, uint32_t end,
		   const struct hak_holder_set *dead, bool were_killed, struct hak_scan *scan)
{
	struct slab slab;

	for (uint32_t slot = first; slot < end; slot += slab.length) {
		uint64_t n_before = scan->n_freed;

		slab = look(segment, slot, end);
		if (slab.n_blocks > 0 && (slab.word & HAK_SLAB_TAGGED))
			scan_blocks(segment, &slab, choose_held, dead, &scan->n_freed);
		if (scan->n_freed > n_before || (slab.n_blocks > 0 && were_killed))
			hak_segment_raise_pending(segment, slot);
	}
}

static bool has_blocks(const struct hak_segment *segment, const struct slab *slab)
{
	const hak_u64 *bits = hak_segment_bits(segment, slab->slot);

	for (unsigned i = 0; i < hak_slab_bits_words(slab->n_blocks); i++)
		if (hak_slab_taken_bits(&bits[i]) & hak_slab_bits_mask(slab->n_blocks, i))
			return true;
	return false;
}

/* The epoch, and what it says of tags, is all that a collected word keeps. */
static bool is_collected(uint64_t w)
{
	return (w & ~(HAK_SLAB_TAGGED | HAK_SLAB_NAMED)) ==
	       hak_slab_pack(HAK_SLAB_UNUSED, hak_slab_epoch(w), HAK_HOLDER_NONE, 0);
}

void hak_scan_orphan(const struct hak_segment *segment, uint32_t first, uint32_t end,
		     struct hak_scan *scan)
{
	uint32_t per = segment->geometry.slots_per_superslab;
	struct slab slab;

	/* A hint that is raised later is there at the next look. */
	for (uint32_t slot = first; slot < end; slot += per)
		hak_segment_take_pending(segment, hak_segment_superslab_of(segment, slot),
					 UINT32_MAX);
	for (uint32_t slot = first; slot < end; slot += slab.length) {
		slab = look_at_rest(segment, slot, end);
		if (slab.n_blocks > 0 && has_blocks(segment, &slab)) {
			orphan(segment, &slab); /* which it is, unless somebody scribbled */
			scan->n_heads++;
			continue;
		}
		scan->has_changed |= !is_collected(slab.word);
		collect(segment, &slab);
		scan->n_vacant += slab.length;
	}
}

void hak_scan_inherit(const struct hak_segment *segment, uint32_t first, uint32_t end,
		      unsigned owner)
{
	struct slab slab;

	for (uint32_t slot = first; slot < end; slot += slab.length) {
		slab = look_at_rest(segment, slot, end);
		for (uint32_t i = 0; i < slab.length; i++)
			if (hak_slab_owner(hak_slab_load(&segment->slab_words[slot + i])) == owner)
				continue; /* by a try that was cut short: it may be at work there */
			else if (slab.n_blocks > 0)
				hak_slab_inherit(&segment->slab_words[slot + i], owner);
			else
				hak_slab_grant(&segment->slab_words[slot + i], owner, false);
	}
}
