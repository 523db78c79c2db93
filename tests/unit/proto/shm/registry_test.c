/* SPDX-License-Identifier: MIT */
/* The geometry of a pool, the view of it, and what is accepted as a registry's header. */
#include "tests/support/run.h"

#include <errno.h>
#include <string.h>

#include "tests/support/pool.h"

#define MIB UINT64_C(1048576)

static const uint64_t capacities[] = {2 * MIB,	       4 * MIB,	    64 * MIB,
				      126 * MIB,       1022 * MIB,  4096 * MIB,
				      65536 * MIB,     65538 * MIB, HAK_CAPACITY_MAX - 2 * MIB,
				      HAK_CAPACITY_MAX};

enum { N_CAPACITIES = sizeof(capacities) / sizeof(capacities[0]) };

static void test_a_capacity_out_of_range_is_EINVAL(void **state)
{
	static const uint64_t bad[] = {0,
				       1,
				       MIB,
				       2 * MIB - 1,
				       2 * MIB + 1,
				       2 * MIB + 4096,
				       3 * MIB,
				       HAK_CAPACITY_MAX + 1,
				       HAK_CAPACITY_MAX + 2 * MIB,
				       UINT64_MAX,
				       UINT64_MAX - 2 * MIB + 1};
	struct hak_geometry g;

	(void)state;
	memset(&g, 0x5a, sizeof(g));
	struct hak_geometry before = g;

	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(hak_geometry_init(&g, bad[i], 20), -EINVAL);
		assert_int_equal(hak_geometry_init(&g, bad[i], 21), -EINVAL);
	}
	assert_memory_equal(&g, &before, sizeof(g));
}

static void test_superslabs_of_other_sizes_are_EINVAL(void **state)
{
	struct hak_geometry g;

	(void)state;
	for (unsigned lg = 0; lg < 70; lg++)
		assert_int_equal(hak_geometry_init(&g, 64 * MIB, lg),
				 lg == 20 || lg == 21 ? 0 : -EINVAL);
	assert_int_equal(hak_geometry_init(&g, 64 * MIB, UINT32_MAX), -EINVAL);
}

static void test_counts_follow_from_the_capacity(void **state)
{
	(void)state;
	for (unsigned lg = 20; lg <= 21; lg++) {
		for (unsigned i = 0; i < N_CAPACITIES; i++) {
			struct hak_geometry g;

			assert_int_equal(hak_geometry_init(&g, capacities[i], lg), 0);
			assert_int_equal(g.capacity, capacities[i]);
			assert_int_equal(g.superslab_lg, lg);
			assert_int_equal((uint64_t)g.n_superslabs << lg, capacities[i]);
			assert_int_equal(g.n_slots * HAK_SLOT_BYTES, capacities[i]);
			assert_int_equal((uint64_t)g.n_superslabs * g.slots_per_superslab,
					 g.n_slots);
		}
	}
}

static void test_parts_follow_each_other_without_overlap(void **state)
{
	(void)state;
	for (unsigned k = 0; k < 2 * N_CAPACITIES; k++) {
		struct hak_geometry g;

		assert_int_equal(hak_geometry_init(&g, capacities[k / 2], 20 + k % 2), 0);

		const uint64_t n = g.n_slots;
		const struct {
			uint64_t at, bytes, alignment;
		} parts[] = {
			{g.slab_words_at, n * 8, HAK_PAGE_BYTES},
			{g.pending_at, g.n_superslabs * UINT64_C(4), HAK_PAGE_BYTES},
			{g.areas_at, HAK_HOLDER_COUNT * HAK_CLIENT_AREA_BYTES, HAK_PAGE_BYTES},
			{g.bits_at, n * 512, HAK_PAGE_BYTES},
			{g.tags_at, n * 16384, HAK_PAGE_BYTES},
			{g.data_at, g.capacity, 2 * MIB},
		};
		uint64_t end = 0;

		for (unsigned i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
			assert_true(parts[i].at >= end);
			assert_true(parts[i].at - end < parts[i].alignment);
			assert_int_equal(parts[i].at % parts[i].alignment, 0);
			end = parts[i].at + parts[i].bytes;
		}
		assert_int_equal(g.heap_bytes, end);
		assert_int_equal(g.registry_bytes % HAK_PAGE_BYTES, 0);
		assert_true(g.registry_bytes >=
			    HAK_REGISTRY_SUPERSLABS_AT + g.n_superslabs * UINT64_C(8));
	}
}

static void test_parts_of_the_registry_do_not_overlap(void **state)
{
	(void)state;
	assert_true(sizeof(struct hak_registry) <= HAK_REGISTRY_HOLDERS_AT);
	assert_true(HAK_REGISTRY_HOLDERS_AT + HAK_HOLDER_COUNT * sizeof(struct hak_holder) <=
		    HAK_REGISTRY_ROOTS_AT);
	assert_int_equal(HAK_REGISTRY_ROOTS_AT, 266240); /* the byte map of registry.h */
	assert_int_equal(HAK_REGISTRY_SUPERSLABS_AT, 331776);
}

static void test_all_slots_of_a_pool_fit_the_words_that_name_them(void **state)
{
	struct hak_geometry g;

	(void)state;
	assert_int_equal(hak_geometry_init(&g, HAK_CAPACITY_MAX, 20), 0);
	assert_true(g.n_slots - 1 <= HAK_SLAB_ARG_MAX); /* the distance of the last body */
	assert_true(g.n_superslabs <= HAK_SUPERSLAB_LENGTH_MAX);
	assert_int_equal(hak_ref_offset(hak_ref_make(g.capacity - 16, 1, 0)), g.capacity - 16);
}

static void test_the_view_points_to_the_parts(void **state)
{
	struct hakt_pool pool;

	(void)state;
	for (unsigned lg = 20; lg <= 21; lg++) {
		hakt_pool_init(&pool, 64 * MIB, lg);
		const struct hak_segment *s = &pool.segment;
		const struct hak_geometry *g = &s->geometry;
		const char *facts = (const char *)pool.registry;

		assert_ptr_equal(s->holders, facts + HAK_REGISTRY_HOLDERS_AT);
		assert_ptr_equal(s->superslabs, facts + HAK_REGISTRY_SUPERSLABS_AT);
		assert_ptr_equal(s->slab_words, pool.heap + g->slab_words_at);
		assert_ptr_equal(s->pending, pool.heap + g->pending_at);
		assert_ptr_equal(s->areas, pool.heap + g->areas_at);
		assert_ptr_equal(s->bits, pool.heap + g->bits_at);
		assert_ptr_equal(s->tags, pool.heap + g->tags_at);
		assert_int_equal(s->base, (uintptr_t)pool.heap + g->data_at);
		assert_ptr_equal(hak_segment_bits(s, 3), pool.heap + g->bits_at + 3 * 512);
		assert_int_equal(hak_segment_address(s, 3), s->base + 3 * 65536);
		assert_int_equal(hak_segment_superslab_of(s, 63), 63 >> (lg - 16));
		hakt_pool_deinit(&pool);
	}
}

struct header {
	struct hakt_pool pool;
	uint64_t bytes;
};

static void header_init(struct header *h)
{
	hakt_pool_init(&h->pool, 64 * MIB, 21);
	h->pool.registry->base = UINT64_C(0x550000000000);
	h->bytes = h->pool.segment.geometry.registry_bytes;
}

/* What validate says; it must leave the geometry alone unless that is 0. */
static int validate(const struct header *h)
{
	struct hak_geometry g, before;
	int r;

	memset(&g, 0x5a, sizeof(g));
	before = g;
	r = hak_registry_validate(h->pool.registry, h->bytes, &g);
	if (r == 0)
		assert_memory_equal(&g, &h->pool.segment.geometry, sizeof(g));
	else
		assert_memory_equal(&g, &before, sizeof(g));
	return r;
}

/* What validate says of a good header in which one field was changed. */
#define VALIDATE_WITH(field, value)               \
	__extension__({                           \
		struct header h;                  \
		int r;                            \
                                                  \
		header_init(&h);                  \
		h.pool.registry->field = (value); \
		r = validate(&h);                 \
		hakt_pool_deinit(&h.pool);        \
		r;                                \
	})

static void test_a_good_header_gives_its_geometry(void **state)
{
	(void)state;
	assert_int_equal(VALIDATE_WITH(magic, HAK_REGISTRY_MAGIC), 0);
	assert_int_equal(VALIDATE_WITH(base, 0), 0);
}

static void test_another_magic_is_EINVAL(void **state)
{
	(void)state;
	assert_int_equal(VALIDATE_WITH(magic, 0), -EINVAL);
	assert_int_equal(VALIDATE_WITH(magic, HAK_REGISTRY_MAGIC ^ 1), -EINVAL);
	assert_int_equal(VALIDATE_WITH(magic, HAK_REGISTRY_MAGIC ^ UINT64_C(1) << 63), -EINVAL);
}

static void test_a_mapping_of_another_length_is_EINVAL(void **state)
{
	struct header h;

	(void)state;
	header_init(&h);
	const uint64_t good = h.bytes;
	const uint64_t bad[] = {0,
				1,
				sizeof(struct hak_registry),
				4096,
				HAK_REGISTRY_SUPERSLABS_AT - 1,
				HAK_REGISTRY_SUPERSLABS_AT,
				good - 4096,
				good - 1,
				good + 1,
				good + 4096,
				UINT64_MAX};

	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		h.bytes = bad[i];
		assert_int_equal(validate(&h), -EINVAL);
	}
	hakt_pool_deinit(&h.pool);
}

static void test_a_mapping_too_short_for_a_header_is_not_read(void **state)
{
	struct hak_geometry g;

	(void)state;
	assert_int_equal(hak_registry_validate(NULL, 0, &g), -EINVAL);
	assert_int_equal(hak_registry_validate(NULL, HAK_REGISTRY_SUPERSLABS_AT - 1, &g), -EINVAL);
}

static void test_another_version_or_fingerprint_is_EPROTO(void **state)
{
	(void)state;
	assert_int_equal(VALIDATE_WITH(layout_version, HAK_LAYOUT_VERSION + 1), -EPROTO);
	assert_int_equal(VALIDATE_WITH(layout_version, 0), -EPROTO);
	assert_int_equal(VALIDATE_WITH(fingerprint, hak_layout_fingerprint() ^ 1), -EPROTO);
	assert_int_equal(VALIDATE_WITH(fingerprint, 0), -EPROTO);
}

static void test_a_broken_field_is_EINVAL(void **state)
{
	(void)state;
	assert_int_equal(VALIDATE_WITH(superslab_lg, 19), -EINVAL);
	assert_int_equal(VALIDATE_WITH(superslab_lg, 22), -EINVAL);
	assert_int_equal(VALIDATE_WITH(capacity, 0), -EINVAL);
	assert_int_equal(VALIDATE_WITH(capacity, 65 * MIB), -EINVAL);
	assert_int_equal(VALIDATE_WITH(capacity, 4096 * MIB), -EINVAL); /* needs more bytes */
	assert_int_equal(VALIDATE_WITH(capacity, UINT64_MAX), -EINVAL);
	assert_int_equal(VALIDATE_WITH(base, 4096), -EINVAL);
}

static void test_a_name_without_an_end_is_EINVAL(void **state)
{
	struct header h;

	(void)state;
	header_init(&h);
	memset(h.pool.registry->pool_name, 'x', HAK_POOL_NAME_BYTES);
	assert_int_equal(validate(&h), -EINVAL);
	h.pool.registry->pool_name[HAK_POOL_NAME_BYTES - 1] = 0;
	assert_int_equal(validate(&h), 0);
	hakt_pool_deinit(&h.pool);
}

static void test_a_holder_word_keeps_state_and_generation(void **state)
{
	(void)state;
	for (unsigned s = HAK_HOLDER_FREE; s <= HAK_HOLDER_RECLAIMING; s++) {
		uint64_t w = hak_holder_pack((enum hak_holder_state)s, UINT32_MAX - s);

		assert_int_equal(hak_holder_state(w), s);
		assert_int_equal(hak_holder_generation(w), UINT32_MAX - s);
	}
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_a_capacity_out_of_range_is_EINVAL),
	cmocka_unit_test(test_superslabs_of_other_sizes_are_EINVAL),
	cmocka_unit_test(test_counts_follow_from_the_capacity),
	cmocka_unit_test(test_parts_follow_each_other_without_overlap),
	cmocka_unit_test(test_parts_of_the_registry_do_not_overlap),
	cmocka_unit_test(test_all_slots_of_a_pool_fit_the_words_that_name_them),
	cmocka_unit_test(test_the_view_points_to_the_parts),
	cmocka_unit_test(test_a_good_header_gives_its_geometry),
	cmocka_unit_test(test_another_magic_is_EINVAL),
	cmocka_unit_test(test_a_mapping_of_another_length_is_EINVAL),
	cmocka_unit_test(test_a_mapping_too_short_for_a_header_is_not_read),
	cmocka_unit_test(test_another_version_or_fingerprint_is_EPROTO),
	cmocka_unit_test(test_a_broken_field_is_EINVAL),
	cmocka_unit_test(test_a_name_without_an_end_is_EINVAL),
	cmocka_unit_test(test_a_holder_word_keeps_state_and_generation),
};

HAKT_MAIN(tests, NULL, NULL)
