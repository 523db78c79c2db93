/* SPDX-License-Identifier: MIT */
#ifndef HAKC_MALLOC_FOREIGN_H
#define HAKC_MALLOC_FOREIGN_H

/*
 * Pointers that the interposer did not make: blocks of a shared pool, blocks
 * of the allocator behind us (the C library's), and others, which nobody made.
 */

#include <stddef.h>

/* Frees it by whoever made it; one that nobody made is reported, not passed on. */
void hakc_foreign_free(void *block);

/* 0: nobody made it. */
size_t hakc_foreign_usable_size(void *block);

/* As realloc by whoever made it. NULL and errno EINVAL: nobody did. */
void *hakc_foreign_realloc(void *block, size_t size);

#endif
