/* SPDX-License-Identifier: MIT */
/* The words and texts for what the audit finds wrong; tables by kind. */
#include "proto/shm/anomaly.h"

const char *const hak_anomaly_names[HAK_ANOMALY_COUNT] = {
	[HAK_ANOMALY_OWNER] = "owner",	     [HAK_ANOMALY_STATE] = "state",
	[HAK_ANOMALY_CLASS] = "class",	     [HAK_ANOMALY_BODY] = "body",
	[HAK_ANOMALY_RANGE] = "range",	     [HAK_ANOMALY_BITS] = "bits",
	[HAK_ANOMALY_OVERLAP] = "overlap",   [HAK_ANOMALY_RUN] = "run",
	[HAK_ANOMALY_HOLDER] = "holder",     [HAK_ANOMALY_GENERATION] = "generation",
	[HAK_ANOMALY_FREED] = "freed",	     [HAK_ANOMALY_PENDING] = "pending",
	[HAK_ANOMALY_TAG] = "tag",	     [HAK_ANOMALY_LEAKED] = "leaked",
	[HAK_ANOMALY_NOBODY] = "nobody",     [HAK_ANOMALY_HELD] = "held",
	[HAK_ANOMALY_NAMELESS] = "nameless", [HAK_ANOMALY_ROOT] = "root",
	[HAK_ANOMALY_ENTRY] = "entry",
};

const char *const hak_anomaly_texts[HAK_ANOMALY_COUNT] = {
	[HAK_ANOMALY_OWNER] = "slab owned by another holder than its SuperSlab",
	[HAK_ANOMALY_STATE] = "slab in an impossible state",
	[HAK_ANOMALY_CLASS] = "slab of a class that does not exist",
	[HAK_ANOMALY_BODY] = "slot of a slab or span that is no body of it",
	[HAK_ANOMALY_RANGE] = "slab or span beyond its SuperSlab",
	[HAK_ANOMALY_BITS] = "free bits of blocks that do not exist",
	[HAK_ANOMALY_OVERLAP] = "slab or span inside another one",
	[HAK_ANOMALY_RUN] = "SuperSlab whose registry words contradict each other",
	[HAK_ANOMALY_HOLDER] = "SuperSlab granted to a holder that is not there",
	[HAK_ANOMALY_GENERATION] = "SuperSlab granted to an earlier holder of the slot",
	[HAK_ANOMALY_FREED] = "slab word of a free SuperSlab that is not reset",
	[HAK_ANOMALY_PENDING] = "hints of slots in which nothing can have been",
	[HAK_ANOMALY_TAG] = "tag of a block that no block can have",
	[HAK_ANOMALY_LEAKED] = "block of a holder that is not there",
	[HAK_ANOMALY_NOBODY] = "block that is not free and has no owner",
	[HAK_ANOMALY_HELD] = "free block that a holder owns",
	[HAK_ANOMALY_NAMELESS] = "block of the roots' that no root names",
	[HAK_ANOMALY_ROOT] = "root whose block is not the roots'",
	[HAK_ANOMALY_ENTRY] = "impossible entry of the table of roots",
};
