/* SPDX-License-Identifier: MIT */
#ifndef HAKC_CTL_OPTION_H
#define HAKC_CTL_OPTION_H

/* The options of hakmemctl. The table is in arguments.c. */

#include <stdbool.h>
#include <stddef.h>

#include "client_lib/ctl/verb.h"

/* What an option sets, at its row's place. */
enum hakc_option_kind {
	HELP,
	VERSION,
	FLAG,	 /* a bool */
	SAID,	 /* nothing but the bool behind `said` */
	STYLE,	 /* a bool of hakc_style */
	TEXT,	 /* a string */
	NUMBER,	 /* an unsigned, from `least` to `most` */
	SECONDS, /* an unsigned, of milliseconds */
	SIZE,	 /* a uint64_t */
	COUNT,	 /* a uint32_t; that it is said, in the bool behind `said` */
	USER,	 /* a uint32_t, likewise */
	GROUP,
	MODE,
};

struct hakc_option {
	const char *name;
	char letter; /* its short name; 0: it has none */
	enum hakc_option_kind kind;
	size_t place;
	size_t said; /* 0: nobody asks */
	unsigned long least, most;
	const char *argument;  /* NULL: it takes none; complete.h knows what some of them are */
	const char *verbs;     /* that it is for, with a comma behind each; NULL: for all */
	const char *not_verbs; /* likewise; NULL: for none is it not */
	const char *help;
};

/* Ends with an option whose name is NULL. */
extern const struct hakc_option hakc_options[];

bool hakc_option_is_for(const struct hakc_option *option, const struct hakc_verb *verb);

#endif
