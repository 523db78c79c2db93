/* SPDX-License-Identifier: MIT */
/*
 * Transitions of the slab word; the table in slab.h says who may make them.
 *
 * Each changes a head's W by one compare and swap that keeps what it doesn't
 * know about (the epoch, and TAGGED, which another thread of the owner may set at any time).
 */
#include "proto/shm/slab.h"

#include "proto/shm/holders.h"

#define EPOCH_MASK ((uint64_t)HAK_REF_EPOCH_MAX << HAK_SLAB_EPOCH_SHIFT)
#define KEPT	   (HAK_SLAB_TAGGED | HAK_SLAB_NAMED | EPOCH_MASK)
#define MARKS	   (HAK_SLAB_GUARDED | HAK_SLAB_SAMPLED)

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

static uint64_t with_epoch(uint64_t w, unsigned epoch)
{
	return (w & ~EPOCH_MASK) | (uint64_t)epoch << HAK_SLAB_EPOCH_SHIFT;
}

static unsigned next_epoch(unsigned epoch)
{
	/* Never 0: that would make HAK_REF_NONE the ref of a block. */
	return epoch >= HAK_REF_EPOCH_MAX ? 1 : epoch + 1;
}

/* The later of two epochs that went on from the same one, by less than half of all. */
static unsigned later_epoch(unsigned a, unsigned b)
{
	unsigned ahead = (b + HAK_REF_EPOCH_MAX - a) % HAK_REF_EPOCH_MAX;

	return ahead < HAK_REF_EPOCH_MAX / 2 ? b : a;
}

/* The epoch that slots get which become a slab together: see slab.h. */
static unsigned common_epoch(const hak_u64 *word, uint32_t n_slots)
{
	uint64_t all = 0;
	unsigned epoch = 0;

	for (uint32_t i = 0; i < n_slots; i++) {
		uint64_t w = hak_load_relaxed(&word[i]); /* as in write_bodies */

		all |= w;
		epoch = i == 0 ? hak_slab_epoch(w) : later_epoch(epoch, hak_slab_epoch(w));
	}
	return all & (HAK_SLAB_TAGGED | HAK_SLAB_NAMED) ? next_epoch(epoch) : epoch;
}

/*
 * The bodies of a slab or span that is being cut. Plain stores: an unused slot
 * is its owner's alone. Relaxed: the head's move publishes them. Those of a slab
 * get its epoch, which no ref of an address in them has; epoch 0: they keep theirs.
 */
static bool write_bodies(hak_u64 *word, unsigned owner, uint32_t first, uint32_t n_slots,
			 unsigned epoch)
{
	for (uint32_t i = first; i < n_slots; i++) {
		uint64_t w = hak_load_relaxed(&word[i]);
		uint64_t body = hak_slab_pack(HAK_SLAB_BODY, 0, owner, i) | (w & KEPT);

		if (epoch)
			body = with_epoch(body & ~HAK_SLAB_NAMED, epoch);
		if (w == body)
			continue;
		if (!is_unused(w, owner))
			return false;
		hak_store_relaxed(&word[i], body);
	}
	return true;
}

/* The head of unused slots, in one step with its epoch. */
static bool commit_head(hak_u64 *word, unsigned owner, uint64_t head, unsigned epoch)
{
	uint64_t w = hak_load_relaxed(word); /* its owner's alone */
	uint64_t next = with_epoch(head | (w & HAK_SLAB_TAGGED), epoch);

	/* [order:cut] As in try_move. */
	return is_unused(w, owner) && hak_cas_acq_rel(word, &w, next);
}

bool hak_slab_cut(hak_u64 *word, hak_u64 *bits, unsigned owner, unsigned cls, uint32_t thread)
{
	const struct hak_class *shape = &hak_classes[cls];
	unsigned epoch = common_epoch(word, shape->n_slots);

	/* Relaxed: nobody looks at the bits of an unused slot; [order:cut] publishes them. */
	for (unsigned i = 0; i < hak_slab_bits_words(shape->n_blocks); i++)
		hak_store_relaxed(&bits[i], hak_slab_bits_mask(shape->n_blocks, i));
	return write_bodies(word, owner, 1, shape->n_slots, epoch) &&
	       commit_head(word, owner, hak_slab_pack_active(0, owner, cls, thread), epoch);
}

bool hak_slab_cut_span(hak_u64 *word, hak_u64 *bits, hak_u32 *tags, unsigned owner,
		       uint32_t n_slots)
{
	if (n_slots == 0 || n_slots > HAK_SLAB_ARG_MAX)
		return false;
	if (hak_slab_load(word) & HAK_SLAB_TAGGED) /* as in claim */
		hak_tag_clear(&tags[0]);
	hak_store_relaxed(&bits[0], 0); /* as in hak_slab_cut */
	return write_bodies(word, owner, 1, n_slots, 0) &&
	       commit_head(word, owner, hak_slab_pack(HAK_SLAB_SPAN, 0, owner, n_slots),
			   common_epoch(word, 1));
}

/* Refs may name what was in the bodies of a slab that is retired: its next cut shall know. */
static void name_bodies(hak_u64 *word, uint64_t w, uint32_t n_slots)
{
	for (uint32_t i = 1; (w & HAK_SLAB_TAGGED) && i < n_slots; i++) /* as in write_bodies */
		hak_store_relaxed(&word[i], hak_load_relaxed(&word[i]) | HAK_SLAB_NAMED);
}

static uint64_t unused_of(unsigned owner)
{
	return hak_slab_pack(HAK_SLAB_UNUSED, 0, owner, 0);
}

bool hak_slab_retire(hak_u64 *word, hak_u64 *bits, hak_u32 *tags, unsigned owner, uint32_t thread)
{
	uint64_t w = hak_slab_load(word);
	unsigned cls = hak_slab_class(w);

	if ((w & ~(KEPT | MARKS)) != hak_slab_pack_active(0, owner, cls, thread) ||
	    cls >= HAK_CLASS_COUNT)
		return false;

	const struct hak_class *shape = &hak_classes[cls];
	uint64_t claimed[HAK_SLAB_BITS_WORDS];

	for (unsigned i = 0; i < hak_slab_bits_words(shape->n_blocks); i++) {
		uint64_t all = hak_slab_bits_mask(shape->n_blocks, i);

		claimed[i] = hak_slab_claim(word, &bits[i], &tags[(uint64_t)i * 64], all);
		if (claimed[i] == all)
			continue;
		for (unsigned back = 0; back <= i; back++)
			hak_slab_free(&bits[back], claimed[back]);
		return false;
	}
	/* Nobody sets TAGGED any more: no block is left to make a ref of. */
	name_bodies(word, hak_slab_load(word), shape->n_slots);
	return try_move(word, w & ~KEPT, unused_of(owner));
}

bool hak_slab_retire_span(hak_u64 *word, hak_u64 *bits, hak_u32 *tags, unsigned owner)
{
	uint64_t w = hak_slab_load(word);

	if (hak_slab_state(w) != HAK_SLAB_SPAN || hak_slab_owner(w) != owner)
		return false;
	if (!hak_slab_claim(word, &bits[0], &tags[0], 1))
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
	if (!write_bodies(word, owner, before, n_slots, 0))
		return false;
	return try_move(word, w & ~KEPT,
			hak_slab_pack(HAK_SLAB_SPAN, 0, owner, n_slots) | (w & MARKS));
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

bool hak_slab_set_tagged(hak_u64 *word, unsigned owner)
{
	uint64_t w = hak_load_relaxed(word); /* only a guess, the CAS decides */

	do {
		if (hak_slab_owner(w) != owner ||
		    (hak_slab_state(w) != HAK_SLAB_ACTIVE && hak_slab_state(w) != HAK_SLAB_SPAN))
			return false;
		/* [order:cut] as in try_move: it keeps what the cut before released. */
	} while (!(w & HAK_SLAB_TAGGED) && !hak_cas_acq_rel(word, &w, w | HAK_SLAB_TAGGED));
	return true;
}

bool hak_slab_mark(hak_u64 *word, unsigned owner, uint64_t mark)
{
	uint64_t w = hak_slab_load(word) & ~KEPT;

	if (hak_slab_owner(w) != owner ||
	    (hak_slab_state(w) != HAK_SLAB_ACTIVE && hak_slab_state(w) != HAK_SLAB_SPAN))
		return false;
	return try_move(word, w, w | mark);
}

/*
 * [order:grant] The daemon alone writes below: the SuperSlab is nobody's, or its
 * owner is dead. The release pairs with the next owner's first load; it also
 * travels by the socket. Relaxed: our own stores, and those of the dead.
 */
void hak_slab_grant(hak_u64 *word, unsigned owner, bool are_tags_zero)
{
	uint64_t w = hak_load_relaxed(word);
	uint64_t next = hak_slab_pack(HAK_SLAB_UNUSED, next_epoch(hak_slab_epoch(w)), owner, 0);

	hak_store_release(word, are_tags_zero ? next : next | (w & HAK_SLAB_TAGGED));
}

/* [order:grant] Keeps the epoch, so refs of before stay stale after the next grant, and its tags. */
uint64_t hak_slab_collect(hak_u64 *word)
{
	uint64_t w = hak_load_relaxed(word);

	w = hak_slab_pack(HAK_SLAB_UNUSED, hak_slab_epoch(w), HAK_HOLDER_NONE, 0) |
	    (w & HAK_SLAB_TAGGED);
	hak_store_release(word, w);
	return w;
}

static uint64_t with_owner(uint64_t w, unsigned owner)
{
	const uint64_t mask = UINT64_C(0xfff) << HAK_SLAB_OWNER_SHIFT;

	return (w & ~mask) | (uint64_t)owner << HAK_SLAB_OWNER_SHIFT;
}

/* [order:grant] Of a slab no thread claims from now on. */
void hak_slab_orphan(hak_u64 *word)
{
	uint64_t w = with_owner(hak_load_relaxed(word), HAK_HOLDER_NONE);

	if (hak_slab_state(w) == HAK_SLAB_ACTIVE)
		w &= ~(UINT64_C(0xffff) << HAK_SLAB_THREAD_SHIFT);
	hak_store_release(word, w);
}

void hak_slab_inherit(hak_u64 *word, unsigned owner)
{
	uint64_t w = hak_load_relaxed(word) & ~HAK_SLAB_GUARDED;

	hak_store_release(word, with_owner(w, owner)); /* [order:grant] */
}
