/* SPDX-License-Identifier: MIT */
#ifndef HAK_SHM_SCAN_H
#define HAK_SHM_SCAN_H

/*
 * What a daemon does to the slabs of a SuperSlab, or run, when a holder is dead.
 * docs/recovery.md has the protocol; superslab.h the registry's part.
 *
 * | scan    | of                              | who else is at work there                 |
 * |---------|---------------------------------|-------------------------------------------|
 * | own     | RECLAIMING, its owner is dead   | takers and holders; no one cuts or claims |
 * | held    | any that isn't FREE             | its owner too, if it lives                |
 * | orphan  | ORPHAN                          | as own                                    |
 * | inherit | ORPHAN, after a grace           | as own                                    |
 *
 * Each may be cut short anywhere and done again from its start: what is done
 * stays done, and what an earlier try left half done it finishes.
 *
 * A hostile owner's words are its own loss: a slab or span that doesn't fit, or
 * whose bodies aren't there, counts as none, and its blocks go.
 */

#include <stdbool.h>
#include <stdint.h>

#include "proto/shm/segment.h"

/* Holders that are dead; NONE and ROOT never are. */
struct hak_holder_set {
	uint64_t words[HAK_HOLDER_COUNT / 64];
};

static inline void hak_holder_set_add(struct hak_holder_set *set, unsigned holder)
{
	set->words[holder / 64] |= UINT64_C(1) << holder % 64;
}

static inline bool hak_holder_set_has(const struct hak_holder_set *set, unsigned holder)
{
	return set->words[holder / 64] >> holder % 64 & 1;
}

/* What scans have found; they add to it. */
struct hak_scan {
	uint64_t n_freed;    /* blocks of tagged slabs that went with their owner */
	uint64_t n_survived; /* own: blocks that others hold */
	uint32_t n_heads;    /* orphan: slabs and spans that are left */
	uint32_t n_vacant;   /* orphan: slots that are in none */
	bool has_changed;    /* orphan: slots are in no slab that were */
};

/*
 * The slots from first up to end, a whole SuperSlab or run, of `owner`, which is dead and whose
 * they are by the registry. Blocks that others hold stay, and with them their slabs, which are
 * orphans then; all other slots are collected. True: something has stayed.
 */
bool hak_scan_own(const struct hak_segment *segment, uint32_t first, uint32_t end, unsigned owner,
		  struct hak_scan *scan);

/*
 * The same slots, of whomever: frees what any of the dead hold there. In a crossing of the
 * scanner's, since an owner that lives may take its slabs apart. Raises the hint of each slab
 * that it freed into; of all, if one of the dead may have been killed between bit and hint.
 */
void hak_scan_held(const struct hak_segment *segment, uint32_t first, uint32_t end,
		   const struct hak_holder_set *dead, bool were_killed, struct hak_scan *scan);

/* An orphan: collects the slabs in which no block is left. None at all is left: n_heads 0. */
void hak_scan_orphan(const struct hak_segment *segment, uint32_t first, uint32_t end,
		     struct hak_scan *scan);

/*
 * An orphan becomes owner's: its slabs as they are, all other slots unused. Then the registry.
 * Slots that are owner's already stay as they are.
 */
void hak_scan_inherit(const struct hak_segment *segment, uint32_t first, uint32_t end,
		      unsigned owner);

#endif
