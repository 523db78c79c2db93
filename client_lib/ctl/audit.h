/* SPDX-License-Identifier: MIT */
#ifndef HAKC_CTL_AUDIT_H
#define HAKC_CTL_AUDIT_H

/* The verbs that judge: *ret_degraded if something is wrong; otherwise as hakc_verb.run. */

#include "client_lib/ctl/verb.h"

int hakc_verb_check(struct hakc_query *query, bool as_json, bool *ret_degraded);
int hakc_verb_leaks(struct hakc_query *query, bool as_json, bool *ret_degraded);

#endif
