/* SPDX-License-Identifier: MIT */
/* The table of files that frames lie in. */
#include "tests/support/run.h"

#include <stdio.h>
#include <string.h>

#include "proto/shm/modules.h"
#include "tests/support/pool.h"
#include "tests/support/random.h"

enum { ONE = HAK_HOLDER_FIRST, OTHER, BUSY = 1, READY = 2 };

static struct hakt_pool pool;

static int start(void **state)
{
	(void)state;
	hakt_pool_init(&pool, UINT64_C(4) << 21, 21);
	hakt_pool_set_holder(&pool, ONE, HAK_HOLDER_ATTACHED, 7);
	hakt_pool_set_holder(&pool, OTHER, HAK_HOLDER_ATTACHED, 8);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	hakt_pool_deinit(&pool);
	return 0;
}

static struct hak_module *entry(unsigned number)
{
	return (struct hak_module *)&pool.segment.areas[HAK_HOLDER_NONE] + number;
}

static struct hak_module file(const char *path, unsigned id)
{
	struct hak_module module = {.n_id = 20};

	snprintf(module.path, sizeof(module.path), "%s", path);
	memset(module.id, (int)id, sizeof(module.id));
	return module;
}

static unsigned enter(unsigned holder, const char *path, unsigned id)
{
	const struct hak_module module = file(path, id);

	return hak_module_enter(&pool.segment, holder, &module);
}

static void expect(unsigned number, const char *path, unsigned id)
{
	const struct hak_module expected = file(path, id);
	struct hak_module module;

	assert_true(hak_module_read(&pool.segment, number, &module));
	assert_string_equal(module.path, path);
	assert_int_equal(module.n_id, 20);
	assert_memory_equal(module.id, expected.id, sizeof(module.id));
}

/* What somebody who claimed it and did not go on left. */
static void leave_busy(unsigned number, unsigned holder, uint32_t generation)
{
	hak_store_relaxed(&entry(number)->word,
			  BUSY | (uint64_t)holder << 8 | (uint64_t)generation << 32);
}

static void test_a_file_has_one_number(void **state)
{
	struct hak_module module;
	unsigned number = enter(ONE, "/bin/one", 1);

	(void)state;
	assert_int_not_equal(number, 0);
	assert_int_equal(enter(ONE, "/bin/one", 1), number);
	assert_int_equal(enter(OTHER, "/bin/one", 1), number);
	expect(number, "/bin/one", 1);
	assert_false(hak_module_read(&pool.segment, number + 1, &module));
	assert_false(hak_module_read(&pool.segment, 0, &module));
	assert_false(hak_module_read(&pool.segment, HAK_MODULE_COUNT, &module));
	assert_false(hak_module_read(&pool.segment, UINT32_MAX, &module));
}

static void test_another_build_of_a_path_has_another_number(void **state)
{
	unsigned one = enter(ONE, "/bin/one", 1), two = enter(ONE, "/bin/one", 2);
	struct hak_module module = file("/bin/one", 1);

	(void)state;
	assert_true(one != two && one && two);
	expect(one, "/bin/one", 1);
	expect(two, "/bin/one", 2);
	module.n_id = 0;
	assert_true(hak_module_enter(&pool.segment, ONE, &module) > two);
}

static void test_who_is_at_work_keeps_its_entry(void **state)
{
	(void)state;
	leave_busy(1, OTHER, 8);
	assert_int_equal(enter(ONE, "/bin/one", 1), 2);
	assert_int_equal(enter(OTHER, "/bin/two", 1), 3);
}

static void test_an_entry_of_one_who_has_gone_is_taken(void **state)
{
	(void)state;
	leave_busy(1, OTHER, 8);
	leave_busy(2, ONE, 6); /* its slot is another's by now */
	strcpy(entry(2)->path, "half");
	hakt_pool_set_holder(&pool, OTHER, HAK_HOLDER_RECLAIMING, 8);
	assert_int_equal(enter(ONE, "/bin/one", 1), 1);
	assert_int_equal(enter(ONE, "/bin/two", 2), 2);
	expect(1, "/bin/one", 1);
	expect(2, "/bin/two", 2);
}

/* Two at once: neither finds the other's, both stay. */
static void test_a_file_may_have_two_numbers(void **state)
{
	(void)state;
	leave_busy(1, OTHER, 8);
	assert_int_equal(enter(ONE, "/bin/one", 1), 2);
	*entry(1) = file("/bin/one", 1);
	hak_store_relaxed(&entry(1)->word, READY);
	expect(1, "/bin/one", 1);
	expect(2, "/bin/one", 1);
	assert_int_equal(enter(ONE, "/bin/one", 1), 1);
}

static void test_a_full_table_gives_no_number(void **state)
{
	char path[32];

	(void)state;
	for (unsigned i = 1; i < HAK_MODULE_COUNT; i++) {
		snprintf(path, sizeof(path), "/bin/%u", i);
		assert_int_equal(enter(ONE, path, 1), i);
	}
	assert_int_equal(enter(ONE, "/bin/more", 1), 0);
	assert_int_equal(enter(OTHER, "/bin/200", 1), 200);
}

static void test_any_words_give_texts_that_end_and_ids_that_fit(void **state)
{
	uint64_t seed = hakt_random_seed();
	struct hak_module module;
	unsigned n_ready = 0;

	(void)state;
	for (unsigned i = 1; i < HAK_MODULE_COUNT; i++) {
		unsigned char *bytes = (unsigned char *)entry(i);

		for (unsigned k = 0; k < sizeof(struct hak_module); k++)
			bytes[k] = (unsigned char)(hakt_random(&seed) | 1);
		if (i % 2)
			hak_store_relaxed(&entry(i)->word, READY);
	}
	for (unsigned i = 0; i < HAK_MODULE_COUNT; i++) {
		if (!hak_module_read(&pool.segment, i, &module))
			continue;
		n_ready++;
		assert_true(module.n_id <= HAK_MODULE_ID_BYTES);
		assert_non_null(memchr(module.path, 0, sizeof(module.path)));
	}
	assert_int_equal(n_ready, HAK_MODULE_COUNT / 2);
	/* What is no state at all is nobody's. */
	assert_int_equal(enter(ONE, "/bin/one", 1), 2);
	expect(2, "/bin/one", 1);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test_setup_teardown(test_a_file_has_one_number, start, stop),
	cmocka_unit_test_setup_teardown(test_another_build_of_a_path_has_another_number, start,
					stop),
	cmocka_unit_test_setup_teardown(test_who_is_at_work_keeps_its_entry, start, stop),
	cmocka_unit_test_setup_teardown(test_an_entry_of_one_who_has_gone_is_taken, start, stop),
	cmocka_unit_test_setup_teardown(test_a_file_may_have_two_numbers, start, stop),
	cmocka_unit_test_setup_teardown(test_a_full_table_gives_no_number, start, stop),
	cmocka_unit_test_setup_teardown(test_any_words_give_texts_that_end_and_ids_that_fit, start,
					stop),
};

HAKT_MAIN(tests, NULL, NULL)
