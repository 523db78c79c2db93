/* SPDX-License-Identifier: MIT */
/* Attaching and leaving, threads, passing blocks, and a little of everything. */
#include "tests/crash/scripts.h"

#include <pthread.h>
#include <string.h>

#include "tests/support/process.h"
#include "tests/support/random.h"

void hakt_do_attach(struct hakt_victim *v)
{
	(void)v;
	HAKT_EXPECT(hakmem_attach(NULL) == 0);
}

/* An allocation that attaches and waits for the first refill. */
void hakt_do_first(struct hakt_victim *v)
{
	hakmem_free(hakt_add_block(v, 100));
}

/* Who leaves must have its blocks back: they go with it. */
void hakt_to_detach(struct hakt_victim *v)
{
	hakt_get_all_back();
	for (unsigned i = 0; i < 3; i++)
		hakt_add_block(v, 100 + i * 5000);
	hakt_add_block(v, 5000000);
	hakt_take_loan(v, 0, 3);
	hakt_free_loan(v, v->n_held - 1);
}

void hakt_do_detach(struct hakt_victim *v)
{
	(void)v;
	HAKT_EXPECT(hakmem_detach() == 0);
}

static void *work(void *context)
{
	(void)context;
	hakmem_free(hakmem_malloc(600));
	return NULL;
}

/*
 * The new thread is not traced, and may come by a breakpoint that is meant for this one: then the
 * process dies there, and nobody has been told before.
 */
void hakt_to_thread(struct hakt_victim *v)
{
	(void)v;
	hakt_get_all_back();
}

void hakt_do_thread(struct hakt_victim *v)
{
	pthread_t thread;

	(void)v;
	HAKT_EXPECT(pthread_create(&thread, NULL, work, NULL) == 0);
	HAKT_EXPECT(pthread_join(thread, NULL) == 0);
}

void hakt_to_thread_end(struct hakt_victim *v)
{
	hakt_take_loan(v, 0, 2);
	hakt_take_loan(v, 1, 3);
}

/* Frees that wait to be flushed, and slabs, are there when the thread ends. */
void hakt_do_thread_end(struct hakt_victim *v)
{
	hakt_add_block(v, 500);
	hakmem_free(hakt_add_block(v, 600));
	for (unsigned i = 0; i < v->n_held; i++)
		hakt_free_loan(v, i);
}

void hakt_to_pass(struct hakt_victim *v)
{
	hakt_take_loan(v, 0, 2);
	hakt_add_block(v, 1000);
}

/* Gives one back, lends one, borrows one. */
void hakt_do_pass(struct hakt_victim *v)
{
	hakt_return_loan(v, v->n_held - 1);
	hakt_lend(1, 2, v->blocks[0], 1000, 0);
	hakt_take_loan(v, 0, 3);
}

/* Nothing is left to be attached or warmed up. */
void hakt_to_mixed(struct hakt_victim *v)
{
	hakt_add_block(v, 500);
	hakt_take_loan(v, 0, 4);
	hakt_take_loan(v, 1, 5);
	hakt_take_loan(v, 1, 6);
}

/* The same random operations in each life. */
void hakt_do_mixed(struct hakt_victim *v)
{
	static const size_t sizes[] = {16, 100, 500, 2000, 9000, 33000, 150000};
	uint64_t random = 42;

	for (unsigned i = 0; i < 60; i++) {
		size_t size = sizes[hakt_random(&random) % (sizeof(sizes) / sizeof(sizes[0]))];
		uint64_t dice = hakt_random(&random) % 8;

		if (dice < 4 || v->n == 0)
			hakt_add_block(v, size);
		else if (dice < 7)
			hakmem_free(v->blocks[--v->n]);
		else
			v->blocks[v->n - 1] = hakmem_realloc(v->blocks[v->n - 1], size);
	}
	for (unsigned i = 0; i < v->n_held; i++)
		hakt_free_loan(v, i);
}
