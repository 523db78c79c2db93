/* SPDX-License-Identifier: MIT */
/* top without a terminal: looks in, keys pressed, tables and lines out. */
#include "client_lib/ctl/board.h"

#include "tests/support/run.h"

#include <stdio.h>
#include <string.h>

#include "client_lib/ctl/style.h"
#include "tests/support/drawing.h"

enum { CLIENTS = 3, SECONDS = 2, ROOM = 10 };

static struct hakc_look now, before;
static struct hakc_board board;

static struct hakc_look_client client(unsigned holder, const char *name, uint64_t bytes,
				      uint64_t claims)
{
	struct hakc_look_client c = {.holder = holder,
				     .generation = 1,
				     .pid = HAKT_DRAWN_PID(holder),
				     .superslabs = holder,
				     .blocks = 10 * holder,
				     .bytes = bytes,
				     .state = "attached"};

	snprintf(c.name, sizeof(c.name), "%s", name);
	c.counters[HAK_STAT_CLAIMS] = claims;
	return c;
}

static void make_look(struct hakc_look *look, double at, struct hakc_look_client *clients)
{
	*look = (struct hakc_look){.at = at,
				   .version = "1",
				   .daemon_pid = 7,
				   .clients = clients,
				   .n_clients = CLIENTS};
	look->view = hakt_drawn;
	look->slabs.view = &look->view;
}

static int start(void **state)
{
	static struct hakc_look_client now_clients[CLIENTS], before_clients[CLIENTS];

	hakt_drawing_start(state);
	hakc_style = (struct hakc_style){.columns = 80};
	before_clients[0] = client(5, "middle", 1000, 0);
	before_clients[1] = client(6, "large", 5000, 100);
	before_clients[2] = client(7, "other", 5000, 100);
	now_clients[0] = client(5, "middle", 3000, 50);
	now_clients[1] = client(6, "large", 5000, 700);
	now_clients[2] = client(7, "small", 10, 900);
	now_clients[2].generation = 2; /* another process in the same slot */
	make_look(&before, 100, before_clients);
	make_look(&now, 100 + SECONDS, now_clients);
	hakc_board_init(&board, 1000);
	hakc_board_fit(&board, ROOM);
	return hakc_board_show(&board, &now, &before);
}

static int stop(void **state)
{
	hakc_board_deinit(&board);
	free(now.superslabs);
	now.superslabs = NULL;
	return hakt_drawing_stop(state);
}

static const struct hakc_value *value(size_t nth, const char *title)
{
	return hakc_table_value(&board.table, board.table.order[nth],
				hakc_tab_column(board.tab, title));
}

static void expect_names(const char *a, const char *b, const char *c)
{
	assert_int_equal(board.table.n_rows, CLIENTS);
	assert_string_equal(value(0, "NAME")->text, a);
	assert_string_equal(value(1, "NAME")->text, b);
	assert_string_equal(value(2, "NAME")->text, c);
}

static void press(const char *keys)
{
	for (; *keys; keys++)
		assert_true(hakc_board_key(&board, *keys) != HAKC_ACT_QUIT);
}

static void test_the_largest_client_is_on_top_until_it_is_sorted_otherwise(void **state)
{
	(void)state;
	expect_names("large", "middle", "small");
	press("r");
	expect_names("small", "middle", "large");
	press("r");
	press("s"); /* GROWTH/S; small's isn't known */
	assert_int_equal(board.table.sorted_by, hakc_tab_column(board.tab, "GROWTH/S"));
	expect_names("middle", "large", "small");
	press("SS"); /* BLOCKS */
	assert_int_equal(board.table.sorted_by, hakc_tab_column(board.tab, "BLOCKS"));
	expect_names("small", "large", "middle");
}

static void test_sorting_goes_round_through_all_columns(void **state)
{
	unsigned at = board.table.sorted_by, n = board.table.n_columns;

	(void)state;
	for (unsigned i = 1; i < n; i++) {
		press("s");
		assert_int_equal(board.table.sorted_by, (at + i) % n);
	}
	press("s");
	assert_int_equal(board.table.sorted_by, at);
	for (unsigned i = 0; i < n; i++)
		assert_int_equal(hakc_board_key(&board, HAKC_KEY_LEFT), HAKC_ACT_DRAW);
	assert_int_equal(board.table.sorted_by, at);
}

static void test_a_rate_is_of_the_same_process_over_the_seconds_between(void **state)
{
	(void)state;
	assert_true(value(1, "GROWTH/S")->number == 2000.0 / SECONDS);
	assert_true(value(1, "CLAIMS/S")->number == 50.0 / SECONDS);
	assert_true(value(0, "CLAIMS/S")->number == 600.0 / SECONDS);
	/* The one that was there before had the slot, and is another one. */
	assert_false(value(2, "CLAIMS/S")->number == value(2, "CLAIMS/S")->number);
	assert_false(value(2, "GROWTH/S")->number == value(2, "GROWTH/S")->number);
}

static void test_a_first_look_has_no_rates(void **state)
{
	char text[HAKC_BOARD_LINE_BYTES];

	(void)state;
	assert_int_equal(hakc_board_show(&board, &now, NULL), 0);
	assert_false(value(0, "CLAIMS/S")->number == value(0, "CLAIMS/S")->number);
	assert_string_equal(hakc_board_head(&board, 2, text),
			    "a second: - claims, - frees, - takes, - asks, - waits");
}

static void test_counters_that_have_become_less_are_another_pool_s(void **state)
{
	char text[HAKC_BOARD_LINE_BYTES];

	(void)state;
	now.counters[HAK_STAT_CLAIMS] = 10;
	before.counters[HAK_STAT_CLAIMS] = 1000;
	now.counters[HAK_STAT_FREES] = 30;
	assert_string_equal(hakc_board_head(&board, 2, text),
			    "a second: - claims, 15 frees, 0 takes, 0 asks, 0 waits");
	before.clients[0].counters[HAK_STAT_CLAIMS] = 1000;
	assert_int_equal(hakc_board_show(&board, &now, &before), 0);
	assert_string_equal(value(1, "NAME")->text, "middle");
	assert_false(value(1, "CLAIMS/S")->number == value(1, "CLAIMS/S")->number);
}

static void test_tabs_are_chosen_by_tab_and_by_number(void **state)
{
	static const struct {
		int key;
		enum hakc_tab tab;
	} steps[] = {{'\t', HAKC_TAB_CLASSES},
		     {'\t', HAKC_TAB_SUPERSLABS},
		     {'\t', HAKC_TAB_CLIENTS},
		     {HAKC_KEY_BACK_TAB, HAKC_TAB_SUPERSLABS},
		     {HAKC_KEY_BACK_TAB, HAKC_TAB_CLASSES},
		     {'1', HAKC_TAB_CLIENTS},
		     {'3', HAKC_TAB_SUPERSLABS},
		     {'2', HAKC_TAB_CLASSES}};

	(void)state;
	for (unsigned i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		assert_int_equal(hakc_board_key(&board, steps[i].key), HAKC_ACT_DRAW);
		assert_int_equal(board.tab, steps[i].tab);
	}
}

static void test_each_tab_keeps_how_it_is_sorted(void **state)
{
	(void)state;
	press("sr2ss1");
	assert_int_equal(board.table.sorted_by, hakc_tab_column(board.tab, "GROWTH/S"));
	assert_true(board.table.is_reversed);
	press("2");
	assert_false(board.table.is_reversed);
	assert_int_equal(board.table.sorted_by, hakc_tab_column(board.tab, "GROWTH/S"));
}

static void test_pause_is_until_the_next_space_which_looks_at_once(void **state)
{
	(void)state;
	assert_int_equal(hakc_board_key(&board, ' '), HAKC_ACT_DRAW);
	assert_true(board.is_paused);
	press("s1");
	assert_true(board.is_paused);
	assert_int_equal(hakc_board_key(&board, ' '), HAKC_ACT_LOOK);
	assert_false(board.is_paused);
}

static void test_the_delay_is_doubled_and_halved_within_bounds(void **state)
{
	(void)state;
	press("+");
	assert_int_equal(board.delay_ms, 2000);
	press("--");
	assert_int_equal(board.delay_ms, 500);
	press("----------");
	assert_int_equal(board.delay_ms, 100);
	press("+++++++++++++++++++++");
	assert_int_equal(board.delay_ms, 3600000);
}

static void test_help_goes_with_any_key(void **state)
{
	(void)state;
	press("h");
	assert_true(board.shows_help);
	press("?");
	assert_false(board.shows_help);
	press("?");
	assert_int_equal(hakc_board_key(&board, 'x'), HAKC_ACT_DRAW);
	assert_false(board.shows_help);
	press("h");
	assert_int_equal(hakc_board_key(&board, HAKC_KEY_NONE), HAKC_ACT_NOTHING);
	assert_true(board.shows_help);
	assert_int_equal(hakc_board_key(&board, 'q'), HAKC_ACT_QUIT);
}

/* 25 rows of which 10 fit. */
static void test_scrolling_ends_where_the_rows_do(void **state)
{
	size_t *first = &board.tabs[HAKC_TAB_SUPERSLABS].first;

	(void)state;
	for (uint32_t i = 0; i < 25; i++) {
		struct hakc_row row = hakt_drawing_row(i, 5);

		hakt_drawing_add_span(&row, 0, 1 + i, true);
		assert_int_equal(hakc_look_row(&now, &row), 0);
	}
	press("3");
	assert_int_equal(board.table.n_rows, 25);
	hakc_board_key(&board, HAKC_KEY_UP);
	assert_int_equal(*first, 0);
	hakc_board_key(&board, HAKC_KEY_DOWN);
	hakc_board_key(&board, HAKC_KEY_PAGE_DOWN);
	assert_int_equal(*first, 1 + ROOM - 1);
	hakc_board_key(&board, HAKC_KEY_END);
	hakc_board_key(&board, HAKC_KEY_PAGE_DOWN);
	assert_int_equal(*first, 25 - ROOM);
	hakc_board_key(&board, HAKC_KEY_PAGE_UP);
	assert_int_equal(*first, 25 - ROOM - (ROOM - 1));
	hakc_board_fit(&board, 24); /* a larger window: no blank lines below */
	assert_int_equal(*first, 1);
	hakc_board_key(&board, HAKC_KEY_HOME);
	assert_int_equal(*first, 0);
}

static void test_an_orphan_is_told_with_who_has_most_in_it(void **state)
{
	struct hakc_row row = hakt_drawing_row(9, 5);
	char text[HAKC_TABLE_LINE_BYTES];

	(void)state;
	hakt_drawing_add_span(&row, 0, 16, true);
	strcpy(hakt_drawn.holders[6].name, "taker");
	row.kind = HAKC_ROW_ORPHAN;
	row.holder = 6;
	row.cells[0].n_taken = 1;
	assert_int_equal(hakc_look_row(&now, &row), 0);
	press("3");
	assert_string_equal(
		hakc_table_line(&board.table, 0, text),
		"      9      1 orphan          - taker             50 %    1.0 MiB         1"
		"       1      0      1");
}

/* The same figures as slabs prints. */
static void test_classes_are_those_of_slabs(void **state)
{
	struct hakc_row row = hakt_drawing_row(0, 5);
	char text[HAKC_TABLE_LINE_BYTES];

	(void)state;
	hakt_drawing_add_slab(&row, 0, hak_class_of(4096), 5);
	hakt_drawing_add_span(&row, 8, 4, true);
	assert_int_equal(hakc_look_row(&now, &row), 0);
	press("2");
	assert_int_equal(board.table.n_rows, 2);
	assert_string_equal(hakc_table_line(&board.table, board.table.order[0], text),
			    "   4096       1        16         5   31 %   64.0 KiB   44.0 KiB"
			    "   20.0 KiB   +10.0 KiB        11");
	assert_string_equal(hakc_table_line(&board.table, board.table.order[1], text),
			    "  spans       1         1         1  100 %  256.0 KiB        0 B"
			    "  256.0 KiB  +128.0 KiB         0");
}

static void test_what_it_is_sorted_by_is_in_sight_on_a_narrow_screen(void **state)
{
	unsigned n = board.table.n_columns;

	(void)state;
	assert_int_equal(hakc_board_cut(&board, 200).n, 0);
	for (unsigned i = 0; i < n; i++) {
		struct hakc_board_cut cut = hakc_board_cut(&board, 60);
		unsigned sorted = board.table.sorted_by;
		unsigned begin = hakc_table_place(&board.table, sorted);

		assert_int_equal(cut.at, hakc_table_place(&board.table, 2)); /* PID and NAME stay */
		if (sorted >= 2)
			assert_true(begin >= cut.at + cut.n);
		assert_true(begin + board.table.columns[sorted].width - (sorted < 2 ? 0 : cut.n) <=
			    60);
		press("s");
	}
}

static void test_a_line_ends_with_the_last_column_that_fits(void **state)
{
	unsigned whole = hakc_table_place(&board.table, 3) - 1; /* PID, NAME, SSLABS */

	(void)state;
	press("SSS"); /* by name: nothing is left out in between */
	assert_int_equal(hakc_board_cut(&board, whole).end, whole);
	assert_int_equal(hakc_board_cut(&board, whole + 1).end, whole);
	assert_int_equal(hakc_board_cut(&board, whole + 10).end, whole + 10); /* BLOCKS */
	assert_int_equal(hakc_board_cut(&board, whole + 9).end, whole);
	assert_int_equal(hakc_board_cut(&board, 500).end,
			 hakc_table_place(&board.table, board.table.n_columns) - 1);
}

static void test_as_text_all_tabs_follow_each_other_or_one_is_alone(void **state)
{
	const char *text;

	(void)state;
	assert_int_equal(hakc_board_print(&board, HAKC_TABS, hakt_page.out), 0);
	text = hakt_page_text();
	assert_non_null(strstr(text, "pool drawn, 3 clients; hakmemd 1, pid 7, up 0:00:00\n"));
	assert_true(strstr(text, "\nclients\n") < strstr(text, "\nclasses\n"));
	assert_true(strstr(text, "\nclasses\n") < strstr(text, "\nsuperslabs\n"));
	assert_int_equal(hakt_count(text, "\n    1005 middle "), 1);
	hakt_page_turn();
	hakc_style.no_headers = true;
	assert_int_equal(hakc_board_print(&board, HAKC_TAB_CLIENTS, hakt_page.out), 0);
	assert_memory_equal(hakt_page_text(), "    1006 large ", 15);
	assert_int_equal(hakt_count(hakt_page.text, "\n"), CLIENTS);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test_setup_teardown(
		test_the_largest_client_is_on_top_until_it_is_sorted_otherwise, start, stop),
	cmocka_unit_test_setup_teardown(test_sorting_goes_round_through_all_columns, start, stop),
	cmocka_unit_test_setup_teardown(test_a_rate_is_of_the_same_process_over_the_seconds_between,
					start, stop),
	cmocka_unit_test_setup_teardown(test_a_first_look_has_no_rates, start, stop),
	cmocka_unit_test_setup_teardown(test_counters_that_have_become_less_are_another_pool_s,
					start, stop),
	cmocka_unit_test_setup_teardown(test_tabs_are_chosen_by_tab_and_by_number, start, stop),
	cmocka_unit_test_setup_teardown(test_each_tab_keeps_how_it_is_sorted, start, stop),
	cmocka_unit_test_setup_teardown(test_pause_is_until_the_next_space_which_looks_at_once,
					start, stop),
	cmocka_unit_test_setup_teardown(test_the_delay_is_doubled_and_halved_within_bounds, start,
					stop),
	cmocka_unit_test_setup_teardown(test_help_goes_with_any_key, start, stop),
	cmocka_unit_test_setup_teardown(test_scrolling_ends_where_the_rows_do, start, stop),
	cmocka_unit_test_setup_teardown(test_an_orphan_is_told_with_who_has_most_in_it, start,
					stop),
	cmocka_unit_test_setup_teardown(test_classes_are_those_of_slabs, start, stop),
	cmocka_unit_test_setup_teardown(test_what_it_is_sorted_by_is_in_sight_on_a_narrow_screen,
					start, stop),
	cmocka_unit_test_setup_teardown(test_a_line_ends_with_the_last_column_that_fits, start,
					stop),
	cmocka_unit_test_setup_teardown(test_as_text_all_tabs_follow_each_other_or_one_is_alone,
					start, stop),
};

HAKT_MAIN(tests, NULL, NULL)
