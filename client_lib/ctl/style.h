/* SPDX-License-Identifier: MIT */
#ifndef HAKC_CTL_STYLE_H
#define HAKC_CTL_STYLE_H

/* How what is printed for people looks: by options, and by what stdout is. */

#include <stdbool.h>

struct hakc_style {
	bool has_raw_bytes; /* sizes are plain numbers of bytes */
	bool no_headers;    /* tables begin with their first row */
	bool shows_all;	    /* of a map: free SuperSlabs too, nothing folded */
	bool as_svg;
	bool per_process; /* of a profile: each, not all of a program together */
	bool as_collapsed;
	bool as_pprof;
	bool no_symbols;
	bool is_ascii;
	bool has_colour;
	unsigned columns;
};

/* Of this process; set by main before anything is printed. */
extern struct hakc_style hakc_style;

/* Colour, columns and ASCII by the environment and the terminal. */
void hakc_style_detect(struct hakc_style *style);

/* A line above a table, unless there shall be none. */
void hakc_style_header(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
