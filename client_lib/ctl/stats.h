/* SPDX-License-Identifier: MIT */
#ifndef HAKC_CTL_STATS_H
#define HAKC_CTL_STATS_H

/* The verb stats; see verb.h. Without a daemon: what the last one has left. */

#include "client_lib/ctl/query.h"

int hakc_verb_stats(struct hakc_query *query, bool as_json, bool *ret_degraded);

#endif
