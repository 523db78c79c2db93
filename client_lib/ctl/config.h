/* SPDX-License-Identifier: MIT */
#ifndef HAKC_CTL_CONFIG_H
#define HAKC_CTL_CONFIG_H

/* dump-config; runs as a verb does. */

#include "client_lib/ctl/query.h"

int hakc_verb_dump_config(struct hakc_query *query, bool as_json, bool *ret_degraded);

#endif
