/* SPDX-License-Identifier: MIT */
#ifndef HAK_SHM_CHECK_H
#define HAK_SHM_CHECK_H

/*
 * The read-only validator: walks the registry and what it says is granted or an
 * orphan, slab words, free bits and the tags of TAGGED slabs, counts it and names
 * every word that contradicts the others. It trusts no word of the heap and
 * changes none. Counts of a pool at work are a glimpse, those of a quiet one
 * exact; anomalies are none in a healthy pool, at work or not.
 *
 * What is no anomaly: a living client or the daemon may be at it, or one that
 * died there has left it so.
 *
 * | what is seen                     | why it is right                            |
 * |----------------------------------|--------------------------------------------|
 * | bodies without a head            | cut writes them first, retire leaves them  |
 * | all bits of a slab 0             | magazines, callers, or just being retired  |
 * | a slab that nobody claims        | its thread ended; another will adopt it    |
 * | a run longer than its span       | it is being extended or shortened          |
 * | RECLAIMING, words in any state   | they are being scanned and reset           |
 * | RECLAIMING, of nobody, or some   | it waits for a grace, or is becoming an    |
 * | of its bodies                    | orphan                                     |
 * | an orphan, an heir in slab words | it is being inherited: told as             |
 * | or in the registry               | unless_taken                               |
 * | a free block, its tag FREEING or | who freed it; the next claim clears it     |
 * | FREED                            |                                            |
 * | FREEING, the block not free yet  | its holder is at it, or the scan for it    |
 * | a free SuperSlab, an owner in it | a grant is being prepared, or a run was    |
 * |                                  | shortened: told as unless_taken, since     |
 * |                                  | only the daemon knows                      |
 * | ROOT's, its entry being          | it is being published, withdrawn, or a     |
 * | published or withdrawn           | killed daemon was at it: see roots.h       |
 * | a free SuperSlab with a hint     | a free was between bit and hint while the  |
 * |                                  | owner gave back; the next grant clears it: |
 * |                                  | counted as stale_hints                     |
 *
 * Why a slab that is cut, retired or resized meanwhile shows none: a look reads
 * several words, which may change in between, so what is wrong at one look is
 * looked at again, HAK_CHECK_LOOKS times. It counts only if the registry's word
 * stayed and each look saw the same words wrong. A healthy owner would have to
 * retire and cut between each two looks, in step with the walk. A tag that is wrong
 * is the same word with the same inc each time, which goes on whenever the block
 * gets another owner.
 *
 * Why a grant, an extension or a collection shows none: each changes the head's
 * word in the registry, a grant by a new generation (24 bits). Whoever sees
 * slab words or a holder's word of after it (acquire) sees the new word in the
 * registry at the next look, and what was wrong is dropped. A holder's slot is
 * ATTACHED before its first grant, and FREE after its last SuperSlab is. Likewise a
 * tag names a holder only from after it attached, and until before its slot is FREE:
 * who saw FREE sees what the scan did at the next look.
 *
 * Why a block that is published or withdrawn shows none: its entry is in use before the tag
 * is ROOT's, and until it isn't any more. Who found no entry and sees the same tag again has
 * looked at all entries while the block was ROOT's by one publication.
 *
 * Whose is a block whose bit is 0? check_tag.h has the table. Only a reclaim has
 * blocks of nobody.
 *
 * One hole is the design's, not the walk's: a free that was under way when its
 * block's owner died may set a bit in the next owner's slab (docs/memory-model.md,
 * "Not ordered"). Where no block has that bit, BITS tells it, and is right.
 *
 * Left out: tags of untagged slabs, which may have no memory: to read them would give
 * it to them. Entries of the table of roots are looked at by check_roots.h.
 */

#include <stdbool.h>
#include <stdint.h>

#include "proto/shm/anomaly.h"
#include "proto/shm/segment.h"

#define HAK_CHECK_LOOKS	   64u
#define HAK_CHECK_PATIENCE 256u /* anomalies of one walk from which on 2 looks have to do */

struct hak_census {
	uint64_t superslabs; /* granted, those of huge runs one by one */
	uint64_t orphans;    /* SuperSlabs too, beside the granted ones */
	uint64_t slabs;	     /* ACTIVE */
	uint64_t spans;	     /* SPAN, huge ones too */
	uint64_t unused_slots;
	uint64_t live_blocks; /* not free: held, or in a cache of a client */
	uint64_t live_bytes;  /* of these blocks, rounded up to their classes */
	uint64_t anomalies[HAK_ANOMALY_COUNT];
};

#define HAK_NO_SLOT  UINT32_MAX
#define HAK_NO_BLOCK UINT32_MAX

/* One anomaly; of a slab or span the first one that was seen in it. */
struct hak_finding {
	enum hak_anomaly kind;
	uint32_t superslab;
	/* Of the pool; HAK_NO_SLOT: it is about the whole SuperSlab, or the ref is not of the pool. */
	uint32_t slot;
	uint32_t head;	/* BODY, OVERLAP: slot of the head that covers it, itself if none does */
	unsigned owner; /* of the SuperSlab; ROOT, ENTRY: HAK_HOLDER_NONE */
	uint32_t block; /* of the slab; HAK_NO_BLOCK: it is about more */
	uint64_t block_bytes;
	uint32_t entry; /* ROOT, ENTRY: of the table of roots */
	/*
	 * What is wrong: slab word, registry word, holder's word, hints, bits' head, block's tag;
	 * ROOT, ENTRY: the ref by which ROOT should have the block.
	 */
	uint64_t word;
	/*
	 * No anomaly if the daemon is at work on the SuperSlab, a grant, an inheritance, a shorter
	 * run: only it knows. One a SuperSlab or run at most.
	 */
	bool unless_taken;
};

/* What a holder owns. */
struct hak_share {
	uint64_t blocks;
	uint64_t bytes;
};

/* A walk that reports. To be zeroed; nothing of it lies in shared memory. */
struct hak_audit {
	struct hak_census census;
	struct hak_share lost;	  /* of the census: what nobody owns who is there */
	struct hak_share *shares; /* HAK_HOLDER_COUNT, added to; NULL: not asked for */
	uint64_t stale_hints;
	/* The generation that each holder slot was last given when the walk began; NULL: unknown. */
	const uint32_t *generations;
	/* Told of each finding; false: it is not to be counted. NULL: what is certain is counted. */
	bool (*report)(struct hak_audit *audit, const struct hak_finding *finding);
};

/* Adds the SuperSlab or run whose head is at index, granted or an orphan; nothing where there
 * is none. Returns how many SuperSlabs to go on by, 1 at least. */
uint32_t hak_check_superslab(const struct hak_segment *segment, uint32_t index,
			     struct hak_census *census);

/* Adds all that is granted and all orphans; with owner != HAK_HOLDER_NONE all granted to it. */
void hak_check_pool(const struct hak_segment *segment, unsigned owner, struct hak_census *census);

/*
 * One walk for many holders: adds what is granted to holder first + i to censuses[i], i < n,
 * and nothing of others. Blocks count where they lie, whoever owns them.
 */
void hak_check_holders(const struct hak_segment *segment, unsigned first, unsigned n,
		       struct hak_census *censuses);

/*
 * The same as hak_check_superslab, and all that the registry says about it: its holder, its
 * bodies, that a free one is free, its hints. Reads slab words of free ones too, which
 * gives them a page; who minds leaves out those that never had one.
 */
uint32_t hak_audit_superslab(const struct hak_segment *segment, uint32_t index,
			     struct hak_audit *audit);

/* The sum of census->anomalies. */
uint64_t hak_check_anomalies(const struct hak_census *census);

#endif
