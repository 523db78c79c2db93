/* SPDX-License-Identifier: MIT */
/* Records behind blocks, and the walk over those that are alive, whatever the words say. */
#include "tests/support/run.h"

#include <string.h>

#include "proto/shm/sample.h"
#include "tests/support/pool.h"
#include "tests/support/random.h"

enum { OWNER = HAK_HOLDER_FIRST, TOTAL = 4, PER = 32, SMALL = 700, ROUNDS = 20000 };

#define N_SLOTS ((uint32_t)TOTAL * PER)

static struct hakt_pool pool;

static int start(void **state)
{
	(void)state;
	hakt_pool_init(&pool, (uint64_t)TOTAL << 21, 21);
	hakt_pool_set_holder(&pool, OWNER, HAK_HOLDER_ATTACHED, 1);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	hakt_pool_deinit(&pool);
	return 0;
}

static struct hak_sample sample_of(uint64_t weight, unsigned n_frames)
{
	struct hak_sample sample = {
		.weight = weight, .asked = 77, .pid = 4711, .thread = 3, .magazine = 5};

	strcpy(sample.name, "allocator");
	sample.n_frames = (uint8_t)n_frames;
	for (unsigned i = 0; i < n_frames; i++)
		sample.frames[i] = weight + i;
	return sample;
}

/* Cuts a SAMPLED slab of cls, or HAK_CLASS_COUNT: a span of two slots; at slot. */
static void cut(uint32_t slot, unsigned cls)
{
	if (cls < HAK_CLASS_COUNT)
		assert_true(hakt_pool_cut(&pool, slot, OWNER, cls));
	else
		assert_true(hakt_pool_cut_span(&pool, slot, OWNER, 2));
	assert_true(hak_slab_mark(&pool.segment.slab_words[slot], OWNER, HAK_SLAB_SAMPLED));
}

static struct hak_location locate(uint32_t slot, uint32_t index)
{
	uint64_t w = hak_slab_load(&pool.segment.slab_words[slot]);
	uint64_t bytes = hak_slab_state(w) == HAK_SLAB_SPAN ? 0
							    : hak_classes[hak_slab_class(w)].size;

	return hak_segment_locate_offset(&pool.segment,
					 ((uint64_t)slot << HAK_SLOT_LG) + index * bytes);
}

/* Claims a block and writes a record of that weight; its place. */
static struct hak_sample *put(uint32_t slot, uint32_t index, uint64_t weight)
{
	const struct hak_location l = locate(slot, index);
	const struct hak_sample sample = sample_of(weight, 4);
	struct hak_sample *at = hak_sample_of(&pool.segment, &l);

	assert_int_equal(l.place, HAK_PLACE_BLOCK);
	if (hak_slab_state(l.word) == HAK_SLAB_ACTIVE)
		assert_int_not_equal(
			hakt_pool_claim(&pool, slot, index / 64, UINT64_C(1) << index % 64), 0);
	assert_non_null(at);
	hak_sample_set(at, &sample, l.start);
	return at;
}

struct sums {
	unsigned n;
	uint64_t weight;
	uint64_t n_broken;
};

static struct sums walk(uint32_t from, uint32_t end)
{
	struct hak_sample_walk steps = {.slot = from, .end = end};
	struct hak_location l;
	struct hak_sample sample;
	struct sums sums = {0};

	while (hak_sample_next(&pool.segment, &steps, &sample, &l)) {
		sums.n++;
		sums.weight += sample.weight;
		assert_true(sample.n_frames <= HAK_SAMPLE_FRAMES);
		assert_non_null(memchr(sample.name, 0, sizeof(sample.name)));
		assert_true(l.slot < N_SLOTS);
		assert_true(l.start + l.bytes <= pool.segment.geometry.capacity);
	}
	sums.n_broken = steps.n_broken;
	return sums;
}

static void expect(unsigned n, uint64_t weight, uint64_t n_broken)
{
	const struct sums sums = walk(0, 0);

	assert_int_equal(sums.n, n);
	assert_int_equal(sums.weight, weight);
	assert_int_equal(sums.n_broken, n_broken);
}

/* Of every class that has room for one, and of a span. */
static void test_a_record_says_what_was_set_and_takes_504_bytes(void **state)
{
	(void)state;
	hakt_pool_grant(&pool, 0, 1, false, OWNER);
	for (unsigned cls = hak_class_of(sizeof(struct hak_sample)); cls <= HAK_CLASS_COUNT;
	     cls++) {
		struct hak_sample said, sample = sample_of(cls, cls % (HAK_SAMPLE_FRAMES + 1));
		bool is_slab = cls < HAK_CLASS_COUNT;
		struct hak_location l;
		struct hak_sample *at;

		cut(0, cls);
		l = locate(0, is_slab ? 1 : 0);
		at = hak_sample_of(&pool.segment, &l);
		if (is_slab)
			assert_int_equal((uintptr_t)(at + 1),
					 pool.segment.base + l.start + l.bytes);
		assert_int_equal(hak_sample_usable(&l), is_slab ? l.bytes - sizeof(*at) : l.bytes);
		assert_false(hak_sample_read(at, l.start, &said));
		hak_sample_set(at, &sample, l.start);
		assert_true(hak_sample_read(at, l.start, &said));
		assert_int_equal(said.weight, sample.weight);
		assert_int_equal(said.asked, 77);
		assert_int_equal(said.pid, 4711);
		assert_int_equal(said.thread, 3);
		assert_int_equal(said.magazine, 5);
		assert_int_equal(said.n_frames, sample.n_frames);
		assert_string_equal(said.name, "allocator");
		assert_memory_equal(said.frames, sample.frames,
				    sample.n_frames * sizeof(said.frames[0]));
		hak_sample_end(at);
		assert_false(hak_sample_read(at, l.start, &said));
		if (!is_slab)
			hak_slab_free(hak_segment_bits(&pool.segment, 0), 1);
		assert_true(hakt_pool_retire(&pool, 0, OWNER));
	}
}

static void test_a_block_of_a_slab_that_is_not_sampled_has_no_record(void **state)
{
	struct hak_location l;

	(void)state;
	hakt_pool_grant(&pool, 0, 1, false, OWNER);
	assert_true(hakt_pool_cut(&pool, 0, OWNER, hak_class_of(SMALL)));
	l = locate(0, 0);
	assert_null(hak_sample_of(&pool.segment, &l));
	assert_int_equal(hak_sample_usable(&l), l.bytes);
	assert_int_equal(hakt_pool_claim(&pool, 0, 0, 1), 1);
	expect(0, 0, 0);
	/* Nor one that is too small for it, though its word says so. */
	assert_true(hakt_pool_cut(&pool, 1, OWNER, hak_class_of(256)));
	assert_true(hak_slab_mark(&pool.segment.slab_words[1], OWNER, HAK_SLAB_SAMPLED));
	assert_int_equal(hakt_pool_claim(&pool, 1, 0, 1), 1);
	l = locate(1, 0);
	assert_null(hak_sample_of(&pool.segment, &l));
	assert_int_equal(hak_sample_usable(&l), l.bytes);
	expect(0, 0, 0);
}

/* Any bit of what is said breaks the seal; what lies behind the last frame doesn't. */
static void test_a_change_of_any_bit_breaks_the_seal(void **state)
{
	const unsigned used = offsetof(struct hak_sample, frames) + 4 * sizeof(uint64_t);
	struct hak_sample *at, said;
	unsigned char *bytes;

	(void)state;
	hakt_pool_grant(&pool, 0, 1, false, OWNER);
	cut(0, hak_class_of(SMALL));
	at = put(0, 2, 5);
	bytes = (unsigned char *)at;
	for (unsigned i = 0; i < sizeof(*at); i++)
		for (unsigned bit = 0; bit < 8; bit++) {
			/* A name's last byte is none of it: it is taken for 0. */
			bool is_free = i >= used || i == offsetof(struct hak_sample, name) +
								    sizeof(at->name) - 1;

			bytes[i] ^= (unsigned char)(1 << bit);
			assert_int_equal(hak_sample_read(at, locate(0, 2).start, &said), is_free);
			bytes[i] ^= (unsigned char)(1 << bit);
		}
	assert_true(hak_sample_read(at, locate(0, 2).start, &said));
	expect(1, 5, 0);
	bytes[9] ^= 1;
	expect(0, 0, 1);
}

static void test_a_record_is_of_its_block(void **state)
{
	struct hak_sample *at, *other, said;

	(void)state;
	hakt_pool_grant(&pool, 0, 1, false, OWNER);
	cut(0, hak_class_of(SMALL));
	at = put(0, 0, 5);
	other = put(0, 1, 6);
	memcpy(other, at, sizeof(*at));
	assert_true(hak_sample_read(at, locate(0, 0).start, &said));
	assert_false(hak_sample_read(other, locate(0, 1).start, &said));
	expect(1, 5, 1);
}

static void test_more_frames_than_there_can_be_are_no_record(void **state)
{
	struct hak_sample *at, said;

	(void)state;
	hakt_pool_grant(&pool, 0, 1, false, OWNER);
	cut(0, hak_class_of(SMALL));
	at = put(0, 0, 5);
	for (unsigned n = HAK_SAMPLE_FRAMES + 1; n <= UINT8_MAX; n++) {
		at->n_frames = (uint8_t)n;
		assert_false(hak_sample_read(at, locate(0, 0).start, &said));
	}
}

static void test_a_walk_sees_slabs_and_spans_of_living_and_dead(void **state)
{
	unsigned large = hak_class_of(28 * 1024);

	(void)state;
	hakt_pool_grant(&pool, 0, 2, false, OWNER);
	cut(0, hak_class_of(SMALL));
	put(0, 0, 1);
	put(0, 63, 2); /* the last bit of a word, and the last block */
	put(0, hak_classes[hak_class_of(SMALL)].n_blocks - 1u, 4);
	cut(2, large);
	assert_true(hak_classes[large].n_slots > 1);
	put(2, 1, 8);
	cut(PER - 2, HAK_CLASS_COUNT);
	put(PER - 2, 0, 16);
	hakt_pool_grant(&pool, 2, 2, true, OWNER);
	assert_true(hakt_pool_cut_span(&pool, 2 * PER, OWNER, PER + 3));
	assert_true(
		hak_slab_mark(&pool.segment.slab_words[(size_t)2 * PER], OWNER, HAK_SLAB_SAMPLED));
	put(2 * PER, 0, 32);
	expect(6, 63, 0);
	/* Whoever has gone meanwhile. */
	hakt_pool_set_holder(&pool, OWNER, HAK_HOLDER_FREE, 1);
	hak_slab_orphan(&pool.segment.slab_words[0]);
	expect(6, 63, 0);
	assert_int_equal(walk(2, PER - 2).weight, 8);
	assert_int_equal(walk(0, 1).weight, 7);
}

static void test_a_sample_goes_with_its_block(void **state)
{
	(void)state;
	hakt_pool_grant(&pool, 0, 1, false, OWNER);
	cut(0, hak_class_of(SMALL));
	put(0, 3, 1);
	put(0, 4, 2);
	hak_slab_free(hak_segment_bits(&pool.segment, 0), 1u << 3);
	expect(1, 2, 0);
	hak_sample_end(put(0, 5, 4));
	expect(1, 2, 0);
	hakt_pool_collect(&pool, 0);
	expect(0, 0, 0);
}

/* Words, bits and records that anybody may have written: no read beside the pool, and an end. */
static void test_a_walk_over_any_words_ends(void **state)
{
	const struct hak_geometry *g = &pool.segment.geometry;
	uint64_t seed = hakt_random_seed();

	(void)state;
	for (unsigned round = 0; round < ROUNDS; round++) {
		uint32_t slot = (uint32_t)hakt_random(&seed) % N_SLOTS;
		uint64_t w = hakt_random(&seed);
		struct hak_location l;

		switch (round % 4) {
		case 0: /* of a live slab or span at the end of the pool, of any class and length */
			slot = N_SLOTS - 1 - slot % 4;
			w = hak_slab_pack(w & 1 ? HAK_SLAB_ACTIVE : HAK_SLAB_SPAN, 1, OWNER,
					  (uint32_t)(w >> 8 & HAK_SLAB_ARG_MAX));
			break;
		case 1:
			w = hak_slab_pack(w & 1 ? HAK_SLAB_ACTIVE : HAK_SLAB_SPAN, 1, OWNER,
					  (uint32_t)(w >> 8 & 0x4f0007));
			break;
		default:
			break;
		}
		hak_store_relaxed(&pool.segment.slab_words[slot], w | HAK_SLAB_SAMPLED);
		hak_store_relaxed(hak_segment_bits(&pool.segment, slot) + w % 64,
				  hakt_random(&seed));
		*(uint64_t *)(pool.segment.base + hakt_random(&seed) % (g->capacity / 8) * 8) = w;
		l = hak_segment_locate_offset(&pool.segment, hakt_random(&seed) % g->capacity);
		if (l.place == HAK_PLACE_BLOCK) {
			struct hak_sample *at = hak_sample_of(&pool.segment, &l), said;

			assert_true(hak_sample_usable(&l) <= l.bytes);
			if (at)
				hak_sample_read(at, l.start, &said);
		}
		if (round % 100 == 0)
			walk(0, 0);
	}
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test_setup_teardown(test_a_record_says_what_was_set_and_takes_504_bytes, start,
					stop),
	cmocka_unit_test_setup_teardown(test_a_block_of_a_slab_that_is_not_sampled_has_no_record,
					start, stop),
	cmocka_unit_test_setup_teardown(test_a_change_of_any_bit_breaks_the_seal, start, stop),
	cmocka_unit_test_setup_teardown(test_a_record_is_of_its_block, start, stop),
	cmocka_unit_test_setup_teardown(test_more_frames_than_there_can_be_are_no_record, start,
					stop),
	cmocka_unit_test_setup_teardown(test_a_walk_sees_slabs_and_spans_of_living_and_dead, start,
					stop),
	cmocka_unit_test_setup_teardown(test_a_sample_goes_with_its_block, start, stop),
	cmocka_unit_test_setup_teardown(test_a_walk_over_any_words_ends, start, stop),
};

HAKT_MAIN(tests, NULL, NULL)
