/* SPDX-License-Identifier: MIT */
#ifndef BENCH_SHARED_MEMORY_H
#define BENCH_SHARED_MEMORY_H

#include <stddef.h>

/* Zeroed memory that children of this process will share with it; ends the program on failure. */
void *bench_shared_memory(size_t bytes);

#endif
