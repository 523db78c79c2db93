/* SPDX-License-Identifier: MIT */
#ifndef HAKD_FILES_H
#define HAKD_FILES_H

/*
 * The two memfds of a pool, sealed in size, and our mappings of them: made new,
 * or taken over from a daemon that is gone. All set the pool's descriptors,
 * registry and heap, as far as they came, and its geometry.
 */

#include "daemon/mem/pool.h"

/* New ones, all zeros. 0 or the errno of memfd_create and mmap. */
int hakd_files_make(struct hakd_pool *pool, const struct hak_geometry *geometry);

/*
 * Those that another daemon made; they are the pool's from now on. 0, an errno,
 * or -EPROTO: they are no pool, or one of another layout; said on stderr.
 */
int hakd_files_take_over(struct hakd_pool *pool, int registry_fd, int heap_fd);

/* Unmaps and closes what there is. */
void hakd_files_close(struct hakd_pool *pool);

#endif
