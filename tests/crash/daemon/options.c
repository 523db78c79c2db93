/* SPDX-License-Identifier: MIT */
/* The command line of crash-daemon. */
#include "tests/crash/daemon/options.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/crash/daemon/scenario.h"

static bool want(struct hakt_crash_options *options, const char *name)
{
	for (unsigned i = 0; i < hakt_n_scenarios; i++)
		if (strcmp(hakt_scenarios[i].name, name) == 0)
			return options->wants_some = options->is_wanted[i] = true;
	fprintf(stderr, "crash-daemon: no scenario %s\n", name);
	return false;
}

static bool read_point(struct hakt_target *only, const char *text)
{
	char name[64];

	if (sscanf(text, "%63[^:]:%" SCNu32 ":%" SCNu32, name, &only->hit, &only->step) != 3)
		return false;
	for (only->place = 0; only->place < hakt_n_places; only->place++)
		if (strcmp(name, hakt_places[only->place].from) == 0)
			return true;
	return false;
}

bool hakt_crash_options_read(struct hakt_crash_options *options, int argc, char **argv)
{
	static const struct option names[] = {{"full", no_argument, NULL, 'f'},
					      {"seconds", required_argument, NULL, 's'},
					      {"scenario", required_argument, NULL, 'n'},
					      {"point", required_argument, NULL, 'p'},
					      {0}};
	int c;

	while ((c = getopt_long(argc, argv, "", names, NULL)) != -1) {
		options->is_full |= c == 'f';
		if (c == 's')
			options->seconds = strtol(optarg, NULL, 10);
		if (c == '?' || (c == 'n' && !want(options, optarg)) ||
		    (c == 'p' && !read_point(&options->only, optarg)))
			goto usage;
	}
	if (optind == argc)
		return true;
usage:
	fputs("usage: crash-daemon [--full] [--seconds N] [--scenario NAME]... "
	      "[--point PLACE:HIT:STEP]\n",
	      stderr);
	return false;
}
