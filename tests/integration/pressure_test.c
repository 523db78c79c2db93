/* SPDX-License-Identifier: MIT */
/*
 * At the limit: who is asked for what it keeps, who waits for it, and who doesn't. Plain clients
 * give back when the test says so, and the daemon's time passes when it says so.
 */
#include "tests/support/run.h"

#include <stdbool.h>
#include <sys/mman.h>
#include <unistd.h>

#include "client_lib/include/hakmem.h"
#include "proto/error.h"
#include "proto/shm/atomic.h"
#include "tests/support/daemon.h"
#include "tests/support/plain.h"
#include "tests/support/process.h"
#include "tests/support/still.h"

enum { LIMIT = 32, RUN = 10 << 20, WAIT_MS = 200, QUIET_MS = 1000 };

static struct hakt_daemon hakd;

static int start(void **state)
{
	(void)state;
	hakt_still_start(&hakd, HAKT_HAKT_STILL,
			 HAKT_LIST("--limit", "64M", "--capacity", "256M", "--keep", "3600",
				   "--log-level", "warn"));
	return 0;
}

static int stop(void **state)
{
	(void)state;
	return hakt_still_stop(&hakd);
}

static void ask_run(struct hakc_conn *conn, uint32_t n, bool ahead, uint32_t extends)
{
	Hak__Refill refill = HAK__REFILL__INIT;

	refill.count = n;
	refill.huge = !ahead;
	refill.ahead = ahead;
	refill.extends = extends;
	hakt_plain_ask(conn, &refill);
}

static void expect_granted(struct hakc_conn *conn, uint32_t *ret_head)
{
	uint32_t length;

	assert_int_equal(hakt_plain_answer(conn, ret_head, &length), 0);
}

static void expect_refused(struct hakc_conn *conn)
{
	uint32_t head, length;

	assert_int_equal(hakt_plain_answer(conn, &head, &length), HAK_E_NO_MEMORY);
}

static uint32_t get_run(struct hakc_conn *conn, uint32_t n)
{
	uint32_t head;

	ask_run(conn, n, false, 0);
	expect_granted(conn, &head);
	return head;
}

static void give_run(struct hakc_conn *conn, uint32_t head)
{
	Hak__Giveback giveback = HAK__GIVEBACK__INIT;

	giveback.n_superslabs = 1;
	giveback.superslabs = &head;
	assert_int_equal(hakt_plain_give(conn, &giveback), 0);
}

/* Nobody was granted anything on the way if these are all. */
static void expect_counters(unsigned asked, unsigned waits, unsigned served)
{
	assert_int_equal(hakt_daemon_counter(&hakd, "pressure_asked"), asked);
	assert_int_equal(hakt_daemon_counter(&hakd, "pressure_waits"), waits);
	assert_int_equal(hakt_daemon_counter(&hakd, "pressure_served"), served);
	assert_int_equal(hakt_daemon_counter(&hakd, "pressure_events"), 0);
}

/* One who waits for the nth time, in vain. */
static void wait_in_vain(struct hakc_conn *conn, uint32_t n, unsigned nth)
{
	ask_run(conn, n, false, 0);
	hakt_still_wait_counter(&hakd, "pressure_waits", nth);
	hakt_still_pass(WAIT_MS);
	expect_refused(conn);
}

static void refuse_at_once(struct hakc_conn *conn, uint32_t n)
{
	for (unsigned i = 0; i < 5; i++) {
		ask_run(conn, n, false, 0);
		expect_refused(conn); /* no time has passed */
	}
}

/* What the children of a test share: are they to end? */
static hak_u32 *is_over;

/* In a child: keeps most of the pool without need, then leaves its caches now and then. */
static int keep_and_go_on(const void *context)
{
	void *blocks[12], *runs[3];
	unsigned i;

	(void)context;
	for (i = 0; i < 3; i++)
		HAKT_EXPECT(runs[i] = hakmem_malloc(RUN));
	for (i = 0; i < 12; i++)
		HAKT_EXPECT(blocks[i] = hakmem_malloc(2000000));
	for (i = 0; i < 12; i++)
		hakmem_free(blocks[i]);
	for (i = 0; i < 3; i++)
		hakmem_free(runs[i]);
	hakt_child_say("keeps");
	hakt_child_wait();
	while (!hak_load_relaxed(is_over)) { /* nothing follows from it */
		hakmem_free(hakmem_malloc(1500000));
		usleep(1000);
	}
	return 0;
}

static void start_keeper(struct hakt_process *keeper)
{
	is_over = mmap(NULL, sizeof(*is_over), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		       -1, 0);
	assert_true(is_over != MAP_FAILED);
	hakt_process_fork(keeper, keep_and_go_on, NULL);
	hakt_process_wait_output(keeper, 1, "keeps");
	assert_in_range(hakt_daemon_status(&hakd).granted_superslabs, 16, LIMIT);
}

static void end_keeper(struct hakt_process *keeper)
{
	hak_store_relaxed(is_over, 1); /* likewise */
	hakt_process_wait_done(keeper);
	hakt_process_end(keeper);
	munmap(is_over, sizeof(*is_over));
}

static void test_what_another_keeps_without_need_is_had_by_who_needs_it(void **state)
{
	struct hakt_process keeper = {0};
	struct hakc_conn conn;
	uint32_t head;

	(void)state;
	start_keeper(&keeper);
	hakt_plain_attach(&conn, hakd.socket);
	ask_run(&conn, 28, false, 0);
	hakt_still_wait_counter(&hakd, "pressure_waits", 1);
	hakt_process_tell(&keeper);
	expect_granted(&conn, &head);
	expect_counters(1, 1, 1);
	assert_int_equal(hakt_daemon_counter(&hakd, "refused_no_memory"), 0);
	end_keeper(&keeper);
	hakt_plain_bye(&conn);
}

static int fill_the_pool(const void *context)
{
	(void)context;
	for (unsigned i = 0; i < 28; i++)
		HAKT_EXPECT(hakmem_malloc(2000000));
	return 0;
}

static void test_no_allocation_fails_while_another_keeps_enough(void **state)
{
	struct hakt_process keeper = {0};

	(void)state;
	start_keeper(&keeper);
	hakt_process_tell(&keeper);
	hakt_process_run_child(fill_the_pool, NULL);
	/* Once if all comes back in time for the first wait. */
	assert_in_range(hakt_daemon_counter(&hakd, "pressure_served"), 1, 28);
	end_keeper(&keeper);
}

static void test_one_that_does_nothing_is_waited_for_once_a_second(void **state)
{
	struct hakc_conn conn, idle;

	(void)state;
	hakt_plain_attach(&conn, hakd.socket);
	hakt_plain_attach(&idle, hakd.socket);
	(void)get_run(&idle, 20);
	wait_in_vain(&conn, 20, 1);
	refuse_at_once(&conn, 20);
	hakt_still_pass(QUIET_MS - WAIT_MS - 1);
	refuse_at_once(&conn, 20);
	expect_counters(1, 1, 0);
	hakt_still_pass(1);
	wait_in_vain(&conn, 20, 2);
	refuse_at_once(&conn, 20);
	expect_counters(2, 2, 0);
	hakt_plain_bye(&conn);
	hakt_plain_bye(&idle);
}

static void test_who_comes_later_waits_along(void **state)
{
	struct hakc_conn first, later, idle;
	uint32_t kept, head;

	(void)state;
	hakt_plain_attach(&first, hakd.socket);
	hakt_plain_attach(&later, hakd.socket);
	hakt_plain_attach(&idle, hakd.socket);
	kept = get_run(&idle, 30);
	ask_run(&first, 20, false, 0);
	hakt_still_wait_counter(&hakd, "pressure_waits", 1);
	ask_run(&later, 10, false, 0);
	hakt_still_wait_counter(&hakd, "pressure_waits", 2);
	give_run(&idle, kept);
	expect_granted(&first, &head);
	expect_granted(&later, &head);
	expect_counters(1, 2, 2);
	hakt_plain_bye(&first);
	hakt_plain_bye(&later);
	hakt_plain_bye(&idle);
}

static void test_one_that_has_begun_to_give_back_is_waited_for_again(void **state)
{
	struct hakc_conn conn, slow;
	uint32_t little, more, much, head;

	(void)state;
	hakt_plain_attach(&conn, hakd.socket);
	hakt_plain_attach(&slow, hakd.socket);
	little = get_run(&slow, 2);
	more = get_run(&slow, 2);
	much = get_run(&slow, 20);
	ask_run(&conn, 30, false, 0);
	hakt_still_wait_counter(&hakd, "pressure_waits", 1);
	give_run(&slow, little);
	hakt_still_pass(WAIT_MS);
	expect_refused(&conn); /* nobody waits for longer than that */
	wait_in_vain(&conn, 30, 2);
	refuse_at_once(&conn, 30);
	give_run(&slow, more);
	ask_run(&conn, 30, false, 0);
	hakt_still_wait_counter(&hakd, "pressure_waits", 3);
	give_run(&slow, much);
	expect_granted(&conn, &head);
	expect_counters(1, 3, 1);
	hakt_plain_bye(&conn);
	hakt_plain_bye(&slow);
}

static void test_what_one_gives_back_itself_is_no_reason_to_wait(void **state)
{
	struct hakc_conn conn, idle;
	uint32_t own;

	(void)state;
	hakt_plain_attach(&conn, hakd.socket);
	hakt_plain_attach(&idle, hakd.socket);
	(void)get_run(&idle, 20);
	own = get_run(&conn, 2);
	wait_in_vain(&conn, 20, 1);
	give_run(&conn, own);
	refuse_at_once(&conn, 20);
	expect_counters(1, 1, 0);
	hakt_plain_bye(&conn);
	hakt_plain_bye(&idle);
}

static void test_nobody_is_asked_for_what_can_be_done_without(void **state)
{
	struct hakc_conn conn, idle;
	uint32_t run;

	(void)state;
	hakt_plain_attach(&conn, hakd.socket);
	hakt_plain_attach(&idle, hakd.socket);
	(void)get_run(&idle, 30);
	run = get_run(&conn, 2);
	ask_run(&conn, 3, false, run + 1); /* to be longer */
	expect_refused(&conn);
	ask_run(&conn, 1, true, 0); /* ahead of need */
	expect_refused(&conn);
	refuse_at_once(&conn, LIMIT + 1);
	expect_counters(0, 0, 0);
	hakt_plain_bye(&conn);
	hakt_plain_bye(&idle);
}

static int fill_what_is_left(const void *context)
{
	(void)context;
	for (unsigned i = 0; i < 8; i++)
		HAKT_EXPECT(hakmem_malloc(2000000));
	hakt_child_say("full");
	hakt_child_wait();
	return 0;
}

static void test_a_process_that_needs_nothing_yet_presses_on_nobody(void **state)
{
	struct hakt_process full = {0};
	struct hakc_conn idle;

	(void)state;
	hakt_plain_attach(&idle, hakd.socket);
	(void)get_run(&idle, LIMIT - 8);
	hakt_process_fork(&full, fill_what_is_left, NULL);
	hakt_process_wait_output(&full, 1, "full");
	hakt_still_wait_counter(&hakd, "refused_no_memory", 1); /* that was ahead of need */
	expect_counters(0, 0, 0);
	hakt_process_tell(&full);
	hakt_process_wait_done(&full);
	hakt_process_end(&full);
	hakt_plain_bye(&idle);
}

static void test_with_nobody_to_be_asked_one_is_refused_at_once(void **state)
{
	struct hakc_conn conn, poor;

	(void)state;
	hakt_plain_attach(&conn, hakd.socket);
	(void)get_run(&conn, LIMIT);
	refuse_at_once(&conn, 1);
	hakt_plain_attach(&poor, hakd.socket);
	refuse_at_once(&conn, 1);
	expect_counters(0, 0, 0);
	hakt_plain_bye(&poor);
	hakt_plain_bye(&conn);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test_setup_teardown(test_what_another_keeps_without_need_is_had_by_who_needs_it,
					start, stop),
	cmocka_unit_test_setup_teardown(test_no_allocation_fails_while_another_keeps_enough, start,
					stop),
	cmocka_unit_test_setup_teardown(test_one_that_does_nothing_is_waited_for_once_a_second,
					start, stop),
	cmocka_unit_test_setup_teardown(test_who_comes_later_waits_along, start, stop),
	cmocka_unit_test_setup_teardown(test_one_that_has_begun_to_give_back_is_waited_for_again,
					start, stop),
	cmocka_unit_test_setup_teardown(test_what_one_gives_back_itself_is_no_reason_to_wait, start,
					stop),
	cmocka_unit_test_setup_teardown(test_nobody_is_asked_for_what_can_be_done_without, start,
					stop),
	cmocka_unit_test_setup_teardown(test_a_process_that_needs_nothing_yet_presses_on_nobody,
					start, stop),
	cmocka_unit_test_setup_teardown(test_with_nobody_to_be_asked_one_is_refused_at_once, start,
					stop),
};

HAKT_MAIN(tests, NULL, NULL)
