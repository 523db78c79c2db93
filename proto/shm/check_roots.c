/* SPDX-License-Identifier: MIT */
/*
 * The audit of the table of roots. One look at an entry is hak_roots_examine, which drops
 * what the daemon was at meanwhile; what it finds wrong is believed when all looks agree.
 */
#include "proto/shm/check_roots.h"

#include "proto/shm/roots.h"

/* What all looks at an entry see wrong, and its block's ref. */
static enum hak_root_flaw look_at_entry(const struct hak_segment *segment, uint32_t entry,
					uint64_t *ret_ref)
{
	enum hak_root_flaw flaw = hak_roots_examine(segment, entry, ret_ref);

	for (unsigned i = 1; flaw != HAK_ROOT_FLAW_NONE && i < HAK_CHECK_LOOKS; i++) {
		uint64_t ref = 0;

		if (hak_roots_examine(segment, entry, &ref) != flaw || ref != *ret_ref)
			flaw = HAK_ROOT_FLAW_NONE;
	}
	return flaw;
}

static void note(const struct hak_segment *segment, struct hak_audit *audit, enum hak_anomaly kind,
		 uint32_t entry, uint64_t ref)
{
	struct hak_finding finding = {.kind = kind,
				      .slot = HAK_NO_SLOT,
				      .head = HAK_NO_SLOT,
				      .owner = HAK_HOLDER_NONE,
				      .block = HAK_NO_BLOCK,
				      .entry = entry,
				      .word = ref};

	if (hak_ref_offset(ref) < segment->geometry.capacity) {
		finding.slot = finding.head = (uint32_t)(hak_ref_offset(ref) >> HAK_SLOT_LG);
		finding.superslab = hak_segment_superslab_of(segment, finding.slot);
	}
	if (!audit->report || audit->report(audit, &finding))
		audit->census.anomalies[kind]++;
}

void hak_audit_roots(const struct hak_segment *segment, struct hak_audit *audit)
{
	for (uint32_t i = 0; i < HAK_ROOT_COUNT; i++) {
		uint64_t ref = 0;

		switch (look_at_entry(segment, i, &ref)) {
		case HAK_ROOT_FLAW_NONE:
			break;
		case HAK_ROOT_FLAW_STATE:
			note(segment, audit, HAK_ANOMALY_ENTRY, i, ref);
			break;
		case HAK_ROOT_FLAW_BLOCK:
			note(segment, audit, HAK_ANOMALY_ROOT, i, ref);
			break;
		}
	}
}
