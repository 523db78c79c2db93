/* SPDX-License-Identifier: MIT */
#ifndef HAKC_CTL_ROOTS_H
#define HAKC_CTL_ROOTS_H

/* The verb that lists what is published; as hakc_verb.run, never degraded. */

#include "client_lib/ctl/verb.h"

int hakc_verb_roots(struct hakc_query *query, bool as_json, bool *ret_degraded);

#endif
