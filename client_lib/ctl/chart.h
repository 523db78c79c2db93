/* SPDX-License-Identifier: MIT */
#ifndef HAKC_CTL_CHART_H
#define HAKC_CTL_CHART_H

/* Charts of a report, as SVG in a page of html.h, whose style sheet colours them. */

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "client_lib/ctl/slabs.h"

/* What a pool had at a time. */
struct hakc_chart_point {
	double at; /* seconds */
	uint64_t live, granted, resident;
};

/* Bytes over time: at least one point, in their order. */
void hakc_chart_occupancy(FILE *out, const struct hakc_chart_point *points, size_t n);

/* A bar a size class that there are slabs of, and one for spans: what lives, and waste. */
void hakc_chart_waste(FILE *out, const struct hakc_slabs *slabs);

#endif
