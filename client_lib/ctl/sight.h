/* SPDX-License-Identifier: MIT */
#ifndef HAKC_CTL_SIGHT_H
#define HAKC_CTL_SIGHT_H

/* The verbs that look into a pool themselves, as a reader; as hakc_verb.run, never degraded. */

#include "client_lib/ctl/verb.h"

int hakc_verb_slabs(struct hakc_query *query, bool as_json, bool *ret_degraded);
int hakc_verb_map(struct hakc_query *query, bool as_json, bool *ret_degraded);

#endif
