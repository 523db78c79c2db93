/* SPDX-License-Identifier: MIT */
/*
 * The audit's judgement of one block, by its tag, its bit, and the table of
 * holders. Whoever asks has seen the bit before the tag, and asks again before
 * it believes that something is wrong: each of the words may be a moment old.
 */
#include "proto/shm/check_tag.h"

/* Can the holder own anything? ROOT always can. */
static bool is_there(const struct hak_segment *segment, unsigned holder)
{
	/* [order:registry] FREE is stored after the scan for it: then its tags are others. */
	uint64_t word = hak_load_acquire(&segment->holders[holder].word);
	enum hak_holder_state state = hak_holder_state(word);

	return holder == HAK_HOLDER_ROOT || state == HAK_HOLDER_ATTACHED ||
	       state == HAK_HOLDER_RECLAIMING;
}

enum hak_anomaly hak_check_tag(const struct hak_segment *segment, uint32_t tag, bool is_free,
			       bool is_orphan)
{
	unsigned holder = hak_tag_holder(tag);

	switch (hak_tag_state(tag)) {
	case HAK_TAG_OWNED:
		if (holder == HAK_HOLDER_NONE)
			return HAK_ANOMALY_TAG;
		if (is_free)
			return HAK_ANOMALY_HELD;
		return is_there(segment, holder) ? HAK_ANOMALY_COUNT : HAK_ANOMALY_LEAKED;
	case HAK_TAG_FREEING:
		if (holder == HAK_HOLDER_NONE || holder == HAK_HOLDER_ROOT)
			return HAK_ANOMALY_TAG;
		return is_free || is_there(segment, holder) ? HAK_ANOMALY_COUNT
							    : HAK_ANOMALY_LEAKED;
	default:
		if (holder != HAK_HOLDER_NONE)
			return HAK_ANOMALY_TAG;
		if (is_free || (hak_tag_state(tag) == HAK_TAG_NONE && !is_orphan))
			return HAK_ANOMALY_COUNT;
		return HAK_ANOMALY_NOBODY;
	}
}
