/* SPDX-License-Identifier: MIT */
#ifndef HAKC_CTL_PROFILE_H
#define HAKC_CTL_PROFILE_H

/* Who allocated what is alive in a pool, by the samples that are in it. */

#include <stdio.h>

#include "client_lib/ctl/stacks.h"
#include "client_lib/ctl/symbols.h"
#include "client_lib/ctl/view.h"

/* Which frames are the same although they aren't: so that what is told alike is told once. */
enum hakc_profile_grain {
	HAKC_GRAIN_ADDRESS,   /* none */
	HAKC_GRAIN_CALLERS,   /* of one function, but for the innermost frame */
	HAKC_GRAIN_FUNCTIONS, /* of one function */
};

struct hakc_profile {
	struct hakc_view *view;
	enum hakc_profile_grain grain;
	bool per_process;
	struct hakc_symbols *symbols;
	struct hakc_stacks stacks; /* without hakmem's own frames; ranked */
	uint64_t n_broken;	   /* records that didn't hold */
};

struct hakc_profile_how {
	enum hakc_profile_grain grain;
	bool per_process;
	bool asks; /* files for names */
};

/* 0 or a negative errno; a profile that was made is to be released. The view must outlive it. */
int hakc_profile_init(struct hakc_profile *profile, struct hakc_view *view,
		      const struct hakc_profile_how *how);
void hakc_profile_deinit(struct hakc_profile *profile);

/* A table, the rows that matter or all of them; and what stands below it. */
void hakc_profile_print(const struct hakc_profile *profile, FILE *out);

/* "process;outer;inner bytes", a line a stack, sorted, each once. 0 or a negative errno. */
int hakc_profile_collapse(const struct hakc_profile *profile, FILE *out);

void hakc_profile_json(const struct hakc_profile *profile, FILE *out);

#endif
