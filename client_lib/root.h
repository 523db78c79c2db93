/* SPDX-License-Identifier: MIT */
#ifndef HAKC_ROOT_H
#define HAKC_ROOT_H

/* Names for blocks: the pool owns them, whoever dies. As hakmem_root_* say. */

#include "client_lib/thread.h"

int hakc_root_publish(struct hakc_heap *heap, const char *name, const uint64_t *refs, size_t n);
int hakc_root_withdraw(struct hakc_heap *heap, const char *name, uint64_t *ret_ref);

/* In shared memory, without the daemon, without a lock. */
int hakc_root_lookup(const struct hakc_heap *heap, const char *name, uint64_t *ret_ref);

#endif
