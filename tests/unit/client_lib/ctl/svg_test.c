/* SPDX-License-Identifier: MIT */
/* The map as an SVG; whether it is XML, and how it looks, sight_test and people see. */
#include "client_lib/ctl/svg.h"

#include "tests/support/run.h"

#include <string.h>

#include "client_lib/ctl/palette.h"
#include "tests/support/drawing.h"

#define OWNER 5u
#define TAKER 6u

/* What n times the row is drawn as. */
static const char *draw(const struct hakc_row *row, unsigned n)
{
	struct hakc_svg svg = {.out = hakt_page.out, .view = &hakt_drawn};

	assert_int_equal(hakc_svg_begin(&svg), 0);
	for (unsigned i = 0; i < n; i++)
		assert_int_equal(hakc_svg_row(&svg, row), 0);
	assert_int_equal(hakc_svg_end(&svg), 0);
	return hakt_page_text();
}

static struct hakc_row make_row(void)
{
	struct hakc_row row = hakt_drawing_row(7, OWNER);

	hakt_drawing_add_slab(&row, 0, hak_class_of(4096), 4);
	hakt_drawing_add_span(&row, 4, 3, true);
	hakt_drawing_add_span(&row, 9, 2, false);
	return row;
}

static void test_a_title_says_what_a_slab_is_and_whose(void **state)
{
	struct hakc_row row = make_row();

	(void)state;
	row.cells[0].n_taken = 3;
	row.cells[0].holder = TAKER;
	draw(&row, 1);
	assert_non_null(strstr(hakt_page.text,
			       "<title>slab of 4096-byte blocks, 4 of 16 live; holder 5, pid 1005 "
			       "(worker); 3 owned by others, most by holder 6, pid 1006 (worker)"
			       "</title>"));
	assert_non_null(strstr(hakt_page.text, "<title>span of 192.0 KiB, live; holder 5, pid 1005 "
					       "(worker)</title>"));
	assert_non_null(strstr(hakt_page.text, "<title>span of 128.0 KiB, free; holder 5"));
}

static void test_a_slab_is_filled_as_far_as_it_is_live(void **state)
{
	struct hakc_row row = make_row();
	char expected[128];

	(void)state;
	/* 4 of 16 of 17 units, rounded up so that one block is seen; from the bottom. */
	snprintf(expected, sizeof(expected),
		 "<rect class=\"o%u\" x=\"231\" y=\"123\" width=\"12\" height=\"5\"/>",
		 hakc_palette_index(OWNER));
	if (!strstr(draw(&row, 1), expected))
		fail_msg("no %s in %s", expected, hakt_page.text);
}

static void test_it_needs_nothing_but_itself(void **state)
{
	static const char *const foreign[] = {"<script", "href",	   "url(", "@import",
					      "<image",	 "<foreignObject", "<use", "onload"};
	struct hakc_row row = make_row();

	(void)state;
	draw(&row, 3);
	for (unsigned i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++)
		assert_null(strstr(hakt_page.text, foreign[i]));
	assert_int_equal(hakt_count(hakt_page.text, "http"), 1); /* the name space */
	assert_non_null(strstr(hakt_page.text, " viewBox=\"0 0 850 "));
}

static void test_letters_are_large_enough_at_850_pixels(void **state)
{
	struct hakc_row row = make_row();
	const char *at;

	(void)state;
	at = draw(&row, 1);
	assert_true(hakt_count(at, "font") >= 2);
	while ((at = strstr(at, "font")) != NULL) {
		at += strcspn(at, ":") + 1;
		if (*at >= '0' && *at <= '9')
			assert_true(atoi(at) >= 11);
	}
}

static void test_names_are_text_whatever_they_are(void **state)
{
	struct hakc_row row = make_row();

	(void)state;
	strcpy(hakt_drawn.holders[OWNER].name, "</svg>&\"\x01\xc3");
	hakt_drawn.totals.owners[OWNER].share.blocks = 1;
	draw(&row, 1);
	assert_int_equal(hakt_count(hakt_page.text, "</svg>"), 1);
	assert_int_equal(hakt_count(hakt_page.text, "&lt;/svg&gt;&amp;\"??"), 5);
}

static void test_an_orphan_has_a_frame(void **state)
{
	struct hakc_row row = make_row();

	(void)state;
	draw(&row, 1);
	assert_int_equal(hakt_count(hakt_page.text, "class=\"u\""), 1); /* of the legend */
	hakt_page_turn();
	row.kind = HAKC_ROW_ORPHAN;
	draw(&row, 1);
	assert_int_equal(hakt_count(hakt_page.text, "class=\"u\""), 2);
	assert_non_null(strstr(hakt_page.text, ">orphan</text>"));
}

static void test_a_large_pool_is_no_large_picture(void **state)
{
	struct hakc_row row = make_row();

	(void)state;
	draw(&row, 100000);
	assert_true(hakt_count(hakt_page.text, "<rect class=\"n\"") <= HAKC_SVG_ROWS_MAX);
	assert_true(hakt_count(hakt_page.text, "<rect class=\"n\"") > HAKC_SVG_ROWS_MAX - 5);
	assert_non_null(
		strstr(hakt_page.text, ">99746 more SuperSlabs than this picture has room"));
}

static void test_a_long_run_is_three_rows(void **state)
{
	struct hakc_row row = hakt_drawing_row(3, OWNER);

	(void)state;
	row.length = 60;
	row.is_huge = true;
	hakt_drawing_add_span(&row, 0, 59 * 32 + 1, true);
	draw(&row, 1);
	assert_int_equal(hakt_count(hakt_page.text, "<rect class=\"n\""), 2);
	assert_non_null(strstr(hakt_page.text, ">58 more SuperSlabs of that span<"));
	/* The whole of the first one, a slot of the last one. */
	assert_non_null(strstr(hakt_page.text, "width=\"479\" height=\"10\""));
	assert_non_null(strstr(hakt_page.text, "width=\"14\" height=\"10\""));
}

/* With a view that is no longer there. */
static void test_of_a_picture_that_is_dropped_nothing_is_written(void **state)
{
	struct hakc_row row = make_row();
	struct hakc_view gone = {.geometry = hakt_drawn.geometry};
	struct hakc_svg svg = {.out = hakt_page.out, .view = &hakt_drawn};

	(void)state;
	assert_int_equal(hakc_svg_begin(&svg), 0);
	assert_int_equal(hakc_svg_row(&svg, &row), 0);
	gone.totals.owners[OWNER].share.blocks = 1;
	svg.view = &gone;
	hakc_svg_drop(&svg);
	assert_string_equal(hakt_page_text(), "");
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test_setup_teardown(test_a_title_says_what_a_slab_is_and_whose,
					hakt_drawing_start, hakt_drawing_stop),
	cmocka_unit_test_setup_teardown(test_a_slab_is_filled_as_far_as_it_is_live,
					hakt_drawing_start, hakt_drawing_stop),
	cmocka_unit_test_setup_teardown(test_it_needs_nothing_but_itself, hakt_drawing_start,
					hakt_drawing_stop),
	cmocka_unit_test_setup_teardown(test_letters_are_large_enough_at_850_pixels,
					hakt_drawing_start, hakt_drawing_stop),
	cmocka_unit_test_setup_teardown(test_names_are_text_whatever_they_are, hakt_drawing_start,
					hakt_drawing_stop),
	cmocka_unit_test_setup_teardown(test_an_orphan_has_a_frame, hakt_drawing_start,
					hakt_drawing_stop),
	cmocka_unit_test_setup_teardown(test_a_large_pool_is_no_large_picture, hakt_drawing_start,
					hakt_drawing_stop),
	cmocka_unit_test_setup_teardown(test_a_long_run_is_three_rows, hakt_drawing_start,
					hakt_drawing_stop),
	cmocka_unit_test_setup_teardown(test_of_a_picture_that_is_dropped_nothing_is_written,
					hakt_drawing_start, hakt_drawing_stop),
};

HAKT_MAIN(tests, NULL, NULL)
