/* SPDX-License-Identifier: MIT */
/*
 * What a process keeps without need, place by place, and when it goes back by the clock, which
 * these tests turn. The table in client_lib/decay.c has the times.
 */
#include "tests/support/run.h"

#include <pthread.h>

#include "client_lib/flush.h"
#include "client_lib/include/hakmem.h"
#include "tests/support/clock.h"
#include "tests/support/decay.h"

static void test_stock_goes_back(void **state)
{
	(void)state;
	hakt_decay_make_and_free(HAKT_SUPERSLAB, 6);
	assert_true(hakc_heap()->n_stock >= 6);
	hakt_decay_expect_all_gone(HAKT_SLICES);
}

static void test_kept_runs_go_back(void **state)
{
	(void)state;
	hakt_decay_make_and_free(HAKT_RUN, 2);
	assert_int_equal(hakc_heap()->n_huge_kept, 10);
	hakt_decay_expect_all_gone(HAKT_SLICES);
}

static void test_kept_spans_go_back(void **state)
{
	(void)state;
	hakt_decay_make_and_free(HAKT_SPAN, 16);
	assert_int_equal(hakc_self->span_bytes, 16 * HAKT_SPAN);
	hakt_decay_expect_all_gone(HAKT_SLICES);
	assert_int_equal(hakc_self->span_bytes, 0);
}

static void test_magazines_are_emptied(void **state)
{
	(void)state;
	hakt_decay_free_small(hakt_decay_make_small());
	assert_true(hakc_magazine_count(&hakc_self->magazines[hak_class_of(64)]) > 1000);
	hakt_decay_expect_all_gone(HAKT_SLICES);
}

static void test_outgoing_blocks_go(void **state)
{
	void *block = hakmem_malloc(100);

	(void)state;
	/* Of another thread, it seems. */
	hakc_self->outgoing.blocks[0] =
		(void *)((uintptr_t)block |
			 (uint64_t)hak_slab_epoch(hak_slab_load(
				 &hakc_self->words[((uintptr_t)block - hakc_self->base) >>
						   HAK_SLOT_LG]))
				 << HAKC_OUTGOING_EPOCH |
			 UINT64_C(1) << HAKC_OUTGOING_SURE);
	hakc_self->outgoing.n = 1;
	hakt_decay_go_on(2);
	assert_int_equal(hakc_self->outgoing.n, 0);
}

static void test_empty_slabs_become_unused(void **state)
{
	(void)state;
	hakt_decay_free_small(hakt_decay_make_small());
	hakc_flush_all(hakc_self);
	assert_int_equal(hakc_self->n_empty, HAKC_EMPTY_KEPT);
	hakt_decay_go_on(2);
	assert_int_equal(hakc_self->n_empty, 0);
}

static void test_an_empty_current_slab_becomes_unused(void **state)
{
	unsigned cls = hak_class_of(30000);

	(void)state;
	hakt_decay_make_and_free(30000, 1);
	assert_true(hakc_self->current[cls] != 0);
	hakt_decay_go_on(3);
	assert_int_equal(hakc_self->current[cls], 0);
}

static void test_what_an_ended_thread_kept_goes_back(void **state)
{
	void *held = hakt_decay_hold();

	(void)state;
	hakt_decay_in_thread(hakt_decay_grow, NULL);
	assert_true(hakt_decay_granted() > 8);
	hakt_decay_expect_all_gone(HAKT_SLICES);
	hakmem_free(held);
}

static void *make_and_end(void *argument)
{
	*(char ***)argument = hakt_decay_make_small();
	return NULL;
}

/* Its slabs are nobody's when the blocks are freed. */
static void test_what_is_freed_of_an_ended_thread_goes_back(void **state)
{
	void *held = hakt_decay_hold();
	char **blocks;

	(void)state;
	hakt_decay_in_thread(make_and_end, &blocks);
	hakt_decay_go_on(4);
	assert_int_equal(hakc_heap()->threads[1]->full, 0);
	hakt_decay_free_small(blocks);
	hakt_decay_expect_all_gone(HAKT_SLICES);
	hakmem_free(held);
}

static void test_what_was_asked_ahead_goes_back(void **state)
{
	(void)state;
	hakt_decay_go_on(1);
	hakt_decay_ask_ahead();
	hakt_decay_go_on(HAKT_SLICES);
	assert_int_equal(hakt_decay_granted(), 1);
	assert_int_equal(hakt_daemon_status(&hakt_decay_daemon).granted_superslabs, 1);
}

/* Blocks that are left of many, in all slabs; they are freed and others allocated, little by little. */
static void test_scattered_blocks_move_together(void **state)
{
	enum { N = 200, EVERY = 7 };
	char **blocks = hakt_decay_make_small();
	void *left[N];
	uint64_t most;

	(void)state;
	for (unsigned i = 0; i < N; i++) {
		left[i] = blocks[i * (HAKT_SMALL / N)];
		blocks[i * (HAKT_SMALL / N)] = NULL;
	}
	hakt_decay_free_small(blocks);
	most = hakt_decay_granted();
	for (unsigned i = 0; i < 60 * HAKC_SLICES * EVERY; i++) {
		unsigned k = i * 7919 % N;

		hakmem_free(left[k]);
		hakmem_free(left[(k + 1) % N]);
		left[k] = hakmem_malloc(64);
		left[(k + 1) % N] = hakmem_malloc(64);
		if (i % EVERY == 0)
			hakt_clock_pass(HAKT_SLICE_MS / 8);
	}
	assert_true(most >= 4);
	assert_int_equal(hakt_decay_granted(), 1);
	for (unsigned i = 0; i < N; i++)
		hakmem_free(left[i]);
}

static void test_new_blocks_come_from_the_lowest_slab(void **state)
{
	enum { N = 200 };
	char **blocks = hakt_decay_make_small();
	uint32_t lowest = UINT32_MAX;
	void *left[N];

	(void)state;
	for (unsigned i = 0; i < N; i++) {
		uint32_t slot;

		left[i] = blocks[i * (HAKT_SMALL / N)];
		blocks[i * (HAKT_SMALL / N)] = NULL;
		slot = (uint32_t)(((uintptr_t)left[i] - hakc_self->base) >> HAK_SLOT_LG);
		lowest = slot < lowest ? slot : lowest;
	}
	hakt_decay_free_small(blocks);
	hakt_decay_go_on(4);
	assert_int_equal(hakc_self->current[hak_class_of(64)], lowest + 1);
	for (unsigned i = 0; i < N; i++)
		hakmem_free(left[i]);
}

static void test_small_magazines_are_emptied_though_they_are_used(void **state)
{
	const struct hakc_magazine *m;

	(void)state;
	hakt_clock_pass(HAKT_SLICE_MS - hakt_clock_now() % HAKT_SLICE_MS);
	hakmem_free(hakmem_malloc(100));
	hakmem_free(hakmem_malloc(3000));
	m = &hakc_self->magazines[hak_class_of(3000)];
	assert_true(hakc_magazine_count(m) > 0);
	hakt_clock_pass(HAKT_SLICE_MS / 8);
	hakmem_free(hakmem_malloc(100));
	assert_int_equal(hakc_magazine_count(m), 0);
}

/* Within a slice only what is used little is emptied. */
static void test_magazines_in_use_are_not_emptied_all_the_time(void **state)
{
	const struct hakc_magazine *m;
	uint32_t n;

	(void)state;
	hakt_clock_pass(HAKT_SLICE_MS - hakt_clock_now() % HAKT_SLICE_MS);
	hakt_decay_free_small(hakt_decay_make_small());
	m = &hakc_self->magazines[hak_class_of(64)];
	n = hakc_magazine_count(m);
	assert_true(n > 1000);
	hakt_clock_pass(HAKT_SLICE_MS / 8);
	hakt_decay_fill();
	assert_true(hakc_magazine_count(m) == n);
	hakt_clock_pass(HAKT_SLICE_MS / 8);
	hakmem_free(hakmem_malloc(100)); /* by now it has not been used for a tick */
	assert_int_equal(hakc_magazine_count(m), 0);
}

/* All that a process has is used now and then, in less than keep_ms. */
static void test_what_is_needed_within_the_time_stays(void **state)
{
	uint64_t returns, refills, runs;

	(void)state;
	for (unsigned i = 0; i < 12; i++) {
		hakt_decay_make_and_free(HAKT_SUPERSLAB, 5);
		hakt_decay_make_and_free(HAKT_RUN, 2);
		hakt_decay_make_and_free(HAKT_SPAN, 10);
		if (i == 0) {
			returns = hakt_decay_counter(HAK_STAT_RETURNS);
			refills = hakt_decay_counter(HAK_STAT_STAGE_3);
			runs = hakt_decay_counter(HAK_STAT_HUGE);
		}
		hakt_decay_go_on(HAKC_SLICES - 2);
	}
	assert_int_equal(hakt_decay_counter(HAK_STAT_RETURNS), returns);
	assert_int_equal(hakt_decay_counter(HAK_STAT_STAGE_3), refills);
	assert_int_equal(hakt_decay_counter(HAK_STAT_HUGE), runs);
	hakt_decay_expect_all_gone(HAKT_SLICES);
}

/* Of what was used within keep_ms, too, what is never used together goes. */
static void test_what_is_more_than_needed_goes(void **state)
{
	uint64_t refills;

	(void)state;
	hakt_decay_make_and_free(HAKT_SUPERSLAB, 7);
	for (unsigned i = 0; i < 2 * HAKC_SLICES; i++) {
		if (i == HAKC_SLICES)
			refills = hakt_decay_counter(HAK_STAT_STAGE_3);
		hakt_decay_make_and_free(HAKT_SUPERSLAB, 3);
		hakt_decay_go_on(1);
	}
	assert_true(hakt_decay_granted() <= 4);
	assert_int_equal(hakt_decay_counter(HAK_STAT_STAGE_3), refills);
}

static void test_emptied_caches_are_not_returned_at_once(void **state)
{
	uint64_t returns;

	(void)state;
	hakt_decay_make_and_free(HAKT_SPAN, 16);
	hakt_decay_make_and_free(HAKT_SUPERSLAB, HAKC_STOCK_FIRST);
	returns = hakt_decay_counter(HAK_STAT_RETURNS);
	hakt_decay_go_on(3); /* together that is twice the stock's bound */
	assert_int_equal(hakc_self->span_bytes, 0);
	assert_true(hakc_heap()->n_stock > HAKC_STOCK_FIRST);
	assert_int_equal(hakt_decay_counter(HAK_STAT_RETURNS), returns);
	hakt_decay_expect_all_gone(HAKT_SLICES);
}

/* Nothing happened in between: nobody needed it. */
static void test_a_long_pause_counts(void **state)
{
	(void)state;
	hakt_decay_make_and_free(HAKT_SUPERSLAB, 6);
	hakt_decay_make_and_free(HAKT_RUN, 1);
	hakt_decay_go_on(1);
	hakt_clock_pass(2 * HAKT_KEEP_MS);
	hakt_decay_expect_all_gone(1);
}

/* It is not taken for what nobody needed while the thread paused. */
static void test_what_is_freed_after_a_pause_stays(void **state)
{
	void *block = hakmem_malloc(HAKT_SUPERSLAB), *run = hakmem_malloc(HAKT_RUN);

	(void)state;
	hakt_clock_pass(2 * HAKT_KEEP_MS);
	hakmem_free(block);
	hakt_clock_pass(2 * HAKT_KEEP_MS);
	hakmem_free(run);
	hakt_decay_go_on(4);
	assert_int_equal(hakc_heap()->n_huge_kept, 5);
}

static void test_without_a_time_nothing_goes(void **state)
{
	(void)state;
	hakt_decay_make_and_free(HAKT_SUPERSLAB, 6);
	hakt_decay_make_and_free(HAKT_RUN, 1);
	hakt_clock_pass(100 * HAKT_KEEP_MS);
	hakt_decay_make_and_free(HAKT_SPAN, 1);
	hakt_decay_go_on(HAKT_SLICES);
	assert_int_equal(hakt_decay_counter(HAK_STAT_RETURNS), 0);
	assert_false(hakc_self->decay.is_watched);
}

static void test_another_time_begins_anew(void **state)
{
	(void)state;
	hakt_decay_make_and_free(HAKT_SUPERSLAB, 6);
	hakt_decay_make_and_free(HAKT_RUN, 1);
	hakt_decay_go_on(HAKC_SLICES - 1);
	hak_store_relaxed(&hakt_decay_words.header->keep_ms,
			  2 * HAKT_KEEP_MS); /* relaxed: see registry.h */
	hakt_decay_go_on(2 * HAKC_SLICES - 2);
	assert_int_equal(hakt_decay_counter(HAK_STAT_RETURNS), 0);
	hakt_decay_expect_all_gone(2 * HAKT_SLICES);
}

/* Watched. */

static void *pairs(unsigned n)
{
	void *block = NULL;

	for (unsigned i = 0; i < n; i++) {
		block = hakmem_malloc(64);
		hakmem_free(block);
	}
	return block;
}

static void test_a_busy_thread_is_not_watched_for_long(void **state)
{
	(void)state;
	pairs(100);
	assert_true(hakc_self->decay.is_watched);
	pairs(5000);
	assert_false(hakc_self->decay.is_watched);
	hakt_decay_fill();
	assert_false(hakc_self->decay.is_watched); /* it has no credit yet */
	hakt_clock_pass(20);
	hakt_decay_make_and_free(7000, 1);
	assert_true(hakc_self->decay.is_watched);
}

static void test_a_slow_thread_is_always_watched(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 1000; i++) {
		hakt_clock_pass(10);
		pairs(100);
		assert_true(hakc_self->decay.is_watched);
	}
}

/* How much an idle process has, that has grown and freed in order: docs/architecture.md. */
static void test_an_idle_process_keeps_a_bounded_rest(void **state)
{
	static char *blocks[3000];
	unsigned i;

	(void)state;
	for (i = 0; i < 3000; i++)
		assert_non_null(blocks[i] = hakmem_malloc(i % 3 == 0 ? 512 : 65536));
	for (i = 0; i < 3000; i++)
		hakmem_free(blocks[i]);
	hakt_decay_free_small(hakt_decay_make_small());
	hakt_decay_make_and_free(HAKT_RUN, 8);
	assert_true(hakc_heap()->n_huge_kept <= HAKC_HUGE_KEPT_MAX);
	assert_true(hakt_decay_granted() <= HAKC_STOCK_FIRST + HAKC_HUGE_KEPT_MAX + 16);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test_setup_teardown(test_what_was_asked_ahead_goes_back, hakt_decay_start,
					hakt_decay_stop),
	cmocka_unit_test_setup_teardown(test_stock_goes_back, hakt_decay_start, hakt_decay_stop),
	cmocka_unit_test_setup_teardown(test_kept_runs_go_back, hakt_decay_start, hakt_decay_stop),
	cmocka_unit_test_setup_teardown(test_kept_spans_go_back, hakt_decay_start, hakt_decay_stop),
	cmocka_unit_test_setup_teardown(test_magazines_are_emptied, hakt_decay_start,
					hakt_decay_stop),
	cmocka_unit_test_setup_teardown(test_outgoing_blocks_go, hakt_decay_start, hakt_decay_stop),
	cmocka_unit_test_setup_teardown(test_empty_slabs_become_unused, hakt_decay_start,
					hakt_decay_stop),
	cmocka_unit_test_setup_teardown(test_an_empty_current_slab_becomes_unused, hakt_decay_start,
					hakt_decay_stop),
	cmocka_unit_test_setup_teardown(test_what_an_ended_thread_kept_goes_back, hakt_decay_start,
					hakt_decay_stop),
	cmocka_unit_test_setup_teardown(test_what_is_freed_of_an_ended_thread_goes_back,
					hakt_decay_start, hakt_decay_stop),
	cmocka_unit_test_setup_teardown(test_scattered_blocks_move_together, hakt_decay_start,
					hakt_decay_stop),
	cmocka_unit_test_setup_teardown(test_new_blocks_come_from_the_lowest_slab, hakt_decay_start,
					hakt_decay_stop),
	cmocka_unit_test_setup_teardown(test_small_magazines_are_emptied_though_they_are_used,
					hakt_decay_start, hakt_decay_stop),
	cmocka_unit_test_setup_teardown(test_magazines_in_use_are_not_emptied_all_the_time,
					hakt_decay_start, hakt_decay_stop),
	cmocka_unit_test_setup_teardown(test_what_is_needed_within_the_time_stays, hakt_decay_start,
					hakt_decay_stop),
	cmocka_unit_test_setup_teardown(test_what_is_more_than_needed_goes, hakt_decay_start,
					hakt_decay_stop),
	cmocka_unit_test_setup_teardown(test_emptied_caches_are_not_returned_at_once,
					hakt_decay_start, hakt_decay_stop),
	cmocka_unit_test_setup_teardown(test_a_long_pause_counts, hakt_decay_start,
					hakt_decay_stop),
	cmocka_unit_test_setup_teardown(test_what_is_freed_after_a_pause_stays, hakt_decay_start,
					hakt_decay_stop),
	cmocka_unit_test_setup_teardown(test_without_a_time_nothing_goes,
					hakt_decay_start_without_time, hakt_decay_stop),
	cmocka_unit_test_setup_teardown(test_another_time_begins_anew, hakt_decay_start,
					hakt_decay_stop),
	cmocka_unit_test_setup_teardown(test_a_busy_thread_is_not_watched_for_long,
					hakt_decay_start, hakt_decay_stop),
	cmocka_unit_test_setup_teardown(test_a_slow_thread_is_always_watched, hakt_decay_start,
					hakt_decay_stop),
	cmocka_unit_test_setup_teardown(test_an_idle_process_keeps_a_bounded_rest,
					hakt_decay_start_without_time, hakt_decay_stop),
};

HAKT_MAIN(tests, NULL, NULL)
