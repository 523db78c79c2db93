/* SPDX-License-Identifier: MIT */
/* Nearness is the number of letters that are missing, too many, wrong, or swapped with the next one. */
#include "client_lib/ctl/guess.h"

#include <string.h>

enum { LONGEST = 32 };

static unsigned least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

static unsigned distance(const char *a, size_t n_a, const char *b, size_t n_b)
{
	unsigned d[LONGEST + 1][LONGEST + 1];

	for (size_t i = 0; i <= n_a; i++)
		d[i][0] = (unsigned)i;
	for (size_t k = 0; k <= n_b; k++)
		d[0][k] = (unsigned)k;
	for (size_t i = 1; i <= n_a; i++)
		for (size_t k = 1; k <= n_b; k++) {
			d[i][k] = least(least(d[i - 1][k], d[i][k - 1]) + 1,
					d[i - 1][k - 1] + (a[i - 1] != b[k - 1]));
			if (i > 1 && k > 1 && a[i - 1] == b[k - 2] && a[i - 2] == b[k - 1])
				d[i][k] = least(d[i][k], d[i - 2][k - 2] + 1);
		}
	return d[n_a][n_b];
}

void hakc_guess_try(struct hakc_guess *guess, const char *word, const char *candidate)
{
	size_t n = strlen(word), n_candidate = strlen(candidate);
	unsigned far = n < 4 ? 1 : n < 9 ? 2 : 3, d;

	if (n == 0 || n > LONGEST || n_candidate > LONGEST)
		return;
	/* A beginning is as near as can be without being it. */
	d = strncmp(word, candidate, n) == 0 ? 1 : distance(word, n, candidate, n_candidate);
	if (d > far || (guess->best && d >= guess->distance))
		return;
	guess->best = candidate;
	guess->distance = d;
}
