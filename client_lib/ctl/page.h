/* SPDX-License-Identifier: MIT */
#ifndef HAKC_CTL_PAGE_H
#define HAKC_CTL_PAGE_H

/* A report as a page of HTML, of what was seen before. */

#include <stdio.h>

#include "client_lib/ctl/chart.h"
#include "client_lib/ctl/look.h"
#include "proto/shm/events.h"

#define HAKC_PAGE_EVENTS_MAX 50u

struct hakc_page {
	const char *host, *time;	      /* where and when it was made */
	const struct hakc_look *now, *before; /* the last look, and the first */
	const struct hakc_chart_point *points;
	size_t n_points;
	const char *map; /* an SVG */
	Hak__PoolStatus *const *pools;
	size_t n_pools;
	Hak__Root *const *roots;
	size_t n_roots;
	const struct hak_event *events; /* from old to new */
	size_t n_events;
};

/* 0 or -ENOMEM; errors of the stream stay in it. */
int hakc_page_write(const struct hakc_page *page, FILE *out);

#endif
