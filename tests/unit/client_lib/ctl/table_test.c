/* SPDX-License-Identifier: MIT */
/* Tables: values in, an order and lines out. */
#include "client_lib/ctl/table.h"

#include "tests/support/run.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "client_lib/ctl/style.h"

enum { NAME, COUNT, BYTES, RATE, GROWTH, USED, N_COLUMNS };

static const struct hakc_column columns[N_COLUMNS] = {
	{"NAME", HAKC_COLUMN_TEXT, 6, NULL},	 {"COUNT", HAKC_COLUMN_COUNT, 5, NULL},
	{"BYTES", HAKC_COLUMN_BYTES, 9, NULL},	 {"RATE", HAKC_COLUMN_RATE, 6, NULL},
	{"GROWTH", HAKC_COLUMN_GROWTH, 9, NULL}, {"USED", HAKC_COLUMN_PERCENT, 5, NULL},
};

static struct hakc_table table;

static int start(void **state)
{
	(void)state;
	hakc_style = (struct hakc_style){.columns = 80};
	hakc_table_init(&table, columns, N_COLUMNS);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	hakc_table_deinit(&table);
	return 0;
}

static void add(const char *name, double count)
{
	hakc_table_begin_row(&table);
	hakc_table_put_text(&table, name);
	hakc_table_put(&table, count);
}

/* The names in their order, each one letter. */
static void expect_order(const char *expected)
{
	char names[16] = "";

	for (size_t i = 0; i < table.n_rows; i++)
		strcat(names, hakc_table_value(&table, table.order[i], NAME)->text);
	assert_string_equal(names, expected);
}

static void test_numbers_are_sorted_from_large_to_small_and_texts_from_a_to_z(void **state)
{
	(void)state;
	add("b", 7);
	add("c", 70);
	add("a", -1);
	expect_order("bca");
	assert_int_equal(hakc_table_sort(&table, COUNT, false), 0);
	expect_order("cba");
	assert_int_equal(hakc_table_sort(&table, COUNT, true), 0);
	expect_order("abc");
	assert_int_equal(hakc_table_sort(&table, NAME, false), 0);
	expect_order("abc");
	assert_int_equal(hakc_table_sort(&table, NAME, true), 0);
	expect_order("cba");
}

static void test_what_is_equal_stays_as_it_was_put(void **state)
{
	(void)state;
	for (const char *name = "dbfaec"; *name; name++)
		add((char[]){*name, 0}, 5);
	for (unsigned reversed = 0; reversed < 2; reversed++) {
		assert_int_equal(hakc_table_sort(&table, COUNT, reversed), 0);
		expect_order("dbfaec");
	}
}

static void test_who_has_no_number_is_behind_those_who_have_one(void **state)
{
	(void)state;
	add("x", NAN);
	add("a", 0);
	add("b", 3);
	assert_int_equal(hakc_table_sort(&table, COUNT, false), 0);
	expect_order("bax");
}

static void test_more_rows_than_there_was_room_for_at_first(void **state)
{
	char name[16];

	(void)state;
	for (unsigned i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), "%u", i);
		add(name, (i * 37) % 1000);
	}
	assert_int_equal(hakc_table_sort(&table, COUNT, false), 0);
	assert_int_equal(table.n_rows, 1000);
	for (size_t i = 0; i < 1000; i++) {
		const struct hakc_value *value = hakc_table_value(&table, table.order[i], COUNT);

		assert_true(value->number == (double)(999 - i));
	}
}

static void test_a_value_is_shown_as_its_column_says(void **state)
{
	char text[HAKC_TABLE_LINE_BYTES];

	(void)state;
	assert_string_equal(hakc_table_heading(&table, text),
			    "NAME   COUNT     BYTES   RATE    GROWTH  USED");
	add("longer name", 12);
	hakc_table_put(&table, 1536);
	hakc_table_put(&table, 2.25);
	hakc_table_put(&table, -2048);
	hakc_table_put(&table, 33);
	assert_string_equal(hakc_table_line(&table, 0, text),
			    "longer    12   1.5 KiB    2.2  -2.0 KiB  33 %");
	add("", NAN);
	hakc_table_put(&table, 0);
	hakc_table_put(&table, 12345.6);
	hakc_table_put(&table, 2048);
	assert_string_equal(hakc_table_line(&table, 1, text),
			    "           -       0 B  12346  +2.0 KiB     -");
	hakc_style.has_raw_bytes = true;
	assert_string_equal(hakc_table_line(&table, 0, text),
			    "longer    12      1536    2.2     -2048  33 %");
}

static void test_a_column_begins_where_its_heading_does(void **state)
{
	char text[HAKC_TABLE_LINE_BYTES];
	unsigned at = hakc_table_place(&table, GROWTH);

	(void)state;
	hakc_table_heading(&table, text);
	assert_memory_equal(text + at, "   GROWTH", columns[GROWTH].width);
	assert_int_equal(hakc_table_place(&table, 0), 0);
}

static void test_what_a_terminal_would_obey_is_no_part_of_a_line(void **state)
{
	char text[HAKC_TABLE_LINE_BYTES];

	(void)state;
	add("\033[2J\r\n", 1);
	assert_string_equal(hakc_table_cell(&table, 0, NAME, text), "?[2J??");
	for (const char *c = hakc_table_line(&table, 0, text); *c; c++)
		assert_true(*c >= 0x20 && *c < 0x7f);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test_setup_teardown(
		test_numbers_are_sorted_from_large_to_small_and_texts_from_a_to_z, start, stop),
	cmocka_unit_test_setup_teardown(test_what_is_equal_stays_as_it_was_put, start, stop),
	cmocka_unit_test_setup_teardown(test_who_has_no_number_is_behind_those_who_have_one, start,
					stop),
	cmocka_unit_test_setup_teardown(test_more_rows_than_there_was_room_for_at_first, start,
					stop),
	cmocka_unit_test_setup_teardown(test_a_value_is_shown_as_its_column_says, start, stop),
	cmocka_unit_test_setup_teardown(test_a_column_begins_where_its_heading_does, start, stop),
	cmocka_unit_test_setup_teardown(test_what_a_terminal_would_obey_is_no_part_of_a_line, start,
					stop),
};

HAKT_MAIN(tests, NULL, NULL)
