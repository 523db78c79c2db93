/* SPDX-License-Identifier: MIT */
/* Every transition of a tag, tried on every kind of tag: what it does, or that it does nothing. */
#include "tests/support/run.h"

#include <pthread.h>

#include "proto/shm/holders.h"
#include "proto/shm/tag.h"

#define X     7u /* who makes the transition */
#define Y     4095u
#define ROOT  HAK_HOLDER_ROOT
#define WRONG 1u /* added to a ticket's inc */

static const unsigned incs[] = {0, 1, 0x15555, HAK_REF_INC_MAX - 1, HAK_REF_INC_MAX};

/* The kinds of tags, as columns of the table below. */
static const struct kind {
	enum hak_tag_state state;
	unsigned holder;
} kinds[] = {
	{HAK_TAG_NONE, 0},    {HAK_TAG_OWNED, X},   {HAK_TAG_OWNED, Y}, {HAK_TAG_OWNED, ROOT},
	{HAK_TAG_FREEING, X}, {HAK_TAG_FREEING, Y}, {HAK_TAG_FREED, 0},
};

enum { N_KINDS = sizeof(kinds) / sizeof(kinds[0]) };

static bool clear(hak_u32 *tag, unsigned inc)
{
	(void)inc;
	hak_tag_clear(tag);
	return true;
}

static bool free_local(hak_u32 *tag, unsigned inc)
{
	(void)inc;
	return hak_tag_free_local(tag, X);
}

static bool free_held(hak_u32 *tag, unsigned inc)
{
	(void)inc;
	return hak_tag_free_held(tag, X);
}

static bool free_foreign(hak_u32 *tag, unsigned inc)
{
	return hak_tag_free_foreign(tag, X, inc);
}

static bool free_foreign_late(hak_u32 *tag, unsigned inc)
{
	return hak_tag_free_foreign(tag, X, (inc + WRONG) & HAK_REF_INC_MAX);
}

static bool take(hak_u32 *tag, unsigned inc)
{
	return hak_tag_take(tag, X, inc);
}

static bool take_late(hak_u32 *tag, unsigned inc)
{
	return hak_tag_take(tag, X, (inc + WRONG) & HAK_REF_INC_MAX);
}

static bool publish(hak_u32 *tag, unsigned inc)
{
	return hak_tag_take(tag, ROOT, inc);
}

static bool withdraw(hak_u32 *tag, unsigned inc)
{
	(void)inc;
	return hak_tag_withdraw(tag, X);
}

static bool revoke(hak_u32 *tag, unsigned inc)
{
	(void)inc;
	return hak_tag_revoke(tag, X);
}

static bool scan_own(hak_u32 *tag, unsigned inc)
{
	(void)inc;
	return hak_tag_scan_own(tag, X);
}

static bool scan_held(hak_u32 *tag, unsigned inc)
{
	(void)inc;
	return hak_tag_scan_held(tag, X);
}

/* What a transition leaves. */
struct outcome {
	bool done;
	bool is_same; /* the tag is what it was */
	enum hak_tag_state state;
	unsigned holder;
	unsigned more; /* added to inc */
};

/* clang-format off */
#define NO	      {false, true, 0, 0, 0}
#define SAME	      {true, true, 0, 0, 0}
#define NONE	      {true, false, HAK_TAG_NONE, 0, 1}
#define OWNED(holder) {true, false, HAK_TAG_OWNED, holder, 1}
#define FREEING(more) {true, false, HAK_TAG_FREEING, X, more}
#define FREED	      {true, false, HAK_TAG_FREED, 0, 0}

static const struct row {
	const char *name;
	bool (*act)(hak_u32 *tag, unsigned inc);
	struct outcome outcomes[N_KINDS];
} rows[] = {
	/*                       none        X's         Y's         ROOT's    X freeing Y freeing freed */
	{"clear", clear,        {SAME,       NONE,       NONE,       NONE,     NONE,     NONE,     NONE}},
	{"free_local", free_local, {NONE,    NONE,       NO,         NO,       NO,       NO,       NO}},
	{"free_held", free_held, {NO,        FREEING(0), NO,         NO,       NO,       NO,       NO}},
	{"free_foreign", free_foreign, {FREEING(1), NO,  NO,         NO,       NO,       NO,       NO}},
	{"free_foreign, void", free_foreign_late, {NO, NO, NO,       NO,       NO,       NO,       NO}},
	{"take", take,          {OWNED(X),   OWNED(X),   OWNED(X),   NO,       NO,       NO,       NO}},
	{"take, void", take_late, {NO,       NO,         NO,         NO,       NO,       NO,       NO}},
	{"publish", publish,    {OWNED(ROOT), OWNED(ROOT), OWNED(ROOT), NO,    NO,       NO,       NO}},
	{"withdraw", withdraw,  {NO,         NO,         NO,         OWNED(X), NO,       NO,       NO}},
	{"revoke", revoke,      {NONE,       OWNED(X),   NO,         NO,       NO,       NO,       NO}},
	{"scan_own", scan_own,  {FREED,      FREED,      NO,         NO,       SAME,     NO,       SAME}},
	{"scan_held", scan_held, {NO,        FREEING(0), NO,         NO,       SAME,     NO,       NO}},
};
/* clang-format on */

static uint32_t wanted(const struct outcome *outcome, uint32_t before)
{
	if (outcome->is_same)
		return before;
	return hak_tag_pack(outcome->state, outcome->holder,
			    (hak_tag_inc(before) + outcome->more) & HAK_REF_INC_MAX);
}

static void try_row(const struct row *row, unsigned kind, unsigned inc)
{
	const struct outcome *outcome = &row->outcomes[kind];
	uint32_t before = hak_tag_pack(kinds[kind].state, kinds[kind].holder, inc);
	hak_u32 tag = before;
	bool done = row->act(&tag, inc);

	if (done != outcome->done || tag != wanted(outcome, before))
		fail_msg("%s of %08x, inc %05x: %s, %08x", row->name, before, inc,
			 done ? "done" : "refused", hak_tag_load(&tag));
}

static void test_each_transition_does_to_each_tag_what_the_table_says_or_nothing(void **state)
{
	(void)state;
	for (unsigned r = 0; r < sizeof(rows) / sizeof(rows[0]); r++)
		for (unsigned kind = 0; kind < N_KINDS; kind++)
			for (unsigned i = 0; i < sizeof(incs) / sizeof(incs[0]); i++)
				try_row(&rows[r], kind, incs[i]);
}

static void test_a_tag_that_was_never_written_is_nobodys_with_inc_0(void **state)
{
	(void)state;
	assert_int_equal(hak_tag_state(0), HAK_TAG_NONE);
	assert_int_equal(hak_tag_holder(0), HAK_HOLDER_NONE);
	assert_int_equal(hak_tag_inc(0), 0);
}

static void test_each_field_of_a_tag_has_bits_of_its_own(void **state)
{
	uint32_t state_bits = hak_tag_pack((enum hak_tag_state)3, 0, 0);
	uint32_t holder_bits = hak_tag_pack(HAK_TAG_NONE, HAK_HOLDER_COUNT - 1, 0);
	uint32_t inc_bits = hak_tag_pack(HAK_TAG_NONE, 0, HAK_REF_INC_MAX);

	(void)state;
	assert_int_equal(state_bits & holder_bits, 0);
	assert_int_equal(state_bits & inc_bits, 0);
	assert_int_equal(holder_bits & inc_bits, 0);
	assert_true((state_bits | holder_bits | inc_bits) == UINT32_MAX);
	assert_int_equal(hak_tag_holder(holder_bits), HAK_HOLDER_COUNT - 1);
	assert_int_equal(hak_tag_inc(inc_bits), HAK_REF_INC_MAX);
	/* One that goes on behind its last leaves the other fields alone. */
	assert_true(hak_tag_pack(HAK_TAG_OWNED, Y, HAK_REF_INC_MAX + 1) ==
		    hak_tag_pack(HAK_TAG_OWNED, Y, 0));
}

static void test_a_ticket_is_void_after_each_way_that_its_block_can_go(void **state)
{
	(void)state;
	for (unsigned r = 0; r < sizeof(rows) / sizeof(rows[0]); r++) {
		for (unsigned kind = 0; kind < N_KINDS; kind++) {
			hak_u32 tag = hak_tag_pack(kinds[kind].state, kinds[kind].holder, 9);
			bool was_same = rows[r].outcomes[kind].is_same;

			rows[r].act(&tag, 9);
			if (!was_same && hak_tag_take(&tag, Y, 9))
				fail_msg("%s of kind %u leaves the ticket good", rows[r].name,
					 kind);
		}
	}
}

static void test_a_scan_that_is_done_again_does_the_same(void **state)
{
	(void)state;
	for (unsigned kind = 0; kind < N_KINDS; kind++) {
		hak_u32 own = hak_tag_pack(kinds[kind].state, kinds[kind].holder, 3), held = own;
		bool first = hak_tag_scan_own(&own, X);
		uint32_t after = own;

		assert_int_equal(hak_tag_scan_own(&own, X), first);
		assert_int_equal(own, after);
		first = hak_tag_scan_held(&held, X);
		after = held;
		assert_int_equal(hak_tag_scan_held(&held, X), first);
		assert_int_equal(held, after);
	}
}

#define TICKETS 20000u
#define TAKERS	4u

static hak_u32 tags[TICKETS];
static hak_u32 n_taken;
static hak_u32 n_ready;

static void *take_all(void *context)
{
	unsigned holder = (unsigned)(uintptr_t)context, n = 0;

	hak_add_relaxed(&n_ready, 1);
	while (hak_load_relaxed(&n_ready) < TAKERS)
		;
	for (unsigned i = 0; i < TICKETS; i++)
		n += hak_tag_take(&tags[i], holder, 0);
	hak_add_relaxed(&n_taken, n);
	return NULL;
}

static void test_a_ticket_that_many_take_is_taken_once(void **state)
{
	pthread_t threads[TAKERS];

	(void)state;
	for (unsigned i = 0; i < TAKERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, take_all,
						(void *)(uintptr_t)(HAK_HOLDER_FIRST + i)),
				 0);
	for (unsigned i = 0; i < TAKERS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(n_taken, TICKETS);
	for (unsigned i = 0; i < TICKETS; i++)
		assert_int_equal(hak_tag_inc(tags[i]), 1);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_each_transition_does_to_each_tag_what_the_table_says_or_nothing),
	cmocka_unit_test(test_a_tag_that_was_never_written_is_nobodys_with_inc_0),
	cmocka_unit_test(test_each_field_of_a_tag_has_bits_of_its_own),
	cmocka_unit_test(test_a_ticket_is_void_after_each_way_that_its_block_can_go),
	cmocka_unit_test(test_a_scan_that_is_done_again_does_the_same),
	cmocka_unit_test(test_a_ticket_that_many_take_is_taken_once),
};

HAKT_MAIN(tests, NULL, NULL)
