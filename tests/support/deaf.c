/* SPDX-License-Identifier: MIT */
/* Preloaded into a daemon: it gets no inotify descriptor, as where none is to be had. */
#include <errno.h>

__attribute__((visibility("default"))) int inotify_init1(int flags);

int inotify_init1(int flags)
{
	(void)flags;
	errno = EMFILE;
	return -1;
}
