/* SPDX-License-Identifier: MIT */
/*
 * slabs: what each size class takes, and what of it is live. Waste is what a class's slabs take
 * and no live block has: free blocks, and the tail of a slab.
 */
#include "client_lib/ctl/slabs.h"

#include <inttypes.h>

#include "client_lib/ctl/caption.h"
#include "client_lib/ctl/json.h"
#include "client_lib/ctl/style.h"
#include "client_lib/ctl/text.h"
#include "client_lib/ctl/verb.h"

static void add_cell(struct hakc_slabs_sum *sum, const struct hakc_cell *cell)
{
	sum->slabs++;
	sum->blocks += cell->n_blocks;
	sum->live_blocks += cell->n_live;
	sum->slab_bytes += (uint64_t)cell->n_slots << HAK_SLOT_LG;
	sum->live_bytes += cell->n_live * cell->block_bytes;
}

static void add_sum(struct hakc_slabs_sum *sum, const struct hakc_slabs_sum *other)
{
	sum->slabs += other->slabs;
	sum->blocks += other->blocks;
	sum->live_blocks += other->live_blocks;
	sum->slab_bytes += other->slab_bytes;
	sum->live_bytes += other->live_bytes;
}

int hakc_slabs_row(void *context, const struct hakc_row *row)
{
	struct hakc_slabs *slabs = context;
	uint64_t left = (uint64_t)row->length << slabs->view->geometry.superslab_lg;

	if (row->kind != HAKC_ROW_GRANTED && row->kind != HAKC_ROW_ORPHAN)
		return 0;
	for (unsigned i = 0; i < row->n_cells; i++) {
		const struct hakc_cell *cell = &row->cells[i];

		left -= (uint64_t)cell->n_slots << HAK_SLOT_LG;
		if (cell->kind == HAKC_CELL_DAMAGED) {
			slabs->damaged_slots++;
			continue;
		}
		add_cell(cell->kind == HAKC_CELL_SPAN ? &slabs->spans : &slabs->classes[cell->cls],
			 cell);
		if (row->kind == HAKC_ROW_ORPHAN)
			add_cell(&slabs->orphans, cell);
	}
	slabs->unused_bytes += left;
	return 0;
}

static unsigned percent(const struct hakc_slabs_sum *sum)
{
	return sum->slab_bytes ? (unsigned)(sum->live_bytes * 100 / sum->slab_bytes) : 0;
}

static void print_sum(FILE *out, const char *name, const struct hakc_slabs_sum *sum)
{
	char bytes[HAKC_TEXT_BYTES], live[HAKC_TEXT_BYTES], waste[HAKC_TEXT_BYTES];

	if (sum->slabs == 0)
		return;
	fprintf(out,
		"%10s %8" PRIu64 " %10" PRIu64 " %10" PRIu64 " %10" PRIu64
		" %5u %% %12s %12s %12s\n",
		name, sum->slabs, sum->blocks, sum->live_blocks, sum->blocks - sum->live_blocks,
		percent(sum), hakc_bytes_text(sum->slab_bytes, bytes),
		hakc_bytes_text(sum->live_bytes, live),
		hakc_bytes_text(sum->slab_bytes - sum->live_bytes, waste));
}

void hakc_slabs_print(const struct hakc_slabs *slabs, FILE *out)
{
	char text[HAKC_CAPTION_BYTES], name[HAKC_TEXT_BYTES];
	struct hakc_slabs_sum all = slabs->spans;

	if (!hakc_style.no_headers)
		fprintf(out, "%s\n%10s %8s %10s %10s %10s %7s %12s %12s %12s\n",
			hakc_caption_pool(slabs->view, text), "CLASS", "SLABS", "BLOCKS", "LIVE",
			"FREE", "USED", "SIZE", "LIVE SIZE", "WASTE");
	for (unsigned i = 0; i < HAK_CLASS_COUNT; i++) {
		snprintf(name, sizeof(name), "%" PRIu32, hak_classes[i].size);
		print_sum(out, name, &slabs->classes[i]);
		add_sum(&all, &slabs->classes[i]);
	}
	print_sum(out, "spans", &slabs->spans);
	print_sum(out, "all", &all);
	print_sum(out, "of orphans", &slabs->orphans);
	if (hakc_style.no_headers)
		return;
	fprintf(out, "granted, and in no slab or span: %s\n",
		hakc_bytes_text(slabs->unused_bytes, name));
	if (slabs->damaged_slots)
		fprintf(out, "slots whose words can't be: %" PRIu64 "; hakmemctl check\n",
			slabs->damaged_slots);
}

/* The members of an object that has been begun. */
static void sum_json(struct hakc_json *json, const struct hakc_slabs_sum *sum)
{
	hakc_json_unsigned(json, "slabs", sum->slabs);
	hakc_json_unsigned(json, "blocks", sum->blocks);
	hakc_json_unsigned(json, "live_blocks", sum->live_blocks);
	hakc_json_unsigned(json, "free_blocks", sum->blocks - sum->live_blocks);
	hakc_json_unsigned(json, "used_percent", percent(sum));
	hakc_json_unsigned(json, "slab_bytes", sum->slab_bytes);
	hakc_json_unsigned(json, "live_bytes", sum->live_bytes);
	hakc_json_unsigned(json, "waste_bytes", sum->slab_bytes - sum->live_bytes);
	hakc_json_end_object(json);
}

void hakc_slabs_json(const struct hakc_slabs *slabs, FILE *out)
{
	const uint64_t *n = slabs->view->totals.superslabs;
	struct hakc_json json;

	hakc_json_begin_answer(&json, out);
	hakc_json_string(&json, "pool", slabs->view->pool);
	hakc_json_unsigned(&json, "superslab_bytes",
			   UINT64_C(1) << slabs->view->geometry.superslab_lg);
	hakc_json_unsigned(&json, "granted_superslabs", n[HAKC_ROW_GRANTED]);
	hakc_json_unsigned(&json, "orphan_superslabs", n[HAKC_ROW_ORPHAN]);
	hakc_json_begin_array(&json, "classes");
	for (unsigned i = 0; i < HAK_CLASS_COUNT; i++) {
		if (slabs->classes[i].slabs == 0)
			continue;
		hakc_json_begin_object(&json, NULL);
		hakc_json_unsigned(&json, "block_bytes", hak_classes[i].size);
		sum_json(&json, &slabs->classes[i]);
	}
	hakc_json_end_array(&json);
	hakc_json_begin_object(&json, "spans");
	sum_json(&json, &slabs->spans);
	hakc_json_begin_object(&json, "orphans");
	sum_json(&json, &slabs->orphans);
	hakc_json_unsigned(&json, "unused_bytes", slabs->unused_bytes);
	hakc_json_unsigned(&json, "damaged_slots", slabs->damaged_slots);
	hakc_json_end_object(&json);
}
