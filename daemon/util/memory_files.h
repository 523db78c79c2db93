/* SPDX-License-Identifier: MIT */
#ifndef HAKD_MEMORY_FILES_H
#define HAKD_MEMORY_FILES_H

/*
 * The kernel's files that tell when memory is short for the daemon. Either kind may be missing:
 *
 *   stalls   a trigger that is pending when tasks have waited for memory for 150 ms of 2 s: of the
 *            daemon's cgroup (memory.pressure), else of the machine (/proc/pressure/memory)
 *   events   memory.events of its cgroup, which counts how often that was at one of its limits
 */

#include <stdbool.h>
#include <stdint.h>

#define HAKD_MEMORY_FILES_PATH 544

struct hakd_memory_files {
	int stalls_fd; /* to be polled for priority events; -1: there is none */
	int events_fd; /* -1: there is none */
	char stalls[HAKD_MEMORY_FILES_PATH];
	char events[HAKD_MEMORY_FILES_PATH]; /* to be watched: it is modified when a count rises */
	uint64_t n_events;		     /* as last read */
	char why_not[512];		     /* what can't be had, and why; "": nothing */
};

/* root: in front of all paths; "", or a test's. */
void hakd_memory_files_open(struct hakd_memory_files *files, const char *root);
void hakd_memory_files_close(struct hakd_memory_files *files);

/* Has the cgroup been at its limits, high or max, since this was last asked, or since it was opened? */
bool hakd_memory_files_have_risen(struct hakd_memory_files *files);

#endif
