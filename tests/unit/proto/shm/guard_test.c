/* SPDX-License-Identifier: MIT */
/* Guards behind blocks of slabs of every class and of spans, byte by byte. */
#include "tests/support/run.h"

#include <string.h>

#include "proto/shm/guard.h"
#include "tests/support/pool.h"

#define OWNER HAK_HOLDER_FIRST

/* A pool with one granted SuperSlab. */
static void start(struct hakt_pool *pool)
{
	hakt_pool_init(pool, UINT64_C(4) << 21, 21);
	hakt_pool_grant(pool, 0, 1, false, OWNER);
}

/* Its first slot is a slab of cls, or HAK_CLASS_COUNT: a span of 2 slots; the block is its second, or its one. */
static struct hak_location cut(struct hakt_pool *pool, unsigned cls, bool is_guarded)
{
	struct hak_segment *s = &pool->segment;

	if (cls < HAK_CLASS_COUNT)
		assert_true(hakt_pool_cut(pool, 0, OWNER, cls));
	else
		assert_true(hakt_pool_cut_span(pool, 0, OWNER, 2));
	if (is_guarded)
		assert_true(hak_slab_mark(&s->slab_words[0], OWNER, HAK_SLAB_GUARDED));
	return hak_segment_locate_offset(s, cls < HAK_CLASS_COUNT ? hak_classes[cls].size : 0);
}

static void uncut(struct hakt_pool *pool)
{
	if (hak_slab_state(hak_slab_load(&pool->segment.slab_words[0])) == HAK_SLAB_SPAN)
		hak_slab_free(hak_segment_bits(&pool->segment, 0), 1);
	assert_true(hakt_pool_retire(pool, 0, OWNER));
}

static char *memory_of(const struct hakt_pool *pool, const struct hak_location *l)
{
	return (char *)(pool->segment.base + l->start);
}

/* Some sizes that fit a block with its guard: the least, the most, and what is near to them. */
static unsigned sizes_of(const struct hak_location *l, uint64_t sizes[8])
{
	const uint64_t most = l->bytes - HAK_GUARD_BYTES;
	const uint64_t all[] = {0, 1, most / 2, most - 17, most - 16, most - 15, most - 1, most};
	unsigned n = 0;

	for (unsigned i = 0; i < 8; i++)
		if (all[i] <= most) /* else it has wrapped */
			sizes[n++] = all[i];
	return n;
}

static void test_a_block_is_as_long_as_was_asked_for(void **state)
{
	struct hakt_pool pool;
	uint64_t sizes[8];

	(void)state;
	start(&pool);
	for (unsigned cls = 0; cls <= HAK_CLASS_COUNT; cls++) {
		struct hak_location l = cut(&pool, cls, true);
		unsigned n = sizes_of(&l, sizes);

		for (unsigned i = 0; i < n; i++) {
			hak_guard_set(&pool.segment, &l, sizes[i]);
			memset(memory_of(&pool, &l), 'a', sizes[i]);
			assert_int_equal(hak_guard_usable(&pool.segment, &l), sizes[i]);
			assert_true(hak_guard_holds(&pool.segment, &l));
		}
		uncut(&pool);
	}
	hakt_pool_deinit(&pool);
}

static void test_a_change_of_any_byte_that_is_watched_is_seen(void **state)
{
	struct hakt_pool pool;
	uint64_t sizes[8];

	(void)state;
	start(&pool);
	for (unsigned cls = 0; cls <= HAK_CLASS_COUNT; cls++) {
		struct hak_location l = cut(&pool, cls, true);
		char *block = memory_of(&pool, &l);
		unsigned n = sizes_of(&l, sizes);

		for (unsigned i = 0; i < n; i++) {
			hak_guard_set(&pool.segment, &l, sizes[i]);
			assert_int_not_equal(block[sizes[i]], 0);
			for (uint64_t at = sizes[i]; at < l.bytes; at++) {
				bool is_watched = at < sizes[i] + HAK_GUARD_TAIL ||
						  at >= l.bytes - HAK_GUARD_BYTES;

				for (unsigned bit = 0; bit < 8; bit++) {
					block[at] ^= (char)(1 << bit);
					assert_int_equal(hak_guard_holds(&pool.segment, &l),
							 !is_watched);
					assert_true(hak_guard_usable(&pool.segment, &l) <=
						    l.bytes - HAK_GUARD_BYTES);
					block[at] ^= (char)(1 << bit);
				}
				if (at == sizes[i] + HAK_GUARD_TAIL + 8 &&
				    at < l.bytes - HAK_GUARD_BYTES) /* on to the seal */
					at = l.bytes - HAK_GUARD_BYTES - 1;
			}
			assert_true(hak_guard_holds(&pool.segment, &l));
		}
		uncut(&pool);
	}
	hakt_pool_deinit(&pool);
}

static void test_a_guard_is_of_its_block_and_of_its_pool(void **state)
{
	struct hakt_pool pool;
	struct hak_location l, other;
	unsigned cls = hak_class_of(64);

	(void)state;
	start(&pool);
	l = cut(&pool, cls, true);
	other = hak_segment_locate_offset(&pool.segment, l.start + 64);
	hak_guard_set(&pool.segment, &l, 40);
	memcpy(memory_of(&pool, &other), memory_of(&pool, &l), 64);
	assert_true(hak_guard_holds(&pool.segment, &l));
	assert_false(hak_guard_holds(&pool.segment, &other));
	pool.registry->uuid[3] ^= 1;
	assert_false(hak_guard_holds(&pool.segment, &l));
	hakt_pool_deinit(&pool);
}

static void test_what_is_not_guarded_has_no_guard(void **state)
{
	struct hakt_pool pool;

	(void)state;
	start(&pool);
	for (unsigned cls = 0; cls <= HAK_CLASS_COUNT; cls++) {
		struct hak_location l = cut(&pool, cls, false);
		char *block = memory_of(&pool, &l);

		memset(block, 'a', l.bytes);
		hak_guard_set(&pool.segment, &l, 1);
		for (uint64_t at = 0; at < l.bytes; at++)
			assert_int_equal(block[at], 'a');
		assert_int_equal(hak_guard_usable(&pool.segment, &l), l.bytes);
		assert_true(hak_guard_holds(&pool.segment, &l));
		uncut(&pool);
	}
	hakt_pool_deinit(&pool);
}

static void test_more_slack_than_a_seal_can_tell_is_the_callers(void **state)
{
	struct hakt_pool pool;
	struct hak_location l;
	uint64_t usable;

	(void)state;
	hakt_pool_init(&pool, UINT64_C(16) << 21, 21);
	hakt_pool_grant(&pool, 0, 10, true, OWNER);
	assert_true(hakt_pool_cut_span(&pool, 0, OWNER, 320));
	assert_true(hak_slab_mark(&pool.segment.slab_words[0], OWNER, HAK_SLAB_GUARDED));
	l = hak_segment_locate_offset(&pool.segment, 0);
	hak_guard_set(&pool.segment, &l, 100);
	usable = hak_guard_usable(&pool.segment, &l);
	assert_int_equal(usable, l.bytes - HAK_GUARD_BYTES - HAK_GUARD_SLACK_MAX);
	memset(memory_of(&pool, &l), 'a', usable);
	assert_true(hak_guard_holds(&pool.segment, &l));
	memory_of(&pool, &l)[usable] = 0;
	assert_false(hak_guard_holds(&pool.segment, &l));
	hakt_pool_deinit(&pool);
}

static bool is_guarded(const struct hakt_pool *pool)
{
	return hak_slab_load(&pool->segment.slab_words[0]) & HAK_SLAB_GUARDED;
}

static void test_the_mark_ends_with_the_slab_and_with_its_heir(void **state)
{
	struct hakt_pool pool;
	hak_u64 *word;

	(void)state;
	start(&pool);
	word = &pool.segment.slab_words[0];
	assert_false(hak_slab_mark(word, OWNER, HAK_SLAB_GUARDED)); /* no slab yet */
	for (unsigned cls = 0; cls <= HAK_CLASS_COUNT; cls++) {
		cut(&pool, cls, false);
		assert_false(hak_slab_mark(word, OWNER + 1, HAK_SLAB_GUARDED));
		assert_false(is_guarded(&pool));
		uncut(&pool);
		cut(&pool, cls, true);
		assert_true(hak_slab_set_tagged(word, OWNER)); /* which keeps it */
		assert_true(is_guarded(&pool));
		if (cls == HAK_CLASS_COUNT)
			assert_true(hak_slab_resize_span(word, OWNER, 5));
		else
			assert_true(hak_slab_pass(word, OWNER, 1, 1));
		assert_true(is_guarded(&pool));
		uncut(&pool);
		assert_false(is_guarded(&pool));
		cut(&pool, cls, false);
		assert_false(is_guarded(&pool));
		assert_true(hak_slab_mark(word, OWNER, HAK_SLAB_GUARDED));
		hak_slab_orphan(word); /* who holds blocks in it finds their guards */
		assert_true(is_guarded(&pool));
		hak_slab_inherit(word, OWNER + 1);
		assert_false(is_guarded(&pool));
		assert_true(hak_slab_mark(word, OWNER + 1, HAK_SLAB_GUARDED));
		hak_slab_collect(word);
		assert_false(is_guarded(&pool));
		hak_slab_grant(word, OWNER, false);
		assert_false(is_guarded(&pool));
	}
	hakt_pool_deinit(&pool);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_a_block_is_as_long_as_was_asked_for),
	cmocka_unit_test(test_a_change_of_any_byte_that_is_watched_is_seen),
	cmocka_unit_test(test_a_guard_is_of_its_block_and_of_its_pool),
	cmocka_unit_test(test_what_is_not_guarded_has_no_guard),
	cmocka_unit_test(test_more_slack_than_a_seal_can_tell_is_the_callers),
	cmocka_unit_test(test_the_mark_ends_with_the_slab_and_with_its_heir),
};

HAKT_MAIN(tests, NULL, NULL)
