/* SPDX-License-Identifier: MIT */
#ifndef HAKD_HINTS_H
#define HAKD_HINTS_H

/*
 * The last words of a registry's header, which change while clients read them;
 * proto/shm/registry.h says what they mean. On the loop's thread only.
 */

#include <stdbool.h>

#include "daemon/mem/pool.h"

void hakd_hints_set_keep(struct hakd_pool *pool, uint64_t ms);

/* For the next daemon; bytes. */
void hakd_hints_set_bounds(struct hakd_pool *pool, uint64_t limit, uint64_t retain);
void hakd_hints_set_quotas(struct hakd_pool *pool, uint64_t client_limit, uint64_t user_limit,
			   unsigned user_clients);
/* For who attaches, and the next daemon. */
void hakd_hints_set_hardened(struct hakd_pool *pool, bool is_hardened);

void hakd_hints_set_access(struct hakd_pool *pool, uint32_t uid, uint32_t gid, unsigned mode);

/* All that an earlier daemon left so. */
struct hakd_hints {
	uint64_t limit, retain, keep_ms;
	uint64_t client_limit, user_limit;
	unsigned user_clients;
	uint32_t uid, gid;
	unsigned mode;
	bool is_hardened;
};
struct hakd_hints hakd_hints_get(const struct hakd_pool *pool);

/* Clients shall give back what they keep without need, each when it next has the time. */
void hakd_hints_ask(struct hakd_pool *pool);

/* Nothing is granted of this pool any more. */
void hakd_hints_end(struct hakd_pool *pool);
bool hakd_hints_has_ended(const struct hakd_pool *pool);

#endif
