/* SPDX-License-Identifier: MIT */
#ifndef HAKC_CTL_SAMPLES_H
#define HAKC_CTL_SAMPLES_H

/* The samples of a pool's profile that are alive (proto/shm/sample.h), as a reader finds them. */

#include "client_lib/ctl/view.h"
#include "proto/shm/sample.h"

/* To be zeroed but for what is to be set. */
struct hakc_samples {
	const struct hakc_view *view; /* to be set, as the next two */
	int (*take)(void *context, const struct hak_sample *sample); /* not 0 ends the walk */
	void *context;
	uint64_t n_broken; /* records that didn't hold: scribbled over, or being written */
};

/* A hakc_row_fn: has the samples of a row taken. 0, what take returned, or a negative errno. */
int hakc_samples_row(void *samples, const struct hakc_row *row);

#endif
