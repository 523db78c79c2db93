/* SPDX-License-Identifier: MIT */
/*
 * The table of scenarios. A new one is a row here: a script, which is one operation or a few, and
 * what prepares the heap for it (heaps.h). A prepare runs when the victim has attached, holds one
 * block of each walker and has lent one to each; loans that the script is to free are taken there.
 */
#include "tests/crash/scripts.h"

const struct hakt_scenario hakt_scenarios[] = {
	{.name = "attach", .script = hakt_do_attach, .attaches = true},
	{.name = "first", .script = hakt_do_first, .attaches = true},
	{.name = "detach", .prepare = hakt_to_detach, .script = hakt_do_detach},

	{.name = "stage-0", .prepare = hakt_to_stage_0, .script = hakt_do_one},
	{.name = "partial", .prepare = hakt_to_partial, .script = hakt_do_one},
	{.name = "hint", .prepare = hakt_to_hint, .script = hakt_do_one},
	{.name = "adopt", .prepare = hakt_to_adopt, .script = hakt_do_one},
	{.name = "empty", .prepare = hakt_to_empty, .script = hakt_do_one},
	{.name = "recut", .prepare = hakt_to_empty, .script = hakt_do_other_class},
	{.name = "unused", .script = hakt_do_one},
	{.name = "refill", .prepare = hakt_to_refill, .script = hakt_do_refill},
	{.name = "runs", .script = hakt_do_runs},
	{.name = "span", .script = hakt_do_span},
	{.name = "huge", .script = hakt_do_huge},
	{.name = "aligned", .script = hakt_do_aligned},

	{.name = "flush", .prepare = hakt_to_flush, .script = hakt_do_free_last},
	{.name = "thread-free", .prepare = hakt_to_thread_free, .script = hakt_do_free_all},
	{.name = "process-free", .prepare = hakt_to_process_free, .script = hakt_do_process_free},
	{.name = "trim", .prepare = hakt_to_trim, .script = hakt_do_trim},
	{.name = "thread", .prepare = hakt_to_thread, .script = hakt_do_thread},
	{.name = "thread-end",
	 .prepare = hakt_to_thread_end,
	 .script = hakt_do_thread_end,
	 .thread = HAKT_IN_THREAD},

	{.name = "take", .script = hakt_do_take},
	{.name = "take-free", .script = hakt_do_take_free},
	{.name = "hand-on", .script = hakt_do_hand_on},
	{.name = "double-take", .script = hakt_do_take_free_small, .is_double = true},
	{.name = "double-give", .prepare = hakt_to_give, .script = hakt_do_give, .is_double = true},
	{.name = "give", .prepare = hakt_to_give, .script = hakt_do_give},
	{.name = "revoke", .script = hakt_do_revoke},
	{.name = "tagged", .prepare = hakt_to_tagged, .script = hakt_do_tagged},
	{.name = "tagged-empty", .prepare = hakt_to_tagged_empty, .script = hakt_do_one},
	{.name = "tagged-recut", .prepare = hakt_to_tagged_empty, .script = hakt_do_other_class},
	{.name = "tagged-span", .prepare = hakt_to_tagged_span, .script = hakt_do_tagged_span},
	{.name = "inherit", .prepare = hakt_to_inherit, .script = hakt_do_refill},

	{.name = "sample-first", .prepare = hakt_to_sample_first, .script = hakt_do_sample},
	{.name = "sample", .prepare = hakt_to_sample, .script = hakt_do_sample},
	{.name = "sample-give", .prepare = hakt_to_sample, .script = hakt_do_sample_give},
	{.name = "sample-span", .prepare = hakt_to_sample_span, .script = hakt_do_sample_span},

	{.name = "publish", .prepare = hakt_to_publish, .script = hakt_do_publish},
	{.name = "publish-list", .prepare = hakt_to_publish_list, .script = hakt_do_publish},
	{.name = "publish-void", .prepare = hakt_to_publish_void, .script = hakt_do_publish_void},
	{.name = "publish-given",
	 .prepare = hakt_to_publish_given,
	 .script = hakt_do_publish_given},
	{.name = "lookup", .prepare = hakt_to_lookup, .script = hakt_do_lookup},
	{.name = "withdraw", .prepare = hakt_to_withdraw, .script = hakt_do_withdraw},
	{.name = "withdraw-other",
	 .prepare = hakt_to_withdraw_other,
	 .script = hakt_do_withdraw_other},
	{.name = "double-root",
	 .prepare = hakt_to_double_root,
	 .script = hakt_do_double_root,
	 .is_double = true},

	{.name = "realloc-class",
	 .prepare = hakt_to_realloc_class,
	 .script = hakt_do_realloc_class},
	{.name = "realloc-span", .prepare = hakt_to_realloc_span, .script = hakt_do_realloc_span},
	{.name = "realloc-run", .prepare = hakt_to_realloc_run, .script = hakt_do_realloc_run},
	{.name = "pass", .prepare = hakt_to_pass, .script = hakt_do_pass},
	{.name = "mixed", .prepare = hakt_to_mixed, .script = hakt_do_mixed},
};
const unsigned hakt_n_scenarios = sizeof(hakt_scenarios) / sizeof(hakt_scenarios[0]);
