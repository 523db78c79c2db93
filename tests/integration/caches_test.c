/* SPDX-License-Identifier: MIT */
/*
 * Freed blocks that a thread caches: what is found out when they are freed, and
 * when they leave the cache. Of spans, the table of keep_span (client_lib/free.c),
 * row by row. Moments that lie between two instructions are made by hand: this
 * process plays the other thread too.
 */
#include "tests/support/run.h"

#include <pthread.h>

#include "client_lib/include/hakmem.h"
#include "client_lib/thread.h"
#include "tests/support/daemon.h"
#include "tests/support/process.h"

#define BYTES ((size_t)100000)

static struct hakt_daemon hakd;

static int start(void **state)
{
	(void)state;
	hakt_daemon_start(&hakd, HAKT_LIST("--limit", "64M", "--log-level", "warn"));
	return 0;
}

static int stop(void **state)
{
	(void)state;
	hakmem_detach();
	return hakt_daemon_stop_empty(&hakd);
}

static uint64_t refused(void)
{
	struct hakmem_stats stats;

	assert_int_equal(hakmem_stats(&stats, sizeof(stats)), 0);
	return stats.refused_frees;
}

static uint32_t slot_of(const void *block)
{
	return (uint32_t)(((uintptr_t)block - hakc_self->base) >> HAK_SLOT_LG);
}

/* One that this thread keeps. */
static void *keep_one(void)
{
	void *block = hakmem_malloc(BYTES);

	assert_non_null(block);
	hakmem_free(block);
	assert_int_equal(hak_load_relaxed(&hakc_self->slabs[slot_of(block)].keeper),
			 hakc_self->number);
	assert_int_equal(refused(), 0);
	return block;
}

/* The other thread's store came after ours. */
static void other_keeps(const void *block)
{
	hak_store_relaxed(&hakc_self->slabs[slot_of(block)].keeper, hakc_self->number + 1);
}

/* The other thread kept it and took it apart; our store came after its last one. */
static void other_took_apart(const void *block)
{
	struct hakc_heap *heap = hakc_self->heap;
	uint32_t slot = slot_of(block);

	pthread_mutex_lock(&heap->lock);
	hak_slab_free(hak_segment_bits(&heap->segment, slot), 1);
	assert_true(hakc_heap_retire_span(heap, slot));
	pthread_mutex_unlock(&heap->lock);
}

static void test_a_kept_span_is_given_out_again(void **state)
{
	void *block = keep_one();

	(void)state;
	assert_ptr_equal(hakmem_malloc(BYTES), block);
	assert_int_equal(refused(), 0);
}

static void test_one_that_another_keeps_is_not_given_out(void **state)
{
	void *block = keep_one(), *next;

	(void)state;
	other_keeps(block);
	next = hakmem_malloc(BYTES);
	assert_non_null(next);
	assert_ptr_not_equal(next, block);
	assert_int_equal(refused(), 1);
}

static void test_one_that_another_keeps_is_not_taken_apart(void **state)
{
	void *block = keep_one();

	(void)state;
	other_keeps(block);
	assert_int_equal(hakmem_trim(), 0);
	assert_int_equal(refused(), 1);
	assert_int_equal(hak_slab_state(hak_slab_load(&hakc_self->words[slot_of(block)])),
			 HAK_SLAB_SPAN);
}

static void test_one_that_was_taken_apart_is_not_given_out(void **state)
{
	void *block = keep_one(), *one, *two;

	(void)state;
	other_took_apart(block);
	one = hakmem_malloc(BYTES);
	two = hakmem_malloc(BYTES);
	assert_non_null(one);
	assert_non_null(two);
	assert_ptr_not_equal(one, two); /* its slots are cut anew, once */
	assert_int_equal(refused(), 1);
}

static void test_one_that_was_taken_apart_is_not_again(void **state)
{
	void *block = keep_one();

	(void)state;
	other_took_apart(block);
	assert_int_equal(hakmem_trim(), 0);
	assert_int_equal(refused(), 1);
}

static void test_one_that_another_process_freed_is_not_kept(void **state)
{
	void *block = hakmem_malloc(BYTES);
	uint32_t slot = slot_of(block);

	(void)state;
	hak_slab_free(hak_segment_bits(&hakc_self->heap->segment, slot), 1); /* no hint yet */
	hakmem_free(block);
	assert_int_equal(refused(), 1);
	assert_int_equal(hak_load_relaxed(&hakc_self->slabs[slot].keeper), 0);
}

static void test_a_span_freed_twice_is_told_at_once(void **state)
{
	void *one = hakmem_malloc(BYTES), *two = hakmem_malloc(BYTES);

	(void)state;
	hakmem_free(one);
	hakmem_free(two);
	hakmem_free(one);
	assert_int_equal(refused(), 1);
}

/* Blocks of a class. */

static struct hak_location locate(const void *block)
{
	return hak_segment_locate(&hakc_self->heap->segment, (uintptr_t)block);
}

static bool is_free(const void *block)
{
	const struct hak_location l = locate(block);

	return hak_segment_is_free(&hakc_self->heap->segment, &l);
}

static hak_u64 *word_of(const void *block)
{
	return &hakc_self->words[locate(block).slot];
}

static void test_a_block_freed_twice_is_told_when_flushed(void **state)
{
	void *one = hakmem_malloc(100), *two = hakmem_malloc(100);

	(void)state;
	hakmem_free(one);
	hakmem_free(two);
	hakmem_free(one);
	assert_int_equal(hakmem_trim(), 0);
	assert_int_equal(refused(), 1);
}

/* Another thread's from now on; its frees wait to be flushed. */
static void give_to_other(const void *block)
{
	assert_true(hak_slab_pass(word_of(block), hakc_self->heap->holder, hakc_self->number,
				  hakc_self->number + 1));
}

static void test_blocks_of_another_thread_are_freed_by_a_flush(void **state)
{
	void *block = hakmem_malloc(100);

	(void)state;
	give_to_other(block);
	hakmem_free(block);
	assert_false(is_free(block));
	assert_int_equal(hakmem_trim(), 0);
	assert_true(is_free(block));
	assert_int_equal(refused(), 0);
}

static void test_blocks_of_a_slab_that_changed_hands_are_dropped(void **state)
{
	void *block = hakmem_malloc(100);
	uint64_t w;

	(void)state;
	give_to_other(block);
	hakmem_free(block);
	w = hak_slab_load(word_of(block));
	hak_store_release(word_of(block), w + (UINT64_C(1) << HAK_SLAB_EPOCH_SHIFT));
	assert_int_equal(hakmem_trim(), 0);
	assert_false(is_free(block)); /* it is somebody's block by now */
	assert_int_equal(refused(), 0);
}

static void test_large_blocks_of_another_thread_do_not_wait_long(void **state)
{
	void *blocks[3]; /* more than HAKC_OUTGOING_BYTES together */

	(void)state;
	for (unsigned i = 0; i < 3; i++)
		blocks[i] = hakmem_malloc(30000);
	for (unsigned i = 0; i < 3; i++)
		if (hak_slab_is_mine(hak_slab_load(word_of(blocks[i])), hakc_self->mine))
			give_to_other(blocks[i]);
	for (unsigned i = 0; i < 3; i++)
		hakmem_free(blocks[i]);
	for (unsigned i = 0; i < 3; i++)
		assert_true(is_free(blocks[i]));
}

static void test_a_magazine_frees_nothing_in_a_slab_that_is_not_ours(void **state)
{
	void *block = hakmem_malloc(100);

	(void)state;
	hakmem_free(block);
	give_to_other(block); /* words that somebody scribbled over */
	assert_int_equal(hakmem_trim(), 0);
	assert_false(is_free(block));
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test_setup_teardown(test_a_kept_span_is_given_out_again, start, stop),
	cmocka_unit_test_setup_teardown(test_one_that_another_keeps_is_not_given_out, start, stop),
	cmocka_unit_test_setup_teardown(test_one_that_another_keeps_is_not_taken_apart, start,
					stop),
	cmocka_unit_test_setup_teardown(test_one_that_was_taken_apart_is_not_given_out, start,
					stop),
	cmocka_unit_test_setup_teardown(test_one_that_was_taken_apart_is_not_again, start, stop),
	cmocka_unit_test_setup_teardown(test_one_that_another_process_freed_is_not_kept, start,
					stop),
	cmocka_unit_test_setup_teardown(test_a_span_freed_twice_is_told_at_once, start, stop),
	cmocka_unit_test_setup_teardown(test_a_block_freed_twice_is_told_when_flushed, start, stop),
	cmocka_unit_test_setup_teardown(test_blocks_of_another_thread_are_freed_by_a_flush, start,
					stop),
	cmocka_unit_test_setup_teardown(test_blocks_of_a_slab_that_changed_hands_are_dropped, start,
					stop),
	cmocka_unit_test_setup_teardown(test_large_blocks_of_another_thread_do_not_wait_long, start,
					stop),
	cmocka_unit_test_setup_teardown(test_a_magazine_frees_nothing_in_a_slab_that_is_not_ours,
					start, stop),
};

HAKT_MAIN(tests, NULL, NULL)
