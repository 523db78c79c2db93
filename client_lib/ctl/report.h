/* SPDX-License-Identifier: MIT */
#ifndef HAKC_CTL_REPORT_H
#define HAKC_CTL_REPORT_H

/* The verb report; see verb.h. */

#include "client_lib/ctl/query.h"

int hakc_verb_report(struct hakc_query *query, bool as_json, bool *ret_degraded);

#endif
