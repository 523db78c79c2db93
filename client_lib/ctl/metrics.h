/* SPDX-License-Identifier: MIT */
#ifndef HAKC_CTL_METRICS_H
#define HAKC_CTL_METRICS_H

/*
 * What is counted and what a status says, for Prometheus. Without a daemon: what the last one has
 * left, which is what is counted.
 */

#include <stdio.h>

#include "client_lib/ctl/figures.h"

struct hakc_metrics {
	bool has_figures; /* else nothing but that the daemon is down is known */
	struct hakc_figures figures;
	Hak__Reply *status;    /* NULL: the daemon is down, or doesn't say */
	const char *pool_name; /* of which alone they are; NULL: of all */
};

/* As hakc_figures_get. What was got is there in any case, to be printed and to be released. */
int hakc_metrics_get(struct hakc_query *query, struct hakc_metrics *ret_metrics);
void hakc_metrics_deinit(struct hakc_metrics *metrics);

/* Prometheus' text format, version 0.0.4. */
void hakc_metrics_print(const struct hakc_metrics *metrics, FILE *file);

/* The verb, see verb.h: to stdout. */
int hakc_verb_metrics(struct hakc_query *query, bool as_json, bool *ret_degraded);

#endif
