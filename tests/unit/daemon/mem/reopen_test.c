/* SPDX-License-Identifier: MIT */
/*
 * A pool is opened as a daemon leaves it that is killed between two stores. The
 * moves are the real ones, made on a copy of the registry's words; of what they
 * change only the first stores are made in the pool, in the order of
 * superslab.c, for each number of them.
 */
#include "tests/unit/daemon/mem/reopened.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { LONGEST = 6 };

static void expect_free(uint32_t superslab)
{
	uint64_t s = hak_load_relaxed(word(superslab));

	assert_int_equal(hak_superslab_state(s), HAK_SUPERSLAB_FREE);
	assert_int_equal(hak_superslab_owner(s), HAK_HOLDER_NONE);
	assert_int_equal(pool->states[superslab], HAKD_COLD);
}

/* What is there at AT: granted, then being collected from OWNER; or an orphan. */
struct outcome {
	uint32_t n;
	uint32_t n_reclaiming;
	uint32_t n_orphans;
};

/* What is taken, but for one at the pool's end, which no case touches. */
static void expect_outcome(const struct outcome *wanted)
{
	uint32_t n = wanted->n + wanted->n_reclaiming + wanted->n_orphans;

	assert_int_equal(hakd_pool_granted(pool, AT, OWNER), wanted->n);
	assert_int_equal(hakd_pool_granted(pool, TOTAL - 1, OWNER), 1);
	assert_int_equal(hakd_pool_reclaiming(pool, AT + wanted->n, OWNER), wanted->n_reclaiming);
	assert_int_equal(pool->n_taken, n + 1);
	assert_int_equal(pool->n_collecting, wanted->n_reclaiming);
	assert_int_equal(pool->n_orphans, wanted->n_orphans);
	for (uint32_t i = 0; i < TOTAL - 1; i++) {
		if (i - AT < n)
			assert_int_equal(pool->states[i], HAKD_TAKEN);
		else
			expect_free(i);
	}
	expect_clean();
	/* Memory and bits of these, words and hints of all; pages never written count too. */
	assert_true(hakd_pool_resident(pool) <= (n + 1) * (2 * MIB + 16384) + 3 * HAK_PAGE_BYTES);
}

static void expect_run(uint32_t n, uint32_t n_reclaiming)
{
	expect_outcome(&(struct outcome){n, n_reclaiming, 0});
}

/* What the jobs do to what is nobody's, a grace having passed; how many that were. */
static uint32_t end_disowned(void)
{
	uint32_t n_ended = 0;

	for (uint32_t i = 0; i < TOTAL; i++) {
		uint32_t n = hakd_pool_reclaiming(pool, i, HAK_HOLDER_NONE);

		if (n == 0)
			continue;
		assert_int_equal(pool->states[i], HAKD_TAKEN);
		hakd_backing_reset(pool, i, n, false);
		hakd_pool_disown(pool, i, n);
		hakd_backing_zero_tags(pool, i, n);
		hakd_pool_end_collect(pool, i, n, false, 0);
		n_ended += n;
	}
	return n_ended;
}

static void make_grant(hak_u64 *head)
{
	hak_superslab_grant_run(head, OWNER, true, 5);
}

static void make_extend(hak_u64 *head)
{
	hak_superslab_extend_run(head, 3);
}

static void make_shorten(hak_u64 *head)
{
	hak_superslab_shorten_run(head, 2);
}

static const struct move {
	const char *name;
	uint32_t n;	 /* granted at AT before it */
	bool is_begun;	 /* that is RECLAIMING, its slab words are reset */
	uint32_t backed; /* SuperSlabs behind that are prepared */
	void (*make)(hak_u64 *head);
	unsigned n_stores;
	uint32_t order[LONGEST]; /* words from AT on, as they are stored */
	struct outcome outcomes[LONGEST + 1];
} moves[] = {
	{.name = "grant",
	 .backed = 5,
	 .make = make_grant,
	 .n_stores = 5,
	 .order = {4, 3, 2, 1, 0},
	 .outcomes = {[5] = {.n = 5}}},
	{.name = "extend",
	 .n = 2,
	 .backed = 3,
	 .make = make_extend,
	 .n_stores = 4,
	 .order = {2, 3, 4, 0},
	 .outcomes = {{.n = 2}, {.n = 2}, {.n = 2}, {.n = 2}, {.n = 5}}},
	{.name = "shorten",
	 .n = 5,
	 .make = make_shorten,
	 .n_stores = 4,
	 .order = {0, 4, 3, 2},
	 .outcomes = {{.n = 5}, {.n = 2}, {.n = 2}, {.n = 2}, {.n = 2, .n_reclaiming = 3}}},
	{.name = "begin of a collection",
	 .n = 5,
	 .make = hak_superslab_begin_collect,
	 .n_stores = 1,
	 .order = {0},
	 .outcomes = {{.n = 5}, {.n_reclaiming = 5}}},
	{.name = "orphan",
	 .n = 5,
	 .is_begun = true,
	 .make = hak_superslab_orphan,
	 .n_stores = 5,
	 .order = {4, 3, 2, 1, 0},
	 .outcomes = {{.n_reclaiming = 5},
		      {.n_reclaiming = 5},
		      {.n_reclaiming = 5},
		      {.n_reclaiming = 5},
		      {.n_reclaiming = 5},
		      {.n_orphans = 5}}},
	{.name = "disown",
	 .n = 5,
	 .is_begun = true,
	 .make = hak_superslab_disown,
	 .n_stores = 5,
	 .order = {4, 3, 2, 1, 0},
	 .outcomes = {{.n_reclaiming = 5},
		      {.n_reclaiming = 5},
		      {.n_reclaiming = 5},
		      {.n_reclaiming = 5},
		      {.n_reclaiming = 5}}},
	{.name = "end of a collection",
	 .n = 5,
	 .is_begun = true,
	 .make = hak_superslab_end_collect,
	 .n_stores = 5,
	 .order = {0, 1, 2, 3, 4},
	 .outcomes = {{.n_reclaiming = 5}}},
};

/* The pool as it is when the first k stores of a move have been made. */
static void leave_half_made(const struct move *move, unsigned k)
{
	hak_u64 after[TOTAL];

	grant(TOTAL - 1, 1, false);
	if (move->n > 0)
		grant(AT, move->n, true);
	if (move->is_begun) {
		hak_superslab_begin_collect(word(AT));
		hakd_backing_reset(pool, AT, move->n, true);
	}
	if (move->backed > 0)
		back(AT + move->n, move->backed, UINT32_MAX);
	for (uint32_t i = 0; i < TOTAL; i++)
		hak_store_relaxed(&after[i], hak_load_relaxed(word(i)));
	move->make(&after[AT]);
	for (unsigned i = 0; i < k; i++)
		hak_store_relaxed(word(AT + move->order[i]),
				  hak_load_relaxed(&after[AT + move->order[i]]));
	if (k == move->n_stores) /* these were all */
		for (uint32_t i = 0; i < TOTAL; i++)
			assert_true(hak_load_relaxed(word(i)) == hak_load_relaxed(&after[i]));
}

static void test_each_move_that_was_cut_short_is_made_or_undone(void **state)
{
	for (unsigned m = 0; m < sizeof(moves) / sizeof(moves[0]); m++) {
		for (unsigned k = 0; k <= moves[m].n_stores; k++) {
			const struct outcome *wanted = &moves[m].outcomes[k];

			print_message("%s, %u stores\n", moves[m].name, k);
			clean_up(state);
			prepare(state);
			leave_half_made(&moves[m], k);
			assert_int_equal(reopen(2 * TOTAL * MIB), 0);
			assert_int_equal(reopen(2 * TOTAL * MIB), 0); /* it may die too */
			end_disowned();
			expect_outcome(wanted);
			assert_int_equal(reopen(2 * TOTAL * MIB), 0);
			assert_int_equal(end_disowned(), 0); /* nothing is left to do */
			expect_outcome(wanted);
		}
	}
}

static void test_slab_words_of_a_grant_that_was_not_made_are_reset(void **state)
{
	static const uint32_t n_words[] = {0, 1, 31, 32, 33, 63, 64};

	for (unsigned i = 0; i < sizeof(n_words) / sizeof(n_words[0]); i++) {
		clean_up(state);
		prepare(state);
		grant(TOTAL - 1, 1, false);
		back(AT, 2, n_words[i]);
		assert_int_equal(reopen(2 * TOTAL * MIB), 0);
		expect_run(0, 0);
	}
}

static void test_a_body_that_was_reset_in_part_is_reset_and_free(void **state)
{
	uint32_t per = pool->segment.geometry.slots_per_superslab;

	(void)state;
	leave_half_made(&moves[0], 3);
	for (uint32_t i = 0; i < per / 2; i++) /* by an opening that was cut short */
		hak_slab_collect(&pool->segment.slab_words[(AT + 3) * per + i]);
	assert_int_equal(reopen(2 * TOTAL * MIB), 0);
	assert_int_equal(end_disowned(), 3);
	expect_run(0, 0);
}

static void test_a_collection_that_was_under_way_can_be_ended(void **state)
{
	(void)state;
	leave_half_made(&moves[2], 4);
	assert_int_equal(reopen(2 * TOTAL * MIB), 0);
	assert_int_equal(hakd_pool_take_behind(pool, AT + 2, 3), -EAGAIN); /* not yet */
	hakd_backing_reset(pool, AT + 2, 3, false);
	hakd_pool_disown(pool, AT + 2, 3);
	hakd_pool_end_collect(pool, AT + 2, 3, false, 0);
	expect_run(2, 0);
	assert_int_equal(hakd_pool_take_behind(pool, AT + 2, 3), 0);
}

static void test_tags_of_bodies_without_a_head_stay_for_a_grace(void **state)
{
	uint32_t slot;

	(void)state;
	leave_half_made(&moves[2], 1); /* the end of a run, cut off */
	slot = (AT + 3) * pool->segment.geometry.slots_per_superslab;
	hak_store_relaxed(&pool->segment.slab_words[slot],
			  hak_load_relaxed(&pool->segment.slab_words[slot]) | HAK_SLAB_TAGGED);
	assert_int_equal(reopen(2 * TOTAL * MIB), 0);
	assert_int_equal(hakd_pool_reclaiming(pool, AT + 3, HAK_HOLDER_NONE), 1);
	assert_true(hakd_backing_reset(pool, AT + 3, 1, false));
}

static void test_what_was_warm_is_cold_and_has_no_pages(void **state)
{
	const struct hak_geometry *g = &pool->segment.geometry;
	char *data = (char *)pool->heap + g->data_at + 9 * 2 * MIB;
	uint64_t bits;

	(void)state;
	grant(TOTAL - 1, 1, false);
	grant(9, 1, false);
	memset(data, 'x', MIB);
	hak_superslab_begin_collect(word(9));
	hakd_backing_reset(pool, 9, 1, true);
	hak_superslab_end_collect(word(9));
	back(12, 1, 0); /* the reserve's */
	bits = HAK_SLAB_BITS_WORDS * sizeof(hak_u64) * g->slots_per_superslab;
	assert_int_equal(fallocate(pool->heap_fd, 0, (off_t)(g->bits_at + 15 * bits), (off_t)bits),
			 0); /* a fill that got no further */
	assert_int_equal(reopen(2 * TOTAL * MIB), 0);
	expect_run(0, 0);
	assert_int_equal(hakd_pool_n_warm(pool), 0);
}

static void test_an_empty_pool_has_no_pages_but_of_words(void **state)
{
	(void)state;
	back(20, 1, 0);
	assert_int_equal(reopen(2 * TOTAL * MIB), 0);
	assert_int_equal(pool->n_taken, 0);
	assert_true(hakd_pool_resident(pool) <= 3 * HAK_PAGE_BYTES);
}

static void test_what_nobody_ever_wrote_gets_no_pages(void **state)
{
	uint64_t resident;

	(void)state;
	hakd_pool_free(pool);
	assert_int_equal(hakd_pool_new("large", 4096 * MIB, 4096 * MIB, 21, NULL, 0, &pool), 0);
	grant(AT, 1, false);
	resident = hakd_pool_resident(pool);
	assert_int_equal(reopen(4096 * MIB), 0);
	assert_int_equal(hakd_pool_resident(pool), resident);
}

static void test_what_is_granted_is_as_it_was(void **state)
{
	const struct hak_geometry *g = &pool->segment.geometry;
	uint64_t first = (uint64_t)AT * 2 * MIB, end = first + 5 * 2 * MIB;
	uint32_t slot = AT * g->slots_per_superslab;
	uint64_t w;

	(void)state;
	grant(TOTAL - 1, 1, false);
	grant(AT, 5, true);
	assert_true(hak_slab_cut_span(
		&pool->segment.slab_words[slot], hak_segment_bits(&pool->segment, slot),
		hak_segment_tags(&pool->segment, slot), OWNER, 5 * g->slots_per_superslab));
	w = hak_slab_load(&pool->segment.slab_words[slot]);
	for (uint64_t at = first; at < end; at += 4096)
		memcpy((char *)pool->heap + g->data_at + at, &at, sizeof(at));
	assert_int_equal(reopen(2 * TOTAL * MIB), 0);
	expect_run(5, 0);
	g = &pool->segment.geometry;
	assert_true(hak_slab_load(&pool->segment.slab_words[slot]) == w);
	for (uint64_t at = first; at < end; at += 4096)
		assert_memory_equal((char *)pool->heap + g->data_at + at, &at, sizeof(at));
}

static void test_name_identity_and_capacity_are_the_pools_own(void **state)
{
	uint8_t uuid[HAK_UUID_BYTES];

	(void)state;
	memcpy(uuid, pool->uuid, sizeof(uuid));
	assert_int_equal(reopen(1024 * MIB), 0);
	assert_string_equal(pool->name, "mine");
	assert_memory_equal(pool->uuid, uuid, sizeof(uuid));
	assert_int_equal(pool->generation, 1);
	assert_int_equal(pool->limit, 2 * TOTAL * MIB);
	assert_int_equal(reopen(8 * MIB), 0);
	assert_int_equal(pool->limit, 8 * MIB);
}

static void test_more_than_the_limit_may_be_granted_and_no_more_is(void **state)
{
	uint32_t got[4], n = 4;

	(void)state;
	grant(AT, 5, true);
	assert_int_equal(reopen(8 * MIB), 0);
	assert_int_equal(pool->n_taken, 5);
	assert_int_equal(hakd_pool_take(pool, &n, got), -ENOMEM);
}

static void test_words_that_no_daemon_leaves_are_refused_and_not_touched(void **state)
{
	const enum hak_superslab_state none = (enum hak_superslab_state)7;
	const struct {
		uint32_t at;
		uint64_t word;
	} rows[] = {
		{AT, hak_superslab_pack(none, true, OWNER, 3, 1)},
		{AT, hak_superslab_pack(HAK_SUPERSLAB_GRANTED, true, OWNER, 0, 1)},   /* length */
		{AT, hak_superslab_pack(HAK_SUPERSLAB_GRANTED, true, OWNER, 100, 1)}, /* too long */
		{AT, hak_superslab_pack(HAK_SUPERSLAB_GRANTED, false, OWNER, 3, 1)},  /* not huge */
		{AT + 1, hak_superslab_pack(HAK_SUPERSLAB_FREE, false, 0, 0, 0)},
		{AT + 1, hak_superslab_pack(HAK_SUPERSLAB_BODY, true, OWNER, 2, 0)},
		{AT + 2, hak_superslab_pack(HAK_SUPERSLAB_BODY, true, OWNER + 1, 2, 0)},
		{AT + 2, hak_superslab_pack(HAK_SUPERSLAB_RECLAIMING, true, OWNER, 1, 0)},
	};

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		clean_up(state);
		prepare(state);
		back(AT, 5, UINT32_MAX); /* of which two would be reset */
		hak_superslab_grant_run(word(AT), OWNER, true, 3);
		hak_store_relaxed(word(rows[i].at), rows[i].word);
		assert_int_equal(reopen(2 * TOTAL * MIB), -EPROTO);
		assert_true(hak_load_relaxed(word(rows[i].at)) == rows[i].word);
		assert_int_equal(
			hak_slab_owner(hak_slab_load(&pool->segment.slab_words[(AT + 4) * 32])),
			OWNER);
	}
}

static void test_another_layout_is_refused(void **state)
{
	struct hak_registry *header = pool->registry;

	(void)state;
	header->layout_version++;
	assert_int_equal(reopen(2 * TOTAL * MIB), -EPROTO);
	header->layout_version--;
	header->fingerprint++;
	assert_int_equal(reopen(2 * TOTAL * MIB), -EPROTO);
	header->fingerprint--;
	header->magic++;
	assert_int_equal(reopen(2 * TOTAL * MIB), -EPROTO);
	header->magic--;
	assert_int_equal(reopen(2 * TOTAL * MIB), 0);
}

/* A file in memory; seals as F_ADD_SEALS. */
static int make_file(uint64_t bytes, int seals)
{
	int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)bytes), 0);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
	return fd;
}

static void test_descriptors_that_are_no_pool_are_refused(void **state)
{
	const struct hak_geometry *g = &pool->segment.geometry;
	const int all = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
	struct hakd_pool *next;
	int pairs[][2] = {
		{dup(pool->registry_fd), dup(pool->registry_fd)},
		{dup(pool->heap_fd), dup(pool->registry_fd)},
		{dup(pool->registry_reader_fd), dup(pool->heap_fd)},
		{dup(pool->registry_fd), make_file(g->heap_bytes, F_SEAL_SHRINK | F_SEAL_SEAL)},
		{dup(pool->registry_fd), make_file(g->heap_bytes, F_SEAL_GROW | F_SEAL_SEAL)},
		{dup(pool->registry_fd), make_file(g->heap_bytes + 4096, all)},
		{make_file(g->registry_bytes, all), dup(pool->heap_fd)},
		{make_file(0, all), dup(pool->heap_fd)},
		{open("/dev/null", O_RDWR | O_CLOEXEC), dup(pool->heap_fd)},
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		assert_int_equal(hakd_pool_open(pairs[i][0], pairs[i][1], 2 * TOTAL * MIB, &next),
				 -EPROTO);
		assert_int_equal(close(pairs[i][0]), -1); /* closed already */
		assert_int_equal(close(pairs[i][1]), -1);
	}
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test_setup_teardown(test_each_move_that_was_cut_short_is_made_or_undone,
					prepare, clean_up),
	cmocka_unit_test_setup_teardown(test_slab_words_of_a_grant_that_was_not_made_are_reset,
					prepare, clean_up),
	cmocka_unit_test_setup_teardown(test_a_body_that_was_reset_in_part_is_reset_and_free,
					prepare, clean_up),
	cmocka_unit_test_setup_teardown(test_a_collection_that_was_under_way_can_be_ended, prepare,
					clean_up),
	cmocka_unit_test_setup_teardown(test_tags_of_bodies_without_a_head_stay_for_a_grace,
					prepare, clean_up),
	cmocka_unit_test_setup_teardown(test_what_was_warm_is_cold_and_has_no_pages, prepare,
					clean_up),
	cmocka_unit_test_setup_teardown(test_an_empty_pool_has_no_pages_but_of_words, prepare,
					clean_up),
	cmocka_unit_test_setup_teardown(test_what_nobody_ever_wrote_gets_no_pages, prepare,
					clean_up),
	cmocka_unit_test_setup_teardown(test_what_is_granted_is_as_it_was, prepare, clean_up),
	cmocka_unit_test_setup_teardown(test_name_identity_and_capacity_are_the_pools_own, prepare,
					clean_up),
	cmocka_unit_test_setup_teardown(test_more_than_the_limit_may_be_granted_and_no_more_is,
					prepare, clean_up),
	cmocka_unit_test_setup_teardown(
		test_words_that_no_daemon_leaves_are_refused_and_not_touched, prepare, clean_up),
	cmocka_unit_test_setup_teardown(test_another_layout_is_refused, prepare, clean_up),
	cmocka_unit_test_setup_teardown(test_descriptors_that_are_no_pool_are_refused, prepare,
					clean_up),
};

HAKT_MAIN(tests, NULL, NULL)
