/* SPDX-License-Identifier: MIT */
#ifndef HAK_SIZE_H
#define HAK_SIZE_H

#include <stdint.h>

/* "64G", "512M", "4096": bytes. 0 or -EINVAL. */
int hak_size_parse(const char *text, uint64_t *ret_bytes);

#define HAK_SIZE_TEXT_BYTES 24

/* The same the other way round, exactly: with the largest unit of which it is a multiple. */
void hak_size_print(uint64_t bytes, char text[HAK_SIZE_TEXT_BYTES]);

#endif
