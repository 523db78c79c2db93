/* SPDX-License-Identifier: MIT */
/*
 * A record is copied by pread and its seal is checked on the copy; one that doesn't hold is copied
 * once more, as its block may have come into other hands in between.
 */
#include "client_lib/ctl/samples.h"

#define LOOKS 2u

/* Where the record of a block is in the heap's file. */
static uint64_t record_at(const struct hak_geometry *g, const struct hakc_cell *cell, uint32_t slot,
			  uint64_t start)
{
	if (cell->kind == HAKC_CELL_SPAN)
		return g->bits_at + ((uint64_t)slot * HAK_SLAB_BITS_WORDS + 1) * sizeof(uint64_t);
	return g->data_at + start + cell->block_bytes - sizeof(struct hak_sample);
}

static int see_block(struct hakc_samples *samples, const struct hakc_cell *cell, uint32_t slot,
		     uint32_t index)
{
	uint64_t start = ((uint64_t)slot << HAK_SLOT_LG) + index * cell->block_bytes;
	uint64_t at = record_at(&samples->view->geometry, cell, slot, start);
	struct hak_sample copy, sample;

	for (unsigned i = 0; i < LOOKS; i++) {
		int r = hakc_view_read(samples->view, &copy, sizeof(copy), at);

		if (r < 0)
			return r;
		if (hak_load_relaxed(&copy.seal) == 0) /* relaxed: our own copy */
			return 0;
		if (hak_sample_read(&copy, start, &sample))
			return samples->take(samples->context, &sample);
	}
	samples->n_broken++;
	return 0;
}

static int see_cell(struct hakc_samples *samples, const struct hakc_cell *cell, uint32_t slot)
{
	const uint64_t *bits = hakc_view_bits(samples->view, cell);
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < cell->n_blocks; i++)
		if (!(bits[i / 64] >> (i % 64) & 1))
			r = see_block(samples, cell, slot, i);
	return r;
}

int hakc_samples_row(void *context, const struct hakc_row *row)
{
	struct hakc_samples *samples = context;
	uint32_t first = row->index * samples->view->geometry.slots_per_superslab;
	int r = 0;

	for (unsigned i = 0; r == 0 && i < row->n_cells; i++) {
		const struct hakc_cell *cell = &row->cells[i];

		/* Somebody scribbled over W where there is no room for a record. */
		if (cell->kind == HAKC_CELL_DAMAGED || !cell->is_sampled ||
		    cell->block_bytes < sizeof(struct hak_sample))
			continue;
		r = see_cell(samples, cell, first + cell->slot);
	}
	return r;
}
