/* SPDX-License-Identifier: MIT */
#ifndef HAKC_CTL_EXPORTER_H
#define HAKC_CTL_EXPORTER_H

/* The verb exporter, see verb.h: metrics over HTTP, until SIGINT or SIGTERM. */

#include "client_lib/ctl/query.h"

#define HAKC_EXPORTER_LISTEN "127.0.0.1:9464"

int hakc_verb_exporter(struct hakc_query *query, bool as_json, bool *ret_degraded);

#endif
