/* SPDX-License-Identifier: MIT */
#ifndef HAK_SIZE_H
#define HAK_SIZE_H

#include <stdint.h>

/* "64G", "512M", "4096": bytes. 0 or -EINVAL. */
int hak_size_parse(const char *text, uint64_t *ret_bytes);

#endif
