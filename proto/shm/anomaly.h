/* SPDX-License-Identifier: MIT */
#ifndef HAK_SHM_ANOMALY_H
#define HAK_SHM_ANOMALY_H

/* What the audit finds wrong, and how it is called: see check.h and check_roots.h. */

enum hak_anomaly {
	HAK_ANOMALY_OWNER,   /* the slab's owner is not the SuperSlab's */
	HAK_ANOMALY_STATE,   /* a state that does not exist or can't be here */
	HAK_ANOMALY_CLASS,   /* a class that does not exist */
	HAK_ANOMALY_BODY,    /* no body where its head covers it, or a body of what lies outside */
	HAK_ANOMALY_RANGE,   /* a slab or span that leaves its SuperSlab or run */
	HAK_ANOMALY_BITS,    /* free bits of blocks that don't exist */
	HAK_ANOMALY_OVERLAP, /* a head where another head covers */
	HAK_ANOMALY_RUN, /* registry: an impossible word, or bodies that don't match their head */
	HAK_ANOMALY_HOLDER,	/* granted to a holder slot that is free */
	HAK_ANOMALY_GENERATION, /* granted to a holder slot of an earlier generation */
	HAK_ANOMALY_FREED,	/* a free SuperSlab with a slab word that isn't reset */
	HAK_ANOMALY_PENDING,	/* hints where no slab or span can ever have been */
	HAK_ANOMALY_TAG,	/* a tag that no block can have */
	HAK_ANOMALY_LEAKED,	/* a block whose holder isn't there */
	HAK_ANOMALY_NOBODY,	/* a block that isn't free and that nobody owns */
	HAK_ANOMALY_HELD,	/* a free block that a holder owns */
	HAK_ANOMALY_NAMELESS,	/* a block of ROOT's that no entry of the table of roots has */
	HAK_ANOMALY_ROOT,	/* an entry of a live root whose block isn't ROOT's */
	HAK_ANOMALY_ENTRY,	/* an entry of the table of roots that no entry can be */
	HAK_ANOMALY_COUNT
};

extern const char *const hak_anomaly_names[HAK_ANOMALY_COUNT]; /* a word each */
extern const char *const hak_anomaly_texts[HAK_ANOMALY_COUNT];

#endif
