/* SPDX-License-Identifier: MIT */
#include "proto/shm/modules.h"

#include <string.h>

/* word: the state, the holder above bit 8, the generation of its slot above bit 32. */
enum { FREE = 0, BUSY = 1, READY = 2, STATE_MASK = 0xff };

static struct hak_module *table_of(const struct hak_segment *segment)
{
	return (void *)&segment->areas[HAK_HOLDER_NONE];
}

/* Does word say BUSY of a holder that is at work? */
static bool is_busy(const struct hak_segment *segment, uint64_t word)
{
	uint32_t holder = (uint32_t)(word >> 8) & (HAK_HOLDER_COUNT - 1);
	/* [order:registry] What a dead one has written to its entry is not written any later. */
	uint64_t now = hak_load_acquire(&segment->holders[holder].word);

	return (word & STATE_MASK) == BUSY && hak_holder_state(now) == HAK_HOLDER_ATTACHED &&
	       hak_holder_generation(now) == (uint32_t)(word >> 32);
}

bool hak_module_read(const struct hak_segment *segment, unsigned number,
		     struct hak_module *ret_module)
{
	const struct hak_module *at = &table_of(segment)[number];

	/* [order:module] What its writer has written before. */
	if (number == 0 || number >= HAK_MODULE_COUNT || hak_load_acquire(&at->word) != READY)
		return false;
	memcpy(ret_module, at, sizeof(*ret_module));
	ret_module->path[sizeof(ret_module->path) - 1] = '\0';
	if (ret_module->n_id > HAK_MODULE_ID_BYTES)
		ret_module->n_id = 0;
	return true;
}

static bool is_same(const struct hak_module *a, const struct hak_module *b)
{
	return a->n_id == b->n_id && memcmp(a->id, b->id, a->n_id) == 0 &&
	       strncmp(a->path, b->path, sizeof(a->path)) == 0;
}

unsigned hak_module_enter(const struct hak_segment *segment, unsigned holder,
			  const struct hak_module *module)
{
	uint64_t mine = BUSY | (uint64_t)holder << 8 |
			(uint64_t)hak_holder_generation(
				hak_load_relaxed(&segment->holders[holder].word))
				<< 32; /* relaxed: it is our own */

	for (unsigned i = 1; i < HAK_MODULE_COUNT; i++) {
		struct hak_module *at = &table_of(segment)[i], seen;
		uint64_t word = hak_load_relaxed(&at->word); /* only a guess, the CAS decides */

		if (hak_module_read(segment, i, &seen)) {
			if (is_same(&seen, module))
				return i;
			continue;
		}
		/* [order:module] What was there of a dead one's entry is ours to write over. */
		if (is_busy(segment, word) || word == READY ||
		    !hak_cas_acq_rel(&at->word, &word, mine))
			continue;
		at->n_id = module->n_id;
		memcpy(at->id, module->id, sizeof(at->id));
		memcpy(at->path, module->path, sizeof(at->path));
		hak_store_release(&at->word, READY); /* [order:module] */
		return i;
	}
	return 0;
}
