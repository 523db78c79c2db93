/* SPDX-License-Identifier: MIT */
#ifndef HAKT_SOAK_DUMP_H
#define HAKT_SOAK_DUMP_H

/* What the pool's words say about blocks, for reports. In an attached process. */

#include <stddef.h>
#include <stdint.h>

#define SOAK_CAPACITY	   (UINT64_C(4) << 30) /* of the soak's pool */
#define SOAK_CAPACITY_TEXT "4G"
#define SOAK_DUMP_BYTES	   256

/* The block at an address, if one is there. */
void soak_dump_block(const void *block, char text[SOAK_DUMP_BYTES]);

/* In a process of its own: lists blocks that are not free, on stderr. */
void soak_dump_all(void) __attribute__((noreturn));

#endif
