/* SPDX-License-Identifier: MIT */
#ifndef HAK_SHM_SIZE_CLASS_H
#define HAK_SHM_SIZE_CLASS_H

/*
 * Size classes: which block sizes exist and how a slab is cut into them.
 *
 * 16 bytes apart up to 256, then eight classes a doubling up to 32 KiB. So
 * above 128 bytes the next class is at most 1/8 larger, and a block wastes at
 * most 12.5 % (the "small size classes" of jemalloc have the same shape with
 * four a doubling, mimalloc's have eight). All processes must cut alike: the
 * class in a slab word is all that tells another process where blocks begin.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HAK_SLOT_LG    16
#define HAK_SLOT_BYTES (UINT64_C(1) << HAK_SLOT_LG) /* a slab slot */

#define HAK_BLOCK_MIN	 16u	/* smallest block, and alignment of every block */
#define HAK_CLASS_MAX	 32768u /* largest block of a class, bytes */
#define HAK_CLASS_COUNT	 72u
#define HAK_CLASS_LINEAR 16u   /* classes that are 16 bytes apart */
#define HAK_CLASS_BLOCKS 4096u /* most blocks a slab can have */
#define HAK_RUN_SLOTS	 16u   /* most slots a slab of a class can take */

struct hak_class {
	uint32_t size;	   /* bytes of a block */
	uint16_t n_blocks; /* blocks in a slab */
	uint16_t n_slots;  /* slots that a slab of it takes: 1, 2, 4, 8 or 16 */
	uint64_t magic;	   /* ceil(2^64 / size): division by multiplication */
};

extern const struct hak_class hak_classes[HAK_CLASS_COUNT];

/*
 * The class of a size: 0 to HAK_CLASS_MAX bytes; size 0 counts as 1.
 * Above 256 bytes the class is read off the four leading bits of size - 1.
 */
static inline unsigned hak_class_of(size_t size)
{
	if (size <= HAK_CLASS_LINEAR * HAK_BLOCK_MIN)
		return (unsigned)((size + (size == 0) - 1) / HAK_BLOCK_MIN);

	unsigned shift = 60u - (unsigned)__builtin_clzll(size - 1);

	/* (size - 1) >> shift is 8..15; shift is 5 for 257..512 */
	return (unsigned)((size - 1) >> shift) + 8 * shift - 32;
}

/*
 * The smallest class that holds size bytes at an alignment (a power of two).
 * Slabs begin at a multiple of 64 KiB, so all blocks of a class are aligned if
 * its size is a multiple of the alignment. HAK_CLASS_COUNT if there is none.
 */
unsigned hak_class_of_aligned(size_t size, size_t alignment);

/*
 * Is offset (bytes from the begin of the slab, < 2^20) the begin of a block?
 * Lemire, Kaser, Kurz: Faster remainder by direct computation (2019): n is
 * divisible by d when n * ceil(2^64 / d) mod 2^64 < ceil(2^64 / d).
 */
static inline bool hak_class_is_start(uint64_t magic, uint64_t offset)
{
	return offset * magic < magic;
}

/*
 * The same and "is it one of the n_blocks", for an offset below 2^16, as one
 * compare: offset * magic < hak_class_start_limit(). With e = size * magic
 * mod 2^64 (below size) the product of the q-th begin is q * e, which grows
 * with q; that of any other offset is at least magic, which is more.
 */
static inline uint64_t hak_class_start_limit(const struct hak_class *shape)
{
	uint64_t e = shape->size * shape->magic;

	return e ? (shape->n_blocks - 1) * e + 1 : 1;
}

/* Index of the block in which offset (from the begin of the slab) lies. */
static inline unsigned hak_class_index(uint64_t magic, uint64_t offset)
{
	__extension__ typedef unsigned __int128 wide;

	return (unsigned)(((wide)offset * magic) >> 64);
}

#endif
