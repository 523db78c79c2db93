/* SPDX-License-Identifier: MIT */
#ifndef HAKC_RESIZE_H
#define HAKC_RESIZE_H

#include "client_lib/thread.h"

/* Where block is; FOREIGN if this process is not attached and can't be. */
struct hak_location hakc_locate(const void *block);

/* Bytes that may be used of the block at l. */
size_t hakc_usable(const struct hak_location *l);

/*
 * The block at l with room for size bytes: where it is, or moved. NULL and
 * errno; then it is untouched.
 */
void *hakc_resize(const struct hak_location *l, void *block, size_t size);

#endif
