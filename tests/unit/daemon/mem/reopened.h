/* SPDX-License-Identifier: MIT */
#ifndef HAKT_REOPENED_H
#define HAKT_REOPENED_H

/* A pool that a test leaves as a killed daemon would, and opens as the next one does. */

#include "tests/support/run.h"

#include <unistd.h>

#include "daemon/mem/backing.h"
#include "daemon/mem/pool.h"
#include "proto/shm/check_roots.h"

#define MIB   UINT64_C(1048576)
#define OWNER 7u
#define OTHER 8u
#define HEIR  9u
#define AT    3u /* where the run is that is moved */

enum { TOTAL = 32 };

static struct hakd_pool *pool;

static inline int prepare(void **state)
{
	(void)state;
	assert_int_equal(
		hakd_pool_new("mine", 2 * TOTAL * MIB, 2 * TOTAL * MIB, 21, NULL, 0, &pool), 0);
	for (unsigned holder = OWNER; holder <= HEIR; holder++)
		hak_store_relaxed(&pool->holders[holder].word,
				  hak_holder_pack(HAK_HOLDER_ATTACHED, 1));
	return 0;
}

static inline int clean_up(void **state)
{
	(void)state;
	hakd_pool_free(pool);
	return 0;
}

/* The next daemon's opening of the same memfds; the pool is what it makes of them. */
static inline int reopen(uint64_t limit)
{
	int registry_fd = dup(pool->registry_fd), heap_fd = dup(pool->heap_fd);
	struct hakd_pool *next;
	int r;

	assert_true(registry_fd >= 0 && heap_fd >= 0);
	r = hakd_pool_open(registry_fd, heap_fd, limit, &next);
	if (r == 0) {
		hakd_pool_free(pool);
		pool = next;
	}
	return r;
}

static inline hak_u64 *word(uint32_t superslab)
{
	return &pool->superslabs[superslab];
}

/* What a worker does before a grant; only the first n_words slab words, all with UINT32_MAX. */
static inline void back(uint32_t head, uint32_t n, uint32_t n_words)
{
	uint32_t per = pool->segment.geometry.slots_per_superslab;

	assert_int_equal(hakd_backing_fill(pool, head, n), 0);
	for (uint32_t i = 0; i < n * per && i < n_words; i++)
		hak_slab_grant(&pool->segment.slab_words[head * per + i], OWNER, true);
}

static inline void grant(uint32_t head, uint32_t n, bool huge)
{
	back(head, n, UINT32_MAX);
	hak_superslab_grant_run(word(head), OWNER, huge, n);
}

/* No anomaly, not even one that a daemon at work may show. */
static inline void expect_clean(void)
{
	struct hak_audit audit = {0};

	for (uint32_t i = 0; i < TOTAL;)
		i += hak_audit_superslab(&pool->segment, i, &audit);
	hak_audit_roots(&pool->segment, &audit);
	assert_int_equal(hak_check_anomalies(&audit.census), 0);
}

#endif
