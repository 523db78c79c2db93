/* SPDX-License-Identifier: MIT */
/* The map as an SVG; whether it is XML, and how it looks, sight_test and people see. */
#include "client_lib/ctl/svg.h"

#include "tests/support/run.h"

#include <string.h>

#include "client_lib/ctl/palette.h"
#include "tests/support/drawing.h"

#define OWNER 5u
#define TAKER 6u

static struct hakc_view view;
static struct hakt_paper paper;

static int start(void **state)
{
	(void)state;
	hakt_drawing_init(&view);
	hakt_paper_init(&paper);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	hakt_paper_deinit(&paper);
	hakc_view_deinit(&view);
	return 0;
}

/* What n times the row is drawn as. */
static const char *draw(const struct hakc_row *row, unsigned n)
{
	struct hakc_svg svg = {.out = paper.out, .view = &view};

	assert_int_equal(hakc_svg_begin(&svg), 0);
	for (unsigned i = 0; i < n; i++)
		assert_int_equal(hakc_svg_row(&svg, row), 0);
	assert_int_equal(hakc_svg_end(&svg), 0);
	return hakt_paper_text(&paper);
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
	assert_non_null(strstr(paper.text,
			       "<title>slab of 4096-byte blocks, 4 of 16 live; holder 5, pid 1005 "
			       "(worker); 3 owned by others, most by holder 6, pid 1006 (worker)"
			       "</title>"));
	assert_non_null(strstr(paper.text, "<title>span of 192.0 KiB, live; holder 5, pid 1005 "
					   "(worker)</title>"));
	assert_non_null(strstr(paper.text, "<title>span of 128.0 KiB, free; holder 5"));
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
		fail_msg("no %s in %s", expected, paper.text);
}

static void test_it_needs_nothing_but_itself(void **state)
{
	static const char *const foreign[] = {"<script", "href",	   "url(", "@import",
					      "<image",	 "<foreignObject", "<use", "onload"};
	struct hakc_row row = make_row();

	(void)state;
	draw(&row, 3);
	for (unsigned i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++)
		assert_null(strstr(paper.text, foreign[i]));
	assert_int_equal(hakt_count(paper.text, "http"), 1); /* the name space */
	assert_non_null(strstr(paper.text, " viewBox=\"0 0 850 "));
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
	strcpy(view.holders[OWNER].name, "</svg>&\"\x01\xc3");
	view.totals.owners[OWNER].share.blocks = 1;
	draw(&row, 1);
	assert_int_equal(hakt_count(paper.text, "</svg>"), 1);
	assert_int_equal(hakt_count(paper.text, "&lt;/svg&gt;&amp;\"??"), 5);
}

static void test_an_orphan_has_a_frame(void **state)
{
	struct hakc_row row = make_row();

	(void)state;
	draw(&row, 1);
	assert_int_equal(hakt_count(paper.text, "class=\"u\""), 1); /* of the legend */
	hakt_paper_deinit(&paper);
	hakt_paper_init(&paper);
	row.kind = HAKC_ROW_ORPHAN;
	draw(&row, 1);
	assert_int_equal(hakt_count(paper.text, "class=\"u\""), 2);
	assert_non_null(strstr(paper.text, ">orphan</text>"));
}

static void test_a_large_pool_is_no_large_picture(void **state)
{
	struct hakc_row row = make_row();

	(void)state;
	draw(&row, 100000);
	assert_true(hakt_count(paper.text, "<rect class=\"n\"") <= HAKC_SVG_ROWS_MAX);
	assert_true(hakt_count(paper.text, "<rect class=\"n\"") > HAKC_SVG_ROWS_MAX - 5);
	assert_non_null(strstr(paper.text, ">99746 more SuperSlabs than this picture has room"));
}

static void test_a_long_run_is_three_rows(void **state)
{
	struct hakc_row row = hakt_drawing_row(3, OWNER);

	(void)state;
	row.length = 60;
	row.is_huge = true;
	hakt_drawing_add_span(&row, 0, 59 * 32 + 1, true);
	draw(&row, 1);
	assert_int_equal(hakt_count(paper.text, "<rect class=\"n\""), 2);
	assert_non_null(strstr(paper.text, ">58 more SuperSlabs of that span<"));
	/* The whole of the first one, a slot of the last one. */
	assert_non_null(strstr(paper.text, "width=\"479\" height=\"10\""));
	assert_non_null(strstr(paper.text, "width=\"14\" height=\"10\""));
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test_setup_teardown(test_a_title_says_what_a_slab_is_and_whose, start, stop),
	cmocka_unit_test_setup_teardown(test_a_slab_is_filled_as_far_as_it_is_live, start, stop),
	cmocka_unit_test_setup_teardown(test_it_needs_nothing_but_itself, start, stop),
	cmocka_unit_test_setup_teardown(test_letters_are_large_enough_at_850_pixels, start, stop),
	cmocka_unit_test_setup_teardown(test_names_are_text_whatever_they_are, start, stop),
	cmocka_unit_test_setup_teardown(test_an_orphan_has_a_frame, start, stop),
	cmocka_unit_test_setup_teardown(test_a_large_pool_is_no_large_picture, start, stop),
	cmocka_unit_test_setup_teardown(test_a_long_run_is_three_rows, start, stop),
};

HAKT_MAIN(tests, NULL, NULL)
