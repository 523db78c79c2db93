/* SPDX-License-Identifier: MIT */
#ifndef HAKC_SPAWN_H
#define HAKC_SPAWN_H

/*
 * Starts a daemon of the user's own that listens at path. 0: it does; 1:
 * somebody else's is there or about to be; a negative errno: it can't be
 * started (-ENOENT: there is no hakmemd), trying again is of no use.
 */
int hakc_spawn_daemon(const char *path);

#endif
