/* SPDX-License-Identifier: MIT */
#ifndef HAKD_SHOWN_FILE_H
#define HAKD_SHOWN_FILE_H

/*
 * A file of ours that is mapped for writing, and that others may read: whom the pool's owner, group
 * and mode let read. It gets its name when its content is complete, in place of an older one.
 */

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct hakd_shown_file {
	int fd; /* -1: none */
	void *bytes;
	size_t n;
};

/* An older one, read; n bytes at most. How many, or a negative errno; -EPERM: it isn't ours. */
ssize_t hakd_shown_file_read(const char *path, void *ret_bytes, size_t n);

/*
 * All zeros, without a name, and its memory is there: writing to it can't fail. Directories that are
 * missing are made. 0 or a negative errno; then there is none.
 */
int hakd_shown_file_make(struct hakd_shown_file *file, const char *path, size_t n);

/* The one that was made for that path gets its name. 0 or a negative errno: it has none then. */
int hakd_shown_file_name(const char *path);

/*
 * Lets those read who may by the 4s of mode. 0, or a negative errno: the file system knows no access
 * control lists, and all that could be done was to let everybody read, if all may.
 */
int hakd_shown_file_let_read(const struct hakd_shown_file *file, uid_t owner, gid_t group,
			     unsigned mode);

/* Takes its name from it, unless another one has it by now. */
void hakd_shown_file_remove(const struct hakd_shown_file *file, const char *path);

/*
 * Takes their names from all whose path begins so and that are stale; behind: what their names have
 * behind that.
 */
void hakd_shown_files_tidy(const char *begin,
			   bool (*is_stale)(const void *context, const char *path,
					    const char *behind),
			   const void *context);

/* Unmaps and closes; the name stays. */
void hakd_shown_file_close(struct hakd_shown_file *file);

#endif
