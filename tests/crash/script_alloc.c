/* SPDX-License-Identifier: MIT */
/* One block of SIZE, from each place that it can come from; then runs, spans and huge blocks. */
#include "tests/crash/scripts.h"

#include <string.h>

#include "tests/support/process.h"

#define SIZE  500u /* nothing else in a victim is of its class */
#define OTHER 700u

static void use(void *block, size_t bytes)
{
	HAKT_EXPECT(block);
	memset(block, 0x5a, bytes);
}

void hakt_do_one(struct hakt_victim *v)
{
	(void)v;
	use(hakmem_malloc(SIZE), SIZE);
}

void hakt_to_stage_0(struct hakt_victim *v)
{
	hakt_empty_magazine(v, SIZE);
}

/* Every other block of the first of three slabs is free. */
void hakt_to_partial(struct hakt_victim *v)
{
	hakt_fill_slabs(v, SIZE, 2);
	for (unsigned i = 0; i < hakt_slab_blocks(SIZE); i += 2)
		hakmem_free(v->blocks[i]);
	hakt_flush();
	hakt_exhaust_slab(v, SIZE);
}

/* The only free block is one that a walker has freed, and hinted at. */
void hakt_to_hint(struct hakt_victim *v)
{
	hakt_fill_slabs(v, SIZE, 1);
	hakt_lend(0, 1, v->blocks[3], SIZE, HAKT_FREE_AT_ONCE);
	hakt_lend(1, 1, v->blocks[7], SIZE, HAKT_FREE_AT_ONCE);
	hakt_wait_back(0, 1);
	hakt_wait_back(1, 1);
	hakt_exhaust_slab(v, SIZE);
}

static void fill_and_free_some(struct hakt_victim *v)
{
	unsigned first = v->n;

	hakt_fill_slabs(v, SIZE, 2);
	for (unsigned i = first; i < v->n; i += 20)
		hakmem_free(v->blocks[i]);
}

/* All that there is has a thread left. */
void hakt_to_adopt(struct hakt_victim *v)
{
	hakt_run_thread(v, fill_and_free_some, true);
}

/* The first of three slabs is empty. */
void hakt_to_empty(struct hakt_victim *v)
{
	hakt_fill_slabs(v, SIZE, 2);
	for (unsigned i = 0; i < hakt_slab_blocks(SIZE); i++)
		hakmem_free(v->blocks[i]);
	hakt_flush();
	hakt_exhaust_slab(v, SIZE);
}

void hakt_do_other_class(struct hakt_victim *v)
{
	(void)v;
	use(hakmem_malloc(OTHER), OTHER);
}

/* No slot is left; what was asked for ahead of need is on its way. */
void hakt_to_refill(struct hakt_victim *v)
{
	hakt_exhaust_slots(v);
}

/* A SuperSlab each: what was asked for, then what is waited for. */
void hakt_do_refill(struct hakt_victim *v)
{
	(void)v;
	use(hakmem_malloc(SIZE), SIZE);
	for (unsigned i = 0; i < 2; i++)
		use(hakmem_malloc((size_t)1 << 21), 64);
}

/* Slabs of several slots. */
void hakt_do_runs(struct hakt_victim *v)
{
	static const size_t sizes[] = {18000, 22000, 26000};

	(void)v;
	for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		void *block = hakmem_malloc(sizes[i]);

		use(block, 64);
		if (i > 0)
			hakmem_free(block);
	}
}

/* Cut, kept, taken again; one too long to be kept is taken apart. */
void hakt_do_span(struct hakt_victim *v)
{
	(void)v;
	for (unsigned i = 0; i < 2; i++) {
		void *block = hakmem_malloc(200000), *longer = hakmem_malloc(1200000);

		use(block, 64);
		use(longer, 64);
		hakmem_free(block);
		hakmem_free(longer);
	}
}

void hakt_do_huge(struct hakt_victim *v)
{
	(void)v;
	for (unsigned i = 0; i < 2; i++) {
		void *block = hakmem_malloc(5000000);

		use(block, 64);
		hakmem_free(block);
	}
}

void hakt_do_aligned(struct hakt_victim *v)
{
	void *block = hakmem_calloc(3, 1000);

	(void)v;
	HAKT_EXPECT(block && *(char *)block == 0);
	use(hakmem_aligned_alloc(256, 300), 300);
	use(hakmem_aligned_alloc(65536, 100000), 64);
	use(hakmem_aligned_alloc((size_t)1 << 20, 100), 64);
}
