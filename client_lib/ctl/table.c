/* SPDX-License-Identifier: MIT */
/*
 * Values lie row by row; an order is a list of rows, so that they stay where they are. Who fills a
 * table needn't look whether there was memory: rows are left out then, and sorting it says so.
 */
#include "client_lib/ctl/table.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client_lib/ctl/text.h"

void hakc_table_init(struct hakc_table *table, const struct hakc_column *columns, unsigned n)
{
	*table = (struct hakc_table){.columns = columns, .n_columns = n};
}

void hakc_table_deinit(struct hakc_table *table)
{
	for (size_t i = 0; i < table->n_rows * table->n_columns; i++)
		free(table->values[i].text);
	free(table->values);
	free(table->order);
	hakc_table_init(table, table->columns, table->n_columns);
}

static bool make_room(struct hakc_table *table)
{
	size_t room = table->room ? 2 * table->room : 16;
	struct hakc_value *values;
	size_t *order;

	if (table->n_rows < table->room)
		return true;
	values = realloc(table->values, room * table->n_columns * sizeof(*values));
	if (values)
		table->values = values;
	order = realloc(table->order, room * sizeof(*order));
	if (order)
		table->order = order;
	if (values && order)
		table->room = room;
	return values && order;
}

void hakc_table_begin_row(struct hakc_table *table)
{
	table->n_put = table->n_columns;
	if (!make_room(table)) {
		table->is_lacking = true;
		return;
	}
	for (unsigned i = 0; i < table->n_columns; i++)
		table->values[table->n_rows * table->n_columns + i] = (struct hakc_value){
			.number = NAN};
	table->order[table->n_rows] = table->n_rows;
	table->n_rows++;
	table->n_put = 0;
}

void hakc_table_put_as(struct hakc_table *table, double number, const char *text)
{
	struct hakc_value *value;

	if (table->n_put == table->n_columns) { /* there was no room for the row */
		assert(table->is_lacking);
		return;
	}
	value = &table->values[(table->n_rows - 1) * table->n_columns + table->n_put++];
	value->number = number;
	value->text = text ? strdup(text) : NULL;
	table->is_lacking |= text && !value->text;
}

void hakc_table_put(struct hakc_table *table, double number)
{
	hakc_table_put_as(table, number, NULL);
}

void hakc_table_put_none(struct hakc_table *table)
{
	hakc_table_put_as(table, NAN, NULL);
}

void hakc_table_put_text(struct hakc_table *table, const char *text)
{
	hakc_table_put_as(table, NAN, text);
}

static int compare_numbers(double x, double y)
{
	if (!isfinite(x) || !isfinite(y))
		return isfinite(y) - isfinite(x);
	return x < y ? 1 : x > y ? -1 : 0;
}

static int compare(const void *a, const void *b, void *context)
{
	const struct hakc_table *table = context;
	size_t x = *(const size_t *)a, y = *(const size_t *)b;
	const struct hakc_value *v = hakc_table_value(table, x, table->sorted_by);
	const struct hakc_value *w = hakc_table_value(table, y, table->sorted_by);
	int r;

	if (table->columns[table->sorted_by].kind == HAKC_COLUMN_TEXT)
		r = strcmp(v->text ? v->text : "", w->text ? w->text : "");
	else
		r = compare_numbers(v->number, w->number);
	if (r == 0) /* as they were put */
		return x < y ? -1 : 1;
	return table->is_reversed ? -r : r;
}

int hakc_table_sort(struct hakc_table *table, unsigned column, bool is_reversed)
{
	assert(column < table->n_columns);
	table->sorted_by = column;
	table->is_reversed = is_reversed;
	if (table->n_rows > 1)
		qsort_r(table->order, table->n_rows, sizeof(*table->order), compare, table);
	return table->is_lacking ? -ENOMEM : 0;
}

const struct hakc_value *hakc_table_value(const struct hakc_table *table, size_t row,
					  unsigned column)
{
	assert(row < table->n_rows && column < table->n_columns);
	return &table->values[row * table->n_columns + column];
}

static void make_safe(const char *from, char text[HAKC_CELL_BYTES])
{
	size_t n = 0;

	for (; *from && n < HAKC_CELL_BYTES - 1; from++)
		text[n++] = *from >= 0x20 && *from < 0x7f ? *from : '?';
	text[n] = 0;
}

/* A rate of 0 is as good as none: what moves is to be seen. */
static void rate_text(double rate, char text[HAKC_CELL_BYTES])
{
	if (rate == 0)
		snprintf(text, HAKC_CELL_BYTES, "0");
	else if (rate > -100 && rate < 100)
		snprintf(text, HAKC_CELL_BYTES, "%.1f", rate);
	else
		snprintf(text, HAKC_CELL_BYTES, "%.0f", rate);
}

static void growth_text(double rate, char text[HAKC_CELL_BYTES])
{
	char bytes[HAKC_TEXT_BYTES];
	double size = rate < 0 ? -rate : rate;

	hakc_bytes_text((uint64_t)(size + 0.5), bytes);
	snprintf(text, HAKC_CELL_BYTES, "%s%s", size < 0.5 ? "" : rate < 0 ? "-" : "+", bytes);
}

const char *hakc_table_cell(const struct hakc_table *table, size_t row, unsigned column,
			    char text[HAKC_CELL_BYTES])
{
	const struct hakc_value *value = hakc_table_value(table, row, column);

	if (value->text) {
		make_safe(value->text, text);
		return text;
	}
	if (!isfinite(value->number)) {
		snprintf(text, HAKC_CELL_BYTES, "-");
		return text;
	}
	switch (table->columns[column].kind) {
	case HAKC_COLUMN_BYTES:
		return hakc_bytes_text((uint64_t)value->number, text);
	case HAKC_COLUMN_PERCENT:
		snprintf(text, HAKC_CELL_BYTES, "%.0f %%", value->number);
		break;
	case HAKC_COLUMN_RATE:
		rate_text(value->number, text);
		break;
	case HAKC_COLUMN_GROWTH:
		growth_text(value->number, text);
		break;
	default:
		snprintf(text, HAKC_CELL_BYTES, "%.0f", value->number);
	}
	return text;
}

/* Adds a column's text behind n bytes; texts are cut to their width, numbers aren't. */
static size_t add(const struct hakc_table *table, unsigned column, const char *cell, size_t n,
		  char text[HAKC_TABLE_LINE_BYTES])
{
	const struct hakc_column *c = &table->columns[column];
	int width = (int)c->width, r;

	if (c->kind == HAKC_COLUMN_TEXT)
		r = snprintf(text + n, HAKC_TABLE_LINE_BYTES - n, "%s%-*.*s", column ? " " : "",
			     width, width, cell);
	else
		r = snprintf(text + n, HAKC_TABLE_LINE_BYTES - n, "%s%*s", column ? " " : "", width,
			     cell);
	n += (size_t)r;
	return n < HAKC_TABLE_LINE_BYTES ? n : HAKC_TABLE_LINE_BYTES - 1;
}

static const char *trim(char *text, size_t n)
{
	while (n > 0 && text[n - 1] == ' ')
		n--;
	text[n] = 0;
	return text;
}

const char *hakc_table_heading(const struct hakc_table *table, char text[HAKC_TABLE_LINE_BYTES])
{
	size_t n = 0;

	for (unsigned i = 0; i < table->n_columns; i++)
		n = add(table, i, table->columns[i].title, n, text);
	return trim(text, n);
}

const char *hakc_table_line(const struct hakc_table *table, size_t row,
			    char text[HAKC_TABLE_LINE_BYTES])
{
	char cell[HAKC_CELL_BYTES];
	size_t n = 0;

	for (unsigned i = 0; i < table->n_columns; i++)
		n = add(table, i, hakc_table_cell(table, row, i, cell), n, text);
	return trim(text, n);
}

unsigned hakc_table_place(const struct hakc_table *table, unsigned column)
{
	unsigned at = 0;

	for (unsigned i = 0; i < column; i++)
		at += table->columns[i].width + 1;
	return at;
}
