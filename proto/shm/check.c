/* SPDX-License-Identifier: MIT */
/*
 * The walk; see check.h. A look at a slot is a function of the words that it
 * reads; what it finds wrong is believed when all looks agree and the word in
 * the registry is still the one that the walk began with. Blocks are attributed
 * to their owners behind it, by a glimpse of the same words.
 */
#include "proto/shm/check.h"

#include "proto/shm/check_tag.h"
#include "proto/shm/roots.h"

/* A SuperSlab or run under the walk. */
struct walk {
	const struct hak_segment *segment;
	uint32_t index;
	uint64_t s; /* its word, as the walk began */
	struct hak_census *census;
	struct hak_audit *audit; /* NULL: only counted */
	bool is_lost;		 /* its holder isn't there */
	bool has_doubt;		 /* a finding was told that may be none */
};

/* What one look at a slot sees. */
struct look {
	uint32_t length;   /* slots to go on by */
	uint32_t n_blocks; /* of a slab or span; 0: it is unused, or nothing that is known */
	uint64_t n_free;
	uint64_t block_bytes;
	bool is_span;
	bool is_tagged;
	bool has_anomaly;
	struct hak_finding finding; /* the first one */
};

uint64_t hak_check_anomalies(const struct hak_census *census)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < HAK_ANOMALY_COUNT; i++)
		sum += census->anomalies[i];
	return sum;
}

static void note(const struct walk *walk, const struct hak_finding *finding)
{
	struct hak_audit *audit = walk->audit;

	if (audit && audit->report ? audit->report(audit, finding) : !finding->unless_taken)
		walk->census->anomalies[finding->kind]++;
}

static struct hak_finding of_superslab(const struct walk *walk, enum hak_anomaly kind,
				       uint64_t word)
{
	return (struct hak_finding){.kind = kind,
				    .superslab = walk->index,
				    .slot = HAK_NO_SLOT,
				    .head = HAK_NO_SLOT,
				    .block = HAK_NO_BLOCK,
				    .owner = hak_superslab_owner(walk->s),
				    .word = word};
}

static void note_superslab(const struct walk *walk, enum hak_anomaly kind, uint64_t word)
{
	struct hak_finding finding = of_superslab(walk, kind, word);

	note(walk, &finding);
}

/* [order:registry] Whoever saw words of after a move sees that the registry's word moved. */
static bool has_moved(const struct walk *walk)
{
	return hak_load_acquire(&walk->segment->superslabs[walk->index]) != walk->s;
}

/* Does a word stay what it was seen as, and the registry's too? */
static bool stays(const struct walk *walk, const hak_u64 *word, uint64_t seen)
{
	for (unsigned i = 0; i < HAK_CHECK_LOOKS; i++)
		/* Pairs as the load that saw it did: [order:registry] or [order:cut], [order:grant]. */
		if (hak_load_acquire(word) != seen || has_moved(walk))
			return false;
	return true;
}

static bool is_orphan(const struct walk *walk)
{
	return hak_superslab_state(walk->s) == HAK_SUPERSLAB_ORPHAN;
}

static void accuse(const struct walk *walk, struct look *look, enum hak_anomaly kind, uint32_t slot,
		   uint32_t head, uint64_t word)
{
	if (look->has_anomaly)
		return;
	look->has_anomaly = true;
	look->finding = (struct hak_finding){
		.kind = kind,
		.superslab = hak_segment_superslab_of(walk->segment, slot),
		.slot = slot,
		.head = head,
		.owner = hak_superslab_owner(walk->s),
		.block = HAK_NO_BLOCK,
		.word = word,
		/* Its heir's words are written before the registry's. */
		.unless_taken = kind == HAK_ANOMALY_OWNER && is_orphan(walk)};
}

static void accuse_block(const struct walk *walk, struct look *look, enum hak_anomaly kind,
			 uint32_t slot, uint32_t block, uint32_t tag)
{
	if (look->has_anomaly)
		return;
	accuse(walk, look, kind, slot, slot, tag);
	look->finding.block = block;
	look->finding.block_bytes = look->block_bytes;
}

/* Tags are looked at after the bits: see hak_slab_taken_bits. */
static uint32_t tag_of(const struct walk *walk, const struct look *look, uint32_t slot,
		       uint32_t block)
{
	return look->is_tagged ? hak_tag_load(&hak_segment_tags(walk->segment, slot)[block]) : 0;
}

/* Is the block ROOT's, but no root's? What a tag says of ROOT is right as such. */
static bool is_nameless(const struct walk *walk, const struct look *look, uint32_t slot,
			uint32_t block)
{
	uint64_t offset = ((uint64_t)slot << HAK_SLOT_LG) + block * look->block_bytes;

	return hak_roots_is_nameless(walk->segment, offset,
				     &hak_segment_tags(walk->segment, slot)[block]);
}

static void look_at_tags(const struct walk *walk, uint32_t slot, unsigned i, uint64_t taken,
			 struct look *look)
{
	uint64_t all = hak_slab_bits_mask(look->n_blocks, i);

	if (!look->is_tagged && !is_orphan(walk))
		return;
	for (uint64_t rest = all; rest && !look->has_anomaly; rest &= rest - 1) {
		unsigned bit = (unsigned)__builtin_ctzll(rest);
		uint32_t block = i * 64 + bit, tag = tag_of(walk, look, slot, block);
		enum hak_anomaly kind = hak_check_tag(walk->segment, tag, !(taken >> bit & 1),
						      is_orphan(walk));

		if (kind == HAK_ANOMALY_COUNT && hak_tag_is_held(tag, HAK_HOLDER_ROOT) &&
		    is_nameless(walk, look, slot, block))
			kind = HAK_ANOMALY_NAMELESS;
		if (kind != HAK_ANOMALY_COUNT)
			accuse_block(walk, look, kind, slot, block, tag);
	}
}

static void look_at_bits(const struct walk *walk, uint32_t slot, uint64_t w, struct look *look)
{
	const hak_u64 *bits = hak_segment_bits(walk->segment, slot);

	for (unsigned i = 0; i < hak_slab_bits_words(look->n_blocks); i++) {
		uint64_t taken = hak_slab_taken_bits(&bits[i]);
		uint64_t all = hak_slab_bits_mask(look->n_blocks, i);

		look->n_free += (uint64_t)__builtin_popcountll(~taken & all);
		if (~taken & ~all)
			accuse(walk, look, HAK_ANOMALY_BITS, slot, slot, w);
		look_at_tags(walk, slot, i, taken, look);
	}
}

static void look_at_body(const struct walk *walk, uint32_t head, uint32_t i, struct look *look)
{
	uint64_t body = hak_slab_load(&walk->segment->slab_words[head + i]);
	enum hak_slab_state state = hak_slab_state(body);

	if (hak_slab_owner(body) != hak_superslab_owner(walk->s))
		accuse(walk, look, HAK_ANOMALY_OWNER, head + i, head, body);
	else if (state == HAK_SLAB_ACTIVE || state == HAK_SLAB_SPAN)
		accuse(walk, look, HAK_ANOMALY_OVERLAP, head + i, head, body);
	else if (state != HAK_SLAB_BODY || hak_slab_arg(body) != i)
		accuse(walk, look, HAK_ANOMALY_BODY, head + i, head, body);
}

/* A slab or span of `length` slots, of which `left` are in the run. */
static void look_at_head(const struct walk *walk, uint32_t slot, uint32_t length, uint32_t left,
			 uint64_t w, struct look *look)
{
	if (length < 1 || length > left) {
		accuse(walk, look, HAK_ANOMALY_RANGE, slot, slot, w);
		return;
	}
	look->length = length;
	look->is_span = hak_slab_state(w) == HAK_SLAB_SPAN;
	look->is_tagged = w & HAK_SLAB_TAGGED;
	look->n_blocks = look->is_span ? 1 : hak_classes[hak_slab_class(w)].n_blocks;
	look->block_bytes = look->is_span ? (uint64_t)length << HAK_SLOT_LG
					  : hak_classes[hak_slab_class(w)].size;
	look_at_bits(walk, slot, w, look);
	for (uint32_t i = 1; i < length && !look->has_anomaly; i++)
		look_at_body(walk, slot, i, look);
}

static struct look look_at(const struct walk *walk, uint32_t slot, uint32_t end)
{
	uint32_t first = walk->index * walk->segment->geometry.slots_per_superslab;
	uint64_t w = hak_slab_load(&walk->segment->slab_words[slot]);
	struct look look = {.length = 1};

	if (hak_slab_owner(w) != hak_superslab_owner(walk->s))
		accuse(walk, &look, HAK_ANOMALY_OWNER, slot, slot, w);
	switch (hak_slab_state(w)) {
	case HAK_SLAB_UNUSED:
		break;
	case HAK_SLAB_BODY: /* of nothing: heads step over the bodies that they cover */
		if (hak_slab_arg(w) == 0 || hak_slab_arg(w) > slot - first)
			accuse(walk, &look, HAK_ANOMALY_BODY, slot, slot, w);
		break;
	case HAK_SLAB_ACTIVE:
		if (is_orphan(walk) && hak_slab_thread(w) != 0)
			accuse(walk, &look, HAK_ANOMALY_STATE, slot, slot, w);
		if (hak_slab_class(w) >= HAK_CLASS_COUNT)
			accuse(walk, &look, HAK_ANOMALY_CLASS, slot, slot, w);
		else
			look_at_head(walk, slot, hak_classes[hak_slab_class(w)].n_slots, end - slot,
				     w, &look);
		break;
	case HAK_SLAB_SPAN:
		look_at_head(walk, slot, hak_slab_arg(w), end - slot, w, &look);
		break;
	default:
		accuse(walk, &look, HAK_ANOMALY_STATE, slot, slot, w);
	}
	return look;
}

static bool is_same(const struct look *a, const struct look *b)
{
	return a->has_anomaly && b->has_anomaly && a->finding.kind == b->finding.kind &&
	       a->finding.slot == b->finding.slot && a->finding.block == b->finding.block &&
	       a->finding.word == b->finding.word;
}

static bool is_unused(const struct look *look)
{
	return look->n_blocks == 0 &&
	       !(look->has_anomaly && (look->finding.kind == HAK_ANOMALY_STATE ||
				       look->finding.kind == HAK_ANOMALY_CLASS ||
				       look->finding.kind == HAK_ANOMALY_RANGE));
}

/* n blocks of a look that are a holder's, or nobody's: HAK_HOLDER_NONE. */
static void credit(const struct walk *walk, const struct look *look, unsigned holder, uint64_t n)
{
	struct hak_audit *audit = walk->audit;
	struct hak_share *share = &audit->lost;

	if (holder != HAK_HOLDER_NONE && !audit->shares)
		return;
	if (holder != HAK_HOLDER_NONE)
		share = &audit->shares[holder];
	share->blocks += n;
	share->bytes += n * look->block_bytes;
}

/* A block that isn't free. What is wrong with it counts only where all looks saw wrong. */
static void attribute_block(const struct walk *walk, const struct look *look, uint32_t tag)
{
	unsigned owner = walk->is_lost ? HAK_HOLDER_NONE : hak_superslab_owner(walk->s);

	if (hak_check_tag(walk->segment, tag, false, is_orphan(walk)) != HAK_ANOMALY_COUNT)
		credit(walk, look, HAK_HOLDER_NONE, look->has_anomaly);
	else
		credit(walk, look, hak_tag_state(tag) == HAK_TAG_NONE ? owner : hak_tag_holder(tag),
		       1);
}

/* The blocks of a slab or span to their owners. */
static void attribute(const struct walk *walk, uint32_t slot, const struct look *look)
{
	const hak_u64 *bits = hak_segment_bits(walk->segment, slot);

	if (!look->is_tagged && !is_orphan(walk)) {
		credit(walk, look, walk->is_lost ? HAK_HOLDER_NONE : hak_superslab_owner(walk->s),
		       look->n_blocks - look->n_free);
		return;
	}
	for (unsigned i = 0; i < hak_slab_bits_words(look->n_blocks); i++) {
		uint64_t taken = hak_slab_taken_bits(&bits[i]);

		taken &= hak_slab_bits_mask(look->n_blocks, i);
		for (; taken; taken &= taken - 1)
			attribute_block(walk, look,
					tag_of(walk, look, slot,
					       i * 64 + (unsigned)__builtin_ctzll(taken)));
	}
}

/* One that may be none once a SuperSlab: the others have the same reason. */
static void note_look(struct walk *walk, const struct look *look)
{
	if (look->finding.unless_taken && walk->has_doubt)
		return;
	walk->has_doubt |= look->finding.unless_taken;
	note(walk, &look->finding);
}

/* Where so much is wrong somebody scribbles: that the walk has an end matters more than a few. */
static unsigned n_looks(const struct hak_census *census)
{
	return hak_check_anomalies(census) < HAK_CHECK_PATIENCE ? HAK_CHECK_LOOKS : 2;
}

/* One slab, span or unused slot; its length, or 0: the run is not what it was any more. */
static uint32_t check_slot(struct walk *walk, uint32_t slot, uint32_t end)
{
	struct hak_census *census = walk->census;
	struct look look = look_at(walk, slot, end);
	unsigned most = look.has_anomaly ? n_looks(census) : 0;

	for (unsigned i = 1; look.has_anomaly && i < most; i++) {
		struct look again;

		if (has_moved(walk))
			return 0;
		again = look_at(walk, slot, end);
		if (is_same(&look, &again))
			continue;
		look = again; /* somebody is at work there */
		look.has_anomaly = false;
	}
	if (look.has_anomaly && has_moved(walk))
		return 0;
	if (look.has_anomaly)
		note_look(walk, &look);
	if (walk->audit)
		attribute(walk, slot, &look);
	census->unused_slots += is_unused(&look);
	census->slabs += look.n_blocks > 0 && !look.is_span;
	census->spans += look.n_blocks > 0 && look.is_span;
	census->live_blocks += look.n_blocks - look.n_free;
	census->live_bytes += (look.n_blocks - look.n_free) * look.block_bytes;
	return look.length;
}

static void check_slots(struct walk *walk, uint32_t n)
{
	uint32_t per = walk->segment->geometry.slots_per_superslab;
	uint32_t end = (walk->index + n) * per;
	uint32_t length = 1;

	if (is_orphan(walk))
		walk->census->orphans += n;
	else
		walk->census->superslabs += n;
	for (uint32_t slot = walk->index * per; slot < end && length > 0; slot += length)
		length = check_slot(walk, slot, end);
}

/* [order:registry] What the daemon prepared before the grant is visible. */
static struct walk begin_walk(const struct hak_segment *segment, uint32_t index,
			      struct hak_census *census, struct hak_audit *audit)
{
	uint64_t s = hak_load_acquire(&segment->superslabs[index]);

	return (struct walk){segment, index, s, census, audit, false, false};
}

static bool has_slots(const struct walk *walk)
{
	return hak_superslab_state(walk->s) == HAK_SUPERSLAB_GRANTED || is_orphan(walk);
}

static bool has_possible_length(const struct walk *walk)
{
	uint32_t n = hak_superslab_length(walk->s);

	return n >= 1 && n <= walk->segment->geometry.n_superslabs - walk->index &&
	       (n == 1 || hak_superslab_is_huge(walk->s));
}

uint32_t hak_check_superslab(const struct hak_segment *segment, uint32_t index,
			     struct hak_census *census)
{
	struct walk walk = begin_walk(segment, index, census, NULL);

	if (!has_slots(&walk) || !has_possible_length(&walk))
		return 1;
	check_slots(&walk, hak_superslab_length(walk.s));
	return hak_superslab_length(walk.s);
}

/* A body of the run's owner; while that is RECLAIMING it may have become an orphan's already. */
static bool is_body(const struct walk *walk, uint64_t s, uint32_t distance)
{
	unsigned owner = hak_superslab_owner(s);

	return hak_superslab_state(s) == HAK_SUPERSLAB_BODY &&
	       hak_superslab_length(s) == distance &&
	       (owner == hak_superslab_owner(walk->s) ||
		(owner == HAK_HOLDER_NONE &&
		 hak_superslab_state(walk->s) == HAK_SUPERSLAB_RECLAIMING));
}

/* The bodies of a run in the registry; the first one that isn't its is told. */
static void check_bodies(const struct walk *walk)
{
	const hak_u64 *head = &walk->segment->superslabs[walk->index];

	for (uint32_t i = 1; i < hak_superslab_length(walk->s); i++) {
		/* [order:registry] Bodies are written before the head's length, or moved after it. */
		uint64_t body = hak_load_acquire(&head[i]);

		if (is_body(walk, body, i))
			continue;
		if (stays(walk, &head[i], body))
			note_superslab(walk, HAK_ANOMALY_RUN, body);
		return;
	}
}

/* Is the holder there that the SuperSlab is granted to? */
static bool check_holder(const struct walk *walk)
{
	unsigned owner = hak_superslab_owner(walk->s);
	const hak_u64 *word = &walk->segment->holders[owner].word;
	/* [order:registry] FREE is stored after all that was its: then the SuperSlab has moved. */
	uint64_t holder = hak_load_acquire(word);
	enum hak_holder_state state = hak_holder_state(holder);
	const uint32_t *generations = walk->audit->generations;

	if (owner < HAK_HOLDER_FIRST ||
	    (state != HAK_HOLDER_ATTACHED && state != HAK_HOLDER_RECLAIMING)) {
		if (!stays(walk, word, holder))
			return true;
		note_superslab(walk, HAK_ANOMALY_HOLDER, holder);
		return false;
	}
	/* Later is right: it attached since. Generations only grow. */
	if (generations && (int32_t)(hak_holder_generation(holder) - generations[owner]) < 0 &&
	    stays(walk, word, holder))
		note_superslab(walk, HAK_ANOMALY_GENERATION, holder);
	return true;
}

static void check_hints(const struct walk *walk, bool is_free)
{
	const hak_u32 *word = &walk->segment->pending[walk->index];
	uint32_t per = walk->segment->geometry.slots_per_superslab;
	/* [order:pending] Who raised it was granted the SuperSlab, so its word has moved. */
	uint32_t hints = hak_load_acquire(word);
	uint32_t slots = per < 32 ? (UINT32_C(1) << per) - 1 : UINT32_MAX;

	/* Hints are of heads, and a run's head was granted once, which counts. */
	if (is_free && hak_superslab_grant(walk->s) == 0)
		slots = 0;
	if (hints & ~slots) {
		for (unsigned i = 0; i < HAK_CHECK_LOOKS; i++) /* [order:pending] likewise */
			if (hak_load_acquire(word) != hints || has_moved(walk))
				return;
		note_superslab(walk, HAK_ANOMALY_PENDING, hints);
	} else if (is_free) {
		walk->audit->stale_hints += (uint64_t)__builtin_popcount(hints);
	}
}

/* A body whose head is granted after all: it was not yet when the walk came by. */
static bool is_covered(const struct walk *walk)
{
	uint32_t distance = hak_superslab_length(walk->s);
	uint64_t head;

	if (hak_superslab_state(walk->s) != HAK_SUPERSLAB_BODY || distance > walk->index)
		return false;
	/* [order:registry] Whoever saw the owner at work behind it sees the longer run. */
	head = hak_load_acquire(&walk->segment->superslabs[walk->index - distance]);
	return hak_superslab_state(head) != HAK_SUPERSLAB_FREE &&
	       hak_superslab_state(head) != HAK_SUPERSLAB_BODY &&
	       hak_superslab_length(head) > distance;
}

/* May the daemon be at work on a SuperSlab that isn't granted, one of whose words is w? */
static bool may_be_taken(const struct walk *walk, uint64_t w)
{
	unsigned owner = hak_slab_owner(w);
	/* [order:registry] While a grant is being prepared its holder is ATTACHED. */
	uint64_t holder = hak_load_acquire(&walk->segment->holders[owner].word);

	if (hak_superslab_state(walk->s) == HAK_SUPERSLAB_BODY)
		return true; /* left behind by its run, and not RECLAIMING yet */
	return w == hak_slab_pack(HAK_SLAB_UNUSED, hak_slab_epoch(w), owner, 0) &&
	       owner >= HAK_HOLDER_FIRST && hak_holder_state(holder) != HAK_HOLDER_FREE;
}

/*
 * Collected slab words keep their epoch, perhaps that they have tags, and nothing else; the first
 * that keeps more is told.
 */
static void check_free(const struct walk *walk)
{
	uint32_t per = walk->segment->geometry.slots_per_superslab;

	for (uint32_t slot = walk->index * per; slot < (walk->index + 1) * per; slot++) {
		const hak_u64 *word = &walk->segment->slab_words[slot];
		uint64_t w = hak_slab_load(word);
		struct hak_finding finding = {.kind = HAK_ANOMALY_FREED,
					      .superslab = walk->index,
					      .slot = slot,
					      .head = slot,
					      .block = HAK_NO_BLOCK,
					      .owner = HAK_HOLDER_NONE,
					      .word = w};

		if ((w & ~HAK_SLAB_TAGGED) ==
		    hak_slab_pack(HAK_SLAB_UNUSED, hak_slab_epoch(w), 0, 0))
			continue;
		finding.unless_taken = may_be_taken(walk, w);
		if (stays(walk, word, w) && !is_covered(walk))
			note(walk, &finding);
		return;
	}
}

/* An orphan with an owner: its heir, while the daemon is at it. */
static void note_heir(struct walk *walk)
{
	struct hak_finding finding = of_superslab(walk, HAK_ANOMALY_RUN, walk->s);

	finding.unless_taken = walk->has_doubt = true;
	note(walk, &finding);
}

static void check_granted(struct walk *walk)
{
	bool is_nobodys = hak_superslab_owner(walk->s) == HAK_HOLDER_NONE;

	if (is_orphan(walk) && !is_nobodys)
		note_heir(walk);
	/* RECLAIMING and nobody's: what lived there has gone, it waits for a grace. */
	if (hak_superslab_state(walk->s) == HAK_SUPERSLAB_GRANTED ||
	    (hak_superslab_state(walk->s) == HAK_SUPERSLAB_RECLAIMING && !is_nobodys))
		walk->is_lost = !check_holder(walk);
	if (has_slots(walk))
		check_slots(walk, hak_superslab_length(walk->s));
	check_bodies(walk);
	check_hints(walk, false);
}

uint32_t hak_audit_superslab(const struct hak_segment *segment, uint32_t index,
			     struct hak_audit *audit)
{
	struct walk walk = begin_walk(segment, index, &audit->census, audit);

	switch (hak_superslab_state(walk.s)) {
	case HAK_SUPERSLAB_FREE:
	case HAK_SUPERSLAB_BODY: /* runs step over their bodies: its head is free */
		check_free(&walk);
		check_hints(&walk, true);
		return 1;
	case HAK_SUPERSLAB_GRANTED:
	case HAK_SUPERSLAB_RECLAIMING:
	case HAK_SUPERSLAB_ORPHAN:
		if (!has_possible_length(&walk))
			break;
		check_granted(&walk);
		return hak_superslab_length(walk.s);
	}
	note_superslab(&walk, HAK_ANOMALY_RUN, walk.s);
	return 1;
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
