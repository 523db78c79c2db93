/* SPDX-License-Identifier: MIT */
/* The table of hakmemctl profile: what matters first, and how much that is worth. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "client_lib/ctl/frame.h"
#include "client_lib/ctl/profile.h"
#include "client_lib/ctl/style.h"
#include "client_lib/ctl/text.h"

enum { ROWS = 20, FRAMES = 4 /* unless all are asked for */ };

static void process_text(const struct hakc_stack *stack, char *text, size_t n)
{
	char name[HAKC_TEXT_BYTES], gone[32] = "";

	if (stack->n_gone == stack->n_processes)
		snprintf(gone, sizeof(gone), ", %sgone", stack->n_processes > 1 ? "all " : "");
	else if (stack->n_gone > 0)
		snprintf(gone, sizeof(gone), ", %u gone", stack->n_gone);
	hakc_safe_text(stack->name, name);
	if (stack->n_processes > 1)
		snprintf(text, n, "%u of %s%s", stack->n_processes, name, gone);
	else
		snprintf(text, n, "%" PRId32 " %s%s", stack->pid, name, gone);
}

static void print_row(const struct hakc_profile *profile, const struct hakc_stack *stack, FILE *out)
{
	unsigned permille = hakc_stacks_permille(&profile->stacks, stack);
	unsigned n = stack->n_frames;
	char bytes[HAKC_TEXT_BYTES], process[2 * HAKC_TEXT_BYTES];

	process_text(stack, process, sizeof(process));
	fprintf(out, "%12s %8" PRIu64 " %3u.%u %%  %-28s  ", hakc_bytes_text(stack->bytes, bytes),
		stack->samples, permille / 10, permille % 10, process);
	if (n == 0)
		fputs("?", out);
	else
		hakc_frame_print_place(out, profile->symbols, stack->frames[0]);
	if (n > FRAMES && !hakc_style.shows_all)
		n = FRAMES;
	for (unsigned i = 1; i < n; i++) {
		fputs(" < ", out);
		hakc_frame_print(out, profile->symbols, stack->frames[i]);
	}
	fputs(n < stack->n_frames ? " < ...\n" : "\n", out);
}

static void print_caption(const struct hakc_profile *profile, FILE *out)
{
	const struct hakc_stacks *stacks = &profile->stacks;
	char name[HAKC_TEXT_BYTES], text[HAKC_TEXT_BYTES];

	fprintf(out, "pool %s: ", hakc_safe_text(profile->view->pool, name));
	if (profile->view->profile)
		fprintf(out, "a sample is taken each %s",
			hakc_bytes_text(profile->view->profile, text));
	else
		fputs("the profile is off", out);
	if (stacks->n)
		fprintf(out, "; %" PRIu64 " samples are alive, for about %s\n", stacks->sum.samples,
			hakc_bytes_text(stacks->sum.bytes, text));
	else if (profile->view->profile)
		fputs("; none is alive yet\n", out);
	else
		fputs(", and nothing alive was sampled; hakmemctl profile start\n", out);
}

/* Files that leave frames without names. */
static void print_modules(const struct hakc_profile *profile, FILE *out)
{
	static const char *const why[] = {
		[HAKC_MODULE_BARE] = "it is stripped",
		[HAKC_MODULE_GONE] = "it isn't there, or can't be read",
		[HAKC_MODULE_CHANGED] = "it is another file by now",
	};

	for (unsigned i = 0; i < HAK_MODULE_COUNT; i++) {
		const struct hak_module *module;
		enum hakc_module_state state = hakc_symbols_module(profile->symbols, i, &module);

		if (state >= sizeof(why) / sizeof(why[0]) || !why[state])
			continue;
		fputs("no names from ", out);
		hakc_frame_print_text(out, module->path);
		fprintf(out, ": %s\n", why[state]);
	}
}

void hakc_profile_print(const struct hakc_profile *profile, FILE *out)
{
	const struct hakc_stacks *stacks = &profile->stacks;
	size_t n = stacks->n > ROWS && !hakc_style.shows_all ? ROWS : stacks->n;
	struct hakc_stack rest = {.bytes = 0};
	char text[HAKC_TEXT_BYTES];

	if (!hakc_style.no_headers) {
		print_caption(profile, out);
		if (n)
			fprintf(out, "%12s %8s %7s  %-28s  %s\n", "ABOUT", "SAMPLES", "SHARE",
				"PROCESS", "ALLOCATED BY");
	}
	for (size_t i = 0; i < n; i++)
		print_row(profile, &stacks->of[i], out);
	if (hakc_style.no_headers)
		return;
	for (size_t i = n; i < stacks->n; i++)
		rest.bytes += stacks->of[i].bytes;
	if (n < stacks->n)
		fprintf(out, "and %zu more, about %s: --all\n", stacks->n - n,
			hakc_bytes_text(rest.bytes, text));
	if (n)
		print_modules(profile, out);
	if (profile->n_broken)
		fprintf(out,
			"%" PRIu64 " records don't hold: somebody wrote over them, or they were "
			"changing\n",
			profile->n_broken);
}
