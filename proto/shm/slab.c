/* SPDX-License-Identifier: MIT */
/*
 * Transitions of the slab word; the table in slab.h says who may make them.
 *
 * Each changes a head's W by one compare and swap that keeps what it doesn't
 * know about (the epoch, and TAGGED, which other processes may set at any time).
 */
#include "proto/shm/slab.h"

#define EPOCH_MASK ((uint64_t)HAK_REF_EPOCH_MAX << HAK_SLAB_EPOCH_SHIFT)
#define KEPT	   (HAK_SLAB_TAGGED | EPOCH_MASK)

/*
 * A head's W: from what `from` says, its epoch and TAGGED apart, to `next`.
 * [order:cut] Release: bits and bodies that were written before are visible to
 * who loads this W. Dead just before: the slot is what it was. Dead just
 * after: it is what `next` says, wholly.
 */
static bool try_move(hak_u64 *word, uint64_t from, uint64_t next)
{
	uint64_t w = hak_load_relaxed(word); /* only a guess, the CAS decides */

	do {
		if ((w & ~KEPT) != from)
			return false;
	} while (!hak_cas_acq_rel(word, &w, next | (w & KEPT)));
	return true;
}

static bool is_unused(uint64_t w, unsigned owner)
{
	enum hak_slab_state state = hak_slab_state(w);

	return hak_slab_owner(w) == owner && (state == HAK_SLAB_UNUSED || state == HAK_SLAB_BODY);
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

/*
 * The bodies of a slab or span that is being cut. Plain stores: an unused slot
 * is its owner's alone. Relaxed: the head's move publishes them.
 */
static bool write_bodies(hak_u64 *word, unsigned owner, uint32_t n_slots)
{
	for (uint32_t i = 1; i < n_slots; i++) {
		uint64_t w = hak_load_relaxed(&word[i]);
		uint64_t body = hak_slab_pack(HAK_SLAB_BODY, 0, owner, i);

		if (((w ^ body) & ~EPOCH_MASK) == 0)
			continue;
		if (!is_unused(w, owner))
			return false;
		hak_store_relaxed(&word[i], body | (w & EPOCH_MASK));
	}
	return true;
}

static bool commit_head(hak_u64 *word, unsigned owner, uint32_t n_slots, uint64_t head)
{
	uint64_t w = hak_load_relaxed(word); /* only a guess, the CAS decides */

	if (!is_unused(w, owner) || !write_bodies(word, owner, n_slots))
		return false;
	return try_move(word, w & ~KEPT, head);
}

bool hak_slab_cut(hak_u64 *word, hak_u64 *bits, unsigned owner, unsigned cls, uint32_t thread)
{
	const struct hak_class *shape = &hak_classes[cls];

	/* Relaxed: nobody looks at the bits of an unused slot; [order:cut] publishes them. */
	for (unsigned i = 0; i < hak_slab_bits_words(shape->n_blocks); i++)
		hak_store_relaxed(&bits[i], hak_slab_bits_mask(shape->n_blocks, i));
	return commit_head(word, owner, shape->n_slots,
			   hak_slab_pack_active(0, owner, cls, thread));
}

bool hak_slab_cut_span(hak_u64 *word, hak_u64 *bits, unsigned owner, uint32_t n_slots)
{
	if (n_slots == 0 || n_slots > HAK_SLAB_ARG_MAX)
		return false;
	hak_store_relaxed(&bits[0], 0); /* as in hak_slab_cut */
	return commit_head(word, owner, n_slots, hak_slab_pack(HAK_SLAB_SPAN, 0, owner, n_slots));
}

static uint64_t unused_of(unsigned owner)
{
	return hak_slab_pack(HAK_SLAB_UNUSED, 0, owner, 0);
}

bool hak_slab_retire(hak_u64 *word, hak_u64 *bits, unsigned owner, uint32_t thread)
{
	uint64_t w = hak_slab_load(word);
	unsigned cls = hak_slab_class(w);

	if ((w & ~KEPT) != hak_slab_pack_active(0, owner, cls, thread) || cls >= HAK_CLASS_COUNT)
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
	return try_move(word, w & ~KEPT, unused_of(owner));
}

bool hak_slab_retire_span(hak_u64 *word, hak_u64 *bits, unsigned owner)
{
	uint64_t w = hak_slab_load(word);

	if (hak_slab_state(w) != HAK_SLAB_SPAN || hak_slab_owner(w) != owner)
		return false;
	if (!hak_slab_claim(&bits[0], 1))
		return false;
	return try_move(word, w & ~KEPT, unused_of(owner));
}

bool hak_slab_resize_span(hak_u64 *word, unsigned owner, uint32_t n_slots)
{
	uint64_t w = hak_slab_load(word);
	uint32_t before = hak_slab_arg(w);

	if (hak_slab_state(w) != HAK_SLAB_SPAN || hak_slab_owner(w) != owner || n_slots == 0 ||
	    n_slots > HAK_SLAB_ARG_MAX)
		return false;
	for (uint32_t i = before; i < n_slots; i++) {
		uint64_t s = hak_load_relaxed(&word[i]); /* as in write_bodies */

		if (!is_unused(s, owner))
			return false;
		hak_store_relaxed(&word[i],
				  hak_slab_pack(HAK_SLAB_BODY, hak_slab_epoch(s), owner, i));
	}
	return try_move(word, w & ~KEPT, hak_slab_pack(HAK_SLAB_SPAN, 0, owner, n_slots));
}

/*
 * [order:adopt] Pairs with itself: what the thread that let go did to the slab
 * is visible to the next. One CAS: dead just before it is `from`'s, after `to`'s.
 */
bool hak_slab_pass(hak_u64 *word, unsigned owner, uint32_t from, uint32_t to)
{
	uint64_t w = hak_load_relaxed(word); /* only a guess, the CAS decides */
	uint64_t next;

	do {
		if (hak_slab_state(w) != HAK_SLAB_ACTIVE || hak_slab_owner(w) != owner ||
		    hak_slab_thread(w) != from)
			return false;
		next = (w & ~(UINT64_C(0xffff) << HAK_SLAB_THREAD_SHIFT)) |
		       (uint64_t)to << HAK_SLAB_THREAD_SHIFT;
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
	hak_store_release(word, hak_slab_pack(HAK_SLAB_UNUSED, epoch, owner, 0));
}

/* [order:grant] Keeps nothing but the epoch: refs of before stay stale after the next grant. */
void hak_slab_collect(hak_u64 *word)
{
	unsigned epoch = hak_slab_epoch(hak_load_relaxed(word)); /* its owner is gone */

	hak_store_release(word, hak_slab_pack(HAK_SLAB_UNUSED, epoch, 0, 0));
}
