/* SPDX-License-Identifier: MIT */
#ifndef HAKC_CTL_VERB_H
#define HAKC_CTL_VERB_H

/* What hakmemctl can be asked: one verb, one question, printed for people or as JSON. */

#include <errno.h>
#include <stdbool.h>

#include "client_lib/ctl/query.h"

/* Of run, below: why not has been said. No call to the daemon ends so. */
#define HAKC_VERB_SAID (-ECANCELED)

/* What may stand behind a verb. */
enum hakc_takes { HAKC_TAKES_NOTHING, HAKC_TAKES_ONE /* word, it must */, HAKC_TAKES_WORDS };

struct hakc_verb {
	const char *name;
	const char *description;
	/*
	 * Returns as hakc_query_* do, or HAKC_VERB_SAID; prints to stdout only on success. Sets *ret_degraded
	 * if the answer is that something is wrong with the pool; else leaves it.
	 */
	int (*run)(struct hakc_query *query, bool as_json, bool *ret_degraded);
	enum hakc_takes takes;
	const char *argument; /* what it is, for the help and the completion: complete.h */
	bool runs_without;    /* a daemon; query->error says what kept it from that */
};

/* Ends with a verb whose name is NULL. */
extern const struct hakc_verb hakc_verbs[];

struct hakc_json;

/* An object with all that a status says of a pool. */
void hakc_verb_pool_json(struct hakc_json *json, const Hak__PoolStatus *pool);

/*
 * The verb that the words begin with, of one word or two; how many words that is. 0 and NULL: they
 * begin with none.
 */
int hakc_verb_find(int n, char **words, const struct hakc_verb **ret_verb);

#endif
