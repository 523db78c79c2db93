/* SPDX-License-Identifier: MIT */
#ifndef HAKC_CTL_MAP_JSON_H
#define HAKC_CTL_MAP_JSON_H

/* The map as JSON: rows, their slabs and spans, and who the owners are. */

#include <stdio.h>

#include "client_lib/ctl/view.h"

/* 0, or as hakc_view_walk. */
int hakc_map_json(struct hakc_view *view, FILE *out);

#endif
