/* SPDX-License-Identifier: MIT */
/*
 * The audit and the scans over a heap. The registry is what a daemon may have written; the heap:
 *
 *   scribbled: any words. Nothing crashes, leaves the heap or fails to end; an audit says the
 *              same twice; a scan that is done again finds nothing more.
 *   healthy:   made as clients do. The audit finds nothing, and then what is planted.
 */
#include "proto/shm/check_roots.h"
#include "proto/shm/roots.h"
#include "proto/shm/scan.h"
#include "tests/fuzz/input.h"
#include "tests/fuzz/vacant.h"
#include "tests/support/pool.h"

enum { TOTAL = 16, PER = 16, SLOTS = TOTAL * PER, HOLDERS = 6, WORDS = 200 };

#define CAPACITY ((uint64_t)TOTAL << 20)
#define STRANGER 9u /* a holder slot that is free */

static struct hakt_pool pool;

static struct hak_root *roots(void)
{
	return (void *)((char *)pool.registry + HAK_REGISTRY_ROOTS_AT);
}

/* Holders of any state but for the first, and SuperSlabs and runs that are granted to them. */
static void write_registry(struct hakt_input *input)
{
	uint8_t states = hakt_input_byte(input);

	for (unsigned i = 0; i < HOLDERS; i++)
		hakt_pool_set_holder(
			&pool, HAK_HOLDER_FIRST + i,
			i > 0 && states >> i & 1 ? HAK_HOLDER_RECLAIMING : HAK_HOLDER_ATTACHED, 1);
	for (uint32_t at = 0; at < TOTAL;) {
		uint8_t how = hakt_input_byte(input);
		uint32_t n = how & 8 ? 1 + (how >> 4 & 3) : 1;

		if (n > TOTAL - at)
			n = TOTAL - at;
		if ((how & 7) < HOLDERS)
			hakt_pool_grant(&pool, at, n, how & 8, HAK_HOLDER_FIRST + (how & 7));
		at += n;
	}
}

static uint64_t pick_word(struct hakt_input *input)
{
	uint8_t how = hakt_input_byte(input), owner = hakt_input_byte(input);
	uint32_t arg = hakt_input_index(input, HAK_CLASS_COUNT);

	if ((how & 3) == 3 && how & 64)
		return hakt_input_take(input, 8);
	return hak_slab_pack((enum hak_slab_state)(how & 3), 1 + (how >> 2 & 1), owner % 10,
			     (how & 3) == HAK_SLAB_ACTIVE ? arg << 16 | (how >> 3 & 1) : arg) |
	       (how & 16 ? HAK_SLAB_TAGGED : 0) | (how & 32 ? HAK_SLAB_NAMED : 0);
}

static uint32_t pick_tag(struct hakt_input *input)
{
	uint8_t how = hakt_input_byte(input);

	return hak_tag_pack((enum hak_tag_state)(how & 3), how >> 2 & 15, how >> 6);
}

/* An entry of the table of roots, as only a daemon that is broken would write it. */
static void scribble_root(struct hakt_input *input)
{
	struct hak_root *root = &roots()[hakt_input_pick(input, 8)];
	uint64_t offset = (uint64_t)hakt_input_byte(input) << HAK_SLOT_LG;

	hak_store_relaxed(&root->word, hakt_input_take(input, 2));
	hak_store_relaxed(&root->ref, hak_ref_make(offset, 1, hakt_input_pick(input, 4)));
	hak_store_relaxed(&root->place, hakt_input_take(input, 3));
	hak_store_relaxed(&root->head, hakt_input_byte(input));
}

/* Relaxed: one thread does it all. */
static void scribble(struct hakt_input *input)
{
	for (unsigned i = 0; i < WORDS && input->n > 0; i++) {
		unsigned what = hakt_input_pick(input, 8);
		uint8_t slot = hakt_input_byte(input), at;
		hak_u64 *bits = hak_segment_bits(&pool.segment, slot);
		hak_u32 *tags = hak_segment_tags(&pool.segment, slot);

		at = what == 4 || what == 5 ? hakt_input_byte(input) : 0;
		if (what < 4)
			hak_store_relaxed(&pool.segment.slab_words[slot], pick_word(input));
		else if (what == 4)
			hak_store_relaxed(&bits[at % HAK_SLAB_BITS_WORDS],
					  hakt_input_take(input, 8));
		else if (what == 5)
			hak_store_relaxed(&tags[at], pick_tag(input));
		else if (what == 6)
			hak_store_relaxed(&pool.segment.pending[slot % TOTAL],
					  (uint32_t)hakt_input_take(input, 4));
		else
			scribble_root(input);
	}
}

static void audit(struct hak_audit *ret_audit)
{
	*ret_audit = (struct hak_audit){.stale_hints = 0};
	hakt_pool_audit(&pool, ret_audit);
}

/* What is counted in two ways, or twice, is the same. */
static void expect_counts(void)
{
	struct hak_census all = {0}, parts[HOLDERS] = {{0}};
	struct hak_audit first, second;
	uint64_t blocks = 0;

	audit(&first);
	audit(&second);
	HAKT_CLAIM(memcmp(&first, &second, sizeof(first)) == 0);
	hak_check_pool(&pool.segment, HAK_HOLDER_NONE, &all);
	HAKT_CLAIM(all.superslabs == first.census.superslabs);
	HAKT_CLAIM(all.live_blocks == first.census.live_blocks);
	HAKT_CLAIM(all.superslabs + all.orphans <= TOTAL && all.slabs + all.spans <= SLOTS);
	HAKT_CLAIM(all.live_bytes <= CAPACITY);
	hak_check_holders(&pool.segment, HAK_HOLDER_FIRST, HOLDERS, parts);
	for (unsigned i = 0; i < HOLDERS; i++) {
		struct hak_census own = {0};

		hak_check_pool(&pool.segment, HAK_HOLDER_FIRST + i, &own);
		HAKT_CLAIM(memcmp(&own, &parts[i], sizeof(own)) == 0);
		blocks += own.live_blocks;
	}
	HAKT_CLAIM(blocks + (all.orphans ? all.live_blocks - blocks : 0) == all.live_blocks);
}

/* Each slot is nobody's by now, and in no slab or in an orphan's. */
static void expect_disowned(uint32_t first, uint32_t end, bool survives)
{
	for (uint32_t slot = first; slot < end; slot++) {
		uint64_t w = hak_slab_load(&pool.segment.slab_words[slot]);

		HAKT_CLAIM(hak_slab_owner(w) == HAK_HOLDER_NONE);
		HAKT_CLAIM(survives || hak_slab_state(w) == HAK_SLAB_UNUSED);
	}
}

/* What a daemon does when the owner of a run has died, and then twice to be sure. */
static void bury(uint32_t head)
{
	uint64_t s = hak_load_relaxed(&pool.superslabs[head]);
	uint32_t first = head * PER, end = (head + hak_superslab_length(s)) * PER;
	unsigned owner = hak_superslab_owner(s);
	struct hak_scan scan = {0}, again = {0}, orphan = {0};
	bool survives;

	hak_superslab_begin_collect(&pool.superslabs[head]);
	survives = hak_scan_own(&pool.segment, first, end, owner, &scan);
	HAKT_CLAIM(survives == (scan.n_survived > 0));
	expect_disowned(first, end, survives);
	HAKT_CLAIM(hak_scan_own(&pool.segment, first, end, owner, &again) == survives);
	HAKT_CLAIM(again.n_survived == scan.n_survived && again.n_freed == 0);
	if (!survives) {
		hak_superslab_disown(&pool.superslabs[head]);
		hak_superslab_end_collect(&pool.superslabs[head]);
		return;
	}
	hak_superslab_orphan(&pool.superslabs[head]);
	hak_scan_orphan(&pool.segment, first, end, &orphan);
	HAKT_CLAIM(orphan.n_heads > 0 && orphan.n_heads + orphan.n_vacant <= end - first);
	if (hak_superslab_is_huge(s))
		return;
	hak_scan_inherit(&pool.segment, first, end, HAK_HOLDER_FIRST);
	hak_superslab_inherit(&pool.superslabs[head], HAK_HOLDER_FIRST);
	for (uint32_t slot = first; slot < end; slot++)
		HAKT_CLAIM(hak_slab_owner(hak_slab_load(&pool.segment.slab_words[slot])) ==
			   HAK_HOLDER_FIRST);
}

/* Nothing of theirs is left anywhere; done again it frees nothing. */
static void scan_held(unsigned holder)
{
	struct hak_holder_set dead = {.words = {0}};
	struct hak_scan scan = {0}, again = {0};

	hak_holder_set_add(&dead, holder);
	hak_holder_set_add(&dead, HAK_HOLDER_FIRST + 1);
	hak_scan_held(&pool.segment, 0, SLOTS, &dead, true, &scan);
	hak_scan_held(&pool.segment, 0, SLOTS, &dead, false, &again);
	HAKT_CLAIM(again.n_freed == 0);
}

static void run_scribbled(struct hakt_input *input)
{
	scribble(input);
	expect_counts();
	scan_held(hakt_input_byte(input) % 16 + HAK_HOLDER_FIRST);
	expect_counts();
	for (uint32_t head = 0; head < TOTAL; head++) {
		uint64_t s = hak_load_relaxed(&pool.superslabs[head]);

		if (hak_superslab_state(s) == HAK_SUPERSLAB_GRANTED &&
		    hak_superslab_owner(s) != HAK_HOLDER_FIRST)
			bury(head);
	}
	expect_counts();
	hak_roots_resume(&pool.segment, roots());
	expect_counts();
}

static bool is_granted(uint32_t slot)
{
	uint64_t s = hak_load_relaxed(&pool.superslabs[slot / PER]);

	return hak_superslab_state(s) == HAK_SUPERSLAB_GRANTED && !hak_superslab_is_huge(s);
}

/* Slabs and spans, blocks that are taken, tags of holders that are there. */
static void live(struct hakt_input *input)
{
	for (unsigned i = 0; i < WORDS && input->n > 0; i++) {
		uint8_t how = hakt_input_byte(input), slot = hakt_input_byte(input);
		unsigned cls = hakt_input_pick(input, HAK_CLASS_COUNT), owner;
		hak_u64 *word = &pool.segment.slab_words[slot];

		if (!is_granted(slot))
			continue;
		owner = hak_superslab_owner(hak_load_relaxed(&pool.superslabs[slot / PER]));
		if (how & 1 && slot % PER + hak_classes[cls].n_slots <= PER &&
		    hakt_are_vacant(&pool.segment, slot, hak_classes[cls].n_slots))
			hakt_pool_cut(&pool, slot, owner, cls);
		else if (how & 2 && slot % PER + (how >> 4) < PER &&
			 hakt_are_vacant(&pool.segment, slot, 1u + (how >> 4)))
			hakt_pool_cut_span(&pool, slot, owner, 1u + (how >> 4));
		if (hak_slab_state(hak_slab_load(word)) == HAK_SLAB_ACTIVE &&
		    hakt_pool_claim(&pool, slot, 0, 1) && how & 4 &&
		    hak_slab_set_tagged(word, owner))
			hak_tag_take(&hak_segment_tags(&pool.segment, slot)[0], HAK_HOLDER_FIRST,
				     hak_tag_inc(hak_tag_load(
					     &hak_segment_tags(&pool.segment, slot)[0])));
		if (how & 8)
			hakt_pool_retire(&pool, slot, owner);
	}
}

/* One wrong thing at a slot of a SuperSlab that is granted; what the audit must call it. */
static enum hak_anomaly plant(uint32_t slot, unsigned what)
{
	hak_u64 *word = &pool.segment.slab_words[slot],
		*bits = hak_segment_bits(&pool.segment, slot);
	hak_u32 *tags = hak_segment_tags(&pool.segment, slot);
	uint32_t superslab = slot / PER, left = PER - slot % PER;
	unsigned owner = hak_superslab_owner(hak_load_relaxed(&pool.superslabs[superslab]));

	switch (what) {
	case 0:
		hak_store_relaxed(word, hak_slab_pack(HAK_SLAB_UNUSED, 1, STRANGER, 0));
		return HAK_ANOMALY_OWNER;
	case 1:
		hak_store_relaxed(word, hak_slab_pack((enum hak_slab_state)5, 1, owner, 0));
		return HAK_ANOMALY_STATE;
	case 2:
		hak_store_relaxed(word, hak_slab_pack_active(1, owner, HAK_CLASS_COUNT, 1));
		return HAK_ANOMALY_CLASS;
	case 3:
		hak_store_relaxed(word, hak_slab_pack(HAK_SLAB_BODY, 1, owner, slot % PER + 1));
		return HAK_ANOMALY_BODY;
	case 4:
		hak_store_relaxed(word, hak_slab_pack(HAK_SLAB_SPAN, 1, owner, left + 1));
		return HAK_ANOMALY_RANGE;
	case 5:
		hak_store_relaxed(word, hak_slab_pack(HAK_SLAB_SPAN, 1, owner, 1));
		hak_store_relaxed(bits, 2);
		return HAK_ANOMALY_BITS;
	case 6:
		hak_store_relaxed(&pool.segment.pending[superslab], UINT32_C(1) << PER);
		return HAK_ANOMALY_PENDING;
	case 7:
		hak_store_relaxed(&pool.superslabs[superslab],
				  hak_superslab_pack(HAK_SUPERSLAB_GRANTED, false, STRANGER, 1, 1));
		return HAK_ANOMALY_HOLDER;
	default: /* a span of one slot whose tag is wrong */
		hak_store_relaxed(word,
				  hak_slab_pack(HAK_SLAB_SPAN, 1, owner, 1) | HAK_SLAB_TAGGED);
		hak_store_relaxed(bits, what == 10);
		hak_store_relaxed(
			tags, what == 8	   ? hak_tag_pack(HAK_TAG_OWNED, 0, 0)
			      : what == 11 ? hak_tag_pack(HAK_TAG_FREED, 0, 0)
			      : what == 12
				      ? hak_tag_pack(HAK_TAG_OWNED, HAK_HOLDER_ROOT, 0)
				      : hak_tag_pack(HAK_TAG_OWNED,
						     what == 9 ? STRANGER : HAK_HOLDER_FIRST, 0));
		return what == 8    ? HAK_ANOMALY_TAG
		       : what == 9  ? HAK_ANOMALY_LEAKED
		       : what == 10 ? HAK_ANOMALY_HELD
		       : what == 11 ? HAK_ANOMALY_NOBODY
				    : HAK_ANOMALY_NAMELESS;
	}
}

/* In no slab: what others cover is looked at as theirs. */
static bool is_place(uint32_t slot)
{
	return is_granted(slot) && hakt_are_vacant(&pool.segment, slot, 1);
}

static void run_healthy(struct hakt_input *input)
{
	uint32_t slot = hakt_input_byte(input);
	unsigned what = hakt_input_pick(input, 13);
	struct hak_audit found;
	enum hak_anomaly kind;

	live(input);
	audit(&found);
	HAKT_CLAIM(hak_check_anomalies(&found.census) == 0);
	expect_counts();
	for (unsigned i = 0; i < SLOTS && !is_place(slot); i++)
		slot = (slot + 1) % SLOTS;
	if (!is_place(slot))
		return;
	kind = plant(slot, what);
	audit(&found);
	HAKT_CLAIM(found.census.anomalies[kind] > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
	struct hakt_input input = {bytes, n};
	uint8_t mode = hakt_input_byte(&input);

	hakt_pool_init(&pool, CAPACITY, 20);
	write_registry(&input);
	if (mode & 1)
		run_healthy(&input);
	else
		run_scribbled(&input);
	hakt_pool_deinit(&pool);
	return 0;
}
