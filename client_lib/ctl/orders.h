/* SPDX-License-Identifier: MIT */
#ifndef HAKC_CTL_ORDERS_H
#define HAKC_CTL_ORDERS_H

/* The verbs ping, reload, log-level and kick; see verb.h. */

#include "client_lib/ctl/query.h"

int hakc_verb_ping(struct hakc_query *query, bool as_json, bool *ret_degraded);
int hakc_verb_reload(struct hakc_query *query, bool as_json, bool *ret_degraded);
int hakc_verb_log_level(struct hakc_query *query, bool as_json, bool *ret_degraded);
int hakc_verb_kick(struct hakc_query *query, bool as_json, bool *ret_degraded);

#endif
