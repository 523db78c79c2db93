/* SPDX-License-Identifier: MIT */
#ifndef HAK_SHM_SAMPLE_H
#define HAK_SHM_SAMPLE_H

/*
 * Who allocated a block: what the profile knows of the few that it takes a sample of.
 *
 * A sampled block lies in a SAMPLED slab or is a SAMPLED span. The record of a slab's block is
 * its last 504 bytes, which its user doesn't get; that of a span is where the free bits
 * of a slab's other blocks would be. So a record lives as long as its block: it outlasts
 * who allocated it, and nobody has to take it away.
 *
 * A sample is alive while its slot's W is SAMPLED, its block's bit is 0, and its seal holds.
 *
 * | operation | who may                              | killed half way                   |
 * |-----------|--------------------------------------|-----------------------------------|
 * | set       | who has claimed the block, before it | no seal: the block is not seen,   |
 * |           | is given out                         | and goes with its owner           |
 * | end       | who frees it, before its bit is set  | not freed, and not seen           |
 * | read      | anybody: copies it and checks the    | -                                 |
 * |           | seal, a hash of all that it says     |                                   |
 *
 * Who can write to the pool can write records too: they are for people to read, and nothing is
 * decided by them.
 */

#include "proto/shm/segment.h"

#define HAK_SAMPLE_FRAMES	57u
#define HAK_SAMPLE_MODULE_SHIFT 48 /* of a frame: see modules.h; below it an address in that file */
#define HAK_SAMPLE_INTERVAL \
	(UINT64_C(512) << 10) /* bytes, where nothing else is said; as tcmalloc's */
#define HAK_SAMPLE_INTERVAL_MIN (UINT64_C(4) << 10)

/* Is that what may lie between two samples, 0 of none? */
static inline bool hak_sample_is_interval(uint64_t bytes)
{
	return bytes == 0 || bytes >= HAK_SAMPLE_INTERVAL_MIN;
}

struct hak_sample {
	hak_u64 seal;	  /* never 0; 0: no record */
	uint64_t weight;  /* bytes of blocks that it stands for, its own among them */
	uint64_t asked;	  /* bytes */
	int32_t pid;	  /* of who allocated it */
	uint16_t thread;  /* the lower half of the thread's number in its process */
	uint8_t magazine; /* of that thread, which the block would be in otherwise */
	uint8_t n_frames;
	char name[16];			    /* of the program, NUL-terminated */
	uint64_t frames[HAK_SAMPLE_FRAMES]; /* return addresses, the innermost first */
};

_Static_assert(sizeof(struct hak_sample) == (HAK_SLAB_BITS_WORDS - 1) * 8,
	       "a record fits behind a span's one word of bits");

static inline bool hak_sample_is_there(const struct hak_location *l)
{
	return (l->word & HAK_SLAB_SAMPLED) != 0;
}

/* Where the record of a location that is a block is; NULL: its slab isn't SAMPLED. */
struct hak_sample *hak_sample_of(const struct hak_segment *segment, const struct hak_location *l);

/* Bytes that the user of a location that is a block may use. */
uint64_t hak_sample_usable(const struct hak_location *l);

/* start: offset of the block from the first SuperSlab. The seal of `sample` isn't looked at. */
void hak_sample_set(struct hak_sample *at, const struct hak_sample *sample, uint64_t start);

static inline void hak_sample_end(struct hak_sample *at)
{
	hak_store_relaxed(&at->seal, 0); /* the free that follows releases it */
}

/* False: there is none, or it is being written just now, or somebody scribbled over it. */
bool hak_sample_read(const struct hak_sample *at, uint64_t start, struct hak_sample *ret_sample);

/* A walk over all samples that are alive. Zero: at the begin. */
struct hak_sample_walk {
	uint32_t slot;
	uint32_t index;
	uint32_t end;	   /* of the slots; 0: that of the pool */
	uint64_t n_broken; /* blocks whose record doesn't hold, or was changing */
};

/* False: there are no more. ret_location: of the block. */
bool hak_sample_next(const struct hak_segment *segment, struct hak_sample_walk *walk,
		     struct hak_sample *ret_sample, struct hak_location *ret_location);

#endif
