/* SPDX-License-Identifier: MIT */
/*
 * What survives the death of a process, and what doesn't: real processes, killed.
 * X owns slabs, Y holds blocks in them, Z comes later. The test's own process is
 * one of them, or looks on.
 */
#include "tests/support/run.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "client_lib/include/hakmem.h"
#include "client_lib/thread.h"
#include "tests/support/ctl.h"
#include "tests/support/daemon.h"
#include "tests/support/mortal.h"
#include "tests/support/process.h"
#include "tests/support/random.h"

enum { PARTIES = 4, MANY = HAKT_MORTAL_REFS / PARTIES, ROUNDS = 12 };

static void pause_1ms(void)
{
	const struct timespec pause = {.tv_nsec = 1000000};

	nanosleep(&pause, NULL);
}

/* In a child: takes all that hakt_mortal_make_blocks made. */
static int take_blocks(const void *context)
{
	void *blocks[HAKT_MORTAL_SIZES];

	(void)context;
	for (unsigned i = 0; i < HAKT_MORTAL_SIZES; i++)
		HAKT_EXPECT(hakmem_take(hakt_mortal_shared->refs[i], &blocks[i]) == 0);
	hakt_child_say("taken");
	hakt_child_wait(); /* until the owner is dead, or we are killed */
	for (unsigned i = 0; i < HAKT_MORTAL_SIZES; i++) {
		HAKT_EXPECT(hakt_mortal_is_as_made(blocks[i], hakt_mortal_sizes[i], i));
		hakmem_free(blocks[i]);
	}
	hakmem_trim();
	hakt_child_say("freed");
	hakt_child_wait();
	return 0;
}

/* Nothing of this process's is allocated any more. */
static void check_nothing_lives(void)
{
	struct hakmem_stats stats;

	assert_int_equal(hakmem_trim(), 0);
	assert_int_equal(hakmem_stats(&stats, sizeof(stats)), 0);
	assert_int_equal(stats.live_blocks, 0);
	assert_int_equal(stats.refused_frees, 0);
}

static void test_what_was_taken_survives_its_slabs_owner(void **state)
{
	struct hakt_process x = {0};
	void *blocks[HAKT_MORTAL_SIZES], *untouched = NULL;
	struct hakmem_stats stats;

	(void)state;
	hakt_mortal_start_child(&x, hakt_mortal_make_blocks, "made");
	for (unsigned i = 0; i < HAKT_MORTAL_SIZES; i++)
		assert_int_equal(hakmem_take(hakt_mortal_shared->refs[i], &blocks[i]), 0);
	hakt_mortal_kill(&x);
	hakt_daemon_wait_clients(&hakt_mortal_daemon, 1);
	assert_true(hakt_daemon_status(&hakt_mortal_daemon).orphan_superslabs >= 3); /* the run's */
	for (unsigned i = 0; i < HAKT_MORTAL_SIZES; i++) {
		assert_true(hakt_mortal_is_as_made(blocks[i], hakt_mortal_sizes[i], i));
		assert_int_equal(hakmem_owner(blocks[i], NULL), HAKMEM_OWNER_SELF);
	}
	/* What nobody took went with it. */
	assert_int_equal(hakmem_take(hakt_mortal_shared->other, &untouched), -ESTALE);
	assert_int_equal(hakt_daemon_counter(&hakt_mortal_daemon, "scan_survived"),
			 HAKT_MORTAL_SIZES);
	for (unsigned i = 0; i < HAKT_MORTAL_SIZES; i++)
		hakmem_free(blocks[i]);
	assert_int_equal(hakmem_trim(), 0);
	hakt_daemon_wait_orphans(&hakt_mortal_daemon, 0);
	assert_int_equal(hakmem_stats(&stats, sizeof(stats)), 0);
	assert_int_equal(stats.refused_frees, 0);
}

static void test_survivors_tickets_stay_good(void **state)
{
	struct hakt_process x = {0};
	void *block, *again;
	hakmem_ref_t ref;

	(void)state;
	hakt_mortal_start_child(&x, hakt_mortal_make_blocks, "made");
	assert_int_equal(hakmem_take(hakt_mortal_shared->refs[2], &block), 0);
	ref = hakmem_ref(block);
	hakt_mortal_kill(&x);
	hakt_daemon_wait_clients(&hakt_mortal_daemon, 1);
	assert_int_equal(hakmem_ref(block), ref);
	assert_int_equal(hakmem_take(ref, &again), 0);
	assert_ptr_equal(again, block);
	hakmem_free(block);
}

static void test_what_the_dead_held_is_free_again(void **state)
{
	struct hakt_process y = {0};

	(void)state;
	for (unsigned i = 0; i < HAKT_MORTAL_SIZES; i++) {
		char *block = hakmem_malloc(hakt_mortal_sizes[i]);

		assert_non_null(block);
		hakt_mortal_shared->refs[i] = hakmem_ref(block);
	}
	hakt_mortal_start_child(&y, take_blocks, "taken");
	assert_int_equal(hakmem_owner(hakmem_ptr(hakt_mortal_shared->refs[0]), NULL),
			 HAKMEM_OWNER_OTHER);
	hakt_mortal_kill(&y);
	hakt_daemon_wait_clients(&hakt_mortal_daemon, 1);
	assert_int_equal(hakt_daemon_counter(&hakt_mortal_daemon, "scan_freed"), HAKT_MORTAL_SIZES);
	check_nothing_lives();
}

/* In a child: dies between the two steps of a free. */
static int free_half(const void *context)
{
	struct hak_location l;
	void *block;

	(void)context;
	HAKT_EXPECT(hakmem_take(hakt_mortal_shared->refs[0], &block) == 0);
	l = hak_segment_locate(&hakc_self->heap->segment, (uintptr_t)block);
	HAKT_EXPECT(hak_tag_free_held(&hak_segment_tags(&hakc_self->heap->segment, l.slot)[l.index],
				      hakc_self->heap->holder));
	raise(SIGKILL);
	return 0;
}

static void test_a_free_that_was_cut_short_is_finished(void **state)
{
	struct hakt_process y = {0};
	char *block = hakmem_malloc(1000);

	(void)state;
	assert_non_null(block);
	hakt_mortal_shared->refs[0] = hakmem_ref(block);
	hakt_process_fork(&y, free_half, NULL);
	hakt_process_wait(&y);
	assert_int_equal(y.signal, SIGKILL);
	hakt_process_end(&y);
	hakt_daemon_wait_clients(&hakt_mortal_daemon, 1);
	check_nothing_lives();
}

/* In a child: the bit is set, and nobody is told. */
static int free_without_hint(const void *context)
{
	struct hak_segment *segment;
	struct hak_location l;
	void *block;

	(void)context;
	HAKT_EXPECT(hakmem_take(hakt_mortal_shared->refs[0], &block) == 0);
	segment = &hakc_self->heap->segment;
	l = hak_segment_locate(segment, (uintptr_t)block);
	HAKT_EXPECT(hak_tag_free_held(&hak_segment_tags(segment, l.slot)[l.index],
				      hakc_self->heap->holder));
	HAKT_EXPECT(hak_slab_free(hak_segment_bits(segment, l.slot), 1) == 0);
	raise(SIGKILL);
	return 0;
}

static void test_a_hint_that_died_with_its_process_is_raised(void **state)
{
	struct hakt_process y = {0};
	char *block = hakmem_malloc(1500000); /* a span: only a hint tells that it is free */

	(void)state;
	assert_non_null(block);
	hakt_mortal_shared->refs[0] = hakmem_ref(block);
	hakt_process_fork(&y, free_without_hint, NULL);
	hakt_process_wait(&y);
	assert_int_equal(y.signal, SIGKILL);
	hakt_process_end(&y);
	hakt_daemon_wait_clients(&hakt_mortal_daemon, 1);
	check_nothing_lives();
	/* Given back by now. */
	assert_int_equal(hakt_daemon_status(&hakt_mortal_daemon).granted_superslabs, 0);
}

static void test_an_orphan_is_inherited_and_both_work_on(void **state)
{
	struct hakt_process x = {0}, y = {0};
	struct hakmem_stats stats;
	char *blocks[MANY];

	(void)state;
	hakt_mortal_start_child(&x, hakt_mortal_make_blocks, "made");
	hakt_mortal_start_child(&y, take_blocks, "taken");
	hakt_mortal_kill(&x);
	hakt_daemon_wait_clients(&hakt_mortal_daemon, 1);
	for (unsigned i = 0; i < MANY; i++) {
		blocks[i] = hakmem_malloc(i % 2 ? 1000 : 30000);
		assert_non_null(blocks[i]);
		hakt_mortal_fill(blocks[i], 1000, i);
	}
	assert_true(hakt_daemon_counter(&hakt_mortal_daemon, "inherited_superslabs") >= 1);
	/* Only those without room are nobody's still. */
	assert_int_equal(hakmem_stats(&stats, sizeof(stats)), 0);
	hakt_process_tell(&y);
	hakt_process_wait_output(&y, 1, "freed"); /* and they were as they had been made */
	for (unsigned i = 0; i < MANY; i++) {
		assert_true(hakt_mortal_is_as_made(blocks[i], 1000, i));
		hakmem_free(blocks[i]);
	}
	hakt_daemon_wait_orphans(&hakt_mortal_daemon, 0);
	check_nothing_lives();
	hakt_process_tell(&y);
	hakt_process_wait_done(&y);
	hakt_process_end(&y);
}

static void test_a_huge_orphan_goes_with_its_holder(void **state)
{
	struct hakt_process x = {0}, y = {0};

	(void)state;
	for (unsigned round = 0; round < 2; round++) {
		hakt_mortal_start_child(&x, hakt_mortal_make_blocks, "made");
		hakt_mortal_start_child(&y, take_blocks, "taken");
		hakt_mortal_kill(&x);
		hakt_daemon_wait_clients(&hakt_mortal_daemon, 1);
		assert_true(hakt_daemon_status(&hakt_mortal_daemon).orphan_superslabs >= 3);
		if (round == 0) { /* it frees */
			hakt_process_tell(&y);
			hakt_process_wait_output(&y, 1, "freed");
			hakt_daemon_wait_orphans(&hakt_mortal_daemon, 0);
		}
		hakt_mortal_kill(&y); /* or dies */
		hakt_daemon_wait_orphans(&hakt_mortal_daemon, 0);
		hakt_daemon_wait_empty(&hakt_mortal_daemon);
	}
}

/* In a child: a run that is longer than its span, as one that is killed when it grows leaves it. */
static int make_long_run(const void *context)
{
	char *block = hakmem_malloc(5000000);
	uint32_t slot = (uint32_t)(((uintptr_t)block - hakc_self->base) >> HAK_SLOT_LG);

	(void)context;
	HAKT_EXPECT(block);
	HAKT_EXPECT(hak_slab_resize_span(&hakc_self->heap->segment.slab_words[slot],
					 hakc_self->heap->holder, 90));
	hakt_mortal_shared->other = hakmem_ref(block);
	hakt_child_say("made");
	hakt_child_wait();
	return 0;
}

static void test_a_huge_orphan_has_no_heir_though_it_has_room(void **state)
{
	struct hakt_process x = {0};
	void *run, *block;

	(void)state;
	hakt_mortal_start_child(&x, make_long_run, "made");
	assert_int_equal(hakmem_take(hakt_mortal_shared->other, &run), 0);
	hakt_mortal_kill(&x);
	hakt_daemon_wait_clients(&hakt_mortal_daemon, 1);
	usleep(200000); /* by then it has been looked at */
	assert_int_equal(hakt_daemon_status(&hakt_mortal_daemon).orphan_superslabs, 3);
	block = hakmem_malloc(1000);
	assert_non_null(block);
	assert_int_equal(hakt_daemon_counter(&hakt_mortal_daemon, "inherited_superslabs"), 0);
	hakmem_free(block);
	hakmem_free(run);
	assert_int_equal(hakmem_trim(), 0);
	hakt_daemon_wait_orphans(&hakt_mortal_daemon, 0);
}

/* In a child: spans in more SuperSlabs than a job scans, refs of the first and the last. */
static int make_many(const void *context)
{
	enum { N = 140, BYTES = 1000000 }; /* two a SuperSlab */

	(void)context;
	for (unsigned i = 0; i < N; i++) {
		char *block = hakmem_malloc(BYTES);

		HAKT_EXPECT(block);
		hakt_mortal_fill(block, 1000, i);
		if (i == 0 || i == N - 1)
			hakt_mortal_shared->refs[i > 0] = hakmem_ref(block);
	}
	hakt_child_say("made");
	hakt_child_wait();
	return 0;
}

static void test_a_heap_of_many_superslabs_is_scanned_whole(void **state)
{
	struct hakt_process x = {0};
	unsigned long long n;
	void *blocks[2];

	(void)state;
	hakt_mortal_start_child(&x, make_many, "made");
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(hakmem_take(hakt_mortal_shared->refs[i], &blocks[i]), 0);
	n = hakt_daemon_status(&hakt_mortal_daemon).granted_superslabs;
	assert_true(n >= 70);
	hakt_mortal_kill(&x);
	hakt_daemon_wait_clients(&hakt_mortal_daemon, 1);
	assert_int_equal(hakt_daemon_status(&hakt_mortal_daemon).orphan_superslabs, 2);
	hakt_daemon_wait_waiting(&hakt_mortal_daemon, 0);
	assert_int_equal(hakt_daemon_counter(&hakt_mortal_daemon, "collected_superslabs"), n - 2);
	assert_int_equal(hakt_daemon_status(&hakt_mortal_daemon).anomalies, 0);
	assert_true(hakt_mortal_is_as_made(blocks[0], 1000, 0));
	assert_true(hakt_mortal_is_as_made(blocks[1], 1000, 139));
	hakmem_free(blocks[0]);
	hakmem_free(blocks[1]);
	assert_int_equal(hakmem_trim(), 0);
	hakt_daemon_wait_orphans(&hakt_mortal_daemon, 0);
}

/* In a child: blocks of all kinds, refs to all, and takes half of what the others made. */
static int exchange(const void *context)
{
	const unsigned *place = context;
	void *block;

	for (unsigned i = 0; i < MANY; i++) {
		block = hakmem_malloc(hakt_mortal_sizes[i % (HAKT_MORTAL_SIZES - 3)]);
		HAKT_EXPECT(block);
		hakt_mortal_shared->refs[*place * MANY + i] = hakmem_ref(block);
	}
	hak_add_relaxed(&hakt_mortal_shared->n_made, 1);
	while (hak_load_relaxed(&hakt_mortal_shared->n_made) < PARTIES)
		pause_1ms();
	for (unsigned i = 0; i < HAKT_MORTAL_REFS; i++)
		if (hakmem_take(hakt_mortal_shared->refs[i], &block) == 0 && i % 3 == 0)
			hakmem_free(block);
	hakt_child_say("taken");
	hakt_child_wait();
	return 0;
}

static void test_many_that_hold_each_others_blocks_die_at_once(void **state)
{
	uint64_t seed = hakt_random_seed();

	(void)state;
	for (unsigned round = 0; round < ROUNDS; round++) {
		struct hakt_process parties[PARTIES] = {0};
		unsigned first = (unsigned)(hakt_random(&seed) % PARTIES);

		hak_store_relaxed(&hakt_mortal_shared->n_made, 0);
		for (unsigned i = 0; i < PARTIES; i++)
			hakt_process_fork(&parties[i], exchange, &i);
		for (unsigned i = 0; i < PARTIES; i++)
			hakt_process_wait_output(&parties[i], 1, "taken");
		/* All at once, or while the scans for the first are under way, or after them. */
		for (unsigned i = 0; i < PARTIES; i++) {
			assert_int_equal(kill(parties[(first + i) % PARTIES].pid, SIGKILL), 0);
			if (round % 3)
				usleep((useconds_t)(hakt_random(&seed) % (round % 3 * 1500)));
		}
		for (unsigned i = 0; i < PARTIES; i++) {
			hakt_process_wait(&parties[i]);
			hakt_process_end(&parties[i]);
		}
		hakt_daemon_wait_empty(&hakt_mortal_daemon);
		assert_int_equal(hakt_daemon_status(&hakt_mortal_daemon).orphan_superslabs, 0);
	}
}

/* How many tags of a SuperSlab aren't zero. */
static unsigned count_tags(uint32_t superslab)
{
	const struct hak_segment *segment = &hakc_self->heap->segment;
	uint32_t per = segment->geometry.slots_per_superslab;
	const hak_u32 *tags = hak_segment_tags(segment, superslab * per);
	unsigned n = 0;

	for (uint32_t i = 0; i < per * HAK_CLASS_BLOCKS; i++)
		n += hak_load_relaxed(&tags[i]) != 0;
	return n;
}

/* An old FREEING would free a block under its next owner. */
static void test_what_is_granted_again_has_no_old_tags(void **state)
{
	struct hakt_process x = {0};
	uint32_t superslab;
	void *block;

	(void)state;
	hakt_mortal_start_child(&x, hakt_mortal_make_blocks, "made");
	superslab = (uint32_t)(hak_ref_offset(hakt_mortal_shared->refs[0]) >> 21);
	assert_int_equal(hakmem_take(hakt_mortal_shared->refs[0], &block), 0);
	assert_true(count_tags(superslab) > 0);
	hakt_mortal_kill(&x);
	hakt_daemon_wait_clients(&hakt_mortal_daemon, 1);
	hakmem_free(block);
	assert_int_equal(hakmem_trim(), 0);
	hakt_daemon_wait_orphans(&hakt_mortal_daemon, 0);
	hakt_daemon_wait_waiting(&hakt_mortal_daemon, 0);
	assert_int_equal(count_tags(superslab), 0);
}

static char hold_path[64];

static int start_held(void **state)
{
	int r;

	(void)state;
	snprintf(hold_path, sizeof(hold_path), "/tmp/hakt-hold-%d", (int)getpid());
	setenv("HAKT_HOLD", hold_path, 1);
	setenv("LD_PRELOAD", HAKT_HAKT_HOLD, 1);
	setenv("ASAN_OPTIONS", "verify_asan_link_order=0", 1);
	r = hakt_mortal_start(HAKT_LIST("--limit", "256M", "--log-level", "warn"));
	unsetenv("LD_PRELOAD");
	return r;
}

static void hold(void)
{
	int fd = open(hold_path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	close(fd);
}

static int stop_held(void **state)
{
	unlink(hold_path);
	return hakt_mortal_stop(state);
}

static void wait_reclaiming(pid_t pid)
{
	char text[HAKT_CTL_STATE_BYTES];

	for (unsigned i = 0; i < 30000; i++) {
		hakt_ctl_client_state(hakt_mortal_daemon.socket, pid, text);
		if (strcmp(text, "reclaiming") == 0)
			return;
		pause_1ms();
	}
	fail_msg("not reclaiming: %s", text);
}

/* In a child: from the reserve, so that nothing is given back for it. */
static int make_small(const void *context)
{
	(void)context;
	HAKT_EXPECT(hakmem_malloc(16));
	hakt_mortal_shared->holder = hakc_self->heap->holder;
	hakt_child_say("made");
	hakt_child_wait();
	return 0;
}

static void test_the_slot_of_the_dead_is_free_after_its_scans(void **state)
{
	struct hakt_process x = {0}, z = {0};
	unsigned holder;
	pid_t pid;

	(void)state;
	hakt_mortal_start_child(&x, hakt_mortal_make_run, "made");
	holder = hakt_mortal_shared->holder;
	pid = x.pid;
	hold();
	hakt_mortal_kill(&x);
	wait_reclaiming(pid);
	hakt_mortal_start_child(&z, make_small, "made"); /* the daemon answers meanwhile */
	assert_int_not_equal(hakt_mortal_shared->holder, holder);
	assert_int_equal(unlink(hold_path), 0);
	hakt_mortal_kill(&z);
	hakt_daemon_wait_empty(&hakt_mortal_daemon);
	hakt_mortal_start_child(&z, make_small, "made");
	assert_int_equal(hakt_mortal_shared->holder, holder);
	hakt_mortal_kill(&z);
}

static void test_a_second_death_during_a_scan_is_scanned_too(void **state)
{
	struct hakt_process x = {0}, y = {0}, z = {0};
	pid_t pid;

	(void)state;
	hakt_mortal_start_child(&x, hakt_mortal_make_blocks, "made");
	hakt_mortal_start_child(&y, take_blocks, "taken");
	hakt_mortal_start_child(&z, hakt_mortal_make_run, "made");
	pid = z.pid;
	hold();
	hakt_mortal_kill(&z); /* held in the scan of its run */
	wait_reclaiming(pid);
	pid = x.pid;
	hakt_mortal_kill(&x); /* likewise */
	wait_reclaiming(pid);
	hakt_mortal_kill(&y); /* whose own slabs are none: its blocks are in X's */
	assert_int_equal(unlink(hold_path), 0);
	hakt_daemon_wait_empty(&hakt_mortal_daemon);
	assert_int_equal(hakt_daemon_status(&hakt_mortal_daemon).orphan_superslabs, 0);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test_setup_teardown(test_what_was_taken_survives_its_slabs_owner,
					hakt_mortal_setup, hakt_mortal_stop),
	cmocka_unit_test_setup_teardown(test_survivors_tickets_stay_good, hakt_mortal_setup,
					hakt_mortal_stop),
	cmocka_unit_test_setup_teardown(test_what_the_dead_held_is_free_again, hakt_mortal_setup,
					hakt_mortal_stop),
	cmocka_unit_test_setup_teardown(test_a_free_that_was_cut_short_is_finished,
					hakt_mortal_setup, hakt_mortal_stop),
	cmocka_unit_test_setup_teardown(test_a_hint_that_died_with_its_process_is_raised,
					hakt_mortal_setup, hakt_mortal_stop),
	cmocka_unit_test_setup_teardown(test_an_orphan_is_inherited_and_both_work_on,
					hakt_mortal_setup, hakt_mortal_stop),
	cmocka_unit_test_setup_teardown(test_a_huge_orphan_goes_with_its_holder, hakt_mortal_setup,
					hakt_mortal_stop),
	cmocka_unit_test_setup_teardown(test_a_huge_orphan_has_no_heir_though_it_has_room,
					hakt_mortal_setup, hakt_mortal_stop),
	cmocka_unit_test_setup_teardown(test_a_heap_of_many_superslabs_is_scanned_whole,
					hakt_mortal_setup, hakt_mortal_stop),
	cmocka_unit_test_setup_teardown(test_many_that_hold_each_others_blocks_die_at_once,
					hakt_mortal_setup, hakt_mortal_stop),
	cmocka_unit_test_setup_teardown(test_what_is_granted_again_has_no_old_tags,
					hakt_mortal_setup, hakt_mortal_stop),
	cmocka_unit_test_setup_teardown(test_the_slot_of_the_dead_is_free_after_its_scans,
					start_held, stop_held),
	cmocka_unit_test_setup_teardown(test_a_second_death_during_a_scan_is_scanned_too,
					start_held, stop_held),
};

HAKT_MAIN(tests, NULL, NULL)
