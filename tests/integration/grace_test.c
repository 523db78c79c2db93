/* SPDX-License-Identifier: MIT */
/*
 * Processes in a crossing, and stopped there: what waits for them, and what
 * doesn't. Unit tests of the grace itself are in unit/daemon/reclaim.
 */
#include "tests/support/run.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "client_lib/include/hakmem.h"
#include "client_lib/thread.h"
#include "proto/shm/crossing.h"
#include "tests/support/daemon.h"
#include "tests/support/mortal.h"
#include "tests/support/process.h"

/* In a child: stays in a crossing until it is told, or killed. */
static int cross(const void *context)
{
	(void)context;
	hakmem_free(hakmem_malloc(16)); /* attaches */
	hakmem_trim();
	hak_crossing_begin(hakc_self->crossing);
	hakt_child_say("crossing");
	hakt_child_wait();
	hak_crossing_end(hakc_self->crossing);
	hakt_child_say("across");
	hakt_child_wait();
	return 0;
}

static bool is_within_run(const void *block)
{
	uint64_t run = hak_ref_offset(hakt_mortal_shared->other);
	uint64_t offset = (uintptr_t)block - hakc_self->base;

	return offset >= run && offset < run + (UINT64_C(3) << 21);
}

/* Others get memory, and not what the dead had. */
static void check_others_get_on(void)
{
	for (unsigned i = 0; i < 20; i++) {
		char *block = hakmem_malloc(5000000);

		assert_non_null(block);
		assert_false(is_within_run(block));
		hakt_mortal_fill(block, 5000000, i);
		hakmem_free(block);
		assert_int_equal(hakmem_trim(), 0);
	}
}

static void test_one_stopped_in_a_crossing_delays_reuse_and_nothing_else(void **state)
{
	struct hakt_process stopped = {0}, x = {0};

	(void)state;
	hakt_mortal_start_child(&stopped, cross, "crossing");
	assert_int_equal(kill(stopped.pid, SIGSTOP), 0);
	hakt_mortal_start_child(&x, hakt_mortal_make_run, "made");
	hakt_mortal_kill(&x);
	hakt_daemon_wait_clients(&hakt_mortal_daemon, 1); /* the dead one's slot is free */
	assert_int_equal(hakt_daemon_status(&hakt_mortal_daemon).waiting_superslabs, 3);
	check_others_get_on();
	assert_true(hakt_daemon_counter(&hakt_mortal_daemon, "graces_waited") >= 1);
	assert_int_equal(kill(stopped.pid, SIGCONT), 0);
	hakt_process_tell(&stopped);
	hakt_process_wait_output(&stopped, 1, "across");
	hakt_daemon_wait_waiting(&hakt_mortal_daemon, 0);
	hakt_process_tell(&stopped);
	hakt_process_wait_done(&stopped);
	hakt_process_end(&stopped);
}

static void test_the_death_of_one_in_a_crossing_ends_the_grace(void **state)
{
	struct hakt_process stopped = {0}, x = {0};

	(void)state;
	hakt_mortal_start_child(&stopped, cross, "crossing");
	hakt_mortal_start_child(&x, hakt_mortal_make_run, "made");
	hakt_mortal_kill(&x);
	hakt_daemon_wait_clients(&hakt_mortal_daemon, 1);
	check_others_get_on();
	assert_true(hakt_daemon_status(&hakt_mortal_daemon).waiting_superslabs >= 3);
	hakt_mortal_kill(&stopped);
	hakt_daemon_wait_waiting(&hakt_mortal_daemon, 0);
}

static void test_who_needs_memory_that_waits_gets_it_after_the_grace(void **state)
{
	struct hakt_process stopped = {0}, x = {0};
	char *block;

	(void)state;
	hakt_mortal_start_child(&stopped, cross, "crossing");
	hakt_mortal_start_child(&x, hakt_mortal_make_run, "made");
	hakt_mortal_kill(&x);
	hakt_daemon_wait_clients(&hakt_mortal_daemon, 1);
	assert_null(hakmem_malloc(12000000)); /* all that there may be: it has waited for it */
	hakt_process_tell(&stopped);
	hakt_process_wait_output(&stopped, 1, "across");
	block = hakmem_malloc(12000000);
	assert_non_null(block);
	hakmem_free(block);
	hakt_process_tell(&stopped);
	hakt_process_wait_done(&stopped);
	hakt_process_end(&stopped);
}

static int start_small(void **state)
{
	(void)state;
	return hakt_mortal_start(
		HAKT_LIST("--limit", "16M", "--capacity", "16M", "--log-level", "warn"));
}

static void test_an_orphan_is_no_heirs_during_its_grace(void **state)
{
	struct hakt_process stopped = {0}, x = {0};
	void *block, *other;

	(void)state;
	hakt_mortal_start_child(&x, hakt_mortal_make_blocks, "made");
	hakt_mortal_start_child(&stopped, cross, "crossing");
	assert_int_equal(hakmem_take(hakt_mortal_shared->refs[0], &block), 0);
	hakt_mortal_kill(&x);
	hakt_daemon_wait_clients(&hakt_mortal_daemon, 2);
	other = hakmem_malloc(16);
	assert_non_null(other);
	assert_int_equal(hakt_daemon_counter(&hakt_mortal_daemon, "inherited_superslabs"), 0);
	hakt_process_tell(&stopped);
	hakt_process_wait_output(&stopped, 1, "across");
	hakmem_free(other);
	hakmem_free(block);
	assert_int_equal(hakmem_trim(), 0);
	hakt_daemon_wait_orphans(&hakt_mortal_daemon, 0);
	hakt_process_tell(&stopped);
	hakt_process_wait_done(&stopped);
	hakt_process_end(&stopped);
}

/* In a child: fills the pool, with room for a slab here and there. */
static int make_full(const void *context)
{
	unsigned n = 0;

	(void)context;
	for (char *block; (block = hakmem_malloc(1800000)) != NULL; n++)
		hakt_mortal_shared->refs[n] = hakmem_ref(block);
	HAKT_EXPECT(n >= 4);
	hakt_child_say("made");
	hakt_child_wait();
	return 0;
}

/* In a child: asks while all that there is belongs to orphans in their grace. */
static int ask(const void *context)
{
	(void)context;
	hakt_child_say("asking");
	HAKT_EXPECT(hakmem_malloc(1000));
	hakt_child_say("got it");
	hakt_child_wait();
	return 0;
}

static void test_who_needs_an_orphan_waits_for_its_grace(void **state)
{
	struct hakt_process stopped = {0}, x = {0}, z = {0};
	void *blocks[8];
	unsigned n = 0;

	(void)state;
	hakt_mortal_start_child(&stopped, cross, "crossing");
	hakt_mortal_start_child(&x, make_full, "made");
	for (; n < 8 && hakt_mortal_shared->refs[n]; n++)
		assert_int_equal(hakmem_take(hakt_mortal_shared->refs[n], &blocks[n]), 0);
	hakt_mortal_kill(&x);
	hakt_daemon_wait_clients(&hakt_mortal_daemon, 2);
	hakt_mortal_start_child(&z, ask, "asking");
	usleep(300000);
	assert_null(strstr(hakt_process_output(&z, 1), "got it"));
	hakt_process_tell(&stopped);
	hakt_process_wait_output(&z, 1, "got it");
	assert_true(hakt_daemon_counter(&hakt_mortal_daemon, "inherited_superslabs") >= 1);
	hakt_mortal_kill(&z);
	hakt_mortal_kill(&stopped);
	while (n > 0)
		hakmem_free(blocks[--n]);
	assert_int_equal(hakmem_trim(), 0);
	hakt_daemon_wait_orphans(&hakt_mortal_daemon, 0);
}

/* The daemon's end would show what is left of it (LeakSanitizer). */
static void test_a_pool_that_is_reset_in_a_grace_goes_whole(void **state)
{
	pid_t pid = hakt_mortal_daemon.pid;
	struct hakt_process stopped = {0}, x = {0}, ctl = {0};
	unsigned n_fds;
	void *block;

	(void)state;
	assert_true(hakt_daemon_is_empty(&hakt_mortal_daemon)); /* and at work */
	n_fds = hakt_process_count_fds(pid);
	hakt_mortal_start_child(&x, make_full, "made");
	hakt_mortal_start_child(&stopped, cross, "crossing");
	for (unsigned i = 0; i < 8 && hakt_mortal_shared->refs[i]; i++)
		assert_int_equal(hakmem_take(hakt_mortal_shared->refs[i], &block), 0);
	hakt_mortal_kill(&x);
	assert_null(hakmem_malloc(1000)); /* it has waited for the grace */
	hakt_process_run(&ctl, HAKT_LIST(HAKT_HAKMEMCTL, "pool", "reset", "default"));
	assert_int_equal(ctl.exit_code, 0);
	hakt_process_end(&ctl);
	hakmem_detach();
	hakt_mortal_kill(&stopped);
	hakt_process_wait_fds(pid, n_fds);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test_setup_teardown(
		test_one_stopped_in_a_crossing_delays_reuse_and_nothing_else, hakt_mortal_setup,
		hakt_mortal_stop),
	cmocka_unit_test_setup_teardown(test_the_death_of_one_in_a_crossing_ends_the_grace,
					hakt_mortal_setup, hakt_mortal_stop),
	cmocka_unit_test_setup_teardown(test_who_needs_memory_that_waits_gets_it_after_the_grace,
					start_small, hakt_mortal_stop),
	cmocka_unit_test_setup_teardown(test_who_needs_an_orphan_waits_for_its_grace, start_small,
					hakt_mortal_stop),
	cmocka_unit_test_setup_teardown(test_a_pool_that_is_reset_in_a_grace_goes_whole,
					start_small, hakt_mortal_stop),
	cmocka_unit_test_setup_teardown(test_an_orphan_is_no_heirs_during_its_grace,
					hakt_mortal_setup, hakt_mortal_stop),
};

HAKT_MAIN(tests, NULL, NULL)
