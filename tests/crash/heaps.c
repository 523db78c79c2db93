/* SPDX-License-Identifier: MIT */
/* Allocations and frees by the library's own calls; its private words say when it is enough. */
#include "tests/crash/heaps.h"

#include <pthread.h>
#include <unistd.h>

#include "client_lib/flush.h"
#include "tests/support/process.h"

static struct hakc_magazine *magazine_of(size_t size)
{
	return &hakc_self->magazines[hak_class_of(size)];
}

void *hakt_add_block(struct hakt_victim *v, size_t size)
{
	void *block = hakmem_malloc(size);

	HAKT_EXPECT(block);
	HAKT_EXPECT(v->n < HAKT_HANDFUL);
	v->blocks[v->n++] = block;
	return block;
}

void hakt_empty_magazine(struct hakt_victim *v, size_t size)
{
	do {
		hakt_add_block(v, size);
	} while (magazine_of(size)->next);
}

static bool has_free_blocks(size_t size)
{
	unsigned cls = hak_class_of(size), n = hak_classes[cls].n_blocks;
	uint32_t current = hakc_self->current[cls];
	const hak_u64 *bits;

	if (!current)
		return false;
	bits = hak_segment_bits(&hakc_self->heap->segment, current - 1);
	for (unsigned i = 0; i < hak_slab_bits_words(n); i++)
		/* Relaxed: our own slab. */
		if (hak_load_relaxed(&bits[i]) & hak_slab_bits_mask(n, i))
			return true;
	return false;
}

void hakt_exhaust_slab(struct hakt_victim *v, size_t size)
{
	while (magazine_of(size)->next || has_free_blocks(size))
		hakt_add_block(v, size);
}

void hakt_fill_slabs(struct hakt_victim *v, size_t size, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		hakt_add_block(v, size);
		hakt_exhaust_slab(v, size);
	}
	hakt_add_block(v, size);
}

unsigned hakt_slab_blocks(size_t size)
{
	return hak_classes[hak_class_of(size)].n_blocks;
}

void hakt_fill_magazine(struct hakt_victim *v, size_t size)
{
	struct hakc_magazine *m = magazine_of(size);

	while (v->n <= hakc_magazine_count(m) + (unsigned)(m->end_max - m->bottom))
		hakt_add_block(v, size);
	while (m->top != m->end || m->end != m->end_max)
		hakmem_free(v->blocks[--v->n]);
}

void hakt_exhaust_slots(struct hakt_victim *v)
{
	while (hakc_self->heap->n_unused > 0)
		hakt_add_block(v, 40000);
}

void *hakt_add_run(struct hakt_victim *v, unsigned n)
{
	size_t bytes = (size_t)n << hakc_self->heap->segment.geometry.superslab_lg;
	char *run = hakt_add_block(v, bytes + 1), *behind = run;

	for (unsigned i = 0; i < 8; i++) {
		run = behind;
		behind = hakt_add_block(v, bytes + 1);
		if (behind == run + hakmem_usable_size(run))
			break;
	}
	hakmem_free(behind);
	v->n--;
	return run;
}

void hakt_flush(void)
{
	hakc_flush_all(hakc_self);
}

struct work {
	struct hakt_victim *v;
	void (*work)(struct hakt_victim *v);
	bool ends;
	hak_u32 is_done;
};

static void *run(void *context)
{
	struct work *work = context;
	bool ends = work->ends;

	work->work(work->v);
	hakt_set(&work->is_done, 1);
	while (!ends)
		pause();
	return NULL;
}

void hakt_run_thread(struct hakt_victim *v, void (*work)(struct hakt_victim *v), bool ends)
{
	struct work context = {.v = v, .work = work, .ends = ends};
	pthread_t thread;

	HAKT_EXPECT(pthread_create(&thread, NULL, run, &context) == 0);
	if (ends)
		pthread_join(thread, NULL);
	while (!hakt_get(&context.is_done))
		usleep(20);
}

void hakt_get_all_back(void)
{
	for (unsigned i = 0; i < HAKT_WALKERS; i++) {
		hakt_wait_back(i, 0);
		hakt_wait_accepted(i, 0);
	}
}
