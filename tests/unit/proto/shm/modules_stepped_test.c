/* SPDX-License-Identifier: MIT */
/*
 * A client that is killed at any instruction of entering a file: what is READY is whole, and whoever
 * comes next finds it or enters it, in the same place.
 */
#include "tests/support/run.h"

#include <string.h>

#include "proto/shm/modules.h"
#include "tests/support/pool.h"
#include "tests/support/steps.h"

enum { VICTIM = HAK_HOLDER_FIRST, NEXT };

static const struct hak_module file = {.n_id = 4, .id = {1, 2, 3, 4}, .path = "/bin/one"};

static struct hakt_pool pool;

static struct hak_module *entry(void)
{
	return (struct hak_module *)&pool.segment.areas[HAK_HOLDER_NONE] + 1;
}

static void enter(const void *context)
{
	(void)context;
	hak_module_enter(&pool.segment, VICTIM, &file);
}

/* Is it there? Then it must be whole. */
static bool is_entered(void)
{
	struct hak_module seen;

	if (!hak_module_read(&pool.segment, 1, &seen))
		return false;
	assert_int_equal(seen.n_id, file.n_id);
	assert_memory_equal(seen.id, file.id, sizeof(seen.id));
	assert_memory_equal(seen.path, file.path, sizeof(seen.path));
	return true;
}

static void test_who_enters_a_file_may_be_killed_anywhere(void **state)
{
	struct hak_module last, now;
	unsigned n_states = 0, n_entered = 0;
	pid_t pid;

	(void)state;
	hakt_pool_init(&pool, UINT64_C(4) << 21, 21);
	hakt_pool_set_holder(&pool, VICTIM, HAK_HOLDER_ATTACHED, 7);
	hakt_pool_set_holder(&pool, NEXT, HAK_HOLDER_ATTACHED, 8);
	last = *entry();
	pid = hakt_steps_start(enter, NULL);
	while (hakt_steps_next(pid)) {
		now = *entry();
		if (memcmp(&now, &last, sizeof(now)) == 0)
			continue;
		last = now;
		n_states++;
		n_entered += is_entered();
		hakt_pool_set_holder(&pool, VICTIM, HAK_HOLDER_RECLAIMING, 7);
		assert_int_equal(hak_module_enter(&pool.segment, NEXT, &file), 1);
		assert_true(is_entered());
		hakt_pool_set_holder(&pool, VICTIM, HAK_HOLDER_ATTACHED, 7);
		*entry() = now; /* for the child, which goes on */
	}
	assert_true(n_states >= 3); /* BUSY, some of the file, READY */
	assert_int_equal(n_entered, 1);
	hakt_pool_deinit(&pool);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_who_enters_a_file_may_be_killed_anywhere),
};

HAKT_MAIN(tests, NULL, NULL)
