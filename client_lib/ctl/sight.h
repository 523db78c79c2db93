/* SPDX-License-Identifier: MIT */
#ifndef HAKC_CTL_SIGHT_H
#define HAKC_CTL_SIGHT_H

/* The verbs that look into a pool themselves, as a reader; as hakc_verb.run, never degraded. */

#include "client_lib/ctl/verb.h"

struct hakc_view;

int hakc_verb_slabs(struct hakc_query *query, bool as_json, bool *ret_degraded);
int hakc_verb_map(struct hakc_query *query, bool as_json, bool *ret_degraded);

/*
 * Opens the pool that the query is about, has it shown, and closes it. What show returned, or as
 * hakc_query_* do.
 */
int hakc_sight_look(struct hakc_query *query, bool as_json,
		    int (*show)(struct hakc_view *view, bool as_json));

#endif
