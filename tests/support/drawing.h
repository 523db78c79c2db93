/* SPDX-License-Identifier: MIT */
#ifndef HAKT_DRAWING_H
#define HAKT_DRAWING_H

/* Rows of a pool that there needn't be, to be drawn. All calls fail the test on error. */

#include <stdbool.h>
#include <stdio.h>

#include "client_lib/ctl/view.h"

#define HAKT_DRAWN_PID(holder) (1000 + (int)(holder))

/*
 * A view of 64 SuperSlabs of 2 MiB, in which holders have pids as above and the name "worker",
 * and of which nothing has been walked over; deinit by hakc_view_deinit.
 */
void hakt_drawing_init(struct hakc_view *view);

/* A granted SuperSlab, and cells for it, behind the last one. */
struct hakc_row hakt_drawing_row(uint32_t index, unsigned owner);
void hakt_drawing_add_slab(struct hakc_row *row, uint32_t slot, unsigned cls, uint32_t n_live);
void hakt_drawing_add_span(struct hakc_row *row, uint32_t slot, uint32_t n_slots, bool is_live);

/* A stream, and what has been written to it, which closes it. */
struct hakt_paper {
	FILE *out;
	char *text;
	size_t bytes;
};
void hakt_paper_init(struct hakt_paper *paper);
void hakt_paper_deinit(struct hakt_paper *paper);
char *hakt_paper_text(struct hakt_paper *paper);

/* How often a text is in another. */
unsigned hakt_count(const char *text, const char *what);

#endif
