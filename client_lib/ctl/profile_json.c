/* SPDX-License-Identifier: MIT */
/* docs/schema/profile.json says what the members are. */
#include <stdio.h>

#include "client_lib/ctl/json.h"
#include "client_lib/ctl/profile.h"

static void frame_json(struct hakc_json *json, struct hakc_symbols *symbols, uint64_t frame)
{
	struct hakc_symbol symbol = hakc_symbols_find(symbols, frame);
	const char *source;
	unsigned line = hakc_symbols_line(symbols, frame, &source);

	hakc_json_begin_object(json, NULL);
	hakc_json_string(json, "function", symbol.function);
	hakc_json_string(json, "file", symbol.path);
	hakc_json_hex(json, "address", symbol.address);
	hakc_json_string(json, "source", source);
	hakc_json_unsigned(json, "line", line);
	hakc_json_end_object(json);
}

static void stack_json(struct hakc_json *json, const struct hakc_profile *profile,
		       const struct hakc_stack *stack)
{
	hakc_json_begin_object(json, NULL);
	hakc_json_unsigned(json, "bytes", stack->bytes);
	hakc_json_unsigned(json, "objects", stack->objects);
	hakc_json_unsigned(json, "samples", stack->samples);
	hakc_json_string(json, "name", stack->name);
	hakc_json_signed(json, "pid", stack->pid);
	hakc_json_unsigned(json, "processes", stack->n_processes);
	hakc_json_unsigned(json, "gone_processes", stack->n_gone);
	hakc_json_begin_array(json, "frames");
	for (unsigned i = 0; i < stack->n_frames; i++)
		frame_json(json, profile->symbols, stack->frames[i]);
	hakc_json_end_array(json);
	hakc_json_end_object(json);
}

static void module_json(struct hakc_json *json, struct hakc_symbols *symbols, unsigned number)
{
	const struct hak_module *module;
	enum hakc_module_state state = hakc_symbols_module(symbols, number, &module);
	char id[2 * HAK_MODULE_ID_BYTES + 1] = "";

	if (state == HAKC_MODULE_UNKNOWN)
		return;
	for (uint32_t i = 0; i < module->n_id; i++)
		snprintf(&id[2 * i], 3, "%02x", module->id[i]);
	hakc_json_begin_object(json, NULL);
	hakc_json_string(json, "file", module->path);
	hakc_json_string(json, "build_id", id);
	hakc_json_string(json, "symbols", hakc_module_text(state));
	hakc_json_end_object(json);
}

void hakc_profile_json(const struct hakc_profile *profile, FILE *out)
{
	const struct hakc_stacks *stacks = &profile->stacks;
	struct hakc_json json;

	hakc_json_begin_answer(&json, out);
	hakc_json_string(&json, "pool", profile->view->pool);
	hakc_json_unsigned(&json, "interval_bytes", profile->view->profile);
	hakc_json_unsigned(&json, "bytes", stacks->sum.bytes);
	hakc_json_unsigned(&json, "objects", stacks->sum.objects);
	hakc_json_unsigned(&json, "samples", stacks->sum.samples);
	hakc_json_unsigned(&json, "broken_records", profile->n_broken);
	hakc_json_begin_array(&json, "stacks");
	for (size_t i = 0; i < stacks->n; i++)
		stack_json(&json, profile, &stacks->of[i]);
	hakc_json_end_array(&json);
	hakc_json_begin_array(&json, "files");
	for (unsigned i = 0; i < HAK_MODULE_COUNT; i++)
		module_json(&json, profile->symbols, i);
	hakc_json_end_array(&json);
	hakc_json_end_object(&json);
}
