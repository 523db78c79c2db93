/* SPDX-License-Identifier: MIT */
/* Orphans at the moments between two steps of the daemon: empty and not looked at, granted and not told. */
#include "tests/support/run.h"

#include <time.h>

#include "client_lib/include/hakmem.h"
#include "client_lib/session.h"
#include "tests/support/daemon.h"
#include "tests/support/mortal.h"
#include "tests/support/process.h"

static void pause_ms(unsigned n)
{
	const struct timespec pause = {.tv_nsec = n * 1000000L};

	nanosleep(&pause, NULL);
}

/* Asks for memory until the slab word of a block names us; the last answer isn't taken in. */
static void ask_until_heir(struct hakc_heap *heap, const void *block)
{
	const hak_u64 *word =
		&heap->segment
			 .slab_words[hak_segment_locate(&heap->segment, (uintptr_t)block).slot];

	for (unsigned i = 0; hak_slab_owner(hak_slab_load(word)) != heap->holder; i++) {
		assert_true(i < 1000);
		if (heap->is_asked)
			assert_int_equal(hakc_session_refill(heap, 1), 0);
		hakc_session_ask_ahead(heap, HAKC_REFILL_MAX);
		pause_ms(20);
	}
}

/* The daemon names the heir in the slab words, then tells it: a free may come between. */
static void test_a_span_that_its_heir_frees_before_it_knows_is_kept(void **state)
{
	enum { SPAN = 4 };
	struct hakt_process x = {0};
	struct hakmem_stats stats;
	struct hakc_heap *heap;
	void *block;

	(void)state;
	hakt_mortal_start_child(&x, hakt_mortal_make_blocks, "made");
	assert_int_equal(hakmem_take(hakt_mortal_shared->refs[SPAN], &block), 0);
	hakt_mortal_kill(&x);
	hakt_daemon_wait_clients(&hakt_mortal_daemon, 1);
	heap = hakc_self->heap;
	pthread_mutex_lock(&heap->lock);
	ask_until_heir(heap, block);
	pthread_mutex_unlock(&heap->lock);
	hakmem_free(block);
	pthread_mutex_lock(&heap->lock);
	assert_int_equal(hakc_session_refill(heap, 1), 0);
	pthread_mutex_unlock(&heap->lock);
	assert_ptr_equal(hakmem_malloc(hakt_mortal_sizes[SPAN]), block);
	assert_int_equal(hakmem_stats(&stats, sizeof(stats)), 0);
	assert_int_equal(stats.refused_frees, 0);
	hakmem_free(block);
}

#define MOST ((size_t)200 << 20) /* bytes; there is no room for two of them */

static int make_most(const void *context)
{
	(void)context;
	hakt_mortal_shared->other = hakmem_ref(hakmem_malloc(MOST));
	hakt_child_say("made");
	hakt_child_wait();
	return 0;
}

static void test_who_needs_the_room_of_a_huge_orphan_waits_for_it(void **state)
{
	struct hakt_process x = {0};
	void *block;

	(void)state;
	hakt_mortal_start_child(&x, make_most, "made");
	assert_int_equal(hakmem_take(hakt_mortal_shared->other, &block), 0);
	hakt_mortal_kill(&x);
	hakt_daemon_wait_clients(&hakt_mortal_daemon, 1);
	pause_ms(5); /* it has been looked at, most times: only the hint tells from now on */
	assert_null(hakmem_malloc(MOST));
	hakmem_free(block);
	block = hakmem_malloc(MOST); /* before the daemon has looked again */
	assert_non_null(block);
	hakmem_free(block);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test_setup_teardown(test_a_span_that_its_heir_frees_before_it_knows_is_kept,
					hakt_mortal_setup, hakt_mortal_stop),
	cmocka_unit_test_setup_teardown(test_who_needs_the_room_of_a_huge_orphan_waits_for_it,
					hakt_mortal_setup, hakt_mortal_stop),
};

HAKT_MAIN(tests, NULL, NULL)
