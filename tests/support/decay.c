/* SPDX-License-Identifier: MIT */
/* White-box: what the library keeps is looked at where it keeps it. */
#include "tests/support/run.h"

#include "tests/support/decay.h"

#include <poll.h>
#include <pthread.h>

#include "client_lib/include/hakmem.h"
#include "client_lib/session.h"
#include "tests/support/clock.h"
#include "tests/support/process.h"

struct hakt_daemon hakt_decay_daemon;
struct hakt_words hakt_decay_words;

static int start_with(uint64_t keep_ms)
{
	hakt_daemon_start(&hakt_decay_daemon,
			  HAKT_LIST("--limit", "256M", "--log-level", "warn", "--keep", "3600"));
	assert_int_equal(hakmem_attach(NULL), 0); /* by then the registry is whole */
	hakt_words_init_of(&hakt_decay_words, hakt_decay_daemon.pid);
	/* Relaxed: nothing has been looked at yet. */
	hak_store_relaxed(&hakt_decay_words.header->keep_ms, keep_ms);
	return 0;
}

int hakt_decay_start(void **state)
{
	(void)state;
	return start_with(HAKT_KEEP_MS);
}

int hakt_decay_start_without_time(void **state)
{
	(void)state;
	return start_with(0);
}

int hakt_decay_stop(void **state)
{
	(void)state;
	hakmem_detach();
	hakt_words_deinit(&hakt_decay_words);
	return hakt_daemon_stop_empty(&hakt_decay_daemon);
}

uint64_t hakt_decay_counter(enum hak_stat stat)
{
	return hak_load_relaxed(&hakc_heap()->area->counters[stat]); /* relaxed: only compared */
}

uint64_t hakt_decay_granted(void)
{
	struct hakmem_stats stats;

	assert_int_equal(hakmem_stats(&stats, sizeof(stats)), 0);
	assert_int_equal(stats.refused_frees, 0);
	return stats.superslabs;
}

/* What has been asked of the daemon ahead has come: the clock of these tests doesn't wait for it. */
static void wait_answer(void)
{
	struct pollfd answer = {.fd = hakc_heap()->link.conn.fd, .events = POLLIN};

	if (hakc_heap()->is_asked)
		assert_int_equal(poll(&answer, 1, 60000), 1);
}

void hakt_decay_go_on(unsigned n_slices)
{
	wait_answer();
	for (unsigned i = 0; i < n_slices; i++) {
		void *block = hakmem_malloc(64);

		assert_non_null(block);
		hakmem_free(block);
		hakt_clock_pass(HAKT_SLICE_MS);
	}
}

void hakt_decay_expect_all_gone(unsigned n_slices)
{
	assert_true(hakt_decay_granted() > 1);
	hakt_decay_go_on(n_slices);
	assert_int_equal(hakt_decay_granted(), 1);
	assert_int_equal(hakt_daemon_status(&hakt_decay_daemon).granted_superslabs, 1);
}

void hakt_decay_make_and_free(size_t size, unsigned n)
{
	void *blocks[64];

	assert_true(n <= 64);
	for (unsigned i = 0; i < n; i++)
		assert_non_null(blocks[i] = hakmem_malloc(size));
	for (unsigned i = 0; i < n; i++)
		hakmem_free(blocks[i]);
}

void hakt_decay_free_small(char **blocks)
{
	for (unsigned i = 0; i < HAKT_SMALL; i++) {
		hakmem_free(blocks[(uint64_t)i * 7919 % HAKT_SMALL]);
		if (i % 1000 == 0)
			hakt_clock_pass(1);
	}
	free(blocks);
}

char **hakt_decay_make_small(void)
{
	char **blocks = malloc(HAKT_SMALL * sizeof(*blocks));

	assert_non_null(blocks);
	for (unsigned i = 0; i < HAKT_SMALL; i++)
		assert_non_null(blocks[i] = hakmem_malloc(64));
	return blocks;
}

void hakt_decay_in_thread(void *(*run)(void *), void *argument)
{
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, run, argument), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
}

void *hakt_decay_hold(void)
{
	void *block = hakmem_malloc(64);

	assert_non_null(block);
	return block;
}

void *hakt_decay_grow(void *argument)
{
	(void)argument;
	hakt_decay_free_small(hakt_decay_make_small());
	hakt_decay_make_and_free(HAKT_SPAN, 16);
	return NULL;
}

void hakt_decay_ask_ahead(void)
{
	struct hakc_heap *heap = hakc_heap();

	pthread_mutex_lock(&heap->lock);
	hakc_session_ask_ahead(heap, 4);
	pthread_mutex_unlock(&heap->lock);
	wait_answer();
	assert_true(hakt_daemon_status(&hakt_decay_daemon).granted_superslabs >
		    hakt_decay_granted());
}

void hakt_decay_fill(void)
{
	hakt_decay_make_and_free(5000, 1);
}
