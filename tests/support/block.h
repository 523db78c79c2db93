/* SPDX-License-Identifier: MIT */
#ifndef HAKT_BLOCK_H
#define HAKT_BLOCK_H

/* In a forked child: blocks of several SuperSlabs, whose bytes all are one letter. */

#include <stddef.h>
#include <string.h>

#include "client_lib/include/hakmem.h"
#include "tests/support/process.h"

#define HAKT_BLOCK_BYTES ((size_t)5000000)

static inline char *hakt_block_make(char c)
{
	char *block = hakmem_malloc(HAKT_BLOCK_BYTES);

	HAKT_EXPECT(block);
	memset(block, c, HAKT_BLOCK_BYTES);
	return block;
}

static inline void hakt_block_expect(const char *block, char c)
{
	for (size_t i = 0; i < HAKT_BLOCK_BYTES; i++)
		HAKT_EXPECT(block[i] == c);
}

#endif
