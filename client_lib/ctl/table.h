/* SPDX-License-Identifier: MIT */
#ifndef HAKC_CTL_TABLE_H
#define HAKC_CTL_TABLE_H

/*
 * A table in memory: rows of numbers and texts, in an order, to be printed by who wants to. Begin a
 * row, then put its values, one a column.
 */

#include <stdbool.h>
#include <stddef.h>

enum hakc_column_kind {
	HAKC_COLUMN_TEXT,
	HAKC_COLUMN_COUNT,
	HAKC_COLUMN_BYTES,
	HAKC_COLUMN_PERCENT,
	HAKC_COLUMN_RATE,   /* a second */
	HAKC_COLUMN_GROWTH, /* bytes a second, with a sign */
};

struct hakc_column {
	const char *title;
	enum hakc_column_kind kind;
	unsigned width;	   /* of a line of text */
	const char *about; /* what it is; NULL: the title says it */
};

struct hakc_value {
	double number; /* not finite: there is none */
	char *text;    /* what is shown, if it isn't the number */
};

struct hakc_table {
	const struct hakc_column *columns;
	unsigned n_columns;

	size_t n_rows;
	size_t *order; /* which row is the nth; of hakc_table_sort */
	unsigned sorted_by;
	bool is_reversed;

	/* Private. */
	struct hakc_value *values;
	size_t room;	 /* rows */
	unsigned n_put;	 /* into the last row */
	bool is_lacking; /* of memory: rows are missing */
};

#define HAKC_CELL_BYTES	      320 /* of a value's text */
#define HAKC_TABLE_LINE_BYTES 512

void hakc_table_init(struct hakc_table *table, const struct hakc_column *columns, unsigned n);
void hakc_table_deinit(struct hakc_table *table);

/* Values that aren't put are none. */
void hakc_table_begin_row(struct hakc_table *table);
void hakc_table_put(struct hakc_table *table, double number);
void hakc_table_put_none(struct hakc_table *table);
void hakc_table_put_text(struct hakc_table *table, const char *text);

/* Sorted as the number, and shown as the text. */
void hakc_table_put_as(struct hakc_table *table, double number, const char *text);

/* Puts rows into order: numbers from large to small, none last; texts from a to z. 0 or -ENOMEM. */
int hakc_table_sort(struct hakc_table *table, unsigned column, bool is_reversed);

const struct hakc_value *hakc_table_value(const struct hakc_table *table, size_t row,
					  unsigned column);

/* A value as people read it; what isn't printable ASCII is '?'. Returns text. */
const char *hakc_table_cell(const struct hakc_table *table, size_t row, unsigned column,
			    char text[HAKC_CELL_BYTES]);

/* Headings, or a row, as a line. Returns text. */
const char *hakc_table_heading(const struct hakc_table *table, char text[HAKC_TABLE_LINE_BYTES]);
const char *hakc_table_line(const struct hakc_table *table, size_t row,
			    char text[HAKC_TABLE_LINE_BYTES]);

/* Where in a line a column begins. */
unsigned hakc_table_place(const struct hakc_table *table, unsigned column);

#endif
