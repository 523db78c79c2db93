/* SPDX-License-Identifier: MIT */
/*
 * The table of size classes, worked out by the compiler.
 *
 * A slab takes the fewest slots for which the tail that no block fits into is
 * at most 1/48 of it. Only powers of two, which divide a SuperSlab: rows of 3 or
 * 7 would leave slots that a heap of one size never uses. With the 0.8 % that
 * the bitmap takes, a full heap stays under 3 % of overhead.
 */
#include "proto/shm/size_class.h"

#define RUN(slots)	      ((slots)*65536u)
#define TAIL(size, slots)     (RUN(slots) % (size))
#define FITS(size, slots)     (TAIL(size, slots) * 48 <= RUN(slots))
#define FEWEST(size, n, more) (FITS(size, n) ? (n) : (more))
#define SLOTS_4(size)	      FEWEST(size, 4, FEWEST(size, 8, 16))
#define SLOTS(size)	      FEWEST(size, 1, FEWEST(size, 2, SLOTS_4(size)))

#define ROW(bytes)                                                                                 \
	{                                                                                          \
		.size = (bytes), .n_slots = SLOTS(bytes), .n_blocks = RUN(SLOTS(bytes)) / (bytes), \
		.magic = UINT64_MAX / (bytes) + 1                                                  \
	}
#define LINEAR4(from) ROW(from), ROW((from) + 16), ROW((from) + 32), ROW((from) + 48)
#define DOUBLING(from)                                                                         \
	ROW((from) / 8 * 9), ROW((from) / 8 * 10), ROW((from) / 8 * 11), ROW((from) / 8 * 12), \
		ROW((from) / 8 * 13), ROW((from) / 8 * 14), ROW((from) / 8 * 15), ROW((from)*2)

const struct hak_class hak_classes[HAK_CLASS_COUNT] = {
	LINEAR4(16),	LINEAR4(80),	LINEAR4(144),	 LINEAR4(208),
	DOUBLING(256),	DOUBLING(512),	DOUBLING(1024),	 DOUBLING(2048),
	DOUBLING(4096), DOUBLING(8192), DOUBLING(16384),
};

unsigned hak_class_of_aligned(size_t size, size_t alignment)
{
	if (size > HAK_CLASS_MAX || alignment > HAK_CLASS_MAX)
		return HAK_CLASS_COUNT;

	unsigned cls = hak_class_of(size > alignment ? size : alignment);

	/* Ends at a power of two at the latest, which HAK_CLASS_MAX is. */
	while (hak_classes[cls].size & (alignment - 1))
		cls++;
	return cls;
}
