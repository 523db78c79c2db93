/* SPDX-License-Identifier: MIT */
#ifndef HAKD_RESERVE_H
#define HAKD_RESERVE_H

/*
 * The reserve: free SuperSlabs that are backed and zeroed before anybody asks
 * for them, and how many of them there should be.
 */

#include "daemon/mem/warm.h"

#define HAKD_RESERVE_FIRST 2u

struct hakd_reserve {
	struct hakd_warm warm;
	uint32_t target;       /* fill up to this */
	uint32_t most;	       /* what target may grow to */
	uint32_t asked;	       /* SuperSlabs, since target grew */
	uint32_t asked_lately; /* since the last hakd_reserve_decay */
};

/* For a pool of so many SuperSlabs: an eighth of it is the most. */
void hakd_reserve_init(struct hakd_reserve *reserve, uint64_t limit);

/* The pool's size is another one now. */
void hakd_reserve_set_limit(struct hakd_reserve *reserve, uint64_t limit);

/* What target is at first, and goes back to. */
uint32_t hakd_reserve_first(const struct hakd_reserve *reserve);

/* It was asked for `wanted` SuperSlabs and had `had` of them. */
void hakd_reserve_note(struct hakd_reserve *reserve, uint32_t wanted, uint32_t had);

/* A while has passed: less is wanted from now on if little was asked for. */
void hakd_reserve_decay(struct hakd_reserve *reserve);

/* So many that stood in for the reserve were wanted by nobody: it needn't replace them. */
void hakd_reserve_unwanted(struct hakd_reserve *reserve, uint32_t n);

/* How many there should be beside so many kept SuperSlabs, which serve requests first. */
uint32_t hakd_reserve_wanted(const struct hakd_reserve *reserve, uint32_t n_kept);

/* How many there are more than that. */
uint32_t hakd_reserve_excess(const struct hakd_reserve *reserve, uint32_t n_kept);

#endif
