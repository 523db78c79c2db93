/* SPDX-License-Identifier: MIT */
#include "tests/stress/survive/worker.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client_lib/include/hakmem.h"
#include "tests/support/now.h"
#include "tests/support/random.h"

#define KIB	   ((size_t)1 << 10)
#define MIB	   ((size_t)1 << 20)
#define BLOCKS_MAX 65536u
#define SAID_MAX   20u /* of what fails, and of what is wrong, a worker; the rest is counted */
#define GIVEN_OF   16u /* every so manieth block is given away */
#define ZEROED_OF  8u  /* comes from calloc */
#define MOVED_OF   32u /* is made anew by realloc; of the runs every other one */

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

static uint64_t below(struct worker *w, uint64_t end)
{
	return hakt_random(&w->random) % end;
}

static void fail(struct worker *w, const char *what, int error)
{
	if (hak_add_relaxed(&w->share->n_failed, 1) < SAID_MAX)
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

static void wrong(struct worker *w, const void *block, const uint64_t *at, uint64_t expected)
{
	if (hak_add_relaxed(&w->share->n_wrong, 1) >= SAID_MAX)
		return;
	fprintf(stderr, "survive: worker %u: %p has %016llx at %zu, not %016llx\n", w->self, block,
		(unsigned long long)*at, (size_t)((const char *)at - (const char *)block),
		(unsigned long long)expected);
}

/* The first `bytes` are this word again and again. */
static void check(struct worker *w, const uint64_t *words, size_t bytes, uint64_t expected)
{
	for (size_t i = 0; i < bytes / sizeof(uint64_t); i++) {
		if (words[i] == expected)
			continue;
		wrong(w, words, &words[i], expected);
		return;
	}
}

static void count_wait(struct worker *w, uint64_t wait)
{
	unsigned bucket = 0;

	hak_add_relaxed(&w->share->n_calls, 1);
	while (bucket + 1 < SURVIVE_BUCKETS && wait >= UINT64_C(2000) << bucket)
		bucket++;
	hak_add_relaxed(&w->share->waits[bucket], 1);
	if (wait > hak_load_relaxed(&w->share->longest_ns)) /* its reader may miss one */
		hak_store_relaxed(&w->share->longest_ns, wait);
}

/* A block, or `old` with another size. */
static void *allocate_timed(struct worker *w, void *old, size_t size)
{
	bool is_zeroed = !old && below(w, ZEROED_OF) == 0;
	uint64_t begin = hakt_now_ns(), wait;
	void *p = old	      ? hakmem_realloc(old, size)
		  : is_zeroed ? hakmem_calloc(1, size)
			      : hakmem_malloc(size);
	int error = errno;

	wait = hakt_now_ns() - begin;
	count_wait(w, wait);
	if (!p)
		fail(w, old ? "hakmem_realloc" : "an allocation", error);
	else if (is_zeroed)
		check(w, p, size, 0);
	return p;
}

/* Writes all of a block of that size under a name that comes once. */
static void fill(struct worker *w, struct block *block, size_t size)
{
	size_t words = size / sizeof(uint64_t);

	block->name = (uint64_t)w->self << 56 | ++w->n_named << 24 | words;
	for (size_t i = 0; i < words; i++)
		block->words[i] = block->name;
}

static bool allocate(struct worker *w, struct block *ret)
{
	size_t size = next_size(w) / sizeof(uint64_t) * sizeof(uint64_t);

	ret->words = allocate_timed(w, NULL, size);
	if (!ret->words)
		return false;
	fill(w, ret, size);
	return true;
}

/* A run is made longer, where it lies if there is room: the daemon is asked for the end. */
static void resize(struct worker *w, struct block *block)
{
	size_t old = size_of(block->name), size = old >= 2 * MIB ? old + 2 * MIB : 2 * old;
	void *p = allocate_timed(w, block->words, size);

	if (!p)
		return;
	block->words = p;
	check(w, p, old, block->name);
	fill(w, block, size);
}

static void check_and_free(struct worker *w, const struct block *block)
{
	check(w, block->words, size_of(block->name), block->name);
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
		if (below(w, size_of(block.name) >= 2 * MIB ? 2 : MOVED_OF) == 0)
			resize(w, &block);
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

/*
 * Until all are told to leave: gives back everything, and tells what it has all the same. The run
 * has the daemon asked, so that what was granted meanwhile, and not heard of, is found.
 */
static void keep_nothing(struct worker *w)
{
	struct hakmem_stats stats;

	while (hak_load_relaxed(&w->table->phase) < SURVIVE_LEAVE) {
		hakmem_free(allocate_timed(w, NULL, 3 * MIB));
		trim(w);
		if (hakmem_stats(&stats, sizeof(stats)) == 0)
			hak_store_relaxed(&w->share->superslabs, stats.superslabs);
		usleep(10000);
	}
}

static void count_refused(struct worker *w)
{
	struct hakmem_stats stats;
	int r = hakmem_stats(&stats, sizeof(stats));

	if (r < 0)
		fail(w, "hakmem_stats", -r);
	else if (stats.refused_frees > 0)
		fprintf(stderr, "survive: worker %u: %llu frees were refused\n", w->self,
			(unsigned long long)stats.refused_frees);
	hak_add_relaxed(&w->share->n_wrong, r < 0 ? 0 : stats.refused_frees);
}

int survive_work(struct survive_table *table, unsigned self)
{
	static struct worker w;
	int r;

	w = (struct worker){
		.table = table, .share = &table->shares[self], .self = self, .random = self + 1};
	unsetenv("HAKMEM_TIMEOUT_MS");
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
	keep_nothing(&w);
	count_refused(&w);
	finish(&w, SURVIVE_LEAVE);
	r = hakmem_detach();
	if (r < 0)
		fail(&w, "hakmem_detach", -r);
	return 0;
}
