/* SPDX-License-Identifier: MIT */
#include "tests/stress/survive/worker.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "client_lib/include/hakmem.h"
#include "tests/support/random.h"

#define KIB	   ((size_t)1 << 10)
#define MIB	   ((size_t)1 << 20)
#define BLOCKS_MAX 65536u
#define GIVEN_OF   16u /* every so manieth block is given away */

struct block {
	uint64_t *words; /* all of them are the name: the size, and a number that comes once */
	uint64_t name;
};

struct worker {
	struct survive_table *table;
	struct survive_share *share;
	unsigned self;
	uint64_t random;
	uint64_t n_named;
	unsigned n;
	struct block blocks[BLOCKS_MAX];
};

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static uint64_t below(struct worker *w, uint64_t end)
{
	return hakt_random(&w->random) % end;
}

static void fail(struct worker *w, const char *what, int error)
{
	hak_add_relaxed(&w->share->n_failed, 1);
	fprintf(stderr, "survive: worker %u: %s: %s\n", w->self, what, strerror(error));
}

static size_t size_of(uint64_t name)
{
	return (name & 0xffffff) * sizeof(uint64_t);
}

/* Mostly small, some spans, some runs of SuperSlabs. */
static size_t next_size(struct worker *w)
{
	uint64_t kind = below(w, 100);

	if (kind < 70)
		return 16 + below(w, KIB);
	if (kind < 92)
		return 4 * KIB + below(w, 124 * KIB);
	return kind < 99 ? 256 * KIB + below(w, 768 * KIB) : 2 * MIB + below(w, 4 * MIB);
}

static void *allocate_timed(struct worker *w, size_t size)
{
	uint64_t begin = now_ns(), wait;
	void *p = hakmem_malloc(size);
	int error = errno;
	unsigned bucket = 0;

	wait = now_ns() - begin;
	hak_add_relaxed(&w->share->n_calls, 1);
	while (bucket + 1 < SURVIVE_BUCKETS && wait >= UINT64_C(2000) << bucket)
		bucket++;
	hak_add_relaxed(&w->share->waits[bucket], 1);
	if (wait > hak_load_relaxed(&w->share->longest_ns)) /* its reader may miss one */
		hak_store_relaxed(&w->share->longest_ns, wait);
	if (!p)
		fail(w, "hakmem_malloc", error);
	return p;
}

static bool allocate(struct worker *w, struct block *ret)
{
	size_t words = next_size(w) / sizeof(uint64_t);

	ret->words = allocate_timed(w, words * sizeof(uint64_t));
	ret->name = (uint64_t)w->self << 56 | ++w->n_named << 24 | words;
	if (!ret->words)
		return false;
	for (size_t i = 0; i < words; i++)
		ret->words[i] = ret->name;
	return true;
}

static void check_and_free(struct worker *w, const struct block *block)
{
	for (size_t i = 0; i < size_of(block->name) / sizeof(uint64_t); i++) {
		if (block->words[i] == block->name)
			continue;
		hak_add_relaxed(&w->share->n_wrong, 1);
		fprintf(stderr, "survive: worker %u: %p has %016llx at %zu, not %016llx\n", w->self,
			(void *)block->words, (unsigned long long)block->words[i], i,
			(unsigned long long)block->name);
		break;
	}
	hakmem_free(block->words);
}

static void take(struct worker *w)
{
	for (unsigned i = 0; i < SURVIVE_BOX; i++) {
		hakmem_ref_t ref = hak_load_relaxed(&w->share->box[i]);
		struct block block;
		void *p;
		int r;

		if (!ref || !hak_cas_acq_rel(&w->share->box[i], &ref, 0))
			continue;
		r = hakmem_take(ref, &p);
		if (r < 0) {
			fail(w, "hakmem_take", -r);
			continue;
		}
		block.words = p;
		block.name = block.words[0];
		hak_add_relaxed(&w->share->n_taken, 1);
		check_and_free(w, &block);
	}
}

/* To a worker; false: its box has no room at that place. */
static bool give(struct worker *w, const struct block *block)
{
	struct survive_share *to = &w->table->shares[below(w, w->table->n_workers)];
	hak_u64 *place = &to->box[below(w, SURVIVE_BOX)];
	uint64_t none = 0;
	hakmem_ref_t ref = hakmem_ref(block->words);

	if (!ref)
		fail(w, "hakmem_ref", errno);
	return ref && hak_cas_acq_rel(place, &none, ref);
}

static void publish(struct worker *w)
{
	struct block block;
	hakmem_ref_t ref, found = 0;
	char name[32];
	int r;

	snprintf(name, sizeof(name), "survive-%u", w->self);
	if (!allocate(w, &block))
		return;
	ref = hakmem_ref(block.words);
	r = hakmem_root_publish(name, ref);
	if (r < 0) {
		fail(w, "hakmem_root_publish", -r);
		check_and_free(w, &block);
		return;
	}
	r = hakmem_root_lookup(name, &found);
	if (r < 0 || hakmem_ptr(found) != block.words)
		fail(w, "hakmem_root_lookup", r < 0 ? -r : EBADMSG);
	r = hakmem_root_withdraw(name, &found);
	if (r < 0)
		fail(w, "hakmem_root_withdraw", -r);
	else
		check_and_free(w, &block);
}

static void grow(struct worker *w)
{
	size_t most = (4 + below(w, 28)) * MIB, size = 0;

	while (size < most && w->n < BLOCKS_MAX && hak_load_relaxed(&w->table->phase) == 0) {
		struct block block;

		if (!allocate(w, &block))
			continue;
		size += size_of(block.name);
		if (below(w, GIVEN_OF) == 0 && give(w, &block))
			continue;
		w->blocks[w->n++] = block;
		if (w->n % 64 == 0)
			take(w);
	}
}

static void free_all(struct worker *w)
{
	while (w->n > 0)
		check_and_free(w, &w->blocks[--w->n]);
	take(w);
}

static void trim(struct worker *w)
{
	int r = hakmem_trim();

	if (r < 0)
		fail(w, "hakmem_trim", -r);
}

/* Waits until all have done it. */
static void finish(struct worker *w, uint64_t phase)
{
	bool is_done;

	hak_store_release(&w->share->done, phase);
	do {
		is_done = true;
		take(w);
		usleep(1000);
		for (unsigned i = 0; i < w->table->n_workers; i++)
			is_done &= hak_load_acquire(&w->table->shares[i].done) >= phase;
	} while (!is_done);
}

int survive_work(struct survive_table *table, unsigned self)
{
	static struct worker w;
	int r;

	w = (struct worker){
		.table = table, .share = &table->shares[self], .self = self, .random = self + 1};
	r = hakmem_attach(NULL);
	if (r < 0)
		fail(&w, "hakmem_attach", -r);
	while (hak_load_relaxed(&table->phase) == SURVIVE_WORK) {
		grow(&w);
		publish(&w);
		free_all(&w);
		if (below(&w, 2) == 0)
			trim(&w);
		hak_add_relaxed(&w.share->n_rounds, 1);
	}
	free_all(&w);
	finish(&w, SURVIVE_FREE); /* nobody gives any more */
	take(&w);
	trim(&w);
	finish(&w, SURVIVE_LEAVE);
	r = hakmem_detach();
	if (r < 0)
		fail(&w, "hakmem_detach", -r);
	return 0;
}
