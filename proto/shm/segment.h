/* SPDX-License-Identifier: MIT */
#ifndef HAK_SHM_SEGMENT_H
#define HAK_SHM_SEGMENT_H

/*
 * A process's view of a pool that it has mapped, and the lookup that answers
 * for every address. The view is private; only what it points to is shared.
 *
 * The heap memfd, as mapped (offsets in struct hak_geometry):
 *
 *   +------------+---------+--------------+-----------+--------+--- - - ---+
 *   | slab words | pending | client areas | free bits | tags   | SuperSlabs|
 *   +------------+---------+--------------+-----------+--------+--- - - ---+
 *   | 8 B a slot | 4 B a   | 64 KiB a     | 512 B a   | 16 KiB | base:     |
 *   |            | Super-  | holder       | slot      | a slot | offset 0  |
 *   |            | Slab    |              |           |        | of refs   |
 *
 * Holder 0 is nobody: in place of its area is the table of modules, see modules.h.
 * Written by clients (slab words also by the daemon at grant and collect).
 * Everything in it is input from processes one doesn't control.
 */

#include <stdbool.h>
#include <stdint.h>

#include "proto/shm/registry.h"

struct hak_root;

struct hak_segment {
	struct hak_geometry geometry;
	const struct hak_registry *header;
	const struct hak_holder *holders;
	const struct hak_root *roots; /* see roots.h */
	const hak_u64 *superslabs;
	hak_u64 *slab_words;
	hak_u32 *pending;
	struct hak_client_area *areas;
	hak_u64 *bits;
	hak_u32 *tags;
	uintptr_t base; /* of the first SuperSlab in this process */
};

/*
 * The view of a registry and a heap that are mapped whole, for a geometry that
 * hak_geometry_init or hak_registry_validate made.
 */
void hak_segment_init(struct hak_segment *segment, const struct hak_geometry *geometry,
		      const void *registry, void *heap);

static inline hak_u64 *hak_segment_bits(const struct hak_segment *segment, uint32_t slot)
{
	return &segment->bits[(uint64_t)slot * HAK_SLAB_BITS_WORDS];
}

/* Of a head's blocks; they have memory where W says TAGGED. */
static inline hak_u32 *hak_segment_tags(const struct hak_segment *segment, uint32_t slot)
{
	return &segment->tags[(uint64_t)slot * HAK_CLASS_BLOCKS];
}

static inline uint32_t hak_segment_superslab_of(const struct hak_segment *segment, uint32_t slot)
{
	return slot >> (segment->geometry.superslab_lg - HAK_SLOT_LG);
}

static inline uintptr_t hak_segment_address(const struct hak_segment *segment, uint32_t slot)
{
	return segment->base + ((uint64_t)slot << HAK_SLOT_LG);
}

/*
 * The hint that somebody else freed into the slab or span at slot. A hint may
 * be lost with the process that dies between the bit and the hint.
 * [order:pending] Release: who takes the hint sees the free bit. Dead just
 * before: the free stays unnoticed till the slab is looked at for other reasons.
 */
static inline void hak_segment_raise_pending(const struct hak_segment *segment, uint32_t slot)
{
	uint32_t mask = segment->geometry.slots_per_superslab - 1;

	hak_or_release(&segment->pending[hak_segment_superslab_of(segment, slot)],
		       UINT32_C(1) << (slot & mask));
}

/* [order:pending] Takes the hints of mask; the bits freed before them are visible. */
static inline uint32_t hak_segment_take_pending(const struct hak_segment *segment,
						uint32_t superslab, uint32_t mask)
{
	return hak_and_acquire(&segment->pending[superslab], ~mask) & mask;
}

enum hak_place {
	HAK_PLACE_FOREIGN,  /* not in the pool's SuperSlabs */
	HAK_PLACE_VACANT,   /* in a slot that is no part of a slab or span */
	HAK_PLACE_TAIL,	    /* behind the last block of a slab */
	HAK_PLACE_INTERIOR, /* inside a block, not at its begin */
	HAK_PLACE_BLOCK,    /* the begin of a block */
};

struct hak_location {
	enum hak_place place;
	uint32_t slot;	/* VACANT: of the address; TAIL and later: of the head */
	uint32_t index; /* INTERIOR and BLOCK: which block of its slab */
	uint64_t word;	/* TAIL and later: the head's W, as it was seen */
	uint64_t start; /* INTERIOR and BLOCK: offset of the block from the first SuperSlab */
	uint64_t bytes; /* INTERIOR and BLOCK: size of the block */
};

/* What is at an address? Any value of address is allowed; never fails. */
struct hak_location hak_segment_locate(const struct hak_segment *segment, uintptr_t address);

/* The same for an offset from the first SuperSlab. */
struct hak_location hak_segment_locate_offset(const struct hak_segment *segment, uint64_t offset);

/* Is the block of a location free? A glimpse, unless the caller may claim it. */
bool hak_segment_is_free(const struct hak_segment *segment, const struct hak_location *location);

#endif
