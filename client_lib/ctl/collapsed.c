/* SPDX-License-Identifier: MIT */
/*
 * Stacks as flame graphs are made of: https://github.com/brendangregg/FlameGraph. Frames are
 * separated by ';', the outermost first, and what stands behind the last blank is the value.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client_lib/ctl/frame.h"
#include "client_lib/ctl/profile.h"

struct line {
	char *text;
	uint64_t bytes;
};

static int compare(const void *a, const void *b)
{
	return strcmp(((const struct line *)a)->text, ((const struct line *)b)->text);
}

static int write_line(const struct hakc_profile *profile, const struct hakc_stack *stack,
		      struct line *ret_line)
{
	size_t n;
	FILE *out = open_memstream(&ret_line->text, &n);

	if (!out)
		return -ENOMEM;
	hakc_frame_print_text(out, *stack->name ? stack->name : "?");
	if (profile->per_process)
		fprintf(out, " (%" PRId32 ")", stack->pid);
	for (unsigned i = stack->n_frames; i > 0; i--) {
		fputc(';', out);
		hakc_frame_print(out, profile->symbols, stack->frames[i - 1]);
	}
	ret_line->bytes = stack->bytes;
	return fclose(out) == 0 ? 0 : -ENOMEM;
}

int hakc_profile_collapse(const struct hakc_profile *profile, FILE *out)
{
	size_t n = profile->stacks.n;
	struct line *lines = calloc(n + 1, sizeof(*lines));
	int r = lines ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < n; i++)
		r = write_line(profile, &profile->stacks.of[i], &lines[i]);
	if (r == 0)
		qsort(lines, n, sizeof(*lines), compare);
	/* Functions of one file that have the same name are told alike. */
	for (size_t i = 0; r == 0 && i < n; i++) {
		uint64_t bytes = lines[i].bytes;

		while (i + 1 < n && strcmp(lines[i].text, lines[i + 1].text) == 0)
			bytes += lines[++i].bytes;
		fprintf(out, "%s %" PRIu64 "\n", lines[i].text, bytes);
	}
	for (size_t i = 0; lines && i < n; i++)
		free(lines[i].text);
	free(lines);
	return r;
}
