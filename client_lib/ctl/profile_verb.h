/* SPDX-License-Identifier: MIT */
#ifndef HAKC_CTL_PROFILE_VERB_H
#define HAKC_CTL_PROFILE_VERB_H

/* The verbs profile, profile start and profile stop; see verb.h. */

#include "client_lib/ctl/query.h"

int hakc_verb_profile(struct hakc_query *query, bool as_json, bool *ret_degraded);
int hakc_verb_profile_start(struct hakc_query *query, bool as_json, bool *ret_degraded);
int hakc_verb_profile_stop(struct hakc_query *query, bool as_json, bool *ret_degraded);

#endif
