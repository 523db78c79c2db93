/* SPDX-License-Identifier: MIT */
/* What a process keeps without need goes back when the registry asks. */
#include "tests/support/run.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>

#include "client_lib/include/hakmem.h"
#include "tests/support/decay.h"

static void ask(void)
{
	hak_add_relaxed(&hakt_decay_words.header->asked, 1); /* relaxed: see registry.h */
}

static bool has_seen(void)
{
	return hakc_self->decay.asked ==
	       hak_load_relaxed(&hakt_decay_words.header->asked); /* as above */
}

static void test_all_goes_back_when_asked(void **state)
{
	(void)state;
	hakt_decay_in_thread(hakt_decay_grow, NULL);
	hakt_decay_make_and_free(HAKT_SUPERSLAB, 6);
	hakt_decay_make_and_free(HAKT_RUN, 2);
	hakt_decay_make_and_free(HAKT_SPAN, 8);
	hakt_decay_free_small(hakt_decay_make_small());
	hakt_decay_ask_ahead();
	assert_true(hakt_decay_granted() > 20);
	ask();
	hakt_decay_fill();
	assert_int_equal(hakt_decay_granted(), 1);
	assert_int_equal(hakt_daemon_status(&hakt_decay_daemon).granted_superslabs, 1);
	hakt_decay_make_and_free(HAKT_SUPERSLAB, 6); /* once, not from now on */
	hakt_decay_make_and_free(6000, 1);
	assert_true(hakt_decay_granted() > 6);
}

static struct {
	sem_t is_ready, may_go_on;
} other;

static void *keep_and_go_on(void *argument)
{
	(void)argument;
	hakt_decay_make_and_free(HAKT_SPAN, 16);
	sem_post(&other.is_ready);
	sem_wait(&other.may_go_on);
	hakt_decay_make_and_free(5000, 1);
	sem_post(&other.is_ready);
	sem_wait(&other.may_go_on);
	return NULL;
}

static void test_each_thread_gives_when_it_comes_by(void **state)
{
	pthread_t thread;

	(void)state;
	sem_init(&other.is_ready, 0, 0);
	sem_init(&other.may_go_on, 0, 0);
	assert_int_equal(pthread_create(&thread, NULL, keep_and_go_on, NULL), 0);
	sem_wait(&other.is_ready);
	ask();
	hakt_decay_make_and_free(5000, 1);
	assert_true(hakt_decay_granted() >= 8); /* nobody else can get at its caches */
	sem_post(&other.may_go_on);
	sem_wait(&other.is_ready);
	assert_true(hakt_decay_granted() <= 2);
	sem_post(&other.may_go_on);
	assert_int_equal(pthread_join(thread, NULL), 0);
}

static void test_what_was_asked_ahead_goes_back_when_asked(void **state)
{
	void *held = hakt_decay_hold();

	(void)state;
	hakt_decay_ask_ahead();
	ask();
	hakt_decay_fill();
	assert_int_equal(hakt_daemon_status(&hakt_decay_daemon).granted_superslabs, 1);
	hakmem_free(held);
}

static void *fill_once(void *argument)
{
	hakt_decay_fill();
	assert_true(has_seen());
	return argument;
}

static void test_a_new_thread_does_not_take_it_for_its_own(void **state)
{
	(void)state;
	ask();
	hakt_decay_fill();
	hakt_decay_make_and_free(HAKT_SUPERSLAB, 6);
	hakt_decay_in_thread(fill_once, NULL);
	assert_int_equal(hakt_decay_counter(HAK_STAT_RETURNS), 0);
}

static void *freed_by_another[300];

static void *make_for_another(void *argument)
{
	(void)argument;
	for (unsigned i = 0; i < 300; i++)
		freed_by_another[i] = hakmem_malloc(100);
	sem_post(&other.is_ready);
	sem_wait(&other.may_go_on);
	return NULL;
}

/* Frees blocks that another thread claims, until they don't wait any more. */
static void free_of_another(void)
{
	pthread_t thread;

	sem_init(&other.is_ready, 0, 0);
	sem_init(&other.may_go_on, 0, 0);
	assert_int_equal(pthread_create(&thread, NULL, make_for_another, NULL), 0);
	sem_wait(&other.is_ready);
	ask();
	for (unsigned i = 0; i < 300; i++) {
		assert_non_null(freed_by_another[i]);
		hakmem_free(freed_by_another[i]);
	}
	sem_post(&other.may_go_on);
	assert_int_equal(pthread_join(thread, NULL), 0);
}

/* Each way by which a thread leaves its caches. */
static void test_slow_paths_see_that_they_are_asked(void **state)
{
	void *blocks[64], *large = hakmem_malloc(HAKT_SUPERSLAB);
	unsigned i;

	(void)state;
	ask();
	hakt_decay_fill();
	assert_true(has_seen());
	for (i = 0; i < 64; i++)
		blocks[i] = hakmem_malloc(30000);
	ask();
	for (i = 0; i < 64; i++) /* a magazine is full */
		hakmem_free(blocks[i]);
	assert_true(has_seen());
	ask();
	hakmem_free(large); /* a span is taken apart */
	assert_true(has_seen());
	ask();
	large = hakmem_malloc(HAKT_SUPERSLAB); /* and cut */
	assert_true(has_seen());
	free_of_another();
	assert_true(has_seen());
	hakmem_free(large);
}

static void test_a_free_that_gives_back_leaves_errno_alone(void **state)
{
	(void)state;
	hakt_decay_make_and_free(HAKT_SUPERSLAB, 2);
	hakt_daemon_kill(&hakt_decay_daemon); /* so that fails */
	errno = 77;
	free_of_another();
	assert_int_equal(errno, 77);
	assert_true(has_seen());
}

static int stop_killed(void **state)
{
	(void)state;
	hakmem_detach();
	hakt_words_deinit(&hakt_decay_words);
	hakt_directory_remove(hakt_decay_daemon.directory);
	return 0;
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test_setup_teardown(test_all_goes_back_when_asked,
					hakt_decay_start_without_time, hakt_decay_stop),
	cmocka_unit_test_setup_teardown(test_each_thread_gives_when_it_comes_by,
					hakt_decay_start_without_time, hakt_decay_stop),
	cmocka_unit_test_setup_teardown(test_what_was_asked_ahead_goes_back_when_asked,
					hakt_decay_start_without_time, hakt_decay_stop),
	cmocka_unit_test_setup_teardown(test_a_new_thread_does_not_take_it_for_its_own,
					hakt_decay_start_without_time, hakt_decay_stop),
	cmocka_unit_test_setup_teardown(test_slow_paths_see_that_they_are_asked,
					hakt_decay_start_without_time, hakt_decay_stop),
	cmocka_unit_test_setup_teardown(test_a_free_that_gives_back_leaves_errno_alone,
					hakt_decay_start_without_time, stop_killed),
};

HAKT_MAIN(tests, NULL, NULL)
