/* SPDX-License-Identifier: MIT */
/* check of hakmemctl: a root without its block is named, once, however many pages there are. */
#include "tests/support/run.h"

#include <stdio.h>
#include <string.h>

#include "client_lib/include/hakmem.h"
#include "proto/shm/check.h"
#include "tests/support/audit.h"
#include "tests/support/ctl.h"
#include "tests/support/daemon.h"
#include "tests/support/process.h"

#define SCRIBBLED 400u /* blocks of a slot each: anomalies of three pages */

/* The check is of several pages, for all the slabs that are scribbled over too. */
static void test_a_root_whose_block_was_scribbled_over_is_named_once(void **state)
{
	static void *others[SCRIBBLED];
	static uint64_t words[SCRIBBLED];
	char *block = hakmem_malloc(100), text[64];
	long long offset, n_roots = 0;
	json_t *json, *all, *root = NULL;
	struct hak_location l;
	hakmem_ref_t ref;
	hak_u32 *tag;
	uint32_t was;

	(void)state;
	assert_int_equal(hakmem_root_publish("x", hakmem_ref(block)), 0);
	assert_int_equal(hakmem_root_lookup("x", &ref), 0);
	for (unsigned i = 0; i < SCRIBBLED; i++)
		assert_non_null(others[i] = hakmem_malloc(HAK_SLOT_BYTES));
	hakt_audit_find_segment();
	hakt_audit_check_clean();
	l = hak_segment_locate(&hakt_audit_segment, (uintptr_t)block);
	offset = (long long)((uintptr_t)block - hakt_audit_segment.base);
	tag = &hak_segment_tags(&hakt_audit_segment, l.slot)[l.index];
	was = hak_load_relaxed(tag);
	hak_store_relaxed(tag, 0);
	for (unsigned i = 0; i < SCRIBBLED; i++)
		words[i] = hakt_audit_scribble(hakt_audit_slot_of(others[i]));
	json = hakt_audit_check(6);
	all = json_object_get(json, "anomalies");
	assert_int_equal(hakt_json_number(json, "anomaly_count"), SCRIBBLED + 1);
	for (size_t i = 0; i < json_array_size(all); i++)
		if (!strcmp(hakt_json_string(json_array_get(all, i), "kind"), "root")) {
			root = json_array_get(all, i);
			n_roots++;
		}
	assert_int_equal(n_roots, 1);
	assert_int_equal(hakt_json_number(root, "offset"), offset);
	assert_int_equal(hakt_json_number(root, "superslab"), l.slot / 32);
	assert_int_equal(hakt_json_number(root, "slot"), l.slot % 32);
	snprintf(text, sizeof(text), "block with ref %016llx is not", (unsigned long long)ref);
	assert_non_null(strstr(hakt_json_string(root, "text"), text));
	json_decref(json);
	for (unsigned i = 0; i < SCRIBBLED; i++)
		hak_store_relaxed(&hakt_audit_segment.slab_words[hakt_audit_slot_of(others[i])],
				  words[i]);
	snprintf(text, sizeof(text), "root: SuperSlab %u, slot %u, offset 0x%llx", l.slot / 32,
		 l.slot % 32, (unsigned long long)offset);
	hakt_audit_expect_line("check", 6, text);
	hak_store_relaxed(tag, was);
	hakt_audit_check_clean();
	for (unsigned i = 0; i < SCRIBBLED; i++)
		hakmem_free(others[i]);
	assert_int_equal(hakmem_root_withdraw("x", &ref), 0);
	hakmem_free(block);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_a_root_whose_block_was_scribbled_over_is_named_once),
};

HAKT_MAIN(tests, hakt_audit_start, hakt_audit_stop)
