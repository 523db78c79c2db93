/* SPDX-License-Identifier: MIT */
#ifndef HAKT_CONTENTS_H
#define HAKT_CONTENTS_H

/*
 * What is in a block of a stress test: its first word is a name that its maker
 * chose, all that follows depends on the name. So each byte of a block is known from its
 * name, and a block of which somebody else has written a part shows it.
 */

#include <stddef.h>
#include <stdint.h>

/* A block of less than a word has the first bytes of the name. */
void hakt_contents_fill(void *block, size_t bytes, uint64_t name);

/*
 * Where the first `bytes` differ from what the name says; `bytes`: nowhere. Others may be writing
 * them meanwhile: then it is one or the other.
 */
size_t hakt_contents_wrong_at(const void *block, size_t bytes, uint64_t name);

#endif
