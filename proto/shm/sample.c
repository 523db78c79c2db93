/* SPDX-License-Identifier: MIT */
/* Records of samples: plain memory behind blocks, which anybody may have scribbled over. */
#include "proto/shm/sample.h"

#include <string.h>

#include "proto/shm/mix.h"

/* Over what is in use of it, which a broken n_frames says too. */
static uint64_t seal_of(const struct hak_sample *sample, uint64_t start)
{
	size_t n = offsetof(struct hak_sample, frames) / 8 + sample->n_frames;
	uint64_t words[sizeof(*sample) / 8], hash = start;

	memcpy(words, sample, sizeof(words));
	for (size_t i = 1; i < n; i++)
		hash = hak_mix(hash ^ words[i]);
	return hash | 1;
}

struct hak_sample *hak_sample_of(const struct hak_segment *segment, const struct hak_location *l)
{
	if (!hak_sample_is_there(l))
		return NULL;
	if (hak_slab_state(l->word) == HAK_SLAB_SPAN)
		return (void *)(hak_segment_bits(segment, l->slot) + 1);
	if (l->bytes < sizeof(struct hak_sample))
		return NULL; /* somebody scribbled over W */
	return (void *)(segment->base + l->start + l->bytes - sizeof(struct hak_sample));
}

uint64_t hak_sample_usable(const struct hak_location *l)
{
	if (!hak_sample_is_there(l) || hak_slab_state(l->word) == HAK_SLAB_SPAN ||
	    l->bytes < sizeof(struct hak_sample))
		return l->bytes;
	return l->bytes - sizeof(struct hak_sample);
}

void hak_sample_set(struct hak_sample *at, const struct hak_sample *sample, uint64_t start)
{
	size_t from = offsetof(struct hak_sample, weight);

	hak_store_relaxed(&at->seal, 0);
	memcpy((char *)at + from, (const char *)sample + from,
	       offsetof(struct hak_sample, frames) - from + sample->n_frames * sizeof(uint64_t));
	hak_store_release(&at->seal, seal_of(sample, start)); /* [order:sample] */
}

bool hak_sample_read(const struct hak_sample *at, uint64_t start, struct hak_sample *ret_sample)
{
	uint64_t seal = hak_load_acquire(&at->seal); /* [order:sample] */

	if (seal == 0)
		return false;
	memcpy(ret_sample, at, sizeof(*ret_sample));
	if (ret_sample->n_frames > HAK_SAMPLE_FRAMES)
		return false;
	ret_sample->name[sizeof(ret_sample->name) - 1] = '\0';
	return seal == seal_of(ret_sample, start);
}

/* The block at an index of the head at slot, whose W is w, if it is in use. */
static bool is_taken(const struct hak_segment *segment, uint32_t slot, uint32_t index, uint64_t w,
		     struct hak_location *ret)
{
	const hak_u64 *bits = hak_segment_bits(segment, slot);
	bool is_span = hak_slab_state(w) == HAK_SLAB_SPAN;
	uint64_t bytes = is_span ? (uint64_t)hak_slab_arg(w) << HAK_SLOT_LG
				 : hak_classes[hak_slab_class(w)].size;

	if (!(hak_slab_taken_bits(&bits[index / 64]) >> index % 64 & 1))
		return false;
	*ret = (struct hak_location){
		.place = HAK_PLACE_BLOCK,
		.slot = slot,
		.index = index,
		.word = w,
		.start = ((uint64_t)slot << HAK_SLOT_LG) + index * bytes,
		.bytes = bytes,
	};
	return true;
}

/* Blocks of a SAMPLED head at slot, whose W is w; 0: it is none, or doesn't fit there. */
static uint32_t blocks_of(const struct hak_segment *segment, uint32_t slot, uint64_t w)
{
	uint32_t room = segment->geometry.n_slots - slot;
	unsigned cls = hak_slab_class(w);

	if (!(w & HAK_SLAB_SAMPLED))
		return 0;
	if (hak_slab_state(w) == HAK_SLAB_SPAN)
		return hak_slab_arg(w) > 0 && hak_slab_arg(w) <= room;
	if (hak_slab_state(w) != HAK_SLAB_ACTIVE || cls >= HAK_CLASS_COUNT ||
	    hak_classes[cls].n_slots > room || hak_classes[cls].size < sizeof(struct hak_sample))
		return 0;
	return hak_classes[cls].n_blocks;
}

bool hak_sample_next(const struct hak_segment *segment, struct hak_sample_walk *walk,
		     struct hak_sample *ret_sample, struct hak_location *ret_location)
{
	uint32_t end = walk->end ? walk->end : segment->geometry.n_slots;

	for (; walk->slot < end; walk->slot++, walk->index = 0) {
		uint64_t w = hak_slab_load(&segment->slab_words[walk->slot]);
		uint32_t n = blocks_of(segment, walk->slot, w);
		const struct hak_sample *at;

		while (walk->index < n) {
			if (!is_taken(segment, walk->slot, walk->index++, w, ret_location))
				continue;
			at = hak_sample_of(segment, ret_location);
			if (hak_sample_read(at, ret_location->start, ret_sample))
				return true;
			/* Relaxed: only counted. 0: it has ended, or has not begun. */
			walk->n_broken += hak_load_relaxed(&at->seal) != 0;
		}
	}
	return false;
}
