/* SPDX-License-Identifier: MIT */
#ifndef HAKT_CRASH_SCRIPTS_H
#define HAKT_CRASH_SCRIPTS_H

/* hakt_to_x prepares, hakt_do_x is what is killed in; see the table in scenario.c. */

#include "tests/crash/heaps.h"

/* script_process.c: coming and going, of processes and threads */
void hakt_do_attach(struct hakt_victim *v);
void hakt_do_first(struct hakt_victim *v);
void hakt_to_detach(struct hakt_victim *v);
void hakt_do_detach(struct hakt_victim *v);
void hakt_to_thread(struct hakt_victim *v);
void hakt_do_thread(struct hakt_victim *v);
void hakt_to_thread_end(struct hakt_victim *v);
void hakt_do_thread_end(struct hakt_victim *v);
void hakt_to_pass(struct hakt_victim *v);
void hakt_do_pass(struct hakt_victim *v);
void hakt_to_mixed(struct hakt_victim *v);
void hakt_do_mixed(struct hakt_victim *v);

/* script_alloc.c: the stages of an allocation, and sizes above the classes */
void hakt_to_stage_0(struct hakt_victim *v);
void hakt_to_partial(struct hakt_victim *v);
void hakt_to_hint(struct hakt_victim *v);
void hakt_to_adopt(struct hakt_victim *v);
void hakt_to_empty(struct hakt_victim *v);
void hakt_to_refill(struct hakt_victim *v);
void hakt_do_one(struct hakt_victim *v);
void hakt_do_other_class(struct hakt_victim *v);
void hakt_do_refill(struct hakt_victim *v);
void hakt_do_runs(struct hakt_victim *v);
void hakt_do_span(struct hakt_victim *v);
void hakt_do_huge(struct hakt_victim *v);
void hakt_do_aligned(struct hakt_victim *v);

/* script_free.c: frees, flushes, sizes that change */
void hakt_to_flush(struct hakt_victim *v);
void hakt_do_free_last(struct hakt_victim *v);
void hakt_to_thread_free(struct hakt_victim *v);
void hakt_do_free_all(struct hakt_victim *v);
void hakt_to_process_free(struct hakt_victim *v);
void hakt_do_process_free(struct hakt_victim *v);
void hakt_to_trim(struct hakt_victim *v);
void hakt_do_trim(struct hakt_victim *v);
void hakt_to_realloc_class(struct hakt_victim *v);
void hakt_do_realloc_class(struct hakt_victim *v);
void hakt_to_realloc_span(struct hakt_victim *v);
void hakt_do_realloc_span(struct hakt_victim *v);
void hakt_to_realloc_run(struct hakt_victim *v);
void hakt_do_realloc_run(struct hakt_victim *v);

/* script_give.c: refs, takes, tags */
void hakt_do_take(struct hakt_victim *v);
void hakt_do_take_free(struct hakt_victim *v);
void hakt_do_take_free_small(struct hakt_victim *v);
void hakt_do_hand_on(struct hakt_victim *v);
void hakt_to_give(struct hakt_victim *v);
void hakt_do_give(struct hakt_victim *v);
void hakt_do_revoke(struct hakt_victim *v);
void hakt_to_tagged(struct hakt_victim *v);
void hakt_do_tagged(struct hakt_victim *v);
void hakt_to_tagged_empty(struct hakt_victim *v);
void hakt_to_tagged_span(struct hakt_victim *v);
void hakt_do_tagged_span(struct hakt_victim *v);
void hakt_to_inherit(struct hakt_victim *v);

/* script_sample.c: blocks that are samples */
void hakt_to_sample_first(struct hakt_victim *v);
void hakt_to_sample(struct hakt_victim *v);
void hakt_do_sample(struct hakt_victim *v);
void hakt_do_sample_give(struct hakt_victim *v);
void hakt_to_sample_span(struct hakt_victim *v);
void hakt_do_sample_span(struct hakt_victim *v);

/* script_root.c: names */
void hakt_to_publish(struct hakt_victim *v);
void hakt_to_publish_list(struct hakt_victim *v);
void hakt_do_publish(struct hakt_victim *v);
void hakt_to_publish_void(struct hakt_victim *v);
void hakt_do_publish_void(struct hakt_victim *v);
void hakt_to_publish_given(struct hakt_victim *v);
void hakt_do_publish_given(struct hakt_victim *v);
void hakt_to_lookup(struct hakt_victim *v);
void hakt_do_lookup(struct hakt_victim *v);
void hakt_to_withdraw(struct hakt_victim *v);
void hakt_do_withdraw(struct hakt_victim *v);
void hakt_to_withdraw_other(struct hakt_victim *v);
void hakt_do_withdraw_other(struct hakt_victim *v);
void hakt_to_double_root(struct hakt_victim *v);
void hakt_do_double_root(struct hakt_victim *v);

#endif
