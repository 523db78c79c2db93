/* SPDX-License-Identifier: MIT */
/*
 * map and slabs of hakmemctl, against a real daemon: known blocks are in known cells, a death is
 * seen, and whatever the heap's words are there is an answer.
 */
#include "tests/support/run.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "client_lib/include/hakmem.h"
#include "tests/support/audit.h"
#include "tests/support/process.h"
#include "tests/support/random.h"

enum { N_SMALL = 40, SMALL_BYTES = 3000, SPAN_SLOTS = 5, RUN_SUPERSLABS = 3, N_TAKEN = 7 };

#define SUPERSLAB_SLOTS (1u << (HAKT_AUDIT_LG - HAK_SLOT_LG))
#define RUN_BYTES	((size_t)RUN_SUPERSLABS << HAKT_AUDIT_LG)

static char *small[N_SMALL], *span, *run;
static hakmem_ref_t *refs; /* shared with children */

static int start(void **state)
{
	hakt_audit_start(state);
	for (unsigned i = 0; i < N_SMALL; i++) {
		small[i] = hakmem_malloc(SMALL_BYTES);
		assert_non_null(small[i]);
	}
	span = hakmem_malloc(SPAN_SLOTS * HAK_SLOT_BYTES);
	run = hakmem_malloc(RUN_BYTES);
	assert_true(span && run);
	refs = mmap(NULL, N_TAKEN * sizeof(refs[0]), PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(refs != MAP_FAILED);
	hakt_audit_find_segment();
	return 0;
}

static int stop(void **state)
{
	munmap(refs, N_TAKEN * sizeof(refs[0]));
	for (unsigned i = 0; i < N_SMALL; i++)
		hakmem_free(small[i]);
	hakmem_free(span);
	hakmem_free(run);
	return hakt_audit_stop(state);
}

/* The row of a SuperSlab. */
static json_t *row_of(json_t *map, uint32_t superslab)
{
	json_t *rows = json_object_get(map, "rows");

	for (size_t i = 0; i < json_array_size(rows); i++) {
		json_t *row = json_array_get(rows, i);
		long long first = hakt_json_number(row, "index");

		if (first <= superslab && superslab < first + hakt_json_number(row, "superslabs"))
			return row;
	}
	fail_msg("SuperSlab %u is in no row", superslab);
	return NULL;
}

/* The slab or span that begins at a slot of the pool. */
static json_t *cell_of(json_t *map, uint32_t slot)
{
	json_t *slabs = json_object_get(row_of(map, slot / SUPERSLAB_SLOTS), "slabs");

	for (size_t i = 0; i < json_array_size(slabs); i++)
		if (hakt_json_number(json_array_get(slabs, i), "slot") == slot % SUPERSLAB_SLOTS)
			return json_array_get(slabs, i);
	fail_msg("there is no slab at slot %u", slot);
	return NULL;
}

static long long holder_of(json_t *map, pid_t pid)
{
	json_t *owners = json_object_get(map, "owners");

	for (size_t i = 0; i < json_array_size(owners); i++)
		if (hakt_json_number(json_array_get(owners, i), "pid") == pid)
			return hakt_json_number(json_array_get(owners, i), "holder");
	fail_msg("no owner has pid %d", (int)pid);
	return 0;
}

static void expect_cell(json_t *map, const void *block, const char *kind, long long n_slots,
			long long block_bytes)
{
	json_t *cell = cell_of(map, hak_segment_locate(&hakt_audit_segment, (uintptr_t)block).slot);

	assert_string_equal(hakt_json_string(cell, "kind"), kind);
	assert_int_equal(hakt_json_number(cell, "slots"), n_slots);
	assert_int_equal(hakt_json_number(cell, "block_bytes"), block_bytes);
	assert_int_equal(hakt_json_number(cell, "holder"), holder_of(map, getpid()));
	assert_int_equal(hakt_json_number(cell, "taken_blocks"), 0);
}

/* Blocks of the slab at slot that are not free, by its bits. */
static long long count_live(uint32_t slot)
{
	unsigned n = hak_classes[hak_class_of(SMALL_BYTES)].n_blocks, n_live = 0;

	for (unsigned i = 0; i < n; i++)
		n_live += !(
			hak_load_relaxed(&hak_segment_bits(&hakt_audit_segment, slot)[i / 64]) >>
				(i % 64) &
			1);
	return n_live;
}

static void test_known_blocks_are_in_known_cells(void **state)
{
	const struct hak_class *shape = &hak_classes[hak_class_of(SMALL_BYTES)];
	json_t *map = hakt_ctl(hakt_audited.socket, "map");
	uint32_t slot;

	(void)state;
	assert_string_equal(hakt_json_string(map, "pool"), "default");
	for (unsigned i = 0; i < N_SMALL; i++) {
		slot = hak_segment_locate(&hakt_audit_segment, (uintptr_t)small[i]).slot;
		expect_cell(map, small[i], "slab", shape->n_slots, shape->size);
		assert_int_equal(hakt_json_number(cell_of(map, slot), "live_blocks"),
				 count_live(slot));
	}
	expect_cell(map, span, "span", SPAN_SLOTS, SPAN_SLOTS * HAK_SLOT_BYTES);
	expect_cell(map, run, "span", RUN_SUPERSLABS * SUPERSLAB_SLOTS, RUN_BYTES);
	slot = hakt_audit_slot_of(run);
	assert_int_equal(hakt_json_number(row_of(map, slot / SUPERSLAB_SLOTS), "superslabs"),
			 RUN_SUPERSLABS);
	json_decref(map);
}

static void test_slabs_adds_up_what_is_granted(void **state)
{
	const struct hak_class *shape = &hak_classes[hak_class_of(SMALL_BYTES)];
	json_t *slabs = hakt_ctl(hakt_audited.socket, "slabs"), *cls, *spans;
	json_t *status = hakt_ctl(hakt_audited.socket, "status");
	json_t *pool = json_array_get(json_object_get(status, "pools"), 0);
	long long bytes;

	(void)state;
	cls = json_array_get(json_object_get(slabs, "classes"), 0);
	assert_int_equal(json_array_size(json_object_get(slabs, "classes")), 1);
	assert_int_equal(hakt_json_number(cls, "block_bytes"), shape->size);
	assert_true(hakt_json_number(cls, "live_blocks") >= N_SMALL);
	assert_int_equal(hakt_json_number(cls, "blocks"),
			 hakt_json_number(cls, "slabs") * shape->n_blocks);
	spans = json_object_get(slabs, "spans");
	assert_int_equal(hakt_json_number(spans, "slabs"), 2);
	assert_int_equal(hakt_json_number(spans, "waste_bytes"), 0);
	/* The daemon's own count of it. */
	bytes = hakt_json_number(cls, "live_bytes") + hakt_json_number(spans, "live_bytes");
	assert_int_equal(bytes, hakt_json_number(pool, "allocated_bytes"));
	bytes += hakt_json_number(cls, "waste_bytes") + hakt_json_number(slabs, "unused_bytes");
	assert_int_equal(bytes, hakt_json_number(pool, "granted_superslabs") << HAKT_AUDIT_LG);
	json_decref(slabs);
	json_decref(status);
}

static int send_blocks(const void *context)
{
	(void)context;
	hakmem_detach();
	for (unsigned i = 0; i < N_TAKEN; i++) {
		void *block = hakmem_malloc(SMALL_BYTES);

		HAKT_EXPECT(block);
		refs[i] = hakmem_ref(block);
	}
	hakt_child_say("sent");
	hakt_child_wait();
	return 0;
}

static void expect_output(const char *const *arguments, const char *text)
{
	struct hakt_process ctl = {0};

	hakt_process_run(&ctl, arguments);
	if (ctl.exit_code != 0 || !strstr(hakt_process_output(&ctl, 1), text))
		fail_msg("exit code %d, no %s in stdout: %s; stderr: %s", ctl.exit_code, text,
			 hakt_process_output(&ctl, 1), hakt_process_output(&ctl, 2));
	hakt_process_end(&ctl);
}

static void test_a_slab_whose_owner_was_killed_is_its_taker_s(void **state)
{
	struct hakt_process sender = {0};
	void *blocks[N_TAKEN];
	json_t *map, *row, *cell;
	char expected[128];
	uint32_t slot;

	(void)state;
	hakt_process_fork(&sender, send_blocks, NULL);
	hakt_process_wait_output(&sender, 1, "sent");
	for (unsigned i = 0; i < N_TAKEN; i++)
		assert_int_equal(hakmem_take(refs[i], &blocks[i]), 0);
	slot = hak_segment_locate(&hakt_audit_segment, (uintptr_t)blocks[0]).slot;
	map = hakt_ctl(hakt_audited.socket, "map");
	row = row_of(map, slot / SUPERSLAB_SLOTS);
	cell = cell_of(map, slot);
	assert_string_equal(hakt_json_string(row, "state"), "granted");
	assert_int_equal(hakt_json_number(row, "owner"), holder_of(map, sender.pid));
	assert_int_equal(hakt_json_number(cell, "taken_blocks"), N_TAKEN);
	json_decref(map);

	hakt_process_kill(&sender);
	hakt_process_end(&sender);
	hakt_daemon_wait_orphans(&hakt_audited, 1);
	map = hakt_ctl(hakt_audited.socket, "map");
	row = row_of(map, slot / SUPERSLAB_SLOTS);
	cell = cell_of(map, slot);
	assert_string_equal(hakt_json_string(row, "state"), "orphan");
	assert_int_equal(hakt_json_number(cell, "live_blocks"), N_TAKEN);
	assert_int_equal(hakt_json_number(cell, "taken_blocks"), N_TAKEN);
	assert_int_equal(hakt_json_number(cell, "holder"), holder_of(map, getpid()));
	json_decref(map);
	snprintf(expected, sizeof(expected), "%6u  orphan sight_test ", slot / SUPERSLAB_SLOTS);
	expect_output(HAKT_LIST(HAKT_HAKMEMCTL, "map"), expected);
	for (unsigned i = 0; i < N_TAKEN; i++)
		hakmem_free(blocks[i]);
	hakmem_trim();
	hakt_daemon_wait_orphans(&hakt_audited, 0);
}

/* And a name that is anything. */
static void test_an_svg_is_xml(void **state)
{
	(void)state;
	expect_output(HAKT_LIST("/bin/sh", "-c",
				"\"$0\" map --svg | python3 -c 'import sys, xml.dom.minidom\n"
				"e = xml.dom.minidom.parse(sys.stdin.buffer).documentElement\n"
				"print(e.tagName, len(e.getElementsByTagName(\"title\")) >= 3)'",
				HAKT_HAKMEMCTL),
		      "svg True\n");
}

static void test_who_looks_is_no_client_and_leaves_nothing(void **state)
{
	unsigned long long readers = hakt_daemon_counter(&hakt_audited, "readers");
	struct hakt_status before = hakt_daemon_status(&hakt_audited), after;

	(void)state;
	json_decref(hakt_ctl(hakt_audited.socket, "map"));
	json_decref(hakt_ctl(hakt_audited.socket, "slabs"));
	after = hakt_daemon_status(&hakt_audited);
	assert_int_equal(hakt_daemon_counter(&hakt_audited, "readers"), readers + 2);
	assert_int_equal(after.clients, before.clients);
	assert_int_equal(after.granted_superslabs, before.granted_superslabs);
	hakt_audit_check_clean();
}

static void test_people_get_tables_and_scripts_plain_ones(void **state)
{
	struct hakt_process ctl = {.environment = HAKT_LIST("LC_ALL=C", "COLUMNS=90")};
	char expected[128];

	(void)state;
	expect_output(HAKT_LIST(HAKT_HAKMEMCTL, "slabs"), "     CLASS    SLABS     BLOCKS");
	expect_output(HAKT_LIST(HAKT_HAKMEMCTL, "slabs"), "MiB");
	hakt_process_run(&ctl, HAKT_LIST(HAKT_HAKMEMCTL, "--no-headers", "--bytes", "slabs"));
	assert_null(strstr(hakt_process_output(&ctl, 1), "CLASS"));
	snprintf(expected, sizeof(expected), " %zu            0\n",
		 RUN_BYTES + SPAN_SLOTS * HAK_SLOT_BYTES);
	assert_non_null(strstr(hakt_process_output(&ctl, 1), expected));
	assert_null(strstr(hakt_process_output(&ctl, 1), "MiB"));
	hakt_process_end(&ctl);
	/* No terminal, and no UTF-8. */
	ctl = (struct hakt_process){.environment = HAKT_LIST("LC_ALL=C", "COLUMNS=90")};
	hakt_process_run(&ctl, HAKT_LIST(HAKT_HAKMEMCTL, "map"));
	for (const char *at = hakt_process_output(&ctl, 1); *at; at++)
		assert_true(*at == '\n' || (*at >= 0x20 && *at < 0x7f));
	assert_non_null(strstr(hakt_process_output(&ctl, 1), "|[===============================|"));
	hakt_process_end(&ctl);
	ctl = (struct hakt_process){.environment = HAKT_LIST("LC_ALL=C.UTF-8", "COLUMNS=90")};
	hakt_process_run(&ctl, HAKT_LIST(HAKT_HAKMEMCTL, "map"));
	assert_non_null(strstr(hakt_process_output(&ctl, 1), "│┣━━━━━━━━"));
	hakt_process_end(&ctl);
}

static void expect_answers(void)
{
	static const char *const forms[] = {"--all", "--svg", "--json"};

	expect_output(HAKT_LIST(HAKT_HAKMEMCTL, "top", "-b", "-n", "1"), "pool default, ");
	expect_output(HAKT_LIST(HAKT_HAKMEMCTL, "report", "--html", "--for", "0.1"), "</html>");
	for (unsigned i = 0; i < sizeof(forms) / sizeof(forms[0]); i++)
		expect_output(HAKT_LIST(HAKT_HAKMEMCTL, "map", forms[i]), "default");
	expect_output(HAKT_LIST(HAKT_HAKMEMCTL, "slabs"), "pool default: ");
	expect_output(HAKT_LIST(HAKT_HAKMEMCTL, "profile"), "pool default: ");
}

/* Of all that this process could write, in the SuperSlabs that there are. */
static void test_whatever_the_words_are_there_is_an_answer(void **state)
{
	const uint32_t n_slots = 16 * SUPERSLAB_SLOTS;
	hak_u64 *words = hakt_audit_segment.slab_words;
	uint64_t *saved = malloc(n_slots * sizeof(*saved));
	uint64_t seed = hakt_random_seed();

	(void)state;
	assert_non_null(saved);
	for (uint32_t i = 0; i < n_slots; i++)
		saved[i] = hak_load_relaxed(&words[i]);
	for (unsigned round = 0; round < 3; round++) {
		for (uint32_t i = 0; i < n_slots; i++) {
			uint64_t r = hakt_random(&seed);

			/* Any; or what it was but for a few bits, among them TAGGED. */
			hak_store_relaxed(&words[i],
					  round == 0 ? r
						     : saved[i] ^ (r & r >> 7 & 0xfff000ffff0f));
		}
		expect_answers();
	}
	for (uint32_t i = 0; i < n_slots; i++)
		hak_store_relaxed(&words[i], UINT64_MAX);
	expect_output(HAKT_LIST(HAKT_HAKMEMCTL, "map", "--ascii"), "|????????????");
	for (uint32_t i = 0; i < n_slots; i++)
		hak_store_relaxed(&words[i], saved[i]);
	free(saved);
	hakt_audit_check_clean();
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test_setup_teardown(test_known_blocks_are_in_known_cells, start, stop),
	cmocka_unit_test_setup_teardown(test_slabs_adds_up_what_is_granted, start, stop),
	cmocka_unit_test_setup_teardown(test_a_slab_whose_owner_was_killed_is_its_taker_s, start,
					stop),
	cmocka_unit_test_setup_teardown(test_an_svg_is_xml, start, stop),
	cmocka_unit_test_setup_teardown(test_who_looks_is_no_client_and_leaves_nothing, start,
					stop),
	cmocka_unit_test_setup_teardown(test_people_get_tables_and_scripts_plain_ones, start, stop),
	cmocka_unit_test_setup_teardown(test_whatever_the_words_are_there_is_an_answer, start,
					stop),
};

HAKT_MAIN(tests, NULL, NULL)
