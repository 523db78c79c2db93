/* SPDX-License-Identifier: MIT */
/* roots: the names of published blocks, and what is behind each. */
#include "client_lib/ctl/roots.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "client_lib/ctl/json.h"
#include "client_lib/ctl/style.h"
#include "client_lib/ctl/text.h"

/* Seconds since it was published; a clock that was set back makes none. */
static uint64_t age_of(const Hak__Root *root)
{
	int64_t now = time(NULL);

	return now > root->published_at ? (uint64_t)(now - root->published_at) : 0;
}

static void roots_json(const struct hakc_query_roots *all)
{
	struct hakc_json json;

	hakc_json_begin_answer(&json, stdout);
	hakc_json_begin_array(&json, "roots");
	for (size_t i = 0; i < all->n_roots; i++) {
		const Hak__Root *root = all->roots[i];

		hakc_json_begin_object(&json, NULL);
		hakc_json_string(&json, "name", root->name);
		hakc_json_hex(&json, "ref", root->ref);
		hakc_json_unsigned(&json, "offset", root->offset);
		hakc_json_unsigned(&json, "blocks", root->blocks);
		hakc_json_unsigned(&json, "bytes", root->bytes);
		hakc_json_signed(&json, "pid", root->pid);
		hakc_json_unsigned(&json, "holder", root->holder);
		hakc_json_unsigned(&json, "generation", root->generation);
		hakc_json_signed(&json, "published_at", root->published_at);
		hakc_json_unsigned(&json, "age_seconds", age_of(root));
		hakc_json_end_object(&json);
	}
	hakc_json_end_array(&json);
	hakc_json_end_object(&json);
}

static void print_root(const Hak__Root *root)
{
	char name[HAKC_TEXT_BYTES], bytes[HAKC_TEXT_BYTES], age[HAKC_TEXT_BYTES];

	printf("%-24s 0x%016" PRIx64 " 0x%010" PRIx64 " %6" PRIu32 " %12s %8" PRId32 " %14s\n",
	       hakc_safe_text(root->name, name), root->ref, root->offset, root->blocks,
	       hakc_bytes_text(root->bytes, bytes), root->pid,
	       hakc_duration_text(age_of(root), age));
}

int hakc_verb_roots(struct hakc_query *query, bool as_json, bool *ret_degraded)
{
	struct hakc_query_roots all;
	int r = hakc_query_roots(query, &all);

	(void)ret_degraded;
	if (r != 0)
		return r;
	if (as_json) {
		roots_json(&all);
	} else {
		hakc_style_header("%-24s %-18s %-12s %6s %12s %8s %14s\n", "NAME", "REF", "OFFSET",
				  "BLOCKS", "BYTES", "BY PID", "AGE");
		for (size_t i = 0; i < all.n_roots; i++)
			print_root(all.roots[i]);
	}
	hakc_query_roots_deinit(&all);
	return 0;
}
