/* SPDX-License-Identifier: MIT */
/*
 * Each kind of word that a client can write over: hakmemctl check ends with 6 and says what is
 * wrong, and where. Tags, owners and what is free are in audit_test, roots in audit_root_test.
 */
#include "tests/support/run.h"

#include <string.h>

#include "client_lib/include/hakmem.h"
#include "tests/support/audit.h"
#include "tests/support/process.h"

#define SPAN_BYTES 200000u /* 4 slots */

static char *span, *small;
static uint32_t span_slot, small_slot;

static int start(void **state)
{
	hakt_audit_start(state);
	span = hakmem_malloc(SPAN_BYTES);
	small = hakmem_malloc(3000);
	assert_true(span && small);
	hakt_audit_find_segment();
	span_slot = hakt_audit_slot_of(span);
	small_slot = hak_segment_locate(&hakt_audit_segment, (uintptr_t)small).slot;
	hakt_audit_check_clean();
	return 0;
}

static int stop(void **state)
{
	hakmem_free(span);
	hakmem_free(small);
	return hakt_audit_stop(state);
}

/* The only thing that is wrong; slot -1: it is about the SuperSlab. */
static void expect(const char *kind, uint32_t superslab, int slot, const char *text)
{
	json_t *json = hakt_audit_check(6);
	json_t *anomaly = json_array_get(json_object_get(json, "anomalies"), 0);

	assert_int_equal(hakt_json_number(json, "anomaly_count"), 1);
	assert_string_equal(hakt_json_string(anomaly, "kind"), kind);
	assert_int_equal(hakt_json_number(anomaly, "superslab"), superslab);
	if (slot >= 0)
		assert_int_equal(hakt_json_number(anomaly, "slot"), slot);
	if (!strstr(hakt_json_string(anomaly, "text"), text))
		fail_msg("%s: %s", kind, hakt_json_string(anomaly, "text"));
	json_decref(json);
}

static void test_each_wrong_slab_word_is_named(void **state)
{
	const struct {
		uint32_t slot;
		uint64_t clear, set; /* of the word */
		const char *kind, *text;
	} words[] = {
		{small_slot, HAK_SLAB_STATE_MASK, 5, "state", "state 5, which no slab can be in"},
		{small_slot, 0, UINT64_C(0xff) << HAK_SLAB_CLASS_SHIFT, "class", "class 255"},
		{span_slot, 0, UINT64_C(0xff) << HAK_SLAB_CLASS_SHIFT, "range",
		 "reaches beyond what was granted"},
		{span_slot, UINT64_MAX & ~HAK_SLAB_STATE_MASK & ~(UINT64_C(0xfff) << 4), 0, "range",
		 "a span of 0 slots"},
		{span_slot + 1, HAK_SLAB_STATE_MASK, HAK_SLAB_UNUSED, "body", "which is no body"},
		{span_slot + 2, 0, UINT64_C(0xffff) << HAK_SLAB_THREAD_SHIFT, "body",
		 "which is no body"},
		{span_slot + 3, HAK_SLAB_STATE_MASK, HAK_SLAB_SPAN, "overlap", "begins inside"},
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		hak_u64 *word = &hakt_audit_segment.slab_words[words[i].slot];
		uint64_t w = hak_load_relaxed(word);

		hak_store_relaxed(word, (w & ~words[i].clear) | words[i].set);
		expect(words[i].kind, words[i].slot / 32, (int)(words[i].slot % 32), words[i].text);
		hak_store_relaxed(word, w);
		hakt_audit_check_clean();
	}
}

static void test_free_bits_of_blocks_that_are_not_there_are_named(void **state)
{
	struct hak_location l = hak_segment_locate(&hakt_audit_segment, (uintptr_t)small);
	unsigned n = hak_classes[hak_slab_class(l.word)].n_blocks;
	hak_u64 *bits = &hak_segment_bits(&hakt_audit_segment, small_slot)[n / 64];

	(void)state;
	assert_int_not_equal(n % 64, 0);
	hak_or_release(bits, UINT64_C(1) << 63);
	expect("bits", small_slot / 32, (int)(small_slot % 32),
	       "free bits of blocks that it does not have");
	hak_and_acquire(bits, ~(UINT64_C(1) << 63));
	hakt_audit_check_clean();
}

static void test_hints_where_nothing_was_are_named(void **state)
{
	uint32_t last = hakt_audit_segment.geometry.n_superslabs - 1;

	(void)state;
	hak_store_relaxed(&hakt_audit_segment.pending[last], 0x10);
	expect("pending", last, -1, "00000010 of frees in slots that nothing can have been in");
	hak_store_relaxed(&hakt_audit_segment.pending[last], 0);
	hakt_audit_check_clean();
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_each_wrong_slab_word_is_named),
	cmocka_unit_test(test_free_bits_of_blocks_that_are_not_there_are_named),
	cmocka_unit_test(test_hints_where_nothing_was_are_named),
};

HAKT_MAIN(tests, start, stop)
