/* SPDX-License-Identifier: MIT */
/* No allocator: always the same block. What is left of a loop of pairs is loop and call. */
#include "bench/support/allocator.h"

#define VISIBLE __attribute__((visibility("default")))

static _Alignas(64) char block[4096];

VISIBLE void *bench_floor_malloc(size_t bytes)
{
	return bytes <= sizeof(block) ? block : NULL;
}

VISIBLE void bench_floor_free(void *freed)
{
	(void)freed;
}
