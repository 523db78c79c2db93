/* SPDX-License-Identifier: MIT */
/*
 * A daemon that is killed at any instruction of a scan, and its successor. A
 * child scans and is single-stepped. Each time that it has changed a word, what
 * is in memory then is given to another scan from its start: that must end as
 * one that was never interrupted.
 */
#include "tests/support/run.h"

#include <string.h>

#include "proto/shm/scan.h"
#include "tests/support/pool.h"
#include "tests/support/steps.h"

#define DEAD   7u
#define OTHER  8u
#define HEIR   9u
#define PER    32u
#define BLOCKS 8u  /* that are looked at, a slab */
#define WIDE   67u /* a class that takes 8 slots */

/* All that a scan can change. */
struct memory {
	uint64_t words[PER];
	uint64_t bits[PER];
	uint32_t tags[PER][BLOCKS];
	uint64_t hints;
};

typedef void scan_fn(const struct hak_segment *segment);

static struct hakt_pool pool;

static int prepare(void **state)
{
	(void)state;
	hakt_pool_init(&pool, UINT64_C(64) << 20, 21);
	hakt_pool_grant(&pool, 0, 1, false, DEAD);
	return 0;
}

static int clean_up(void **state)
{
	(void)state;
	hakt_pool_deinit(&pool);
	return 0;
}

static void read_memory(struct memory *m)
{
	for (uint32_t i = 0; i < PER; i++) {
		m->words[i] = hak_load_relaxed(&pool.segment.slab_words[i]);
		m->bits[i] = hak_load_relaxed(hak_segment_bits(&pool.segment, i));
		for (unsigned k = 0; k < BLOCKS; k++)
			m->tags[i][k] = hak_load_relaxed(&hak_segment_tags(&pool.segment, i)[k]);
	}
	m->hints = hak_load_relaxed(&pool.segment.pending[0]);
}

static void write_memory(const struct memory *m)
{
	for (uint32_t i = 0; i < PER; i++) {
		hak_store_relaxed(&pool.segment.slab_words[i], m->words[i]);
		hak_store_relaxed(hak_segment_bits(&pool.segment, i), m->bits[i]);
		for (unsigned k = 0; k < BLOCKS; k++)
			hak_store_relaxed(&hak_segment_tags(&pool.segment, i)[k], m->tags[i][k]);
	}
	hak_store_relaxed(&pool.segment.pending[0], (uint32_t)m->hints);
}

/* Blocks 0 to n - 1 taken, held by these. */
static void cut(uint32_t slot, unsigned cls, unsigned n, const unsigned *holders)
{
	assert_true(hakt_pool_cut(&pool, slot, DEAD, cls));
	for (unsigned i = 0; i < n; i++) {
		hakt_pool_claim(&pool, slot, 0, UINT64_C(1) << i);
		if (holders[i])
			hak_store_relaxed(&hak_segment_tags(&pool.segment, slot)[i],
					  hak_tag_pack(HAK_TAG_OWNED, holders[i], 1));
	}
	assert_true(hak_slab_set_tagged(&pool.segment.slab_words[slot], DEAD));
}

/* A slab, wide ones and spans, with survivors and without. */
static void make(void)
{
	const unsigned some[] = {0, DEAD, OTHER, HAK_HOLDER_ROOT}, none[] = {0, DEAD, 0, 0};

	cut(0, 0, 4, some);
	cut(1, WIDE, 4, some);
	cut(1 + hak_classes[WIDE].n_slots, WIDE, 4, none);
	assert_true(hakt_pool_cut(&pool, 27, DEAD, 0)); /* not tagged */
	assert_true(hakt_pool_cut_span(&pool, 28, DEAD, 3));
	assert_true(hak_slab_set_tagged(&pool.segment.slab_words[28], DEAD));
	hak_store_relaxed(hak_segment_tags(&pool.segment, 28),
			  hak_tag_pack(HAK_TAG_OWNED, OTHER, 1));
	hak_store_relaxed(&pool.segment.pending[0], UINT32_MAX);
}

static void own(const struct hak_segment *segment)
{
	struct hak_scan found = {.n_freed = 0};

	hak_scan_own(segment, 0, PER, DEAD, &found);
}

static void held(const struct hak_segment *segment)
{
	struct hak_holder_set dead = {.words = {0}};
	struct hak_scan found = {.n_freed = 0};

	hak_holder_set_add(&dead, OTHER);
	hak_scan_held(segment, 0, PER, &dead, true, &found);
}

static void orphan(const struct hak_segment *segment)
{
	struct hak_scan found = {.n_freed = 0};

	hak_scan_orphan(segment, 0, PER, &found);
}

/* The next daemon finishes it. */
static void inherit(const struct hak_segment *segment)
{
	hak_scan_inherit(segment, 0, PER, HEIR);
}

/* Each grant has another epoch, and slots that were granted to no avail have skipped some. */
static void forget_epochs(struct memory *m)
{
	const uint64_t epoch = (uint64_t)HAK_REF_EPOCH_MAX << HAK_SLAB_EPOCH_SHIFT;

	for (uint32_t i = 0; i < PER; i++)
		if (hak_slab_state(m->words[i]) == HAK_SLAB_UNUSED)
			m->words[i] &= ~epoch;
}

static void run(const void *scan)
{
	(*(scan_fn *const *)scan)(&pool.segment);
}

/* The scan from what is in memory now, stopped anywhere; how many states it went through. */
static unsigned check_stopped_anywhere(scan_fn *scan)
{
	struct memory before, uninterrupted, last, now, finished;
	unsigned n = 0;
	pid_t pid;

	read_memory(&before);
	scan(&pool.segment);
	read_memory(&uninterrupted);
	forget_epochs(&uninterrupted);
	write_memory(&before);
	last = before;
	pid = hakt_steps_start(run, &scan);
	while (hakt_steps_next(pid)) {
		read_memory(&now);
		if (memcmp(&now, &last, sizeof(now)) == 0)
			continue;
		n++;
		last = now;
		scan(&pool.segment);
		read_memory(&finished);
		forget_epochs(&finished);
		assert_memory_equal(&finished, &uninterrupted, sizeof(finished));
		write_memory(&now); /* for the child, which goes on */
	}
	return n;
}

static void test_a_scan_of_the_deads_own_may_be_stopped_anywhere(void **state)
{
	(void)state;
	make();
	/* Bits and tags of three slabs, words of all slots but the 6 that have stayed UNUSED. */
	assert_true(check_stopped_anywhere(own) > PER);
}

static void test_a_scan_for_the_dead_may_be_stopped_anywhere(void **state)
{
	(void)state;
	make();
	/* Of three slabs a tag and a bit each. */
	assert_true(check_stopped_anywhere(held) >= 6);
}

static void test_a_look_at_an_orphan_may_be_stopped_anywhere(void **state)
{
	(void)state;
	make();
	own(&pool.segment);
	held(&pool.segment);
	hak_slab_free(hak_segment_bits(&pool.segment, 1), 15); /* what ROOT had too */
	assert_true(check_stopped_anywhere(orphan) > hak_classes[WIDE].n_slots);
}

static void test_an_inheritance_may_be_stopped_anywhere(void **state)
{
	(void)state;
	make();
	own(&pool.segment);
	orphan(&pool.segment);
	assert_true(check_stopped_anywhere(inherit) >= PER);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test_setup_teardown(test_a_scan_of_the_deads_own_may_be_stopped_anywhere,
					prepare, clean_up),
	cmocka_unit_test_setup_teardown(test_a_scan_for_the_dead_may_be_stopped_anywhere, prepare,
					clean_up),
	cmocka_unit_test_setup_teardown(test_a_look_at_an_orphan_may_be_stopped_anywhere, prepare,
					clean_up),
	cmocka_unit_test_setup_teardown(test_an_inheritance_may_be_stopped_anywhere, prepare,
					clean_up),
};

HAKT_MAIN(tests, NULL, NULL)
