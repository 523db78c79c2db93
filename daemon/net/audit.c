/* SPDX-License-Identifier: MIT */
/*
 * The audit: jobs of STEP SuperSlabs each walk the pool until a page of
 * anomalies is full, or so long that the tool should hear of us. What is wrong
 * only if the daemon isn't at work on a SuperSlab (hak_finding.unless_taken) is
 * decided between two steps, on the loop, which alone knows what is taken. The table of roots
 * comes behind the last SuperSlab, so once a check, on its last page.
 */
#include "daemon/net/audit.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "daemon/mem/backing.h"
#include "daemon/net/events.h"
#include "daemon/net/job.h"
#include "proto/error.h"
#include "proto/shm/check_roots.h"

#define STEP	   256u	  /* SuperSlabs a job: about a millisecond; a huge run is not divided */
#define PAGE	   16384u /* SuperSlabs a page */
#define TEXT_BYTES 160

struct hakd_audit {
	struct hak_audit walk; /* first: report gets it */
	uint32_t generations[HAK_HOLDER_COUNT];
	struct hak_share shares[HAK_HOLDER_COUNT];
	bool lists_owners; /* instead of anomalies */
	uint32_t from;	   /* where the page begins */
	uint32_t next;	   /* where the walk goes on */
	uint32_t n_findings;
	uint64_t n_more; /* for which there is no room */
	struct hak_finding findings[HAK_WIRE_CHECK_PAGE];
	uint32_t n_doubtful; /* of this step: one a SuperSlab at most */
	struct hak_finding doubtful[STEP];
};

static void add(struct hakd_audit *audit, const struct hak_finding *finding)
{
	if (!audit->lists_owners && audit->n_findings < HAK_WIRE_CHECK_PAGE)
		audit->findings[audit->n_findings++] = *finding;
	else
		audit->n_more++;
}

static bool report(struct hak_audit *walk, const struct hak_finding *finding)
{
	struct hakd_audit *audit = (struct hakd_audit *)walk;

	if (finding->unless_taken && audit->n_doubtful < STEP)
		audit->doubtful[audit->n_doubtful++] = *finding;
	else
		add(audit, finding);
	return true;
}

/* Nothing can be wrong with a SuperSlab that is free and whose words nobody ever wrote. */
static bool is_blank(const struct hakd_pool *pool, uint32_t superslab)
{
	/* Relaxed: one that is being granted at this moment may be left out. */
	uint64_t s = hak_load_relaxed(&pool->segment.superslabs[superslab]);

	return hak_superslab_state(s) == HAK_SUPERSLAB_FREE &&
	       !hakd_backing_has_words(pool, superslab);
}

static void run_step(struct hakd_job *job)
{
	const struct hakd_pool *pool = job->realm->pool;
	struct hakd_audit *audit = job->audit;
	uint32_t total = pool->segment.geometry.n_superslabs;
	uint32_t first = audit->next;

	while (audit->next < total && audit->next - first < STEP &&
	       audit->n_findings + audit->n_doubtful < HAK_WIRE_CHECK_PAGE)
		audit->next += is_blank(pool, audit->next)
				       ? 1
				       : hak_audit_superslab(&pool->segment, audit->next,
							     &audit->walk);
	if (audit->next >= total)
		hak_audit_roots(&pool->segment, &audit->walk);
}

/*
 * On the loop: neither granted nor taken for anything, or an orphan (the loop itself writes
 * the words of an heir, and GRANTED behind them); and still as it was found. Without a slot it
 * is about the registry's word.
 */
static bool is_certain(const struct hakd_pool *pool, const struct hak_finding *finding)
{
	/* Relaxed: the loop's own store. */
	uint64_t s = hak_load_relaxed(&pool->segment.superslabs[finding->superslab]);
	bool is_free = hak_superslab_state(s) == HAK_SUPERSLAB_FREE &&
		       pool->states[finding->superslab] != HAKD_TAKEN;

	if (finding->slot == HAK_NO_SLOT)
		return s == finding->word;
	return (is_free || hak_superslab_state(s) == HAK_SUPERSLAB_ORPHAN) &&
	       hak_slab_load(&pool->segment.slab_words[finding->slot]) == finding->word;
}

static void decide_doubtful(struct hakd_job *job)
{
	struct hakd_audit *audit = job->audit;

	for (uint32_t i = 0; i < audit->n_doubtful; i++)
		if (is_certain(job->realm->pool, &audit->doubtful[i]))
			add(audit, &audit->doubtful[i]);
	audit->n_doubtful = 0;
}

static const char *class_text(uint64_t w, char text[48])
{
	if (hak_slab_state(w) == HAK_SLAB_SPAN)
		snprintf(text, 48, "a span of %u slots", hak_slab_arg(w));
	else if (hak_slab_class(w) < HAK_CLASS_COUNT)
		snprintf(text, 48, "a slab of %u blocks of %u bytes",
			 hak_classes[hak_slab_class(w)].n_blocks,
			 hak_classes[hak_slab_class(w)].size);
	else
		snprintf(text, 48, "a slab of class %u", hak_slab_class(w));
	return text;
}

/* A sentence about a slot of a granted SuperSlab; its head is numbered within its SuperSlab. */
static void describe_slot(const struct hak_finding *f, uint32_t per, char text[TEXT_BYTES])
{
	uint64_t w = f->word;
	char shape[48];

	class_text(w, shape);
	if (f->kind == HAK_ANOMALY_OWNER && f->owner == HAK_HOLDER_NONE)
		snprintf(text, TEXT_BYTES,
			 "the slab word names holder %u, but the SuperSlab is an orphan, nobody's",
			 hak_slab_owner(w));
	else if (f->kind == HAK_ANOMALY_OWNER)
		snprintf(text, TEXT_BYTES,
			 "the slab word names holder %u, but the SuperSlab is granted to holder %u",
			 hak_slab_owner(w), f->owner);
	else if (f->kind == HAK_ANOMALY_STATE && hak_slab_state(w) == HAK_SLAB_ACTIVE)
		snprintf(text, TEXT_BYTES, "%s of an orphan that thread %u claims", shape,
			 hak_slab_thread(w));
	else if (f->kind == HAK_ANOMALY_STATE)
		snprintf(text, TEXT_BYTES, "the slab word has state %u, which no slab can be in",
			 (unsigned)hak_slab_state(w));
	else if (f->kind == HAK_ANOMALY_CLASS)
		snprintf(text, TEXT_BYTES, "the slab word names class %u, the last class is %u",
			 hak_slab_class(w), HAK_CLASS_COUNT - 1);
	else if (f->kind == HAK_ANOMALY_BODY && f->head == f->slot)
		snprintf(text, TEXT_BYTES,
			 "a body whose head would be %u slots before it, not in what was granted",
			 hak_slab_arg(w));
	else if (f->kind == HAK_ANOMALY_BODY)
		snprintf(text, TEXT_BYTES,
			 "slot %u has a slab or span that covers this slot, which is no body of it "
			 "(word %016" PRIx64 ")",
			 f->head % per, w);
	else if (f->kind == HAK_ANOMALY_RANGE)
		snprintf(text, TEXT_BYTES, "%s, which reaches beyond what was granted", shape);
	else if (f->kind == HAK_ANOMALY_BITS)
		snprintf(text, TEXT_BYTES, "%s has free bits of blocks that it does not have",
			 shape);
	else
		snprintf(text, TEXT_BYTES, "%s begins inside of the slab or span of slot %u", shape,
			 f->head % per);
}

/* A sentence about a block; the finding's word is its tag. */
static void describe_block(const struct hak_finding *f, char text[TEXT_BYTES])
{
	uint32_t tag = (uint32_t)f->word;
	unsigned holder = hak_tag_holder(tag);

	if (f->kind == HAK_ANOMALY_LEAKED)
		snprintf(text, TEXT_BYTES, "block %" PRIu32 " is holder %u's, which is not there",
			 f->block, holder);
	else if (f->kind == HAK_ANOMALY_NAMELESS)
		snprintf(text, TEXT_BYTES, "block %" PRIu32 " is the roots', and no root names it",
			 f->block);
	else if (f->kind == HAK_ANOMALY_HELD)
		snprintf(text, TEXT_BYTES, "block %" PRIu32 " is free, and holder %u owns it",
			 f->block, holder);
	else if (f->kind == HAK_ANOMALY_NOBODY && hak_tag_state(tag) == HAK_TAG_FREED)
		snprintf(text, TEXT_BYTES,
			 "block %" PRIu32 " of an owner that died is nobody's and not free",
			 f->block);
	else if (f->kind == HAK_ANOMALY_NOBODY)
		snprintf(text, TEXT_BYTES,
			 "block %" PRIu32 " of an orphan has no holder and is not free", f->block);
	else
		snprintf(text, TEXT_BYTES,
			 "block %" PRIu32 " has tag %08" PRIx32 ", which no block can have",
			 f->block, tag);
}

/* A sentence about an entry of the table of roots; the finding's word is a ref. */
static void describe_entry(const struct hak_finding *f, char text[TEXT_BYTES])
{
	if (f->kind == HAK_ANOMALY_ENTRY)
		snprintf(text, TEXT_BYTES,
			 "entry %" PRIu32
			 " of the table of roots is in a state, or at a place of a "
			 "list, that cannot be",
			 f->entry);
	else
		snprintf(text, TEXT_BYTES,
			 "entry %" PRIu32 " of the table of roots is of a live root, whose block "
			 "with ref %016" PRIx64 " is not the roots'",
			 f->entry, f->word);
}

/* A sentence. */
static void describe(const struct hak_finding *f, uint32_t per, char text[TEXT_BYTES])
{
	uint64_t w = f->word;

	switch (f->kind) {
	case HAK_ANOMALY_RUN:
		snprintf(text, TEXT_BYTES,
			 "the registry's words of this SuperSlab or run do not fit together (word "
			 "%016" PRIx64 ")",
			 w);
		break;
	case HAK_ANOMALY_HOLDER:
		snprintf(text, TEXT_BYTES, "granted to holder %u, which is not there", f->owner);
		break;
	case HAK_ANOMALY_GENERATION:
		snprintf(text, TEXT_BYTES,
			 "granted to holder %u, whose slot is at the earlier generation %" PRIu32,
			 f->owner, hak_holder_generation(w));
		break;
	case HAK_ANOMALY_FREED:
		snprintf(text, TEXT_BYTES,
			 "the SuperSlab is free, but this slab word is not reset: it names holder "
			 "%u "
			 "(word %016" PRIx64 ")",
			 hak_slab_owner(w), w);
		break;
	case HAK_ANOMALY_PENDING:
		snprintf(text, TEXT_BYTES,
			 "hints %08" PRIx64 " of frees in slots that nothing can have been in", w);
		break;
	case HAK_ANOMALY_TAG:
	case HAK_ANOMALY_LEAKED:
	case HAK_ANOMALY_NOBODY:
	case HAK_ANOMALY_HELD:
	case HAK_ANOMALY_NAMELESS:
		describe_block(f, text);
		break;
	case HAK_ANOMALY_ROOT:
	case HAK_ANOMALY_ENTRY:
		describe_entry(f, text);
		break;
	default:
		describe_slot(f, per, text);
	}
}

static bool is_of_entry(const struct hak_finding *f)
{
	return f->kind == HAK_ANOMALY_ROOT || f->kind == HAK_ANOMALY_ENTRY;
}

static void fill_anomaly(const struct hak_geometry *g, const struct hak_finding *finding,
			 Hak__Anomaly *ret, char text[TEXT_BYTES])
{
	uint32_t first = finding->superslab * g->slots_per_superslab;
	bool has_slot = finding->slot != HAK_NO_SLOT;

	describe(finding, g->slots_per_superslab, text);
	hak__anomaly__init(ret);
	ret->kind = (char *)(uintptr_t)hak_anomaly_names[finding->kind];
	ret->superslab = finding->superslab;
	ret->slot = has_slot ? (int32_t)(finding->slot - first) : -1;
	ret->offset = (uint64_t)(has_slot ? finding->slot : first) << HAK_SLOT_LG;
	if (finding->block != HAK_NO_BLOCK)
		ret->offset += finding->block * finding->block_bytes;
	if (has_slot && is_of_entry(finding))
		ret->offset = hak_ref_offset(finding->word);
	ret->owner = finding->owner;
	ret->text = text;
}

/*
 * The owners of what this page walked. They fit a packet: 4095 of at most 13 bytes, since a page is
 * of less than 2^31 blocks and 2^36 bytes, but for one huge run, which has one owner.
 */
static void fill_owners(const struct hakd_audit *audit, Hak__Check *check)
{
	static uint32_t owners[HAK_HOLDER_COUNT]; /* the loop's thread only */
	static uint64_t blocks[HAK_HOLDER_COUNT], bytes[HAK_HOLDER_COUNT];
	size_t n = 0;

	for (unsigned holder = 0; holder < HAK_HOLDER_COUNT; holder++) {
		if (!audit->shares[holder].blocks)
			continue;
		owners[n] = holder;
		blocks[n] = audit->shares[holder].blocks;
		bytes[n++] = audit->shares[holder].bytes;
	}
	check->n_owners = check->n_owner_blocks = check->n_owner_bytes = n;
	check->owners = owners;
	check->owner_blocks = blocks;
	check->owner_bytes = bytes;
}

static void answer(struct hakd_job *job)
{
	static Hak__Anomaly page[HAK_WIRE_CHECK_PAGE]; /* the loop's thread only */
	static char texts[HAK_WIRE_CHECK_PAGE][TEXT_BYTES];
	const struct hak_geometry *g = &job->realm->pool->segment.geometry;
	const struct hakd_audit *audit = job->audit;
	const struct hak_census *census = &audit->walk.census;
	Hak__Anomaly *all[HAK_WIRE_CHECK_PAGE];
	Hak__Reply reply = HAK__REPLY__INIT;
	Hak__Check check = HAK__CHECK__INIT;

	for (uint32_t i = 0; i < audit->n_findings; i++) {
		fill_anomaly(g, &audit->findings[i], &page[i], texts[i]);
		all[i] = &page[i];
	}
	if (audit->lists_owners)
		fill_owners(audit, &check);
	check.superslabs = census->superslabs;
	check.orphans = census->orphans;
	check.slabs = census->slabs;
	check.spans = census->spans;
	check.live_blocks = census->live_blocks;
	check.live_bytes = census->live_bytes;
	check.lost_blocks = audit->walk.lost.blocks;
	check.lost_bytes = audit->walk.lost.bytes;
	check.stale_hints = audit->walk.stale_hints;
	check.n_anomalies = audit->n_findings;
	check.anomalies = all;
	check.more_anomalies = audit->n_more;
	check.next_superslab = audit->next < g->n_superslabs ? audit->next : 0;
	reply.id = job->request_id;
	reply.body_case = HAK__REPLY__BODY_CHECK;
	reply.check = &check;
	hakd_peer_reply(job->peer, &reply, NULL, 0);
	if (audit->n_findings + audit->n_more > 0)
		hakd_event(job->realm, HAK_EVENT_DAMAGED, NULL, audit->n_findings + audit->n_more,
			   0);
}

static void end_step(struct hakd_job *job)
{
	struct hakd_audit *audit = job->audit;

	decide_doubtful(job);
	if (audit->next < job->realm->pool->segment.geometry.n_superslabs &&
	    audit->next - audit->from < PAGE && audit->n_findings < HAK_WIRE_CHECK_PAGE) {
		hakd_job_start(job);
		return;
	}
	answer(job);
	free(audit);
}

bool hakd_audit(struct hakd_peer *peer, uint64_t id, uint32_t from_superslab, bool owners)
{
	struct hakd_job *job = hakd_job_new(peer->realm, peer, NULL, 0);
	struct hakd_audit *audit = calloc(1, sizeof(*audit));
	uint32_t total = peer->realm->pool->segment.geometry.n_superslabs;

	if (!job || !audit) {
		hakd_job_free(job);
		free(audit);
		hakd_peer_refuse(peer, id, HAK_E_INTERNAL, "no memory");
		return true;
	}
	/* Of those attached; a slot that is free may have refused one since. */
	for (unsigned slot = HAK_HOLDER_FIRST; slot < HAK_HOLDER_COUNT; slot++)
		if (peer->realm->clients[slot])
			audit->generations[slot] = peer->realm->clients[slot]->generation;
	audit->walk.generations = audit->generations;
	audit->walk.report = report;
	audit->lists_owners = owners;
	audit->walk.shares = owners ? audit->shares : NULL;
	audit->from = audit->next = from_superslab < total ? from_superslab : total;
	job->audit = audit;
	job->request_id = id;
	job->is_question = true;
	job->run = run_step;
	job->end = end_step;
	hakd_job_start(job);
	return true;
}
