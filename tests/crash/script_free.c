/* SPDX-License-Identifier: MIT */
/* Frees by every path: local, of another thread's blocks, of another process's, in batches. */
#include "tests/crash/scripts.h"

#include <string.h>

#include "tests/support/process.h"

#define FLUSHED 9000u /* a magazine of this class holds few */

void hakt_to_flush(struct hakt_victim *v)
{
	hakt_fill_magazine(v, FLUSHED);
	HAKT_EXPECT(v->n > 0);
}

void hakt_do_free_last(struct hakt_victim *v)
{
	hakmem_free(v->blocks[--v->n]);
}

/* More bytes than may wait, so that the last free flushes them all. */
static void allocate_for_others(struct hakt_victim *v)
{
	static const size_t sizes[] = {48, 48, 48, 1000, 1000, 30000, 30000, 70000, 30000};

	for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		hakt_add_block(v, sizes[i]);
}

void hakt_to_thread_free(struct hakt_victim *v)
{
	hakt_run_thread(v, allocate_for_others, false);
}

void hakt_do_free_all(struct hakt_victim *v)
{
	for (unsigned i = 0; i < v->n; i++)
		hakmem_free(v->blocks[i]);
}

/* All of both walkers; loan 1 is held already. */
void hakt_to_process_free(struct hakt_victim *v)
{
	for (unsigned i = 0; i < HAKT_WALKERS; i++)
		for (unsigned at = 0; at < HAKT_PARCELS; at++)
			if (at != 1)
				hakt_take_loan(v, i, at);
}

void hakt_do_process_free(struct hakt_victim *v)
{
	for (unsigned i = 0; i < v->n_held; i++)
		hakt_free_loan(v, i);
}

static void leave_some(struct hakt_victim *v)
{
	for (unsigned i = 0; i < 3; i++)
		hakmem_free(hakt_add_block(v, 700 + i * 100));
}

/* Something in each cache. */
void hakt_to_trim(struct hakt_victim *v)
{
	hakt_run_thread(v, leave_some, true);
	for (unsigned i = 0; i < 4; i++)
		hakt_add_block(v, 60 + i * 200);
	for (unsigned i = v->n - 4; i < v->n; i++)
		hakmem_free(v->blocks[i]);
	hakmem_free(hakt_add_block(v, 70000));
	hakmem_free(hakt_add_block(v, 200000));
	hakmem_free(hakt_add_block(v, 5000000));
	hakt_take_loan(v, 0, 3);
	hakt_free_loan(v, v->n_held - 1);
	hakt_lend(1, 1, hakt_add_block(v, 4000), 4000, HAKT_FREE_AT_ONCE);
	hakt_wait_back(1, 1);
}

void hakt_do_trim(struct hakt_victim *v)
{
	(void)v;
	HAKT_EXPECT(hakmem_trim() == 0);
}

static void *change(void *block, size_t size, unsigned char content)
{
	unsigned char *moved = hakmem_realloc(block, size);

	HAKT_EXPECT(moved && moved[0] == content && moved[99] == content);
	return moved;
}

static void *make(struct hakt_victim *v, size_t size)
{
	return memset(hakt_add_block(v, size), 7, 100);
}

void hakt_to_realloc_class(struct hakt_victim *v)
{
	make(v, 400);
}

/* Stays, moves up, moves down. */
void hakt_do_realloc_class(struct hakt_victim *v)
{
	void *block = change(v->blocks[0], 410, 7);

	block = change(block, 5000, 7);
	change(block, 300, 7);
}

void hakt_to_realloc_span(struct hakt_victim *v)
{
	make(v, 200000);
}

/* Grows and shrinks in place; then something is in the way. */
void hakt_do_realloc_span(struct hakt_victim *v)
{
	void *block = change(v->blocks[0], 400000, 7);

	block = change(block, 70000, 7);
	HAKT_EXPECT(hakmem_malloc(70000));
	change(block, 150000, 7);
}

void hakt_to_realloc_run(struct hakt_victim *v)
{
	memset(hakt_add_run(v, 1), 7, 100);
}

/* What is kept behind makes way; then the end goes back. */
void hakt_do_realloc_run(struct hakt_victim *v)
{
	void *block = change(v->blocks[v->n - 1], 7000000, 7);

	change(block, 2500000, 7);
}
