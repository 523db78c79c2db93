/* SPDX-License-Identifier: MIT */
/* What survives a process that leaves the pool and lives on. */
#include "tests/support/run.h"

#include <errno.h>
#include <unistd.h>

#include "client_lib/include/hakmem.h"
#include "tests/support/daemon.h"
#include "tests/support/mortal.h"
#include "tests/support/process.h"

/* In a child: makes blocks, and leaves the pool, but not the world. */
static int leave_by_detach(const void *context)
{
	HAKT_EXPECT(hakt_mortal_make_blocks(context) == 0);
	HAKT_EXPECT(hakmem_detach() == 0);
	hakt_child_say("left");
	hakt_child_wait();
	return 0;
}

static int leave_by_exec(const void *context)
{
	HAKT_EXPECT(hakt_mortal_make_blocks(context) == 0);
	execl("/bin/sh", "sh", "-c", "echo left; exec sleep 1000", NULL);
	return 1;
}

/* What others have taken stays, what they haven't goes, though the process lives on. */
static void check_leaving(int (*leave)(const void *))
{
	struct hakt_process x = {0};
	void *blocks[HAKT_MORTAL_SIZES], *untouched = NULL;

	hakt_mortal_start_child(&x, leave, "made");
	for (unsigned i = 0; i < HAKT_MORTAL_SIZES; i++)
		assert_int_equal(hakmem_take(hakt_mortal_shared->refs[i], &blocks[i]), 0);
	hakt_process_tell(&x);
	hakt_process_wait_output(&x, 1, "left");
	hakt_daemon_wait_clients(&hakt_mortal_daemon, 1);
	hakt_process_check_running(&x);
	assert_int_equal(hakmem_take(hakt_mortal_shared->other, &untouched), -ESTALE);
	for (unsigned i = 0; i < HAKT_MORTAL_SIZES; i++) {
		assert_true(hakt_mortal_is_as_made(blocks[i], hakt_mortal_sizes[i], i));
		assert_int_equal(hakmem_owner(blocks[i], NULL), HAKMEM_OWNER_SELF);
		hakmem_free(blocks[i]);
	}
	assert_int_equal(hakmem_trim(), 0);
	hakt_daemon_wait_orphans(&hakt_mortal_daemon, 0);
	hakt_process_kill(&x);
	hakt_process_end(&x);
}

static void test_what_was_taken_survives_a_detach(void **state)
{
	(void)state;
	check_leaving(leave_by_detach);
}

static void test_what_was_taken_survives_an_exec(void **state)
{
	(void)state;
	check_leaving(leave_by_exec);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test_setup_teardown(test_what_was_taken_survives_a_detach, hakt_mortal_setup,
					hakt_mortal_stop),
	cmocka_unit_test_setup_teardown(test_what_was_taken_survives_an_exec, hakt_mortal_setup,
					hakt_mortal_stop),
};

HAKT_MAIN(tests, NULL, NULL)
