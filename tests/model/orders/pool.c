/* SPDX-License-Identifier: MIT */
/* The pool's words, what is done to them as clients and the daemon do it, and main. */
#include "tests/model/orders/pool.h"

#include <string.h>

/* Shapes as small as they can be: a slab of two blocks in a slot, and one of three in two. */
const struct hak_class hak_classes[HAK_CLASS_COUNT] = {
	{.size = 16, .n_blocks = 2, .n_slots = 1},
	{.size = 32, .n_blocks = 3, .n_slots = 2},
};

hak_u64 words[2], bits, channel, other_channel;
hak_u32 tags[64], pending;
int content[2];
bool is_taken;
uint64_t got[MODEL_THREADS];
static struct hak_client_area area; /* of the one who crosses */
const struct hak_segment segment = {
	.geometry = {.slots_per_superslab = 1, .superslab_lg = HAK_SLOT_LG},
	.slab_words = words,
	.pending = &pending,
	.bits = &bits,
	.tags = tags,
};

void begin(uint64_t w, uint64_t free_bits, uint32_t tag)
{
	words[0] = w;
	words[1] = hak_slab_pack(HAK_SLAB_UNUSED, EPOCH, A, 0);
	bits = free_bits;
	tags[0] = tag;
	tags[1] = 0;
	channel = other_channel = pending = 0;
	area.n_crossings = *hak_crossing_of(&area, 1) = 0;
	memset(got, 0, sizeof(got));
	is_taken = false;
	model_name(&words[0], "W");
	model_name(&words[1], "body");
	model_name(&bits, "bits");
	model_name(&tags[0], "tag");
	model_name(&tags[1], "tag 1");
	model_name(&channel, "channel");
	model_name(&other_channel, "other channel");
	model_name(&pending, "pending");
	model_name(&area.n_crossings, "n_crossings");
	model_name(hak_crossing_of(&area, 1), "crossing");
}

uint64_t active(unsigned owner, uint32_t thread)
{
	return hak_slab_pack_active(EPOCH, owner, 0, thread);
}

void send(hak_u64 *to, uint64_t v)
{
	if (BREAK == RELAXED_CHANNEL)
		hak_store_relaxed(to, v);
	else
		hak_store_release(to, v);
}

void claim(unsigned me, uint64_t mask)
{
	uint64_t more = hak_slab_claim(&words[0], &bits, tags, mask);

	model_check(!(more & got[me]), "a block given out twice");
	got[me] |= more;
	for (unsigned i = 0; i < 2; i++)
		if (more >> i & 1)
			model_write(&content[i]);
}

void claimer(void)
{
	claim(2, 3);
	claim(2, 3);
}

void set_bit(uint64_t mask)
{
	model_check(hak_slab_free(&bits, mask) == 0, "a bit set twice");
}

void use_and_free(unsigned block)
{
	if (BREAK != USE_AFTER_FREE_BIT)
		model_write(&content[block]);
	set_bit(UINT64_C(1) << block);
	if (BREAK == USE_AFTER_FREE_BIT)
		model_write(&content[block]);
}

bool free_held(unsigned holder)
{
	if (!hak_tag_free_held(&tags[0], holder))
		return false;
	set_bit(1);
	return true;
}

uint64_t cross(void)
{
	uint64_t w = BREAK == W_BEFORE_CROSSING ? hak_slab_load(&words[0]) : 0;

	if (BREAK != NO_CROSSING) {
		if (BREAK != LATE_N_CROSSINGS)
			hak_store_relaxed(&area.n_crossings, 1);
		hak_crossing_begin(hak_crossing_of(&area, 1));
		if (BREAK == LATE_N_CROSSINGS)
			hak_store_relaxed(&area.n_crossings, 1);
	}
	return BREAK == W_BEFORE_CROSSING ? w : hak_slab_load(&words[0]);
}

void cross_end(void)
{
	if (model_choose(2))
		model_die();
	if (BREAK != NO_CROSSING)
		hak_crossing_end(hak_crossing_of(&area, 1));
}

bool take(unsigned holder, unsigned inc)
{
	uint64_t w = cross();

	is_taken = hak_slab_state(w) != HAK_SLAB_UNUSED && hak_slab_epoch(w) == EPOCH &&
		   (w & HAK_SLAB_TAGGED) && hak_tag_take(&tags[0], holder, inc);
	cross_end();
	return is_taken;
}

void grace(unsigned crosser)
{
	const hak_u64 *counter = hak_crossing_of(&area, 1);
	uint64_t seen;

	if (BREAK == NO_GRACE)
		return;
	hak_crossing_begin_grace();
	if (hak_load_relaxed(&area.n_crossings) == 0)
		return;
	seen = hak_crossing_load(counter);
	if (seen % 2 == 0 || BREAK == GRACE_DOES_NOT_WAIT)
		return;
	if (model_choose(2))
		model_join(crosser);
	else
		model_stop_unless(hak_crossing_load(counter) != seen);
}

static bool explore(const struct model_scenario *scenarios, const char *only)
{
	bool holds = true;

	for (; scenarios->name; scenarios++)
		if (!only || strcmp(only, scenarios->name) == 0)
			holds &= model_explore(scenarios);
	return holds;
}

int main(int argc, char **argv)
{
	const char *only = argc > 1 ? argv[1] : NULL;
	bool holds = explore(block_scenarios, only);

	holds &= explore(slab_scenarios, only);
	holds &= explore(module_scenarios, only);
	return holds ? 0 : 1;
}
