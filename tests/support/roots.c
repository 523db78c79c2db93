/* SPDX-License-Identifier: MIT */
/* A pool without a daemon, and a list of blocks of all kinds to be published in it. */
#include "tests/support/run.h"

#include "tests/support/roots.h"

const struct hak_root_client hakt_a = {HAKT_A, HAKT_GENERATION, 1000, 1700000000};
const struct hak_root_client hakt_b = {HAKT_B, HAKT_GENERATION, 2000, 1700000001};
const struct hak_root_client hakt_c = {HAKT_C, HAKT_GENERATION, 3000, 1700000002};

struct hakt_pool hakt_roots_pool;
struct hak_root *hakt_roots;
uint64_t hakt_refs[HAKT_N];

hak_u32 *hakt_tag_of(uint64_t ref)
{
	struct hak_location l = hak_segment_locate_offset(&hakt_roots_pool.segment,
							  hak_ref_offset(ref));

	assert_int_equal(l.place, HAK_PLACE_BLOCK);
	return &hak_segment_tags(&hakt_roots_pool.segment, l.slot)[l.index];
}

uint64_t hakt_ref_at(uint32_t slot, unsigned cls, unsigned index)
{
	uint64_t offset = ((uint64_t)slot << HAK_SLOT_LG) + index * hak_classes[cls].size;
	uint64_t w = hak_slab_load(&hakt_roots_pool.segment.slab_words[slot]);

	return hak_ref_make(offset, hak_slab_epoch(w),
			    hak_tag_inc(hak_tag_load(
				    &hak_segment_tags(&hakt_roots_pool.segment, slot)[index])));
}

bool hakt_is_free(uint64_t ref)
{
	struct hak_location l = hak_segment_locate_offset(&hakt_roots_pool.segment,
							  hak_ref_offset(ref));

	return hak_segment_is_free(&hakt_roots_pool.segment, &l);
}

/* Whose block it is: HAK_HOLDER_NONE if it is free. */
unsigned hakt_owner_of(uint64_t ref)
{
	struct hak_location l = hak_segment_locate_offset(&hakt_roots_pool.segment,
							  hak_ref_offset(ref));
	uint32_t t = hak_tag_load(hakt_tag_of(ref));

	if (hakt_is_free(ref))
		return HAK_HOLDER_NONE;
	return hak_tag_state(t) == HAK_TAG_NONE ? hak_slab_owner(l.word) : hak_tag_holder(t);
}

int hakt_roots_start(void **state)
{
	struct hak_segment *s = &hakt_roots_pool.segment;

	(void)state;
	hakt_pool_init(&hakt_roots_pool, UINT64_C(8) << 20, 21);
	hakt_roots = (void *)((char *)hakt_roots_pool.registry + HAK_REGISTRY_ROOTS_AT);
	for (unsigned holder = HAKT_A; holder <= HAKT_C; holder++)
		hakt_pool_set_holder(&hakt_roots_pool, holder, HAK_HOLDER_ATTACHED,
				     HAKT_GENERATION);
	hakt_pool_grant(&hakt_roots_pool, 0, 1, false, HAKT_A);
	hakt_pool_grant(&hakt_roots_pool, 1, 1, false, HAKT_B);
	assert_true(hakt_pool_cut(&hakt_roots_pool, 0, HAKT_A, 0));
	assert_true(hakt_pool_cut(&hakt_roots_pool, HAKT_B_SLOT, HAKT_B, 0));
	assert_true(hakt_pool_cut_span(&hakt_roots_pool, HAKT_SPAN_SLOT, HAKT_A, 2));
	assert_int_equal(hakt_pool_claim(&hakt_roots_pool, 0, 0, (1 << 8) - 1), (1 << 8) - 1);
	assert_int_equal(hakt_pool_claim(&hakt_roots_pool, HAKT_B_SLOT, 0, (1 << 8) - 1),
			 (1 << 8) - 1);
	assert_true(hak_slab_set_tagged(&s->slab_words[0], HAKT_A));
	assert_true(hak_slab_set_tagged(&s->slab_words[HAKT_SPAN_SLOT], HAKT_A));
	assert_true(hak_slab_set_tagged(&s->slab_words[HAKT_B_SLOT], HAKT_B));
	assert_true(hak_tag_revoke(&hak_segment_tags(s, 0)[1], HAKT_A));
	assert_true(hak_tag_take(&hak_segment_tags(s, HAKT_B_SLOT)[2], HAKT_A, 0));
	hakt_refs[0] = hakt_ref_at(0, 0, 1);
	hakt_refs[1] = hakt_ref_at(HAKT_B_SLOT, 0, 2);
	hakt_refs[2] = hakt_ref_at(HAKT_SPAN_SLOT, 0, 0);
	for (unsigned i = 0; i < HAKT_N; i++)
		assert_int_equal(hakt_owner_of(hakt_refs[i]), HAKT_A);
	return 0;
}

int hakt_roots_stop(void **state)
{
	(void)state;
	hakt_pool_deinit(&hakt_roots_pool);
	return 0;
}

int hakt_publish(const struct hak_root_client *by, const char *name, const uint64_t *list,
		 uint32_t n)
{
	uint32_t at;

	return hak_roots_publish(&hakt_roots_pool.segment, hakt_roots, by, name, list, n, &at);
}

int hakt_withdraw(const struct hak_root_client *to, const char *name, uint64_t *ret_ref)
{
	uint32_t n;

	return hak_roots_withdraw(&hakt_roots_pool.segment, hakt_roots, to, name, ret_ref, &n);
}

int hakt_lookup(const char *name, uint64_t *ret_ref)
{
	return hak_roots_lookup(&hakt_roots_pool.segment, name, ret_ref);
}

unsigned hakt_count_used(void)
{
	unsigned n = 0;

	for (uint32_t i = 0; i < HAK_ROOT_COUNT; i++)
		n += hak_root_state(hak_root_load(&hakt_roots[i].word)) != HAK_ROOT_FREE;
	return n;
}

unsigned hakt_count_flaws(void)
{
	struct hak_segment *s = &hakt_roots_pool.segment;
	unsigned n = 0;
	uint64_t ref;

	for (uint32_t i = 0; i < HAK_ROOT_COUNT; i++)
		n += hak_roots_examine(s, i, &ref) != HAK_ROOT_FLAW_NONE;
	for (unsigned i = 0; i < HAKT_N; i++)
		n += hak_roots_is_nameless(s, hak_ref_offset(hakt_refs[i]),
					   hakt_tag_of(hakt_refs[i]));
	return n;
}

unsigned hakt_count_of(unsigned owner)
{
	unsigned n = 0;

	for (unsigned i = 0; i < HAKT_N; i++)
		n += hakt_owner_of(hakt_refs[i]) == owner;
	return n;
}
