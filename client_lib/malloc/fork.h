/* SPDX-License-Identifier: MIT */
#ifndef HAKC_MALLOC_FORK_H
#define HAKC_MALLOC_FORK_H

/*
 * From now on forks are prepared for. Called at the first allocation: handlers that others
 * register later run while the heap isn't locked, so they may allocate.
 */
void hakc_fork_watch(void);

#endif
