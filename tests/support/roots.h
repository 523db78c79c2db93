/* SPDX-License-Identifier: MIT */
#ifndef HAKT_ROOTS_H
#define HAKT_ROOTS_H

/*
 * A pool without a daemon, with three clients, a table of roots, and a list of blocks that A owns:
 * one in its slab, one in B's slab that A has taken, and a span of A's.
 */

#include "proto/shm/roots.h"
#include "tests/support/pool.h"

enum { HAKT_A = 5, HAKT_B = 6, HAKT_C = 7 }; /* holders */
enum { HAKT_N = 3 };			     /* blocks of the list */

#define HAKT_GENERATION 3u
#define HAKT_SPAN_SLOT	4u
#define HAKT_B_SLOT	32u /* of B's SuperSlab */

extern const struct hak_root_client hakt_a, hakt_b, hakt_c;
extern struct hakt_pool hakt_roots_pool;
extern struct hak_root *hakt_roots;
extern uint64_t hakt_refs[HAKT_N];

/* Setup and teardown of a case. */
int hakt_roots_start(void **state);
int hakt_roots_stop(void **state);

hak_u32 *hakt_tag_of(uint64_t ref);
uint64_t hakt_ref_at(uint32_t slot, unsigned cls, unsigned index);
bool hakt_is_free(uint64_t ref);

/* Whose block it is: HAK_HOLDER_NONE if it is free. */
unsigned hakt_owner_of(uint64_t ref);

int hakt_publish(const struct hak_root_client *by, const char *name, const uint64_t *list,
		 uint32_t n);
int hakt_withdraw(const struct hak_root_client *to, const char *name, uint64_t *ret_ref);
int hakt_lookup(const char *name, uint64_t *ret_ref);

/* Entries that are in use; what the audit tells of them and of the list; of the list, owner's. */
unsigned hakt_count_used(void);
unsigned hakt_count_flaws(void);
unsigned hakt_count_of(unsigned owner);

#endif
