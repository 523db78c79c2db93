/* SPDX-License-Identifier: MIT */
#ifndef HAKT_DIRECTORY_H
#define HAKT_DIRECTORY_H

/*
 * Temporary directories of a test. Those that it doesn't remove itself, a
 * failed test's for example, go when its process exits.
 */

#include <stddef.h>

#define HAKT_DIRECTORY_BYTES 64

/* Makes an empty directory, mode 0755, and writes its path. */
void hakt_directory_make(char path[HAKT_DIRECTORY_BYTES]);

/* Removes it and everything in it. */
void hakt_directory_remove(const char *path);

/* Makes a file of these bytes in it; directories in name are made too. */
void hakt_directory_write(const char *path, const char *name, const void *bytes, size_t n);

#endif
