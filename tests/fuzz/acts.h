/* SPDX-License-Identifier: MIT */
#ifndef HAKT_FUZZ_ACTS_H
#define HAKT_FUZZ_ACTS_H

/*
 * What clients do to the heap between their requests, in small steps: as the rules say, or
 * scribbling. To be called while the daemon is at rest.
 */

#include "proto/shm/segment.h"
#include "tests/fuzz/caller.h"
#include "tests/fuzz/input.h"

enum { HAKT_REFS = 16 };

extern uint64_t hakt_refs[HAKT_REFS]; /* that have been made; HAK_REF_NONE: none yet */

/* The next SuperSlab, from one on, that is granted to the caller; n_superslabs: none. */
uint32_t hakt_act_granted(const struct hak_segment *segment, const struct hakt_caller *caller,
			  uint32_t from);

/* Cuts a slab in a SuperSlab of the caller's, and claims some of its blocks. */
void hakt_act_allocate(const struct hak_segment *segment, const struct hakt_caller *caller,
		       struct hakt_input *input);

/* Makes a ref of a block that it has in a slab of its own. */
void hakt_act_ref(const struct hak_segment *segment, const struct hakt_caller *caller,
		  struct hakt_input *input);
void hakt_act_take(const struct hak_segment *segment, const struct hakt_caller *caller,
		   struct hakt_input *input);
void hakt_act_free(const struct hak_segment *segment, const struct hakt_caller *caller,
		   struct hakt_input *input);

/* Begins or ends a crossing of a thread. */
void hakt_act_cross(const struct hak_segment *segment, const struct hakt_caller *caller,
		    struct hakt_input *input);

/* Writes some word of the heap. */
void hakt_act_scribble(const struct hak_segment *segment, struct hakt_input *input);

/* Does a run, from its head on, hold no slab or span? */
bool hakt_act_is_unused(const struct hak_segment *segment, uint32_t head);

#endif
