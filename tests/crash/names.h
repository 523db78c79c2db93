/* SPDX-License-Identifier: MIT */
#ifndef HAKT_CRASH_NAMES_H
#define HAKT_CRASH_NAMES_H

/*
 * Names for blocks (hakmem_root_publish): how victims, companions and walkers publish and withdraw
 * them, and what walkers see of them meanwhile and afterwards. The states are in world.h.
 */

#include "tests/crash/stock.h"

/* For whoever publishes or withdraws: */

/* One more block for the list, filled, and a ticket of it. Only while the name isn't there. */
void hakt_name_add(enum hakt_name_number number, void *block, size_t size);

/* Publishes the list; that it works is expected. */
void hakt_name_publish(enum hakt_name_number number);

/* Withdraws it, looks at the blocks, and frees them all. */
void hakt_name_withdraw(enum hakt_name_number number);

/* The name as the library has it, and the tickets of its list. */
const char *hakt_name_text(enum hakt_name_number number);
void hakt_name_refs(enum hakt_name_number number, hakmem_ref_t refs[HAKT_NAMED]);

/* For walkers: */

/* Looks all names up, at any moment; what is found is as it is to be. */
void hakt_names_look(struct hakt_stock *w);

/* Publishes what the victim wants to have published. */
void hakt_names_publish(struct hakt_stock *w);

/* The victim is dead and buried: withdraws and frees what there is. */
void hakt_names_settle(struct hakt_stock *w);

#endif
