/* SPDX-License-Identifier: MIT */
/*
 * A tag that somebody writes between each look of the scan's and its compare and swap; tag.c is
 * built with support/cut.h.
 */
#include "tests/support/run.h"

#include "proto/shm/holders.h"
#include "proto/shm/tag.h"

#define OWNER	7u
#define PATIENT 1000000u /* far more tries than there should be */

static hak_u32 tag;
static unsigned n_tries;
static unsigned n_hostile; /* how many of them are spoiled */

void hakt_look(void)
{
}

void hakt_cut(void)
{
	uint32_t t = hak_load_relaxed(&tag);

	assert_true(n_tries < PATIENT);
	if (n_tries++ < n_hostile)
		hak_store_relaxed(&tag, t + (UINT32_C(1) << HAK_TAG_INC_SHIFT));
}

static void begin(enum hak_tag_state state, unsigned holder, unsigned n)
{
	hak_store_relaxed(&tag, hak_tag_pack(state, holder, 1));
	n_tries = 0;
	n_hostile = n;
}

static void test_a_scan_ends_on_a_tag_that_is_written_all_the_time(void **state)
{
	(void)state;
	begin(HAK_TAG_NONE, HAK_HOLDER_NONE, PATIENT);
	assert_false(hak_tag_scan_own(&tag, OWNER));
	begin(HAK_TAG_OWNED, OWNER, PATIENT);
	assert_false(hak_tag_scan_own(&tag, OWNER));
	begin(HAK_TAG_OWNED, OWNER, PATIENT);
	assert_false(hak_tag_scan_held(&tag, OWNER));
}

static void test_a_scan_tries_again_where_somebody_came_between(void **state)
{
	(void)state;
	begin(HAK_TAG_OWNED, OWNER, 10);
	assert_true(hak_tag_scan_own(&tag, OWNER));
	assert_int_equal(hak_tag_state(hak_load_relaxed(&tag)), HAK_TAG_FREED);
	begin(HAK_TAG_OWNED, OWNER, 10);
	assert_true(hak_tag_scan_held(&tag, OWNER));
	assert_int_equal(hak_tag_state(hak_load_relaxed(&tag)), HAK_TAG_FREEING);
	assert_int_equal(n_tries, 11);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_a_scan_ends_on_a_tag_that_is_written_all_the_time),
	cmocka_unit_test(test_a_scan_tries_again_where_somebody_came_between),
};

HAKT_MAIN(tests, NULL, NULL)
