/* SPDX-License-Identifier: MIT */
#ifndef HAKC_CTL_POOL_H
#define HAKC_CTL_POOL_H

#include "client_lib/ctl/verb.h"

/* See struct hakc_verb. */
int hakc_verb_pool_list(struct hakc_query *query, bool as_json, bool *ret_degraded);
int hakc_verb_pool_create(struct hakc_query *query, bool as_json, bool *ret_degraded);
int hakc_verb_pool_delete(struct hakc_query *query, bool as_json, bool *ret_degraded);

#endif
