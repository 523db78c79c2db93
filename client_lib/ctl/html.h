/* SPDX-License-Identifier: MIT */
#ifndef HAKC_CTL_HTML_H
#define HAKC_CTL_HTML_H

/*
 * A page that is HTML and XML at once: one file, nothing is fetched, nothing runs; by day and by
 * night as the reader's system is. Texts of others go through hakc_html_text only.
 */

#include <stdio.h>

#include "client_lib/ctl/table.h"

/* As text or as an attribute's value, whatever it is: printable ASCII without a sign that means something. */
void hakc_html_text(FILE *out, const char *text);

/* The page up to its first heading; title is escaped. */
void hakc_html_begin(FILE *out, const char *title);
void hakc_html_end(FILE *out);

/* A section's heading, and what is to be said before its content; NULL: nothing. */
void hakc_html_section(FILE *out, const char *id, const char *title, const char *about);

/*
 * A table in its order: most rows at most, with how many more there are. Columns whose titles are in
 * hidden, each with a comma behind it, are left out; NULL: none.
 */
void hakc_html_table(FILE *out, const struct hakc_table *table, size_t most, const char *hidden);

#endif
