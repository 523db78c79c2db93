/* SPDX-License-Identifier: MIT */
#ifndef HAKT_CRASH_OPTIONS_H
#define HAKT_CRASH_OPTIONS_H

/* What crash-daemon was asked for. */

#include <stdbool.h>
#include <stdint.h>

#include "tests/crash/daemon/trace.h"

struct hakt_crash_options {
	int64_t seconds;
	bool is_full;
	bool wants_some; /* of the scenarios only; else all */
	bool is_wanted[64];
	struct hakt_target only; /* one point, with hit > 0 */
};

/* False: said on stderr what can't be. Defaults are to be there already. */
bool hakt_crash_options_read(struct hakt_crash_options *options, int argc, char **argv);

#endif
