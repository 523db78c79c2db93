/* SPDX-License-Identifier: MIT */
/*
 * The profile is read from the pool, as map and slabs are; the daemon only says how far apart
 * samples are to be.
 */
#include "client_lib/ctl/profile_verb.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "client_lib/ctl/json.h"
#include "client_lib/ctl/pprof.h"
#include "client_lib/ctl/profile.h"
#include "client_lib/ctl/sight.h"
#include "client_lib/ctl/style.h"
#include "client_lib/ctl/text.h"
#include "proto/shm/sample.h"
#include "proto/wire/size.h"

static int wrong(struct hakc_query *query, const char *reason)
{
	snprintf(query->reason, sizeof(query->reason), "%s", reason);
	return -EINVAL;
}

static int show(struct hakc_view *view, bool as_json)
{
	struct hakc_profile_how how = {.grain = HAKC_GRAIN_CALLERS,
				       .per_process = hakc_style.per_process,
				       .asks = !hakc_style.no_symbols};
	struct hakc_profile profile;
	int r;

	if (as_json || hakc_style.as_pprof)
		how.grain = HAKC_GRAIN_ADDRESS;
	else if (hakc_style.as_collapsed)
		how.grain = HAKC_GRAIN_FUNCTIONS;
	r = hakc_profile_init(&profile, view, &how);
	if (r < 0)
		return r;
	if (as_json)
		hakc_profile_json(&profile, stdout);
	else if (hakc_style.as_pprof)
		r = hakc_pprof_write(&profile, stdout);
	else if (hakc_style.as_collapsed)
		r = hakc_profile_collapse(&profile, stdout);
	else
		hakc_profile_print(&profile, stdout);
	hakc_profile_deinit(&profile);
	return r;
}

int hakc_verb_profile(struct hakc_query *query, bool as_json, bool *ret_degraded)
{
	(void)ret_degraded;
	if (as_json + hakc_style.as_collapsed + hakc_style.as_pprof > 1)
		return wrong(query, "--json, --collapsed, --pprof: one of them");
	if (hakc_style.as_pprof && isatty(STDOUT_FILENO))
		return wrong(query, "what --pprof writes is binary: send it to a file, > FILE");
	return hakc_sight_look(query, as_json, show);
}

static int set(struct hakc_query *query, bool as_json, uint64_t interval)
{
	char text[HAKC_TEXT_BYTES];
	struct hakc_json json;
	int r = hakc_query_profile(query, interval);

	if (r != 0)
		return r;
	if (as_json) {
		hakc_json_begin_answer(&json, stdout);
		hakc_json_unsigned(&json, "interval_bytes", interval);
		hakc_json_end_object(&json);
	} else if (interval) {
		printf("a sample is taken each %s from now on, until a reload or profile stop\n",
		       hakc_bytes_text(interval, text));
	} else {
		printf("no more samples are taken; those that there are stay with their blocks\n");
	}
	return 0;
}

int hakc_verb_profile_start(struct hakc_query *query, bool as_json, bool *ret_degraded)
{
	uint64_t interval = HAK_SAMPLE_INTERVAL;

	(void)ret_degraded;
	if (query->arguments->n_words > 1)
		return wrong(query, "profile start takes one size only");
	if (query->arguments->n_words == 1 &&
	    (hak_size_parse(query->arguments->words[0], &interval) < 0 || interval == 0 ||
	     !hak_sample_is_interval(interval)))
		return wrong(query, "profile start takes a size of 4K or more, as 512K");
	return set(query, as_json, interval);
}

int hakc_verb_profile_stop(struct hakc_query *query, bool as_json, bool *ret_degraded)
{
	(void)ret_degraded;
	return set(query, as_json, 0);
}
