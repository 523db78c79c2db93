/* SPDX-License-Identifier: MIT */
/*
 * Lookup is arithmetic: the slot of an address indexes the slab words; a body
 * slot knows the distance to its head; the head's class says where its blocks
 * begin. Every word that is read here may be written by a hostile client, so
 * distances and classes are checked before they are used.
 */
#include "proto/shm/segment.h"

void hak_segment_init(struct hak_segment *segment, const struct hak_geometry *geometry,
		      const void *registry, void *heap)
{
	const char *facts = registry;
	char *words = heap;

	*segment = (struct hak_segment){
		.geometry = *geometry,
		.header = registry,
		.holders = (const void *)(facts + HAK_REGISTRY_HOLDERS_AT),
		.roots = (const void *)(facts + HAK_REGISTRY_ROOTS_AT),
		.superslabs = (const void *)(facts + HAK_REGISTRY_SUPERSLABS_AT),
		.slab_words = (void *)(words + geometry->slab_words_at),
		.pending = (void *)(words + geometry->pending_at),
		.areas = (void *)(words + geometry->areas_at),
		.bits = (void *)(words + geometry->bits_at),
		.tags = (void *)(words + geometry->tags_at),
		.base = (uintptr_t)words + geometry->data_at,
	};
}

/* The head of the slab or span that slot is part of; false where there is none. */
static bool find_head(const struct hak_segment *segment, uint32_t slot, uint32_t *ret_head,
		      uint64_t *ret_word)
{
	uint64_t w = hak_slab_load(&segment->slab_words[slot]);
	uint32_t distance = 0;
	uint32_t length;

	if (hak_slab_state(w) == HAK_SLAB_BODY) {
		distance = hak_slab_arg(w);
		if (distance == 0 || distance > slot)
			return false;
		w = hak_slab_load(&segment->slab_words[slot - distance]);
	}
	switch (hak_slab_state(w)) {
	case HAK_SLAB_ACTIVE:
		if (hak_slab_class(w) >= HAK_CLASS_COUNT)
			return false;
		length = hak_classes[hak_slab_class(w)].n_slots;
		break;
	case HAK_SLAB_SPAN:
		length = hak_slab_arg(w);
		break;
	default:
		return false;
	}
	if (distance >= length || length > segment->geometry.n_slots - (slot - distance))
		return false;
	*ret_head = slot - distance;
	*ret_word = w;
	return true;
}

struct hak_location hak_segment_locate_offset(const struct hak_segment *segment, uint64_t offset)
{
	struct hak_location l = {.place = HAK_PLACE_FOREIGN};

	if (offset >= segment->geometry.capacity)
		return l;
	l.place = HAK_PLACE_VACANT;
	l.slot = (uint32_t)(offset >> HAK_SLOT_LG);
	if (!find_head(segment, l.slot, &l.slot, &l.word))
		return l;

	uint64_t start = (uint64_t)l.slot << HAK_SLOT_LG;

	if (hak_slab_state(l.word) == HAK_SLAB_SPAN) {
		l.start = start;
		l.bytes = (uint64_t)hak_slab_arg(l.word) << HAK_SLOT_LG;
	} else {
		const struct hak_class *shape = &hak_classes[hak_slab_class(l.word)];

		l.index = hak_class_index(shape->magic, offset - start);
		if (l.index >= shape->n_blocks) {
			l.place = HAK_PLACE_TAIL;
			return l;
		}
		l.start = start + (uint64_t)l.index * shape->size;
		l.bytes = shape->size;
	}
	l.place = l.start == offset ? HAK_PLACE_BLOCK : HAK_PLACE_INTERIOR;
	return l;
}

struct hak_location hak_segment_locate(const struct hak_segment *segment, uintptr_t address)
{
	/* Below the base the difference wraps to more than any capacity. */
	return hak_segment_locate_offset(segment, (uint64_t)(address - segment->base));
}

bool hak_segment_is_free(const struct hak_segment *segment, const struct hak_location *location)
{
	const hak_u64 *bits = hak_segment_bits(segment, location->slot);

	/* Relaxed: a glimpse, nothing is read on the strength of it. */
	return hak_load_relaxed(&bits[location->index / 64]) >> (location->index % 64) & 1;
}
