/* SPDX-License-Identifier: MIT */
/* check of hakmemctl: a root without its block is named, once, however many pages there are. */
#include "tests/support/run.h"

#include <stdio.h>
#include <string.h>

#include "client_lib/include/hakmem.h"
#include "proto/shm/check.h"
#include "tests/support/ctl.h"
#include "tests/support/daemon.h"
#include "tests/support/process.h"

#define CAPACITY  (UINT64_C(1) << 30)
#define LG	  21u
#define SCRIBBLED 400u /* blocks of a slot each: anomalies of three pages */
#define STRANGER  4000u

static struct hakt_daemon hakd;
static struct hak_segment segment; /* this process's own mapping, of libhakmem */

static int start(void **state)
{
	(void)state;
	hakt_daemon_start(&hakd,
			  HAKT_LIST("--limit", "256M", "--capacity", "1G", "--log-level", "warn"));
	return 0;
}

static int stop(void **state)
{
	(void)state;
	hakmem_detach();
	return hakt_daemon_stop_empty(&hakd);
}

/* check, whose exit code must be that; to be released. */
static json_t *check(int expected)
{
	int exit_code;
	json_t *json = hakt_ctl_judge(hakd.socket, "check", &exit_code);

	if (exit_code != expected)
		fail_msg("exit code %d: %s", exit_code, json_dumps(json, 0));
	assert_int_equal(hakt_json_number(json, "schema_version"), 1);
	assert_int_equal(hakt_json_number(json, "anomaly_count"),
			 hakt_json_number(json, "unlisted_anomalies") +
				 (long long)json_array_size(json_object_get(json, "anomalies")));
	assert_int_equal(hakt_json_number(json, "anomaly_count") > 0, expected == 6);
	return json;
}

static void check_clean(void)
{
	json_decref(check(0));
}

/* The text that ends the output of check, or of leaks, for people. */
static void expect_line(const char *verb, int exit_code, const char *text)
{
	struct hakt_process ctl = {0};

	hakt_process_run(&ctl, HAKT_LIST(HAKT_HAKMEMCTL, "--socket", hakd.socket, verb));
	if (ctl.exit_code != exit_code || !strstr(hakt_process_output(&ctl, 1), text))
		fail_msg("exit code %d, stdout: %s", ctl.exit_code, hakt_process_output(&ctl, 1));
	hakt_process_end(&ctl);
}

/* Finds the heap that libhakmem has mapped. */
static void find_segment(void)
{
	json_t *status = hakt_ctl(hakd.socket, "status");
	json_t *pool = json_array_get(json_object_get(status, "pools"), 0);
	uintptr_t base = strtoull(hakt_json_string(pool, "base"), NULL, 16);
	static struct hak_registry no_registry;
	struct hak_geometry g;

	assert_int_equal(hak_geometry_init(&g, CAPACITY, LG), 0);
	hak_segment_init(&segment, &g, &no_registry, (void *)(base - g.data_at));
	json_decref(status);
}

static uint32_t slot_of(const void *block)
{
	uintptr_t offset = (uintptr_t)block - segment.base;

	assert_true(offset < CAPACITY);
	return (uint32_t)(offset >> HAK_SLOT_LG);
}

/* Names another owner in the slab word of a block; the word as it was. */
static uint64_t scribble(uint32_t slot)
{
	uint64_t w = hak_load_relaxed(&segment.slab_words[slot]);

	hak_store_relaxed(&segment.slab_words[slot],
			  (w & ~(UINT64_C(0xfff) << HAK_SLAB_OWNER_SHIFT)) |
				  (uint64_t)STRANGER << HAK_SLAB_OWNER_SHIFT);
	return w;
}

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
	find_segment();
	check_clean();
	l = hak_segment_locate(&segment, (uintptr_t)block);
	offset = (long long)((uintptr_t)block - segment.base);
	tag = &hak_segment_tags(&segment, l.slot)[l.index];
	was = hak_load_relaxed(tag);
	hak_store_relaxed(tag, 0);
	for (unsigned i = 0; i < SCRIBBLED; i++)
		words[i] = scribble(slot_of(others[i]));
	json = check(6);
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
		hak_store_relaxed(&segment.slab_words[slot_of(others[i])], words[i]);
	snprintf(text, sizeof(text), "root: SuperSlab %u, slot %u, offset 0x%llx", l.slot / 32,
		 l.slot % 32, (unsigned long long)offset);
	expect_line("check", 6, text);
	hak_store_relaxed(tag, was);
	check_clean();
	for (unsigned i = 0; i < SCRIBBLED; i++)
		hakmem_free(others[i]);
	assert_int_equal(hakmem_root_withdraw("x", &ref), 0);
	hakmem_free(block);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_a_root_whose_block_was_scribbled_over_is_named_once),
};

HAKT_MAIN(tests, start, stop)
