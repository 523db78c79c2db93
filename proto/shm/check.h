/* SPDX-License-Identifier: MIT */
#ifndef HAK_SHM_CHECK_H
#define HAK_SHM_CHECK_H

/*
 * The read-only validator: walks what the registry says is granted, counts it
 * and names every word that contradicts the registry. It trusts no word of
 * the heap and changes none. On a pool that is at work the counts are a
 * glimpse, and a slab that is being cut or retired at that moment may show as
 * an anomaly; on a quiet one both are exact.
 */

#include <stdint.h>

#include "proto/shm/segment.h"

enum hak_anomaly {
	HAK_ANOMALY_OWNER, /* the slab's owner is not the SuperSlab's */
	HAK_ANOMALY_STATE, /* a state that does not exist or can't be here */
	HAK_ANOMALY_CLASS, /* a class that does not exist */
	HAK_ANOMALY_BODY,  /* a slot that its head covers and that is no body of it */
	HAK_ANOMALY_RANGE, /* a slab or span that leaves its SuperSlab or run */
	HAK_ANOMALY_BITS,  /* free bits of blocks that don't exist */
	HAK_ANOMALY_COUNT
};

extern const char *const hak_anomaly_texts[HAK_ANOMALY_COUNT];

struct hak_census {
	uint64_t superslabs;   /* granted, those of huge runs one by one */
	uint64_t slabs;	       /* ACTIVE */
	uint64_t spans;	       /* SPAN, huge ones too */
	uint64_t unused_slots; /* of granted SuperSlabs */
	uint64_t live_blocks;  /* not free: held, or in a cache of a client */
	uint64_t live_bytes;   /* of these blocks, rounded up to their classes */
	uint64_t anomalies[HAK_ANOMALY_COUNT];
	uint32_t first_anomaly_slot; /* meaningful if one of anomalies[] isn't 0 */
};

/* Adds the SuperSlab or run whose head is at index; nothing where none is granted
 * there. Returns how many SuperSlabs to go on by, 1 at least. */
uint32_t hak_check_superslab(const struct hak_segment *segment, uint32_t index,
			     struct hak_census *census);

/* Adds all that is granted; with owner != HAK_HOLDER_NONE all that is granted to it. */
void hak_check_pool(const struct hak_segment *segment, unsigned owner, struct hak_census *census);

/*
 * One walk for many holders: adds what is granted to holder first + i to censuses[i], i < n,
 * and nothing of others.
 */
void hak_check_holders(const struct hak_segment *segment, unsigned first, unsigned n,
		       struct hak_census *censuses);

/* The sum of census->anomalies. */
uint64_t hak_check_anomalies(const struct hak_census *census);

#endif
