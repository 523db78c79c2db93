/* SPDX-License-Identifier: MIT */
#ifndef HAKD_ORPHAN_H
#define HAKD_ORPHAN_H

/*
 * SuperSlabs and runs whose owner is dead and in which others hold blocks. One
 * that has room, and isn't huge, goes to the next client that asks for memory.
 * The others wait: they are looked at when a hint says that somebody freed into
 * them, and collected when the last block has gone.
 *
 * | an orphan   | since                       | may go to an heir                        |
 * |-------------|-----------------------------|------------------------------------------|
 * | changed     | its words changed           | no: somebody may have seen the old ones  |
 * | in grace    | a grace has begun after it  | no                                       |
 * | settled     | that is over                | yes                                      |
 */

#include <stdbool.h>
#include <uv.h>

#include "daemon/reclaim/grace.h"

enum hakd_orphan_state { HAKD_ORPHAN_CHANGED, HAKD_ORPHAN_IN_GRACE, HAKD_ORPHAN_SETTLED };

struct hakd_orphan {
	uint32_t head;
	bool is_new;  /* never looked at: there may be room, or nothing left */
	bool is_busy; /* a job looks at it */
	bool has_room;
	enum hakd_orphan_state state;
};

/* What orphan.c remembers. */
struct hakd_orphans {
	uv_timer_t timer; /* runs while there are any */
	struct hakd_orphan *list;
	uint32_t n;
	uint32_t room;
	bool is_in_grace;	 /* for those that are IN_GRACE */
	struct hakd_grace grace; /* of that */
	bool is_looking;	 /* a job is under way */
};

void hakd_orphans_init(struct hakd_realm *realm);

/* Its timer is closed. */
void hakd_orphans_deinit(struct hakd_realm *realm);

/* A run that the registry says to be an orphan. */
void hakd_orphans_add(struct hakd_realm *realm, uint32_t head);

/*
 * Takes up to n with room off the list and makes their slab words holder's; the registry is
 * the caller's next step (hakd_pool_inherit). How many.
 */
uint32_t hakd_orphans_take(struct hakd_realm *realm, uint32_t n, unsigned holder,
			   uint32_t *superslabs);

/* May one that hakd_orphans_take leaves now be taken soon, or be empty by now and free soon? */
bool hakd_orphans_are_unsettled(const struct hakd_realm *realm);

#endif
