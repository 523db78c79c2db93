/* SPDX-License-Identifier: MIT */
#ifndef HAKC_CTL_EVENTS_H
#define HAKC_CTL_EVENTS_H

/* The verb events; see verb.h. What the daemon has written into files, whether it runs or not. */

#include "client_lib/ctl/query.h"

int hakc_verb_events(struct hakc_query *query, bool as_json, bool *ret_degraded);

#endif
