/* SPDX-License-Identifier: MIT */
#ifndef HAKC_CTL_TABS_H
#define HAKC_CTL_TABS_H

/* What a look has seen, as tables: the tabs of top, and what a report lists. */

#include "client_lib/ctl/look.h"
#include "client_lib/ctl/table.h"

enum hakc_tab { HAKC_TAB_CLIENTS, HAKC_TAB_CLASSES, HAKC_TAB_SUPERSLABS, HAKC_TABS };

/* "clients", "classes", "superslabs" */
const char *hakc_tab_name(enum hakc_tab tab);

/* Which one is called that; HAKC_TABS: none. */
enum hakc_tab hakc_tab_find(const char *name);

/* The column that it is sorted by at first. */
unsigned hakc_tab_first_sort(enum hakc_tab tab);

/* How many of the first columns say what a row is about: they stay when others are out of sight. */
unsigned hakc_tab_fixed(enum hakc_tab tab);

/* The column with that title, in any case; its number of columns: there is none. */
unsigned hakc_tab_column(enum hakc_tab tab, const char *title);

/* Makes the table. before: of the same pool, for rates; NULL: there are none. */
void hakc_tab_init(struct hakc_table *table, enum hakc_tab tab, const struct hakc_look *now,
		   const struct hakc_look *before);

/* How much more of it there is a second than before; not finite: nobody knows. */
double hakc_tab_rate(const struct hakc_look *now, const struct hakc_look *before, uint64_t is,
		     uint64_t was);

#endif
