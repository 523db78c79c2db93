/* SPDX-License-Identifier: MIT */
#ifndef HAK_SHM_HOLDERS_H
#define HAK_SHM_HOLDERS_H

/*
 * The table of holders: who can own memory. Identity is slot + generation,
 * minted by the daemon; a pid is only shown. Only the daemon writes.
 *
 * | bytes  | field         | meaning                                      |
 * |--------|---------------|----------------------------------------------|
 * |  0..7  | word          | state (8 bits) and generation (32 bits << 8) |
 * |  8..11 | pid           | of the client, as its credentials said       |
 * | 12..15 | uid           | likewise                                     |
 * | 16..23 | start_time    | of the pid, clock ticks since boot           |
 * | 24..31 | attached_at   | wall clock, seconds since 1970               |
 * | 32..47 | name          | of the program, NUL-terminated               |
 * | 48..55 | kicked        | 1: nothing more is granted to it             |
 * | 56..63 | -             | 0                                            |
 *
 *   FREE --attach--> ATTACHED --death, detach--> RECLAIMING --> FREE
 *
 * The word is written last at attach and first at death. The other fields are
 * diagnostics: a reader that sees a word change may have read a mixture.
 */

#include <stdint.h>

#include "proto/shm/atomic.h"

#define HAK_HOLDER_NONE	 0u    /* slot 0: nobody */
#define HAK_HOLDER_ROOT	 1u    /* slot 1: what roots own */
#define HAK_HOLDER_FIRST 2u    /* the first slot of a client */
#define HAK_HOLDER_COUNT 4096u /* slots: 12 bits in slab words and tags */

enum hak_holder_state {
	HAK_HOLDER_FREE = 0,
	HAK_HOLDER_ATTACHED = 1,
	HAK_HOLDER_RECLAIMING = 2,
};

struct hak_holder {
	hak_u64 word;
	int32_t pid;
	uint32_t uid;
	uint64_t start_time;
	int64_t attached_at;
	char name[16];
	hak_u64 kicked;
	uint64_t reserved;
};

_Static_assert(sizeof(struct hak_holder) == 64, "a holder is a cache line");

static inline uint64_t hak_holder_pack(enum hak_holder_state state, uint32_t generation)
{
	return (uint64_t)state | (uint64_t)generation << 8;
}

static inline enum hak_holder_state hak_holder_state(uint64_t word)
{
	return (enum hak_holder_state)(word & 0xff);
}

static inline uint32_t hak_holder_generation(uint64_t word)
{
	return (uint32_t)(word >> 8);
}

#endif
