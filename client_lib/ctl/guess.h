/* SPDX-License-Identifier: MIT */
#ifndef HAKC_CTL_GUESS_H
#define HAKC_CTL_GUESS_H

/* What a word that isn't known may have been meant to be. Zeroed in the beginning. */

struct hakc_guess {
	const char *best; /* the candidate that is nearest; NULL: none is near */
	unsigned distance;
};

/* candidate: stays where it is. */
void hakc_guess_try(struct hakc_guess *guess, const char *word, const char *candidate);

#endif
