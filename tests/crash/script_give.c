/* SPDX-License-Identifier: MIT */
/* Blocks that change their owner: refs, takes, hand-on, and what tags make of frees and claims. */
#include "tests/crash/scripts.h"

#include <errno.h>
#include <string.h>

#include "client_lib/flush.h"
#include "tests/support/process.h"

#define SIZE 500u /* nothing else in a victim is of its class */

/* A block of each kind, a huge one too. */
void hakt_do_take(struct hakt_victim *v)
{
	(void)v;
	for (unsigned at = 0; at < HAKT_GIFTS; at++)
		hakt_take_gift(at % HAKT_WALKERS, at);
}

/* Taken, freed, and flushed: tag, bit, hint. */
void hakt_do_take_free(struct hakt_victim *v)
{
	(void)v;
	for (unsigned at = 0; at < HAKT_GIFTS; at++)
		hakmem_free(hakt_take_gift(at % HAKT_WALKERS, at));
	hakc_flush_outgoing(hakc_self);
}

/* With a companion that has the others. */
void hakt_do_take_free_small(struct hakt_victim *v)
{
	(void)v;
	hakmem_free(hakt_take_gift(0, 0));
	hakmem_free(hakt_take_gift(1, 2));
	hakc_flush_outgoing(hakc_self);
}

/* From the one walker to the other. */
void hakt_do_hand_on(struct hakt_victim *v)
{
	(void)v;
	hakt_give(1, 1, hakt_take_gift(0, 0), 300, 0);
	hakt_give(0, 1, hakt_take_gift(1, 1), 6000, 0);
}

void hakt_to_give(struct hakt_victim *v)
{
	hakt_add_block(v, SIZE);
	hakt_add_block(v, 20000);
	hakt_add_block(v, 100000);
}

/* The first refs in their slabs: tags get memory, W says TAGGED. */
void hakt_do_give(struct hakt_victim *v)
{
	hakt_give(0, 1, v->blocks[0], SIZE, 0);
	hakt_give(1, 1, v->blocks[1], 20000, 0);
	hakt_give(0, 2, v->blocks[2], 100000, 0);
}

/* Who comes first has it: the walker, or we. */
void hakt_do_revoke(struct hakt_victim *v)
{
	for (unsigned i = 0; i < 2; i++) {
		void *block = hakt_add_block(v, SIZE);
		hakmem_ref_t ref = hakmem_ref(block);

		HAKT_EXPECT(ref);
		if (i > 0)
			hakt_give(0, 1, block, SIZE, HAKT_MAY_BE_REVOKED);
		if (hakmem_take(ref, &block) == 0)
			hakmem_free(block);
		HAKT_EXPECT(hakmem_take(ref, &block) == -ESTALE);
	}
}

/* A slab of ours with tags; the walkers have taken and freed blocks of it, or have them still. */
void hakt_to_tagged(struct hakt_victim *v)
{
	hakt_fill_slabs(v, SIZE, 1);
	for (unsigned i = 0; i < HAKT_WALKERS; i++) {
		hakt_give(i, 1, v->blocks[i], SIZE, 0);
		hakt_give(i, 2, v->blocks[2 + i], SIZE, 0);
		hakt_wait_accepted(i, 1);
		hakt_wait_accepted(i, 2);
	}
	for (unsigned i = 4; i < 20; i++)
		HAKT_EXPECT(hakmem_ref(v->blocks[i]));
}

/* Frees and claims ask the tags. */
void hakt_do_tagged(struct hakt_victim *v)
{
	for (unsigned i = 4; i < 12; i++)
		hakmem_free(v->blocks[i]);
	hakt_flush();
	for (unsigned i = 0; i < 4; i++)
		HAKT_EXPECT(hakmem_malloc(SIZE));
}

/* The first slab of three has tags and is empty. */
void hakt_to_tagged_empty(struct hakt_victim *v)
{
	hakt_fill_slabs(v, SIZE, 2);
	for (unsigned i = 0; i < 30; i++)
		HAKT_EXPECT(hakmem_ref(v->blocks[i]));
	for (unsigned i = 0; i < hakt_slab_blocks(SIZE); i++)
		hakmem_free(v->blocks[i]);
	hakt_flush();
	hakt_exhaust_slab(v, SIZE);
}

/* Spans with refs: freed, taken again, made longer. */
void hakt_to_tagged_span(struct hakt_victim *v)
{
	for (unsigned i = 0; i < 3; i++)
		HAKT_EXPECT(hakmem_ref(hakt_add_block(v, 100000)));
}

void hakt_do_tagged_span(struct hakt_victim *v)
{
	hakmem_free(v->blocks[1]);
	HAKT_EXPECT(hakmem_realloc(v->blocks[0], 300000));
	HAKT_EXPECT(hakmem_malloc(100000));
	hakmem_free(v->blocks[2]);
	HAKT_EXPECT(hakmem_trim() == 0);
}

/* Walkers hold blocks of victims that died, so a refill may bring an orphan. */
void hakt_to_inherit(struct hakt_victim *v)
{
	for (unsigned i = 0; i < HAKT_WALKERS; i++)
		for (unsigned at = 1; at < HAKT_GIFTS; at++)
			hakt_give(i, at, hakt_add_block(v, 900), 900, 0);
	hakt_exhaust_slots(v);
}
