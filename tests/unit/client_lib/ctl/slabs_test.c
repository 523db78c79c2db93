/* SPDX-License-Identifier: MIT */
/* Sums by size class: rows in, a table out. */
#include "client_lib/ctl/slabs.h"

#include "tests/support/run.h"

#include <string.h>

#include "client_lib/ctl/style.h"
#include "tests/support/drawing.h"

#define OWNER 5u

static struct hakc_slabs slabs;

static int start(void **state)
{
	hakt_drawing_start(state);
	slabs = (struct hakc_slabs){.view = &hakt_drawn};
	hakc_style = (struct hakc_style){.no_headers = true};
	return 0;
}

static void add(const struct hakc_row *row)
{
	assert_int_equal(hakc_slabs_row(&slabs, row), 0);
}

static const char *print(void)
{
	hakc_slabs_print(&slabs, hakt_page.out);
	return hakt_page_text();
}

/* A slab of 4 KiB blocks of which 5 live, two of 16 bytes, a span. */
static struct hakc_row make_row(void)
{
	struct hakc_row row = hakt_drawing_row(0, OWNER);

	hakt_drawing_add_slab(&row, 0, hak_class_of(4096), 5);
	hakt_drawing_add_slab(&row, 1, 0, 96);
	hakt_drawing_add_slab(&row, 2, 0, 4000);
	hakt_drawing_add_span(&row, 8, 4, true);
	return row;
}

static void test_waste_is_what_no_live_block_has(void **state)
{
	struct hakc_row row = make_row();

	(void)state;
	hakc_style.has_raw_bytes = true;
	add(&row);
	assert_string_equal(
		print(),
		"        16        2       8192       4096       4096    50 %       131072        "
		"65536        65536\n"
		"      4096        1         16          5         11    31 %        65536        "
		"20480        45056\n"
		"     spans        1          1          1          0   100 %       262144       "
		"262144            0\n"
		"       all        4       8209       4102       4107    75 %       458752       "
		"348160       110592\n");
	assert_int_equal(slabs.unused_bytes, (32 - 7) * HAK_SLOT_BYTES);
}

static void test_the_tail_of_a_slab_is_waste(void **state)
{
	unsigned cls = hak_class_of(48);
	struct hakc_row row = hakt_drawing_row(0, OWNER);
	const struct hakc_slabs_sum *sum = &slabs.classes[cls];

	(void)state;
	hakt_drawing_add_slab(&row, 0, cls, hak_classes[cls].n_blocks);
	add(&row);
	assert_int_equal(sum->slab_bytes - sum->live_bytes, 65536 % 48);
}

static void test_orphans_are_in_the_sums_and_apart(void **state)
{
	struct hakc_row row = make_row(), orphan = make_row();

	(void)state;
	orphan.kind = HAKC_ROW_ORPHAN;
	add(&row);
	add(&orphan);
	assert_int_equal(slabs.classes[0].slabs, 4);
	assert_int_equal(slabs.spans.slabs, 2);
	assert_int_equal(slabs.orphans.slabs, 4);
	assert_int_equal(slabs.orphans.live_blocks, 4102);
	assert_non_null(strstr(print(), "\nof orphans        4 "));
}

static void test_what_is_not_granted_is_no_waste(void **state)
{
	static const enum hakc_row_kind kinds[] = {HAKC_ROW_FREE, HAKC_ROW_WARM, HAKC_ROW_DEAD,
						   HAKC_ROW_WAITING};
	struct hakc_row row = make_row();

	(void)state;
	for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		row.kind = kinds[i];
		add(&row);
	}
	assert_int_equal(slabs.unused_bytes, 0);
	assert_string_equal(print(), "");
}

static void test_slots_whose_words_can_t_be_are_counted(void **state)
{
	struct hakc_row row = hakt_drawing_row(0, OWNER);

	(void)state;
	hakc_style.no_headers = false;
	row.cells[row.n_cells++] = (struct hakc_cell){
		.kind = HAKC_CELL_DAMAGED, .slot = 2, .n_slots = 1};
	add(&row);
	assert_int_equal(slabs.damaged_slots, 1);
	assert_int_equal(slabs.unused_bytes, 31 * HAK_SLOT_BYTES);
	assert_non_null(strstr(print(), "slots whose words can't be: 1; hakmemctl check"));
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test_setup_teardown(test_waste_is_what_no_live_block_has, start,
					hakt_drawing_stop),
	cmocka_unit_test_setup_teardown(test_the_tail_of_a_slab_is_waste, start, hakt_drawing_stop),
	cmocka_unit_test_setup_teardown(test_orphans_are_in_the_sums_and_apart, start,
					hakt_drawing_stop),
	cmocka_unit_test_setup_teardown(test_what_is_not_granted_is_no_waste, start,
					hakt_drawing_stop),
	cmocka_unit_test_setup_teardown(test_slots_whose_words_can_t_be_are_counted, start,
					hakt_drawing_stop),
};

HAKT_MAIN(tests, NULL, NULL)
