/* SPDX-License-Identifier: MIT */
#ifndef HAKC_CTL_VERB_H
#define HAKC_CTL_VERB_H

/* What hakmemctl can be asked: one verb, one question, printed for people or as JSON. */

#include <stdbool.h>

#include "client_lib/ctl/query.h"

/* What may stand behind a verb. */
enum hakc_takes { HAKC_TAKES_NOTHING, HAKC_TAKES_NAME /* of a pool, it must */, HAKC_TAKES_WORDS };

struct hakc_verb {
	const char *name;
	const char *description;
	/*
	 * Returns as hakc_query_* do; prints to stdout only on success. Sets *ret_degraded
	 * if the answer is that something is wrong with the pool; else leaves it.
	 */
	int (*run)(struct hakc_query *query, bool as_json, bool *ret_degraded);
	enum hakc_takes takes;
	bool runs_without; /* a daemon; query->error says what kept it from that */
};

/* Ends with a verb whose name is NULL. */
extern const struct hakc_verb hakc_verbs[];

struct hakc_json;

/* An object with all that a status says of a pool. */
void hakc_verb_pool_json(struct hakc_json *json, const Hak__PoolStatus *pool);

/* NULL: there is none of that name. */
const struct hakc_verb *hakc_verb_lookup(const char *name);

#endif
