/* SPDX-License-Identifier: MIT */
/* docs/schema/map.json says what the members are. */
#include "client_lib/ctl/map_json.h"

#include "client_lib/ctl/json.h"
#include "client_lib/ctl/verb.h"

static void cell_json(struct hakc_json *json, const struct hakc_cell *cell)
{
	hakc_json_begin_object(json, NULL);
	hakc_json_string(json, "kind", hakc_cell_text(cell->kind));
	hakc_json_unsigned(json, "slot", cell->slot);
	hakc_json_unsigned(json, "slots", cell->n_slots);
	hakc_json_unsigned(json, "block_bytes", cell->block_bytes);
	hakc_json_unsigned(json, "blocks", cell->n_blocks);
	hakc_json_unsigned(json, "live_blocks", cell->n_live);
	hakc_json_unsigned(json, "taken_blocks", cell->n_taken);
	hakc_json_unsigned(json, "holder", cell->holder);
	hakc_json_end_object(json);
}

static int row_json(void *context, const struct hakc_row *row)
{
	struct hakc_json *json = context;

	hakc_json_begin_object(json, NULL);
	hakc_json_string(json, "state", hakc_row_text(row->kind));
	hakc_json_unsigned(json, "index", row->index);
	hakc_json_unsigned(json, "superslabs", row->length);
	hakc_json_unsigned(json, "owner", row->owner);
	hakc_json_unsigned(json, "live_bytes", row->live_bytes);
	hakc_json_begin_array(json, "slabs");
	for (unsigned i = 0; i < row->n_cells; i++)
		cell_json(json, &row->cells[i]);
	hakc_json_end_array(json);
	hakc_json_end_object(json);
	return 0;
}

static void owner_json(struct hakc_json *json, const struct hakc_view *view, unsigned holder)
{
	const struct hakc_owner *owner = &view->totals.owners[holder];

	if (owner->superslabs == 0 && owner->share.blocks == 0)
		return;
	hakc_json_begin_object(json, NULL);
	hakc_json_unsigned(json, "holder", holder);
	hakc_json_unsigned(json, "generation",
			   hak_holder_generation(hak_load_relaxed(&view->holders[holder].word)));
	hakc_json_signed(json, "pid", hakc_view_pid(view, holder));
	hakc_json_string(json, "name",
			 holder == HAK_HOLDER_NONE ? "" : hakc_view_name(view, holder));
	hakc_json_unsigned(json, "granted_superslabs", owner->superslabs);
	hakc_json_unsigned(json, "live_blocks", owner->share.blocks);
	hakc_json_unsigned(json, "live_bytes", owner->share.bytes);
	hakc_json_end_object(json);
}

int hakc_map_json(struct hakc_view *view, FILE *out)
{
	struct hakc_json json;
	int r;

	hakc_json_begin_answer(&json, out);
	hakc_json_string(&json, "pool", view->pool);
	hakc_json_unsigned(&json, "superslab_bytes", UINT64_C(1) << view->geometry.superslab_lg);
	hakc_json_unsigned(&json, "slots_per_superslab", view->geometry.slots_per_superslab);
	hakc_json_begin_array(&json, "rows");
	r = hakc_view_walk(view, row_json, &json);
	hakc_json_end_array(&json);
	hakc_json_begin_array(&json, "owners");
	for (unsigned i = 0; i < HAK_HOLDER_COUNT; i++)
		owner_json(&json, view, i);
	hakc_json_end_array(&json);
	hakc_json_end_object(&json);
	return r;
}
