/* SPDX-License-Identifier: MIT */
#ifndef HAKC_CTL_FIGURES_H
#define HAKC_CTL_FIGURES_H

/*
 * What is counted, of all pools that may be read: from the daemon if it answers, else from the
 * files that it has left, proto/shm/figures.h.
 */

#include "client_lib/ctl/query.h"
#include "proto/shm/figures.h"

struct hakc_figures_pool {
	char name[HAK_POOL_NAME_BYTES];
	uint64_t clients[HAK_STAT_COUNT];
	uint64_t gauges[HAK_GAUGE_COUNT];
};

struct hakc_figures {
	bool is_down;	 /* no daemon answers: from files */
	uint64_t age_ms; /* of the figures; 0: of now */
	uint64_t daemon[HAK_DAEMON_COUNTER_COUNT];
	unsigned n_pools;
	struct hakc_figures_pool pools[64];
};

/*
 * As hakc_query_* return. Where no daemon answers and there is no file, what kept the query from its daemon.
 * Of one pool, if the query names one; HAK_E_NO_POOL: there is none of that name.
 */
int hakc_figures_get(struct hakc_query *query, struct hakc_figures *ret_figures);

/* Of all pools. */
uint64_t hakc_figures_sum(const struct hakc_figures *figures, unsigned stat);

#endif
