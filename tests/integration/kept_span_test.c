/* SPDX-License-Identifier: MIT */
/*
 * A span that two threads have freed at the same time, so that both keep it:
 * the table of keep_span (client_lib/free.c), row by row. The moments that lie
 * between two instructions are made by hand: this process plays the other thread.
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
};

HAKT_MAIN(tests, NULL, NULL)
