/* SPDX-License-Identifier: MIT */
#ifndef HAKC_CTL_ARGUMENTS_H
#define HAKC_CTL_ARGUMENTS_H

/* What hakmemctl was asked: options, a verb, and what stands behind it. */

#include <stdbool.h>

#include "proto/wire/wire.h"

struct hakc_verb;

struct hakc_arguments {
	const char *socket;
	unsigned timeout_ms;
	bool as_json;
	const char *pool;	  /* of --pool; NULL: not said */
	unsigned wait_ms;	  /* that clients get to give back what they keep */
	Hak__PoolCreate creation; /* its name, also of a deletion */
	/* Where an exporter listens; NULL: not said. */
	const char *listen;
	bool drains;
	bool kills;	   /* too */
	bool follows;	   /* waits for more */
	unsigned watch_ms; /* again after that time; 0: once */
	unsigned n_times;  /* with it: how often; 0: until it is ended */
	char **words;	   /* behind the verb */
	unsigned n_words;
	const struct hakc_verb *verb; /* NULL: help or version was asked for, and given */
};

/* 0 or -EINVAL, which has been reported. Sets hakc_style too. */
int hakc_arguments_parse(struct hakc_arguments *arguments, int argc, char **argv);

/* Reports what is wrong with them; -EINVAL. */
int hakc_arguments_wrong(const char *what, const char *which);

#endif
