/* SPDX-License-Identifier: MIT */
/*
 * Transitions of the slab word; the table in slab.h says who may make them.
 *
 * Each changes W by one compare and swap that keeps the bits it doesn't know
 * about (the epoch, and TAGGED, which other processes may set at any time).
 */
#include "proto/shm/slab.h"

#define KEPT (HAK_SLAB_TAGGED | ((uint64_t)HAK_REF_EPOCH_MAX << HAK_SLAB_EPOCH_SHIFT))

/*
 * W: from (state, owner, arg) to `next`, both without the kept bits. The class
 * is not compared: who may make the move knows it.
 * [order:cut] Release: bits and bodies that were written before are visible to
 * who loads this W. Dead just before: the slot is what it was. Dead just
 * after: it is what `next` says, wholly.
 */
static bool try_move(hak_u64 *word, uint64_t from, uint64_t next)
{
	const uint64_t compared = HAK_SLAB_MINE_MASK & ~HAK_SLAB_TAGGED;
	uint64_t w = hak_load_relaxed(word); /* only a guess, the CAS decides */

	do {
		if ((w & compared) != from)
			return false;
	} while (!hak_cas_acq_rel(word, &w, next | (w & KEPT)));
	return true;
}

static uint64_t unused_of(unsigned owner)
{
	return hak_slab_pack(HAK_SLAB_UNUSED, 0, owner, 0, 0);
}

bool hak_slab_is_empty(const hak_u64 *bits, unsigned n_blocks)
{
	for (unsigned i = 0; i < hak_slab_bits_words(n_blocks); i++) {
		uint64_t all = hak_slab_bits_mask(n_blocks, i);

		/* Relaxed: nothing is read on the strength of this answer. */
		if ((hak_load_relaxed(&bits[i]) & all) != all)
			return false;
	}
	return true;
}

static void drop_bodies(hak_u64 *word, unsigned owner, uint32_t n_slots)
{
	for (uint32_t i = 1; i < n_slots; i++)
		try_move(&word[i], hak_slab_pack(HAK_SLAB_BODY, 0, owner, 0, i), unused_of(owner));
}

static bool write_bodies(hak_u64 *word, unsigned owner, uint32_t n_slots)
{
	for (uint32_t i = 1; i < n_slots; i++) {
		if (!try_move(&word[i], unused_of(owner),
			      hak_slab_pack(HAK_SLAB_BODY, 0, owner, 0, i))) {
			drop_bodies(word, owner, i);
			return false;
		}
	}
	return true;
}

static bool commit_head(hak_u64 *word, unsigned owner, uint32_t n_slots, uint64_t head)
{
	if (!write_bodies(word, owner, n_slots))
		return false;
	if (!try_move(word, unused_of(owner), head)) {
		drop_bodies(word, owner, n_slots);
		return false;
	}
	return true;
}

bool hak_slab_cut(hak_u64 *word, hak_u64 *bits, unsigned owner, unsigned cls, uint32_t thread)
{
	const struct hak_class *shape = &hak_classes[cls];

	/* Relaxed: nobody looks at the bits of an UNUSED slot; [order:cut] publishes them. */
	for (unsigned i = 0; i < hak_slab_bits_words(shape->n_blocks); i++)
		hak_store_relaxed(&bits[i], hak_slab_bits_mask(shape->n_blocks, i));
	return commit_head(word, owner, shape->n_slots,
			   hak_slab_pack(HAK_SLAB_ACTIVE, 0, owner, cls, thread));
}

bool hak_slab_cut_span(hak_u64 *word, hak_u64 *bits, unsigned owner, uint32_t n_slots)
{
	if (n_slots == 0 || n_slots > HAK_SLAB_ARG_MAX)
		return false;
	hak_store_relaxed(&bits[0], 0); /* as in hak_slab_cut */
	return commit_head(word, owner, n_slots,
			   hak_slab_pack(HAK_SLAB_SPAN, 0, owner, 0, n_slots));
}

bool hak_slab_retire(hak_u64 *word, hak_u64 *bits, unsigned owner, uint32_t thread)
{
	uint64_t w = hak_slab_load(word);
	unsigned cls = hak_slab_class(w);

	if ((w & HAK_SLAB_MINE_MASK & ~HAK_SLAB_TAGGED) != hak_slab_mine(owner, thread) ||
	    cls >= HAK_CLASS_COUNT)
		return false;

	const struct hak_class *shape = &hak_classes[cls];
	uint64_t claimed[HAK_SLAB_BITS_WORDS];

	for (unsigned i = 0; i < hak_slab_bits_words(shape->n_blocks); i++) {
		uint64_t all = hak_slab_bits_mask(shape->n_blocks, i);

		claimed[i] = hak_slab_claim(&bits[i], all);
		if (claimed[i] == all)
			continue;
		for (unsigned back = 0; back <= i; back++)
			hak_slab_free(&bits[back], claimed[back]);
		return false;
	}
	if (!try_move(word, hak_slab_mine(owner, thread), unused_of(owner)))
		return false;
	drop_bodies(word, owner, shape->n_slots);
	return true;
}

bool hak_slab_retire_span(hak_u64 *word, hak_u64 *bits, unsigned owner)
{
	uint64_t w = hak_slab_load(word);
	uint32_t n_slots = hak_slab_arg(w);

	if (hak_slab_state(w) != HAK_SLAB_SPAN || hak_slab_owner(w) != owner)
		return false;
	if (!hak_slab_claim(&bits[0], 1))
		return false;
	if (!try_move(word, hak_slab_pack(HAK_SLAB_SPAN, 0, owner, 0, n_slots), unused_of(owner)))
		return false;
	drop_bodies(word, owner, n_slots);
	return true;
}

/*
 * [order:adopt] Pairs with itself: what the thread that let go did to the slab
 * is visible to the next. One CAS: dead just before it is `from`'s, after `to`'s.
 */
bool hak_slab_pass(hak_u64 *word, unsigned owner, uint32_t from, uint32_t to)
{
	const uint64_t compared = HAK_SLAB_MINE_MASK & ~HAK_SLAB_TAGGED;
	uint64_t w = hak_load_relaxed(word); /* only a guess, the CAS decides */
	uint64_t next;

	do {
		if ((w & compared) != hak_slab_mine(owner, from))
			return false;
		next = (w & ~(HAK_SLAB_ARG_MAX << HAK_SLAB_ARG_SHIFT)) |
		       (uint64_t)to << HAK_SLAB_ARG_SHIFT;
	} while (!hak_cas_acq_rel(word, &w, next));
	return true;
}

/*
 * [order:grant] The daemon alone writes here: the SuperSlab is nobody's. The
 * release pairs with the owner's first load; it also travels by the socket.
 */
void hak_slab_grant(hak_u64 *word, unsigned owner)
{
	unsigned epoch = hak_slab_epoch(hak_load_relaxed(word)) + 1; /* our own store */

	if (epoch > HAK_REF_EPOCH_MAX)
		epoch = 1; /* 0 would make HAK_REF_NONE the ref of a block */
	hak_store_release(word, hak_slab_pack(HAK_SLAB_UNUSED, epoch, owner, 0, 0));
}

/* [order:grant] Keeps nothing but the epoch: refs of before stay stale after the next grant. */
void hak_slab_collect(hak_u64 *word)
{
	unsigned epoch = hak_slab_epoch(hak_load_relaxed(word)); /* its owner is gone */

	hak_store_release(word, hak_slab_pack(HAK_SLAB_UNUSED, epoch, 0, 0, 0));
}
