/* SPDX-License-Identifier: MIT */
#ifndef HAKT_CRASH_STOCK_H
#define HAKT_CRASH_STOCK_H

/* What a walker has, and what it does with a block. A claim that doesn't hold ends the walker. */

#include "tests/crash/world.h"

#define HAKT_LIVE_MAX  64u
#define HAKT_LIMBO_MAX 64u
#define HAKT_KEPT_MAX  16u
#define HAKT_USED_MAX  256u /* void tickets that are tried again */

struct hakt_stock {
	unsigned self;
	struct hakt_walker_state *state;
	struct hakt_ring *in, *out;
	uint64_t random;
	uint32_t life;	 /* of the victim that is dealt with */
	uint32_t buried; /* the last one that was settled */
	uint32_t phase;	 /* number of the one that is being done */
	unsigned n_live;
	struct hakt_thing live[HAKT_LIVE_MAX];
	bool is_freed[HAKT_PARCELS]; /* the block of a loan came back to us as a new one */
	unsigned n_limbo;
	struct hakt_thing limbo[HAKT_LIMBO_MAX];
	unsigned n_kept;
	struct hakt_thing kept[HAKT_KEPT_MAX]; /* what the victim of the moment gave */
	unsigned n_used;
	hakmem_ref_t used[HAKT_USED_MAX];
};

uint64_t hakt_stock_below(struct hakt_stock *w, uint64_t n);

/* The address of a block, whose content must be whole. */
void *hakt_stock_look(const struct hakt_thing *thing);

/* A new block of ours; false: there is no memory now. */
bool hakt_stock_make(struct hakt_stock *w, uint64_t size, struct hakt_thing *ret_thing);

/* Gives it another content. */
void hakt_stock_refill(struct hakt_stock *w, void *block, struct hakt_thing *thing);

/* Into `live`, where there must be room; one out of it. */
void hakt_stock_keep(struct hakt_stock *w, const struct hakt_thing *thing);
struct hakt_thing hakt_stock_lose(struct hakt_stock *w);

/* Takes a gift; false: somebody was faster, or its owner has died. */
bool hakt_stock_take(struct hakt_stock *w, struct hakt_thing *thing);

/* Some void ticket must still be void. */
void hakt_stock_try_again(struct hakt_stock *w);

/* Frees what dead victims were about to free and didn't. */
void hakt_stock_settle(struct hakt_stock *w);

#endif
