/* SPDX-License-Identifier: MIT */
#ifndef HAKT_KERNEL_FILES_H
#define HAKT_KERNEL_FILES_H

/* What a kernel might say of a process and of memory, below a test's directory. */

#include <string.h>

#include "tests/support/directory.h"

#define HAKT_MEMORY_PRESSURE "some avg10=0.00 avg60=0.00 avg300=0.00 total=0\n"
#define HAKT_MEMORY_EVENTS   "low 7\nhigh 4\nmax 2\noom 1\noom_kill 0\noom_group_kill 0\n"

static inline void hakt_kernel_write(const char *directory, const char *name, const char *text)
{
	hakt_directory_write(directory, name, text, strlen(text));
}

/* A process in a cgroup of version 1 and in one of version 2, which is mounted beside it. */
static inline void hakt_kernel_write_cgroup(const char *directory)
{
	hakt_kernel_write(directory, "proc/self/cgroup", "4:memory:/old\n0::/ours\n");
	hakt_kernel_write(directory, "proc/self/mountinfo",
			  "35 32 0:33 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
			  "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime shared:5 - cgroup2 "
			  "cgroup2 rw\n");
}

#define HAKT_OURS "sys/fs/cgroup/unified/ours/"

#endif
