/* SPDX-License-Identifier: MIT */
#ifndef BENCH_PEER_H
#define BENCH_PEER_H

/*
 * A shared-memory allocator of somebody else, one file each: what the
 * two-process workloads need of it. A parent makes the pool and forks; both
 * children enter it and are single-threaded.
 */
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* In the parent: a pool of at least so many bytes. 0 or a negative errno, here and below. */
int bench_peer_init(size_t pool_bytes);

/* In a child. */
int bench_peer_enter(void);

/* In the parent, after the children have ended. */
void bench_peer_deinit(void);

void *bench_peer_malloc(size_t bytes);
void bench_peer_free(void *block);

/* What names a block in the other process, and back. */
uint64_t bench_peer_ref(const void *block);
void *bench_peer_ptr(uint64_t ref);

#ifdef __cplusplus
}
#endif

#endif
