/* SPDX-License-Identifier: MIT */
#ifndef HAKC_CTL_TOP_H
#define HAKC_CTL_TOP_H

/* The verb top; see verb.h. */

#include "client_lib/ctl/query.h"

int hakc_verb_top(struct hakc_query *query, bool as_json, bool *ret_degraded);

#endif
