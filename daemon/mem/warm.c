/* SPDX-License-Identifier: MIT */
/* Two arrays in step, in the order of time: short enough to be moved up by memmove. */
#include "daemon/mem/warm.h"

#include <assert.h>
#include <string.h>

void hakd_warm_put(struct hakd_warm *warm, uint32_t superslab, uint64_t now)
{
	assert(warm->n < HAKD_WARM_MAX);
	warm->superslabs[warm->n] = superslab;
	warm->since[warm->n++] = now;
}

/* Closes the gap of n entries at `at`. */
static void close_gap(struct hakd_warm *warm, uint32_t at, uint32_t n)
{
	uint32_t behind = warm->n - at - n;

	memmove(&warm->superslabs[at], &warm->superslabs[at + n],
		behind * sizeof(warm->superslabs[0]));
	memmove(&warm->since[at], &warm->since[at + n], behind * sizeof(warm->since[0]));
	warm->n -= n;
}

uint32_t hakd_warm_take_newest(struct hakd_warm *warm, uint32_t n, uint32_t *superslabs)
{
	uint32_t got = 0;

	while (got < n && warm->n > 0)
		superslabs[got++] = warm->superslabs[--warm->n];
	return got;
}

uint32_t hakd_warm_take_oldest(struct hakd_warm *warm, uint32_t n, uint32_t *superslabs)
{
	if (n > warm->n)
		n = warm->n;
	memcpy(superslabs, warm->superslabs, n * sizeof(superslabs[0]));
	close_gap(warm, 0, n);
	return n;
}

void hakd_warm_forget(struct hakd_warm *warm, uint32_t head, uint32_t n)
{
	for (uint32_t i = warm->n; i-- > 0;)
		if (warm->superslabs[i] - head < n)
			close_gap(warm, i, 1);
}

uint32_t hakd_warm_count_since(const struct hakd_warm *warm, uint64_t then)
{
	uint32_t n = 0;

	while (n < warm->n && warm->since[n] <= then)
		n++;
	return n;
}
