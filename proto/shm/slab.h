/* SPDX-License-Identifier: MIT */
#ifndef HAK_SHM_SLAB_H
#define HAK_SHM_SLAB_H

/*
 * The slab word and the free bits: all that is true about a slab.
 *
 *   63    56 55     46 45      38 37   32 31        16 15       4   3   2    0
 *  +--------+---------+----------+-------+------------+----------+-----+--------+
 *  | unused | epoch10 | class 8, | 0     | thread 16, | owner 12 | TAG | state 3|
 *  |        |         | high arg |       | low arg    |          |     |        |
 *  +--------+---------+----------+-------+------------+----------+-----+--------+
 *
 * ACTIVE: its class and the claiming thread (0: nobody). SPAN and BODY have an
 * arg of 24 bits in these two fields: the length in slots, the distance to the
 * head in slots. So "mine, untagged" is one compare of the low half, and the
 * class stands where a cache line's worth is a multiple of it.
 *
 * TAGGED: refs of blocks have been made, the slot's tags have memory and may say something.
 * N, NAMED: refs may name addresses in the slot though it has no tags of its own: it was in the
 * body of a TAGGED slab.
 * G, GUARDED, bit 57: blocks that are given out of it have a guard, see guard.h.
 * S, SAMPLED, bit 58: they have a record of who allocated them, see sample.h. No thread claims a
 * slab of these.
 *
 *               cut                     retire
 *   UNUSED ------------> ACTIVE --------------------------> UNUSED
 *   UNUSED ------------> SPAN   --------------------------> UNUSED
 *   UNUSED ------------> BODY (before its head)
 *   any    --- collect (daemon) --> UNUSED, owner 0
 *   any    --- grant (daemon) ----> UNUSED, owner X, epoch + 1
 *   ACTIVE, SPAN of X --- orphan (daemon) ---> the same, owner 0, thread 0
 *   ACTIVE, SPAN of 0 --- inherit (daemon) --> the same, owner Y, the same epoch, not GUARDED
 *
 * An orphan, a slab whose owner died while others hold blocks in it, is one
 * whose owner is 0.
 *
 * | operation       | who may                           | killed half way          |
 * |-----------------|-----------------------------------|--------------------------|
 * | cut             | a thread of the owner, to which   | bodies without a head:   |
 * |                 | its process gave the slots        | dead weight of the dead  |
 * | claim bits      | the thread in W only; where that  | bits stay 1 (their tags  |
 * |                 | is nobody, one of the owner's at  | cleared), or are lost    |
 * |                 | a time                            | with their owner         |
 * | set TAGGED      | a thread of the owner             | one CAS                  |
 * | set GUARDED,    | who cut it, before a block of it  | one CAS                  |
 * | SAMPLED         | is given out                      |                          |
 * | free bits       | anybody                           | not freed                |
 * | release, adopt  | the thread in W; a thread of the  | one CAS                  |
 * |                 | owner when W names nobody         |                          |
 * | resize a span   | as cut                            | one CAS, bodies before   |
 * | retire          | the thread in W; a span: a thread | bits are claimed, W says |
 * |                 | of the owner                      | ACTIVE: the scan's       |
 * | grant, collect, | the daemon                        | done again               |
 * | orphan, inherit |                                   |                          |
 *
 * Of the epochs: one slot's only goes on, and is never less than one under which a ref was made of
 * an address in it. So the slots of a slab get a common one when they are cut, the latest of
 * theirs, and one that none of them had if any is TAGGED or NAMED. Of a span only the first
 * address has refs: its bodies keep theirs.
 *
 * A BODY is in use only while a head at its distance covers it. Retiring a head
 * leaves its bodies as they are: they are unused by then, and cutting the same
 * shape again finds them written already.
 *
 * What a dead owner leaves half done is collected whole, so nobody repairs it.
 *
 * Counting equation of an ACTIVE slab: n_blocks = bits that are 1
 *   + blocks in magazines and outgoing buffers + blocks that callers hold.
 */

#include <stdbool.h>
#include <stdint.h>

#include "proto/shm/atomic.h"
#include "proto/shm/ref.h"
#include "proto/shm/size_class.h"
#include "proto/shm/tag.h"

enum hak_slab_state {
	HAK_SLAB_UNUSED = 0, /* a fresh, sparse segment is all UNUSED */
	HAK_SLAB_ACTIVE = 1, /* the head of a slab cut into blocks of a class */
	HAK_SLAB_SPAN = 2,   /* the head of a run that is one block */
	HAK_SLAB_BODY = 3,   /* another slot of a slab or span */
};

#define HAK_SLAB_STATE_MASK   UINT64_C(0x7)
#define HAK_SLAB_TAGGED	      UINT64_C(0x8)
#define HAK_SLAB_OWNER_SHIFT  4
#define HAK_SLAB_OWNER_BITS   12
#define HAK_SLAB_THREAD_SHIFT 16
#define HAK_SLAB_THREAD_BITS  16
#define HAK_SLAB_CLASS_SHIFT  38
#define HAK_SLAB_EPOCH_SHIFT  46
#define HAK_SLAB_NAMED	      (UINT64_C(1) << 56)
#define HAK_SLAB_GUARDED      (UINT64_C(1) << 57)
#define HAK_SLAB_SAMPLED      (UINT64_C(1) << 58)
#define HAK_SLAB_ARG_MAX      UINT32_C(0xffffff)

#define HAK_SLAB_BITS_WORDS 64 /* words of free bits a slot: 4096 bits */

/* arg: 24 bits; of an ACTIVE slab class << 16 | thread. */
static inline uint64_t hak_slab_pack(enum hak_slab_state state, unsigned epoch, unsigned owner,
				     uint32_t arg)
{
	return (uint64_t)state | (uint64_t)owner << HAK_SLAB_OWNER_SHIFT |
	       (uint64_t)(arg & 0xffff) << HAK_SLAB_THREAD_SHIFT |
	       (uint64_t)(arg >> 16) << HAK_SLAB_CLASS_SHIFT |
	       (uint64_t)epoch << HAK_SLAB_EPOCH_SHIFT;
}

static inline uint64_t hak_slab_pack_active(unsigned epoch, unsigned owner, unsigned cls,
					    uint32_t thread)
{
	return hak_slab_pack(HAK_SLAB_ACTIVE, epoch, owner, cls << 16 | thread);
}

static inline enum hak_slab_state hak_slab_state(uint64_t w)
{
	return (enum hak_slab_state)(w & HAK_SLAB_STATE_MASK);
}

static inline unsigned hak_slab_epoch(uint64_t w)
{
	return (unsigned)(w >> HAK_SLAB_EPOCH_SHIFT) & HAK_REF_EPOCH_MAX;
}

static inline unsigned hak_slab_owner(uint64_t w)
{
	return (unsigned)(w >> HAK_SLAB_OWNER_SHIFT) & 0xfff;
}

static inline unsigned hak_slab_class(uint64_t w)
{
	return (unsigned)(w >> HAK_SLAB_CLASS_SHIFT) & 0xff;
}

static inline uint32_t hak_slab_thread(uint64_t w)
{
	return (uint32_t)(w >> HAK_SLAB_THREAD_SHIFT) & 0xffff;
}

static inline uint32_t hak_slab_arg(uint64_t w)
{
	return hak_slab_thread(w) | hak_slab_class(w) << 16;
}

/* The low half of W of an untagged slab that this thread claims. */
static inline uint32_t hak_slab_mine(unsigned owner, uint32_t thread)
{
	return (uint32_t)hak_slab_pack_active(0, owner, 0, thread);
}

static inline bool hak_slab_is_mine(uint64_t w, uint32_t mine)
{
	return (uint32_t)w == mine;
}

/* The low half of W of an untagged span of n_slots; the length's other 8 bits are above. */
static inline uint32_t hak_slab_short_span(unsigned owner, uint32_t n_slots)
{
	return (uint32_t)hak_slab_pack(HAK_SLAB_SPAN, 0, owner, n_slots);
}

/*
 * [order:cut] Sees the bits and bodies that were written before the head;
 * [order:grant] what the daemon prepared, or who has lost the slot.
 */
static inline uint64_t hak_slab_load(const hak_u64 *word)
{
	return hak_load_acquire(word);
}

/* The bits of word i that a slab of n_blocks has. */
static inline uint64_t hak_slab_bits_mask(unsigned n_blocks, unsigned i)
{
	unsigned from = i * 64;

	if (n_blocks <= from)
		return 0;
	return n_blocks - from >= 64 ? UINT64_MAX : (UINT64_C(1) << (n_blocks - from)) - 1;
}

static inline unsigned hak_slab_bits_words(unsigned n_blocks)
{
	return (n_blocks + 63) / 64;
}

/*
 * Claims free blocks of mask in one word of bits of the slab at word, whose
 * tags are tags[0..63]; only the thread in W may. Returns those that were free
 * and are the caller's from now on.
 *
 * In this order: see the bit, load W, clear the tag, clear the bit. A tag that
 * were set after W was looked at, or left on a block that is given out, would
 * let the scan for a dead holder free it under its new user.
 */
static inline uint64_t hak_slab_claim(const hak_u64 *word, hak_u64 *bits, hak_u32 *tags,
				      uint64_t mask)
{
	/* [order:free] What who freed it did before is visible: its uses, the tag, TAGGED. */
	mask &= hak_load_acquire(bits);
	if (__builtin_expect((hak_slab_load(word) & HAK_SLAB_TAGGED) != 0, 0))
		for (uint64_t rest = mask; rest; rest &= rest - 1)
			hak_tag_clear(&tags[__builtin_ctzll(rest)]);
	/* [order:free] as above; [order:claim] who sees the bit 0 sees the tag cleared. */
	return mask ? hak_and_acq_rel(bits, ~mask) & mask : 0;
}

/* [order:claim] The scans: of a block whose bit is 0 here, the tag that is loaded next is no older. */
static inline uint64_t hak_slab_taken_bits(const hak_u64 *bits)
{
	return ~hak_load_acquire(bits);
}

/*
 * Frees the blocks of mask in one word; anybody who holds them may. Returns
 * those that were free before: each is a double free, and nothing changed.
 * [order:free] Our last uses of the blocks come before; killed before: they
 * are not freed, killed after: they are.
 */
static inline uint64_t hak_slab_free(hak_u64 *bits, uint64_t mask)
{
	return hak_or_release(bits, mask) & mask;
}

/* All blocks free? Certain only for who may claim, otherwise a glimpse. */
bool hak_slab_is_empty(const hak_u64 *bits, unsigned n_blocks);

/*
 * Below, word, bits and tags are the first slot's.
 *
 * Cuts a slab of class cls out of unused slots of owner. All blocks are free
 * afterwards and thread may claim them. False, and nothing is cut, where a slot
 * is not an unused one of owner.
 */
bool hak_slab_cut(hak_u64 *word, hak_u64 *bits, unsigned owner, unsigned cls, uint32_t thread);

/* The same for a span of n_slots, 1 to HAK_SLAB_ARG_MAX; its one block is allocated afterwards. */
bool hak_slab_cut_span(hak_u64 *word, hak_u64 *bits, hak_u32 *tags, unsigned owner,
		       uint32_t n_slots);

/*
 * Makes an EMPTY slab of (owner, thread) UNUSED again by claiming all its
 * blocks. False, and everything as before, where one of them is not free.
 */
bool hak_slab_retire(hak_u64 *word, hak_u64 *bits, hak_u32 *tags, unsigned owner, uint32_t thread);

/* The same for a span whose block is free; exclusion within the owner is the caller's. */
bool hak_slab_retire_span(hak_u64 *word, hak_u64 *bits, hak_u32 *tags, unsigned owner);

/*
 * Grows a span into the unused slots behind it, or shrinks it (the slots at its
 * end are unused then). False: a slot is not unused. Exclusion is the caller's.
 */
bool hak_slab_resize_span(hak_u64 *word, unsigned owner, uint32_t n_slots);

/* Hands a slab of the owner on: thread 0 is nobody. False: it was not `from`'s. */
bool hak_slab_pass(hak_u64 *word, unsigned owner, uint32_t from, uint32_t to);

/*
 * A thread of owner, before it makes the first ref of a block in the slab or
 * span; the tags have memory. Until here a free need not look at the tag, since
 * there is no ref. False: it isn't owner's.
 */
bool hak_slab_set_tagged(hak_u64 *word, unsigned owner);

/*
 * Who cut a slab or span, before anybody has a block of it. mark is GUARDED, which ends with the
 * slab or when somebody inherits it, or SAMPLED, which ends with the slab. False: it isn't owner's.
 */
bool hak_slab_mark(hak_u64 *word, unsigned owner, uint64_t mark);

/*
 * The daemon: a slot of a SuperSlab is granted to owner, or collected.
 * are_tags_zero: of a grant; then they have been zeroed after a grace, and it is untagged.
 */
void hak_slab_grant(hak_u64 *word, unsigned owner, bool are_tags_zero);
uint64_t hak_slab_collect(hak_u64 *word); /* the word that it has stored */

/*
 * The daemon, of a head or a body that it covers, whose owner is dead: nobody's
 * from now on, and the other way round. Blocks keep their owners and refs.
 */
void hak_slab_orphan(hak_u64 *word);
void hak_slab_inherit(hak_u64 *word, unsigned owner);

#endif
