/* SPDX-License-Identifier: MIT */
/* The walk over granted SuperSlabs; see check.h. */
#include "proto/shm/check.h"

const char *const hak_anomaly_texts[HAK_ANOMALY_COUNT] = {
	[HAK_ANOMALY_OWNER] = "slab owned by another holder than its SuperSlab",
	[HAK_ANOMALY_STATE] = "slab in an impossible state",
	[HAK_ANOMALY_CLASS] = "slab of a class that does not exist",
	[HAK_ANOMALY_BODY] = "slot of a slab or span that is no body of it",
	[HAK_ANOMALY_RANGE] = "slab or span beyond its SuperSlab",
	[HAK_ANOMALY_BITS] = "free bits of blocks that do not exist",
};

static void note(struct hak_census *census, enum hak_anomaly what, uint32_t slot)
{
	if (hak_check_anomalies(census) == 0)
		census->first_anomaly_slot = slot;
	census->anomalies[what]++;
}

uint64_t hak_check_anomalies(const struct hak_census *census)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < HAK_ANOMALY_COUNT; i++)
		sum += census->anomalies[i];
	return sum;
}

static void count_blocks(const struct hak_segment *segment, uint32_t slot,
			 const struct hak_class *shape, struct hak_census *census)
{
	const hak_u64 *bits = hak_segment_bits(segment, slot);
	uint64_t n_free = 0;
	bool excess = false;

	/* Relaxed: only counted. */
	for (unsigned i = 0; i < hak_slab_bits_words(shape->n_blocks); i++) {
		uint64_t word = hak_load_relaxed(&bits[i]);
		uint64_t all = hak_slab_bits_mask(shape->n_blocks, i);

		n_free += (uint64_t)__builtin_popcountll(word & all);
		excess |= (word & ~all) != 0;
	}
	if (excess)
		note(census, HAK_ANOMALY_BITS, slot);
	census->slabs++;
	census->live_blocks += shape->n_blocks - n_free;
	census->live_bytes += (shape->n_blocks - n_free) * shape->size;
}

static void count_span(const struct hak_segment *segment, uint32_t slot, uint32_t length,
		       struct hak_census *census)
{
	const hak_u64 *bits = hak_segment_bits(segment, slot);

	census->spans++;
	if (hak_load_relaxed(&bits[0]) & 1) /* relaxed: only counted */
		return;
	census->live_blocks++;
	census->live_bytes += (uint64_t)length << HAK_SLOT_LG;
}

/* One slab, span or unused slot at slot, of which `left` are in the run; its length. */
static uint32_t check_slot(const struct hak_segment *segment, uint32_t slot, uint32_t left,
			   unsigned owner, struct hak_census *census)
{
	uint64_t w = hak_slab_load(&segment->slab_words[slot]);
	uint32_t length = 1;

	if (hak_slab_owner(w) != owner)
		note(census, HAK_ANOMALY_OWNER, slot);
	switch (hak_slab_state(w)) {
	case HAK_SLAB_UNUSED:
	case HAK_SLAB_BODY: /* of nothing: heads step over the bodies that they cover */
		census->unused_slots++;
		return 1;
	case HAK_SLAB_ACTIVE:
		if (hak_slab_class(w) >= HAK_CLASS_COUNT) {
			note(census, HAK_ANOMALY_CLASS, slot);
			return 1;
		}
		length = hak_classes[hak_slab_class(w)].n_slots;
		count_blocks(segment, slot, &hak_classes[hak_slab_class(w)], census);
		break;
	case HAK_SLAB_SPAN:
		length = hak_slab_arg(w);
		if (length >= 1 && length <= left)
			count_span(segment, slot, length, census);
		break;
	default:
		note(census, HAK_ANOMALY_STATE, slot);
		return 1;
	}
	if (length < 1 || length > left) {
		note(census, HAK_ANOMALY_RANGE, slot);
		return 1;
	}
	for (uint32_t i = 1; i < length; i++) {
		uint64_t body = hak_slab_load(&segment->slab_words[slot + i]);

		if (hak_slab_state(body) != HAK_SLAB_BODY || hak_slab_arg(body) != i)
			note(census, HAK_ANOMALY_BODY, slot + i);
		if (hak_slab_owner(body) != owner)
			note(census, HAK_ANOMALY_OWNER, slot + i);
	}
	return length;
}

uint32_t hak_check_superslab(const struct hak_segment *segment, uint32_t index,
			     struct hak_census *census)
{
	/* [order:registry] What the daemon prepared before the grant is visible. */
	uint64_t s = hak_load_acquire(&segment->superslabs[index]);
	uint32_t n = hak_superslab_length(s);

	if (hak_superslab_state(s) != HAK_SUPERSLAB_GRANTED || n == 0 ||
	    n > segment->geometry.n_superslabs - index)
		return 1;

	uint32_t per = segment->geometry.slots_per_superslab;
	uint32_t end = (index + n) * per;

	census->superslabs += n;
	for (uint32_t slot = index * per; slot < end;)
		slot += check_slot(segment, slot, end - slot, hak_superslab_owner(s), census);
	return n;
}

void hak_check_pool(const struct hak_segment *segment, unsigned owner, struct hak_census *census)
{
	for (uint32_t i = 0; i < segment->geometry.n_superslabs;) {
		/* Relaxed: hak_check_superslab loads it again. */
		uint64_t s = hak_load_relaxed(&segment->superslabs[i]);

		if (owner == HAK_HOLDER_NONE || hak_superslab_owner(s) == owner)
			i += hak_check_superslab(segment, i, census);
		else
			i++;
	}
}

void hak_check_holders(const struct hak_segment *segment, unsigned first, unsigned n,
		       struct hak_census *censuses)
{
	for (uint32_t i = 0; i < segment->geometry.n_superslabs;) {
		/* Relaxed: hak_check_superslab loads it again. */
		unsigned at = hak_superslab_owner(hak_load_relaxed(&segment->superslabs[i])) -
			      first;

		if (at < n)
			i += hak_check_superslab(segment, i, &censuses[at]);
		else
			i++;
	}
}
