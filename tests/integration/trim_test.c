/* SPDX-License-Identifier: MIT */
/* hakmemctl trim, and what status says of memory, by the kernel's count. */
#include "tests/support/run.h"

#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "client_lib/include/hakmem.h"
#include "client_lib/session.h"
#include "tests/support/ctl.h"
#include "tests/support/decay.h"
#include "tests/support/holding.h"
#include "tests/support/memfd.h"

#define KEPT 6u

static uint64_t pool(const char *name)
{
	return (uint64_t)hakt_ctl_pool(hakt_decay_daemon.socket, name);
}

static void begin_trim(struct hakt_process *trim, const char *wait_ms)
{
	uint64_t asked = hak_load_relaxed(&hakt_decay_words.header->asked); /* only compared */

	*trim = (struct hakt_process){0};
	hakt_process_start(trim, HAKT_LIST(HAKT_HAKMEMCTL, "--json", "--socket",
					   hakt_decay_daemon.socket, "--wait", wait_ms, "trim"));
	for (unsigned i = 0; i < 10000; i++) {
		/* As above. */
		if (hak_load_relaxed(&hakt_decay_words.header->asked) != asked)
			return;
		usleep(1000);
	}
	fail_msg("nobody is asked");
}

/* How much is resident afterwards. */
static uint64_t end_trim(struct hakt_process *trim)
{
	json_t *json;
	uint64_t after;

	hakt_process_wait_done(trim);
	json = json_loads(hakt_process_output(trim, 1), 0, NULL);
	after = (uint64_t)hakt_json_number(json, "resident_after");
	assert_true(after <= (uint64_t)hakt_json_number(json, "resident_before"));
	json_decref(json);
	hakt_process_end(trim);
	return after;
}

static uint64_t run_trim(const char *wait_ms)
{
	struct hakt_process trim;

	begin_trim(&trim, wait_ms);
	return end_trim(&trim);
}

/* The daemon keeps some SuperSlabs, and has a reserve. */
static void leave_warm(void)
{
	hakt_decay_make_and_free(HAKT_SUPERSLAB, KEPT);
	assert_int_equal(hakmem_trim(), 0);
	hakt_daemon_wait_reserve(&hakt_decay_daemon, 2);
	assert_true(pool("kept_superslabs") >= KEPT);
}

static void test_what_lies_warm_goes_now(void **state)
{
	(void)state;
	leave_warm();
	run_trim("0");
	assert_int_equal(pool("kept_superslabs"), 0);
	assert_int_equal(pool("reserve_superslabs"), 0);
	assert_int_equal(pool("retained_bytes"), 0);
	usleep(300000); /* if it were filled again, it would be by now */
	assert_int_equal(pool("reserve_superslabs"), 0);
	hakt_decay_ask_ahead(); /* somebody wants memory */
	hakt_daemon_wait_reserve(&hakt_decay_daemon, 2);
}

static void test_clients_give_back_what_they_keep(void **state)
{
	struct hakt_process trim;
	time_t begun;

	(void)state;
	hakt_decay_make_and_free(HAKT_SUPERSLAB, KEPT);
	assert_true(hakt_decay_granted() >= KEPT);
	begin_trim(&trim, "60000");
	hakt_decay_fill(); /* it comes by a slow path */
	assert_int_equal(hakt_decay_granted(), 1);
	for (unsigned i = 0; i < 1000 && pool("kept_superslabs") > 0; i++)
		usleep(5000);
	assert_int_equal(pool("kept_superslabs"), 0); /* while it waits nothing is kept */
	assert_int_equal(pool("granted_superslabs"), 1);
	hakmem_detach();
	begun = time(NULL);
	assert_true(end_trim(&trim) < 1 << 20);
	assert_true(time(NULL) - begun < 50); /* nothing is left that could come: it doesn't wait */
	assert_int_equal(hakmem_attach(NULL), 0);
}

static void test_who_calls_nothing_does_not_hear_of_it(void **state)
{
	uint64_t granted;

	(void)state;
	hakt_decay_make_and_free(HAKT_SUPERSLAB, KEPT);
	granted = hakt_decay_granted();
	assert_true(granted >= KEPT);
	assert_true(run_trim("50") >= (granted * HAKT_SUPERSLAB));
	assert_true(pool("granted_superslabs") >= granted);
	hakt_decay_fill();
	assert_int_equal(pool("granted_superslabs"), 1);
}

static void test_several_at_once_are_all_answered(void **state)
{
	struct hakt_process trims[3];
	void *held;

	(void)state;
	leave_warm();
	held = hakt_decay_hold();
	begin_trim(&trims[0], "60000");
	begin_trim(&trims[1], "100");
	begin_trim(&trims[2], "0");
	end_trim(&trims[2]);
	end_trim(&trims[1]);
	hakt_process_check_running(&trims[0]);
	hakmem_free(held);
	hakmem_detach();
	end_trim(&trims[0]);
	assert_int_equal(hakmem_attach(NULL), 0);
}

/* Nor who still waits when the daemon stops: the teardown. */
static void test_who_hangs_up_leaves_nothing_behind(void **state)
{
	struct hakt_process trims[2];

	(void)state;
	leave_warm();
	begin_trim(&trims[0], "200");
	hakt_process_kill(&trims[0]);
	hakt_process_end(&trims[0]);
	run_trim("400");
	begin_trim(&trims[1], "60000");
	hakt_process_kill(&trims[1]);
	hakt_process_end(&trims[1]);
	hakt_decay_make_and_free(HAKT_SUPERSLAB, KEPT);
}

/* Waits until the daemon neither fills nor punches: two looks find the same. */
static void wait_at_rest(void)
{
	uint64_t before, now = pool("resident_bytes");

	for (unsigned i = 0; i < 600; i++) {
		before = now;
		usleep(50000);
		now = pool("resident_bytes");
		if (now == before)
			return;
	}
	fail_msg("what is resident never stays the same");
}

struct words {
	uint64_t resident, metadata, mapped, allocated, active, retained;
};

static struct words words_of_status(void)
{
	return (struct words){pool("resident_bytes"), pool("metadata_bytes"),
			      pool("mapped_bytes"),   pool("allocated_bytes"),
			      pool("active_bytes"),   pool("retained_bytes")};
}

/*
 * The daemon fills and punches when it sees fit, so a count is compared that stands between two
 * words of the daemon which are the same. False: it did meanwhile.
 */
static bool count_at_rest(int heap, int registry, struct words *ret_words, struct words *ret_kernel)
{
	const struct hak_geometry *g = &hakc_heap()->segment.geometry;
	struct words before = words_of_status(), after;
	uint64_t metadata = hakt_memfd_resident_in(heap, 0, g->data_at);

	*ret_kernel = (struct words){.resident = hakt_memfd_resident(heap)};
	ret_kernel->mapped = hakt_memfd_resident_in(heap, g->data_at, g->heap_bytes);
	ret_kernel->metadata = metadata + hakt_memfd_resident(registry);
	*ret_words = after = words_of_status();
	return memcmp(&before, &after, sizeof(before)) == 0 &&
	       metadata + ret_kernel->mapped == ret_kernel->resident;
}

static void expect_words_of_the_kernel(void)
{
	int heap = hakt_memfd_open(hakt_decay_daemon.pid, "hakmem-heap");
	int registry = hakt_memfd_open(hakt_decay_daemon.pid, "hakmem-registry");
	struct words said, kernel;
	unsigned tries = 0;
	bool is_at_rest;

	wait_at_rest();
	do { /* pages that are being filled are the kernel's before they are the daemon's */
		is_at_rest = count_at_rest(heap, registry, &said, &kernel);
		if (!is_at_rest || said.mapped != kernel.mapped)
			usleep(50000);
	} while ((!is_at_rest || said.mapped != kernel.mapped) && ++tries < 600);
	assert_int_equal(said.resident, kernel.resident);
	assert_int_equal(said.metadata, kernel.metadata);
	assert_int_equal(said.mapped, kernel.mapped);
	assert_true(said.allocated <= said.active);
	assert_true(said.active <= said.mapped);
	assert_true(said.retained <= said.mapped);
	close(heap);
	close(registry);
}

static void test_status_says_what_the_kernel_says(void **state)
{
	char **small;
	void *run;

	(void)state;
	hakt_daemon_wait_reserve(&hakt_decay_daemon, 2);
	expect_words_of_the_kernel();
	assert_int_equal(pool("active_bytes"), 0);
	small = hakt_decay_make_small();
	run = hakmem_malloc(HAKT_RUN);
	assert_non_null(run);
	hakt_daemon_wait_reserve(&hakt_decay_daemon, 2);
	expect_words_of_the_kernel();
	assert_true(pool("allocated_bytes") >= (HAKT_RUN + HAKT_SMALL * 64));
	hakmem_free(run);
	hakt_decay_free_small(small);
	assert_int_equal(hakmem_trim(), 0);
	assert_true(pool("retained_bytes") >= (2 * HAKT_SUPERSLAB));
	expect_words_of_the_kernel();
	run_trim("0");
	expect_words_of_the_kernel();
	assert_int_equal(pool("retained_bytes"), 0);
}

/* A page or two of slab words may be new. */
static void test_who_leaves_leaves_no_metadata(void **state)
{
	struct hakt_process client;
	uint64_t before;

	(void)state;
	run_trim("0");
	before = pool("metadata_bytes");
	for (unsigned i = 0; i < 3; i++) {
		hakt_holding_start(&client, "a");
		assert_true(pool("metadata_bytes") >= before + HAK_CLIENT_AREA_BYTES);
		hakt_holding_kill(&client);
		hakt_daemon_wait_clients(&hakt_decay_daemon, 1);
	}
	run_trim("0");
	assert_true(pool("metadata_bytes") <= before + 4 * HAK_PAGE_BYTES);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test_setup_teardown(test_what_lies_warm_goes_now, hakt_decay_start_without_time,
					hakt_decay_stop),
	cmocka_unit_test_setup_teardown(test_clients_give_back_what_they_keep,
					hakt_decay_start_without_time, hakt_decay_stop),
	cmocka_unit_test_setup_teardown(test_who_calls_nothing_does_not_hear_of_it,
					hakt_decay_start_without_time, hakt_decay_stop),
	cmocka_unit_test_setup_teardown(test_several_at_once_are_all_answered,
					hakt_decay_start_without_time, hakt_decay_stop),
	cmocka_unit_test_setup_teardown(test_who_hangs_up_leaves_nothing_behind,
					hakt_decay_start_without_time, hakt_decay_stop),
	cmocka_unit_test_setup_teardown(test_status_says_what_the_kernel_says,
					hakt_decay_start_without_time, hakt_decay_stop),
	cmocka_unit_test_setup_teardown(test_who_leaves_leaves_no_metadata,
					hakt_decay_start_without_time, hakt_decay_stop),
};

HAKT_MAIN(tests, NULL, NULL)
