/* SPDX-License-Identifier: MIT */
#include "tests/fuzz/input.h"

#include <stdio.h>
#include <stdlib.h>

void hakt_claim_failed(const char *file, int line, const char *claim)
{
	fprintf(stderr, "%s:%d: not so: %s\n", file, line, claim);
	abort(); /* libFuzzer keeps the input */
}
