/* SPDX-License-Identifier: MIT */
/* From samples to stacks: each is told without what hakmem itself did in between. */
#include "client_lib/ctl/profile.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "client_lib/ctl/samples.h"

/* Is a process of that pid and name attached? */
static bool is_attached(const struct hakc_view *view, int32_t pid, const char *name)
{
	for (unsigned i = HAK_HOLDER_FIRST; i < HAK_HOLDER_COUNT; i++) {
		const struct hak_holder *holder = &view->holders[i];

		if (holder->pid == pid &&
		    hak_holder_state(hak_load_relaxed(&holder->word)) == HAK_HOLDER_ATTACHED &&
		    strncmp(hakc_view_name(view, i), name, sizeof(holder->name)) == 0)
			return true;
	}
	return false;
}

/* How many blocks the bytes of a sample are. */
static uint64_t objects_of(const struct hak_sample *sample)
{
	uint64_t size = sample->magazine < HAK_CLASS_COUNT ? hak_classes[sample->magazine].size
							   : sample->asked;
	uint64_t n = size ? (sample->weight + size / 2) / size : 1;

	return n ? n : 1;
}

static int take(void *context, const struct hak_sample *sample)
{
	struct hakc_profile *profile = context;
	struct hakc_symbols *symbols = profile->symbols;
	uint64_t frames[HAK_SAMPLE_FRAMES];
	struct hakc_stack stack = {
		.bytes = sample->weight,
		.objects = objects_of(sample),
		.samples = 1,
		.pid = sample->pid,
		.n_processes = 1,
		.frames = frames,
	};
	unsigned own;

	/* All of it: nothing but zeros may stand behind the name. */
	memcpy(stack.name, sample->name, strnlen(sample->name, sizeof(sample->name)));
	for (unsigned i = 0; i < sample->n_frames; i++)
		frames[i] = hakc_symbols_canonical(symbols, sample->frames[i]);
	own = hakc_symbols_own(symbols, frames, sample->n_frames);
	stack.frames += own;
	stack.n_frames = sample->n_frames - own;
	for (unsigned i = profile->grain == HAKC_GRAIN_FUNCTIONS ? 0 : 1;
	     profile->grain != HAKC_GRAIN_ADDRESS && i < stack.n_frames; i++)
		stack.frames[i] = hakc_symbols_function(symbols, stack.frames[i]);
	return hakc_stacks_add(&profile->stacks, &stack);
}

int hakc_profile_init(struct hakc_profile *profile, struct hakc_view *view,
		      const struct hakc_profile_how *how)
{
	struct hakc_samples samples = {.view = view, .take = take, .context = profile};
	int r;

	*profile = (struct hakc_profile){
		.view = view, .grain = how->grain, .per_process = how->per_process};
	profile->symbols = hakc_symbols_new(view, how->asks);
	if (!profile->symbols)
		return -ENOMEM;
	r = hakc_view_walk(view, hakc_samples_row, &samples);
	if (r < 0) {
		hakc_profile_deinit(profile);
		return r;
	}
	profile->n_broken = samples.n_broken;
	for (size_t i = 0; i < profile->stacks.n; i++) {
		struct hakc_stack *stack = &profile->stacks.of[i];

		stack->n_gone = !is_attached(view, stack->pid, stack->name);
	}
	hakc_stacks_rank(&profile->stacks, how->per_process);
	return 0;
}

void hakc_profile_deinit(struct hakc_profile *profile)
{
	hakc_stacks_deinit(&profile->stacks);
	hakc_symbols_free(profile->symbols);
	profile->symbols = NULL;
}
