/* SPDX-License-Identifier: MIT */
#ifndef HAKD_WARM_H
#define HAKD_WARM_H

/* A list of free SuperSlabs that have their pages, ordered by how long they lie there. */

#include <stdint.h>

#define HAKD_WARM_MAX 64u

struct hakd_warm {
	uint32_t n;
	uint32_t superslabs[HAKD_WARM_MAX]; /* the oldest first */
	uint64_t since[HAKD_WARM_MAX];	    /* ms of the loop's clock */
};

/* The list must have room. */
void hakd_warm_put(struct hakd_warm *warm, uint32_t superslab, uint64_t now);

/* Takes up to n off the list; how many. */
uint32_t hakd_warm_take_newest(struct hakd_warm *warm, uint32_t n, uint32_t *superslabs);
uint32_t hakd_warm_take_oldest(struct hakd_warm *warm, uint32_t n, uint32_t *superslabs);

/* Takes those off the list that are among n from head on. */
void hakd_warm_forget(struct hakd_warm *warm, uint32_t head, uint32_t n);

/* How many have been there since `then` or before. */
uint32_t hakd_warm_count_since(const struct hakd_warm *warm, uint64_t then);

#endif
