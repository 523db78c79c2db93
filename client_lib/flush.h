/* SPDX-License-Identifier: MIT */
#ifndef HAKC_FLUSH_H
#define HAKC_FLUSH_H

#include "client_lib/thread.h"

/* Gives back the outgoing blocks; works with and without the heap's lock. */
void hakc_flush_outgoing(struct hakc_thread *t);

/* Gives a magazine's blocks back to their slabs, the oldest first, all but the last `keep`. */
void hakc_flush_magazine(struct hakc_thread *t, unsigned cls, uint32_t keep);

/* Gives back everything that the thread caches; heap not locked. */
void hakc_flush_all(struct hakc_thread *t);

/*
 * Gives back what lies in magazines that were not filled or flushed since the last such call, or
 * are small; with is_slice half of what is in the others too. Heap not locked.
 */
void hakc_flush_unused(struct hakc_thread *t, bool is_slice);

/* Takes room from magazines that weren't used since the last time. */
void hakc_flush_shrink(struct hakc_thread *t);

/* Makes the kept EMPTY slabs unused, the current ones too if `all`. */
void hakc_flush_empty(struct hakc_thread *t, bool all);

#endif
