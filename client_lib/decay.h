/* SPDX-License-Identifier: MIT */
#ifndef HAKC_DECAY_H
#define HAKC_DECAY_H

/*
 * What a process keeps without need goes back: after the registry's keep_ms, and at once when the
 * registry's `asked` changes. Both are looked at where a thread has left its caches anyway.
 */

#include "client_lib/thread.h"

/* Behind the check below. errno stays. */
void hakc_decay_look(struct hakc_thread *t);

/*
 * Looks whether something is to go back. May empty the thread's caches and talk to the daemon; to
 * be called before an operation changes anything, heap not locked.
 */
static inline void hakc_decay_check(struct hakc_thread *t)
{
	const struct hak_registry *header = t->heap->segment.header;

	/* Relaxed: hints. A private registry is all zeros: nothing is asked for, nothing decays. */
	if (hak_load_relaxed(&header->asked) != t->decay.asked ||
	    hak_load_relaxed(&header->keep_ms) != 0)
		hakc_decay_look(t);
}

/* An allocation of a watched thread: counts it, and looks. */
void hakc_decay_watch(struct hakc_thread *t);

/* All that can be given back, also what was asked of the daemon ahead. Heap not locked. */
void hakc_decay_give_all(struct hakc_thread *t, bool waits);

#endif
