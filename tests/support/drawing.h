/* SPDX-License-Identifier: MIT */
#ifndef HAKT_DRAWING_H
#define HAKT_DRAWING_H

/* Rows of a pool that there needn't be, to be drawn. All calls fail the test on error. */

#include <stdbool.h>
#include <stdio.h>

#include "client_lib/ctl/view.h"

#define HAKT_DRAWN_PID(holder) (1000 + (int)(holder))

/* A stream, and what has been written to it, which closes it. */
struct hakt_paper {
	FILE *out;
	char *text;
	size_t bytes;
};

/*
 * A view of 64 SuperSlabs of 2 MiB, in which holders have pids as above and the name "worker",
 * and of which nothing has been walked over; and what is drawn of it.
 */
extern struct hakc_view hakt_drawn;
extern struct hakt_paper hakt_page;

/* Setup and teardown of a case. */
int hakt_drawing_start(void **state);
int hakt_drawing_stop(void **state);

/* A granted SuperSlab, and cells for it, behind the last one. */
struct hakc_row hakt_drawing_row(uint32_t index, unsigned owner);
void hakt_drawing_add_slab(struct hakc_row *row, uint32_t slot, unsigned cls, uint32_t n_live);
void hakt_drawing_add_span(struct hakc_row *row, uint32_t slot, uint32_t n_slots, bool is_live);

/* Begins a new one, if there was one; what is on it. */
void hakt_page_turn(void);
const char *hakt_page_text(void);

/* How often a text is in another. */
unsigned hakt_count(const char *text, const char *what);

#endif
