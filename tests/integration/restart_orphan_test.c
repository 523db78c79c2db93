/* SPDX-License-Identifier: MIT */
/*
 * Blocks that outlive their maker, and a daemon that is killed while they do: X
 * makes a small and a huge one, Y takes both.
 */
#include "tests/support/run.h"

#include <stddef.h>
#include <stdio.h>
#include <unistd.h>

#include "client_lib/include/hakmem.h"
#include "proto/shm/segment.h"
#include "tests/support/ctl.h"
#include "tests/support/holding.h"
#include "tests/support/keeper.h"
#include "tests/support/words.h"

enum { SMALL = 100, N_HUGE = 3 /* SuperSlabs of a huge block */ };

static struct hakt_process maker, taker;

static void restart(void)
{
	hakt_keeper_kill(&hakt_keeper);
	hakt_keeper_start(&hakt_keeper);
}

/* Waits until so much is granted, orphans included, so many are orphans, and so many wait. */
static void wait_for(unsigned long long granted, unsigned long long orphans,
		     unsigned long long waiting)
{
	struct hakt_status status;

	for (unsigned i = 0; i < 1000; i++) {
		status = hakt_daemon_status(&hakt_keeper.daemon);
		if (status.granted_superslabs == granted && status.orphan_superslabs == orphans &&
		    status.waiting_superslabs == waiting)
			return;
		usleep(10000);
	}
	fail_msg("%llu granted, %llu orphans, %llu waiting", status.granted_superslabs,
		 status.orphan_superslabs, status.waiting_superslabs);
}

static int make(const void *context)
{
	char *small = hakmem_malloc(SMALL), *huge = hakt_block_make('h');

	(void)context;
	HAKT_EXPECT(small);
	memset(small, 's', SMALL);
	hakt_child_say("refs %llu %llu", (unsigned long long)hakmem_ref(small),
		       (unsigned long long)hakmem_ref(huge));
	pause();
	return 0;
}

struct refs {
	unsigned long long small, huge;
};

/* Takes both, and frees one whenever it is told to. */
static int take(const void *context)
{
	const struct refs *refs = context;
	void *took[2];
	char *small, *huge;

	HAKT_EXPECT(hakmem_take(refs->small, &took[0]) == 0);
	HAKT_EXPECT(hakmem_take(refs->huge, &took[1]) == 0);
	small = took[0], huge = took[1];
	hakt_child_say("took");
	hakt_child_wait();
	for (unsigned i = 0; i < SMALL; i++)
		HAKT_EXPECT(small[i] == 's');
	hakt_block_expect(huge, 'h');
	hakmem_free(huge);
	hakmem_trim(); /* flushes */
	hakt_child_say("freed one");
	hakt_child_wait();
	HAKT_EXPECT(small[0] == 's' && small[SMALL - 1] == 's');
	hakmem_free(small);
	hakmem_trim();
	hakt_child_say("freed all");
	hakt_child_wait();
	return 0;
}

static void start_both(void)
{
	struct refs refs;

	maker = taker = (struct hakt_process){0};
	hakt_process_fork(&maker, make, NULL);
	hakt_process_wait_output(&maker, 1, "\n");
	assert_int_equal(
		sscanf(hakt_process_output(&maker, 1), "refs %llu %llu", &refs.small, &refs.huge),
		2);
	hakt_process_fork(&taker, take, &refs);
	hakt_process_wait_output(&taker, 1, "took");
}

static void test_survivors_go_with_their_last_block(void **state)
{
	(void)state;
	/* The daemon dies before it looks for the dead's, or when there are orphans. */
	for (unsigned round = 0; round < 2; round++) {
		start_both();
		if (round == 0)
			hakt_keeper_kill(&hakt_keeper);
		hakt_holding_kill(&maker);
		if (round == 0)
			hakt_keeper_start(&hakt_keeper);
		wait_for(1 + N_HUGE, 1 + N_HUGE, 0);
		restart();
		wait_for(1 + N_HUGE, 1 + N_HUGE, 0);
		hakt_daemon_wait_clients(&hakt_keeper.daemon, 1);
		hakt_keeper_expect_clean(&hakt_keeper);
		hakt_process_tell(&taker);
		hakt_process_wait_output(&taker, 1, "freed one");
		wait_for(1, 1, 0);
		hakt_keeper_kill(&hakt_keeper);
		hakt_process_tell(&taker);
		hakt_process_wait_output(&taker, 1, "freed all"); /* nobody looks */
		hakt_keeper_start(&hakt_keeper);
		wait_for(0, 0, 0);
		hakt_keeper_expect_clean(&hakt_keeper);
		hakt_process_tell(&taker);
		hakt_process_wait_done(&taker);
		hakt_process_end(&taker);
	}
}

static void test_what_the_taker_held_goes_with_it_when_both_die(void **state)
{
	(void)state;
	start_both();
	hakt_keeper_kill(&hakt_keeper);
	hakt_holding_kill(&maker);
	hakt_holding_kill(&taker);
	hakt_keeper_start(&hakt_keeper);
	hakt_daemon_wait_empty(&hakt_keeper.daemon);
	hakt_keeper_expect_clean(&hakt_keeper);
}

static int allocate(const void *context)
{
	char *block = hakmem_malloc(SMALL);

	(void)context;
	HAKT_EXPECT(block);
	memset(block, 'z', SMALL);
	hakt_child_say("has one");
	hakt_child_wait();
	for (unsigned i = 0; i < SMALL; i++)
		HAKT_EXPECT(block[i] == 'z');
	hakmem_free(block);
	return 0;
}

/* A process that has got the orphan. The daemon has to have looked at that before: until then
 * what others get is fresh. */
static void start_heir(struct hakt_process *heir)
{
	for (unsigned i = 0; i < 200; i++) {
		hakt_process_fork(heir, allocate, NULL);
		hakt_process_wait_output(heir, 1, "has one");
		if (hakt_daemon_counter(&hakt_keeper.daemon, "inherited_superslabs") > 0)
			return;
		hakt_process_tell(heir);
		hakt_process_wait_done(heir);
		hakt_process_end(heir);
	}
	fail_msg("nobody inherits");
}

static void test_an_orphan_of_the_daemon_before_is_inherited(void **state)
{
	struct hakt_process heir = {0};

	(void)state;
	start_both();
	hakt_holding_kill(&maker);
	wait_for(1 + N_HUGE, 1 + N_HUGE, 0);
	restart();
	start_heir(&heir);
	assert_int_equal(hakt_daemon_counter(&hakt_keeper.daemon, "inherited_superslabs"), 1);
	wait_for(1 + N_HUGE, N_HUGE, 0);
	restart(); /* and the heir's of the next */
	hakt_process_tell(&taker);
	hakt_process_wait_output(&taker, 1, "freed one");
	hakt_process_tell(&taker);
	hakt_process_wait_output(&taker, 1, "freed all");
	wait_for(1, 0, 0);
	hakt_keeper_expect_clean(&hakt_keeper);
	hakt_process_tell(&heir);
	hakt_process_wait_done(&heir);
	hakt_process_end(&heir);
	hakt_process_tell(&taker);
	hakt_process_wait_done(&taker);
	hakt_process_end(&taker);
	hakt_daemon_wait_empty(&hakt_keeper.daemon);
	hakt_keeper_expect_clean(&hakt_keeper);
}

/* Adds one to the counter of crossings of a client's first thread, as if that began or ended one. */
static void count_crossing(const struct hakt_process *client)
{
	int heap_fd = hakt_keeper_find(&hakt_keeper, "heap");
	struct hakt_words words;
	struct hak_geometry g;
	uint64_t count;
	off_t at;

	hakt_words_init(&words, hakt_keeper_find(&hakt_keeper, "registry"));
	assert_int_equal(hak_registry_validate(words.header, words.bytes, &g), 0);
	at = (off_t)(g.areas_at + hakt_words_holder(&words, client->pid) * HAK_CLIENT_AREA_BYTES +
		     offsetof(struct hak_client_area, crossings));
	hakt_words_deinit(&words);
	assert_int_equal(pread(heap_fd, &count, sizeof(count), at), sizeof(count));
	count++;
	assert_int_equal(pwrite(heap_fd, &count, sizeof(count), at), sizeof(count));
}

static void test_who_has_no_connection_may_be_in_a_crossing(void **state)
{
	(void)state;
	/* The daemon dies before the collection, or while that waits for a grace. */
	for (unsigned round = 0; round < 2; round++) {
		start_both();
		hakt_keeper_take(&hakt_keeper);
		if (round == 0)
			hakt_keeper_kill(&hakt_keeper);
		count_crossing(&taker);
		hakt_holding_kill(&maker);
		if (round == 0)
			hakt_keeper_start(&hakt_keeper);
		wait_for(1 + N_HUGE, 1 + N_HUGE, 0);
		hakt_process_tell(&taker);
		hakt_process_wait_output(&taker, 1, "freed one");
		wait_for(1, 1, N_HUGE);
		restart();
		wait_for(1, 1, N_HUGE);
		hakt_daemon_wait_looks(
			&hakt_keeper.daemon); /* at the taker's lease: it has had time */
		assert_int_equal(hakt_daemon_status(&hakt_keeper.daemon).waiting_superslabs,
				 N_HUGE);
		hakt_keeper_expect_clean(&hakt_keeper);
		count_crossing(&taker);
		wait_for(1, 1, 0);
		hakt_process_tell(&taker);
		hakt_process_wait_output(&taker, 1, "freed all");
		hakt_process_tell(&taker);
		hakt_process_wait_done(&taker);
		hakt_process_end(&taker);
		hakt_daemon_wait_empty(&hakt_keeper.daemon);
	}
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test_setup_teardown(test_survivors_go_with_their_last_block, hakt_keeper_setup,
					hakt_keeper_teardown),
	cmocka_unit_test_setup_teardown(test_what_the_taker_held_goes_with_it_when_both_die,
					hakt_keeper_setup, hakt_keeper_teardown),
	cmocka_unit_test_setup_teardown(test_an_orphan_of_the_daemon_before_is_inherited,
					hakt_keeper_setup, hakt_keeper_teardown),
	cmocka_unit_test_setup_teardown(test_who_has_no_connection_may_be_in_a_crossing,
					hakt_keeper_setup, hakt_keeper_teardown),
};

HAKT_MAIN(tests, NULL, NULL)
