/* SPDX-License-Identifier: MIT */
#ifndef HAKC_CTL_LOOK_H
#define HAKC_CTL_LOOK_H

/*
 * One look at a pool: what the daemon says of it, what its clients have counted, and a walk over it.
 * Two looks make rates. Counts are a glimpse of a pool that is at work.
 */

#include <stdint.h>

#include "client_lib/ctl/figures.h"
#include "client_lib/ctl/slabs.h"
#include "client_lib/ctl/view.h"

#define HAKC_LOOK_NAME_BYTES 32

struct hakc_look_client {
	unsigned holder;
	uint32_t generation;
	int32_t pid;
	uint32_t uid;
	char name[HAKC_LOOK_NAME_BYTES], state[HAKC_LOOK_NAME_BYTES];
	uint64_t superslabs, blocks, bytes; /* granted, and what is in them */
	uint64_t owned_bytes;		    /* wherever they lie */
	uint64_t refused;
	int64_t attached_at;
	uint64_t counters[HAK_STAT_COUNT];
};

/* A SuperSlab, or a run that is one span. */
struct hakc_look_superslab {
	enum hakc_row_kind kind;
	uint32_t index, length;
	unsigned owner, holder;
	unsigned n_slabs, n_spans;
	uint64_t n_blocks, n_live, n_taken;
	uint64_t live_bytes;
};

struct hakc_look {
	double at; /* seconds of a clock that isn't set */
	char version[HAKC_LOOK_NAME_BYTES];
	int32_t daemon_pid;
	uint64_t uptime_seconds, generation;
	uint64_t resident_bytes, limit_bytes, anomalies;
	uint64_t counters[HAK_STAT_COUNT]; /* of the pool's clients, those that have left too */
	uint64_t gauges[HAK_GAUGE_COUNT];
	uint64_t daemon[HAK_DAEMON_COUNTER_COUNT];

	struct hakc_look_client *clients;
	size_t n_clients;
	struct hakc_look_superslab *superslabs; /* but for free ones */
	size_t n_superslabs;
	struct hakc_slabs slabs; /* its view is this one's */
	struct hakc_view view;	 /* its files are closed */

	/* Private. */
	size_t room;
	hakc_row_fn *also;
	void *context;
};

/*
 * As hakc_query_* return; then there is nothing to be released. Each row is also shown to also, if
 * it isn't NULL; the view is `look`'s. look may be anything before, and mustn't be moved or copied.
 */
int hakc_look_init(struct hakc_look *look, struct hakc_query *query, hakc_row_fn *also,
		   void *context);
void hakc_look_deinit(struct hakc_look *look);

/* A hakc_row_fn: a row is seen. */
int hakc_look_row(void *look, const struct hakc_row *row);

#endif
