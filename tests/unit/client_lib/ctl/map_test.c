/* SPDX-License-Identifier: MIT */
/* The map in a terminal: rows in, lines out. */
#include "client_lib/ctl/map.h"

#include "tests/support/run.h"

#include <string.h>

#include "client_lib/ctl/palette.h"
#include "tests/support/drawing.h"

#define OWNER 5u
#define TAKER 6u

static struct hakc_style style;
static struct hakc_map map;

static int start(void **state)
{
	hakt_drawing_start(state);
	style = (struct hakc_style){.columns = 81, .no_headers = true};
	return 0;
}

/* What n rows are drawn as. */
static const char *draw(const struct hakc_row *rows, unsigned n)
{
	map = (struct hakc_map){.out = hakt_page.out, .view = &hakt_drawn, .style = &style};
	hakc_map_begin(&map);
	for (unsigned i = 0; i < n; i++)
		assert_int_equal(hakc_map_row(&map, &rows[i]), 0);
	hakc_map_end(&map);
	return hakt_page_text();
}

/* Slabs of 16 blocks of 4 KiB, from empty to full. */
static struct hakc_row make_stairs(void)
{
	struct hakc_row row = hakt_drawing_row(7, OWNER);

	for (uint32_t i = 0; i <= 16; i++)
		hakt_drawing_add_slab(&row, i, hak_class_of(4096), i);
	return row;
}

static void test_a_cell_is_as_high_as_its_slab_is_full(void **state)
{
	struct hakc_row row = make_stairs();

	(void)state;
	assert_string_equal(draw(&row, 1), "     7    1005 worker          "
					   "│·▁▁▂▂▃▃▄▄▄▅▅▆▆▇▇█               │"
					   " 26 %  544.0 KiB\n");
}

static void test_ascii_has_digits_for_it(void **state)
{
	struct hakc_row row = make_stairs();

	(void)state;
	style.is_ascii = true;
	hakt_drawing_add_span(&row, 17, 3, true);
	hakt_drawing_add_span(&row, 20, 3, false);
	hakt_drawing_add_span(&row, 23, 1, true);
	hakt_drawing_add_span(&row, 24, 1, false);
	assert_non_null(strstr(draw(&row, 1), "|01223344556677889[=](-)#o       |"));
}

static void test_one_block_of_many_is_seen_and_one_free_block_too(void **state)
{
	struct hakc_row row = hakt_drawing_row(0, OWNER);

	(void)state;
	hakt_drawing_add_slab(&row, 0, 0, 1);
	hakt_drawing_add_slab(&row, 1, 0, 4095);
	hakt_drawing_add_slab(&row, 2, 0, 4096);
	assert_non_null(strstr(draw(&row, 1), "│▁▇█ "));
}

static void test_a_slab_of_several_slots_is_as_wide(void **state)
{
	unsigned cls = hak_class_of(HAK_CLASS_MAX - 5000); /* 28 KiB */
	struct hakc_row row = hakt_drawing_row(0, OWNER);
	char expected[64] = "│ ";

	(void)state;
	assert_true(hak_classes[cls].n_slots > 1);
	hakt_drawing_add_slab(&row, 1, cls, hak_classes[cls].n_blocks);
	for (unsigned i = 0; i < hak_classes[cls].n_slots; i++)
		strcat(expected, "█");
	strcat(expected, " ");
	assert_non_null(strstr(draw(&row, 1), expected));
}

static void test_a_span_is_a_bar_over_its_slots(void **state)
{
	struct hakc_row row = hakt_drawing_row(0, OWNER);

	(void)state;
	hakt_drawing_add_span(&row, 0, 4, true);
	hakt_drawing_add_span(&row, 4, 3, false);
	hakt_drawing_add_span(&row, 8, 1, true);
	hakt_drawing_add_span(&row, 9, 1, false);
	hakt_drawing_add_span(&row, 10, 2, true);
	assert_non_null(strstr(draw(&row, 1), "│┣━━┫├─┤ ◼◻┣┫                    │"));
}

static struct hakc_row make_run(uint32_t n, uint32_t n_slots)
{
	struct hakc_row row = hakt_drawing_row(10, OWNER);

	row.length = n;
	row.is_huge = true;
	hakt_drawing_add_span(&row, 0, n_slots, true);
	return row;
}

#define BAR8 "━━━━━━━━"
#define BAR  BAR8 BAR8 BAR8 BAR8

static void test_a_long_span_goes_on_over_its_rows(void **state)
{
	struct hakc_row row = make_run(3, 66);
	const char *text;

	(void)state;
	text = draw(&row, 1);
	assert_non_null(strstr(text,
			       "    10    1005 worker          │┣" BAR8 BAR8 BAR8 "━━━━━━━│ 68 %"
			       "    4.1 MiB\n"));
	assert_non_null(strstr(text, "    11    1005 worker          │" BAR "│\n"));
	assert_non_null(strstr(text, "    12    1005 worker          │━┫                "
				     "              │\n"));
}

static void test_the_middle_of_a_longer_one_is_a_line(void **state)
{
	struct hakc_row row = make_run(50, 50 * 32);
	const char *text;

	(void)state;
	text = draw(&row, 1);
	assert_int_equal(hakt_count(text, "\n"), 3);
	assert_non_null(
		strstr(text, "\n    11         48 SuperSlabs more of that span, 96.0 MiB\n"));
	assert_non_null(
		strstr(text, "\n    59    1005 worker          │" BAR8 BAR8 BAR8 "━━━━━━━┫│\n"));
}

static void draw_alike(bool all, const char **ret_text)
{
	struct hakc_row rows[10];

	for (unsigned i = 0; i < 10; i++) {
		rows[i] = hakt_drawing_row(2 * i, i < 9 ? OWNER : TAKER);
		hakt_drawing_add_span(&rows[i], 0, 16, true);
	}
	style.shows_all = all;
	*ret_text = draw(rows, 10);
}

static void test_lines_that_look_the_same_are_folded(void **state)
{
	const char *text;

	(void)state;
	draw_alike(false, &text);
	assert_int_equal(hakt_count(text, "\n"), 3);
	assert_non_null(strstr(text, "\n       8 more like that, up to 16\n    18    1006 "));
}

static void test_all_folds_none_of_them(void **state)
{
	const char *text;

	(void)state;
	draw_alike(true, &text);
	assert_int_equal(hakt_count(text, "\n"), 10);
}

static void test_free_superslabs_are_a_line_and_only_of_all(void **state)
{
	struct hakc_row rows[3] = {{.kind = HAKC_ROW_FREE, .length = 40},
				   {.kind = HAKC_ROW_WARM, .index = 40, .length = 1},
				   {.kind = HAKC_ROW_FREE, .index = 41, .length = 500000}};

	(void)state;
	assert_string_equal(draw(rows, 3), "");
	hakt_page_turn();
	style.shows_all = true;
	assert_string_equal(draw(rows, 3), "     0    free 40 SuperSlabs, 80.0 MiB\n"
					   "    40    warm 1 SuperSlab, 2.0 MiB\n"
					   "    41    free 500000 SuperSlabs, 976.6 GiB\n");
}

static void test_an_orphan_is_marked_and_names_who_has_most_of_it(void **state)
{
	struct hakc_row row = hakt_drawing_row(3, TAKER);

	(void)state;
	row.kind = HAKC_ROW_ORPHAN;
	hakt_drawing_add_slab(&row, 0, 0, 4096);
	row.owner = HAK_HOLDER_NONE;
	strcpy(hakt_drawn.holders[TAKER].name, "taker");
	assert_non_null(strstr(draw(&row, 1), "     3  orphan taker           │█ "));
}

static void test_the_dead_and_what_waits_are_marked(void **state)
{
	struct hakc_row rows[2] = {hakt_drawing_row(3, OWNER), hakt_drawing_row(4, 0)};
	const char *text;

	(void)state;
	rows[0].kind = HAKC_ROW_DEAD;
	rows[1].kind = HAKC_ROW_WAITING;
	text = draw(rows, 2);
	assert_non_null(strstr(text, "     3    dead worker          │ "));
	assert_non_null(strstr(text, "     4 waiting                 │ "));
}

static void test_words_that_can_t_be_are_a_question_mark(void **state)
{
	struct hakc_row row = hakt_drawing_row(0, OWNER);

	(void)state;
	row.cells[row.n_cells++] = (struct hakc_cell){
		.kind = HAKC_CELL_DAMAGED, .slot = 2, .n_slots = 1};
	hakt_drawn.totals.damaged = 1;
	style.no_headers = false;
	assert_non_null(strstr(draw(&row, 1), "│  ?  "));
	assert_non_null(strstr(hakt_page.text, "?: 1 slots whose words can't be; hakmemctl check"));
}

static void test_a_colour_is_its_holder_s_and_nobody_s_is_none(void **state)
{
	struct hakc_row row = hakt_drawing_row(0, OWNER);
	char expected[128];

	(void)state;
	hakt_drawing_add_slab(&row, 0, 0, 4096);
	hakt_drawing_add_slab(&row, 1, 0, 4096);
	hakt_drawing_add_slab(&row, 2, 0, 4096);
	row.cells[2].holder = TAKER;
	style.has_colour = true;
	snprintf(expected, sizeof(expected), "\033[0m│\033[38;5;%um██\033[38;5;%um█\033[0m ",
		 hakc_palette_code(hakc_palette_index(OWNER)),
		 hakc_palette_code(hakc_palette_index(TAKER)));
	draw(&row, 1);
	/* What is unused has the colour of what is before it, which nobody sees. */
	expected[strlen(expected) - strlen("\033[0m ")] = 0;
	assert_non_null(strstr(hakt_page.text, expected));
	assert_non_null(strstr(hakt_page.text, "\033[0m│ "));
}

static void test_no_colour_is_no_escape(void **state)
{
	struct hakc_row row = make_stairs();

	(void)state;
	hakt_drawn.totals.owners[OWNER].superslabs = 1;
	style.no_headers = false;
	assert_null(strchr(draw(&row, 1), '\033'));
}

static void test_a_name_can_t_command_the_terminal(void **state)
{
	struct hakc_row row = make_stairs();

	(void)state;
	strcpy(hakt_drawn.holders[OWNER].name, "\033[2J\n\xc3");
	hakt_drawn.totals.owners[OWNER].superslabs = 1;
	style.no_headers = false;
	draw(&row, 1);
	assert_null(strchr(hakt_page.text, '\033'));
	assert_int_equal(hakt_count(hakt_page.text, "?[2J??"), 2);
}

/* Columns of the longest line: bytes that don't go on with a character. */
static unsigned width_of(const char *text)
{
	unsigned most = 0, n = 0;

	for (; *text; text++) {
		if (*text == '\n')
			n = 0;
		else
			n += (*text & 0xc0) != 0x80;
		most = n > most ? n : most;
	}
	return most;
}

static void test_lines_fit_into_the_columns(void **state)
{
	(void)state;
	for (unsigned columns = 28; columns < 200; columns++) {
		struct hakc_row rows[2] = {make_stairs(), make_run(2, 60)};

		style.columns = columns;
		map.style = &style;
		draw(rows, 2);
		if (width_of(hakt_page.text) > columns)
			fail_msg("%u columns of %u: %s", width_of(hakt_page.text), columns,
				 hakt_page.text);
		hakt_page_turn();
	}
}

static void test_where_there_is_room_a_slot_is_two_columns(void **state)
{
	struct hakc_row row = hakt_drawing_row(0, OWNER);

	(void)state;
	style.columns = 120;
	hakt_drawing_add_slab(&row, 0, 0, 4096);
	hakt_drawing_add_span(&row, 1, 1, true);
	hakt_drawing_add_span(&row, 2, 2, true);
	assert_non_null(strstr(draw(&row, 1), "│██┣┫┣━━┫  "));
}

static void test_where_there_is_little_several_slots_are_one_column(void **state)
{
	struct hakc_row row = hakt_drawing_row(0, OWNER);

	(void)state;
	style.columns = 42;
	hakt_drawing_add_slab(&row, 0, 0, 4096);
	hakt_drawing_add_span(&row, 2, 2, true);
	hakt_drawing_add_slab(&row, 5, 0, 0);
	hakt_drawing_add_slab(&row, 6, 0, 1);
	assert_non_null(strstr(draw(&row, 1), "│▄█·▁            │"));
}

static void test_owners_are_listed_by_what_they_have(void **state)
{
	struct hakc_owner *owners = hakt_drawn.totals.owners;

	(void)state;
	style.no_headers = false;
	owners[OWNER] = (struct hakc_owner){3, {10, 1000}};
	owners[TAKER] = (struct hakc_owner){0, {20, 2048}};
	owners[HAK_HOLDER_ROOT] = (struct hakc_owner){0, {1, 16}};
	assert_non_null(
		strstr(draw(NULL, 0),
		       "     6    1006 worker                   0         20    2.0 KiB\n"
		       "     5    1005 worker                   3         10     1000 B\n"
		       "     1       - (roots)                  0          1       16 B\n"));
}

static void test_thousands_of_owners_are_a_page(void **state)
{
	(void)state;
	style.no_headers = false;
	for (unsigned i = HAK_HOLDER_FIRST; i < HAK_HOLDER_COUNT; i++)
		hakt_drawn.totals.owners[i].share = (struct hak_share){1, i};
	draw(NULL, 0);
	assert_int_equal(hakt_count(hakt_page.text, " worker "), 16);
	assert_non_null(strstr(hakt_page.text, "\nand 4078 more: "));
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test_setup_teardown(test_a_cell_is_as_high_as_its_slab_is_full, start,
					hakt_drawing_stop),
	cmocka_unit_test_setup_teardown(test_ascii_has_digits_for_it, start, hakt_drawing_stop),
	cmocka_unit_test_setup_teardown(test_one_block_of_many_is_seen_and_one_free_block_too,
					start, hakt_drawing_stop),
	cmocka_unit_test_setup_teardown(test_a_slab_of_several_slots_is_as_wide, start,
					hakt_drawing_stop),
	cmocka_unit_test_setup_teardown(test_a_span_is_a_bar_over_its_slots, start,
					hakt_drawing_stop),
	cmocka_unit_test_setup_teardown(test_a_long_span_goes_on_over_its_rows, start,
					hakt_drawing_stop),
	cmocka_unit_test_setup_teardown(test_the_middle_of_a_longer_one_is_a_line, start,
					hakt_drawing_stop),
	cmocka_unit_test_setup_teardown(test_lines_that_look_the_same_are_folded, start,
					hakt_drawing_stop),
	cmocka_unit_test_setup_teardown(test_all_folds_none_of_them, start, hakt_drawing_stop),
	cmocka_unit_test_setup_teardown(test_free_superslabs_are_a_line_and_only_of_all, start,
					hakt_drawing_stop),
	cmocka_unit_test_setup_teardown(test_an_orphan_is_marked_and_names_who_has_most_of_it,
					start, hakt_drawing_stop),
	cmocka_unit_test_setup_teardown(test_the_dead_and_what_waits_are_marked, start,
					hakt_drawing_stop),
	cmocka_unit_test_setup_teardown(test_words_that_can_t_be_are_a_question_mark, start,
					hakt_drawing_stop),
	cmocka_unit_test_setup_teardown(test_a_colour_is_its_holder_s_and_nobody_s_is_none, start,
					hakt_drawing_stop),
	cmocka_unit_test_setup_teardown(test_no_colour_is_no_escape, start, hakt_drawing_stop),
	cmocka_unit_test_setup_teardown(test_a_name_can_t_command_the_terminal, start,
					hakt_drawing_stop),
	cmocka_unit_test_setup_teardown(test_lines_fit_into_the_columns, start, hakt_drawing_stop),
	cmocka_unit_test_setup_teardown(test_where_there_is_room_a_slot_is_two_columns, start,
					hakt_drawing_stop),
	cmocka_unit_test_setup_teardown(test_where_there_is_little_several_slots_are_one_column,
					start, hakt_drawing_stop),
	cmocka_unit_test_setup_teardown(test_owners_are_listed_by_what_they_have, start,
					hakt_drawing_stop),
	cmocka_unit_test_setup_teardown(test_thousands_of_owners_are_a_page, start,
					hakt_drawing_stop),
};

HAKT_MAIN(tests, NULL, NULL)
