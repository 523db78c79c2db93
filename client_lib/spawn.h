/* SPDX-License-Identifier: MIT */
#ifndef HAKC_SPAWN_H
#define HAKC_SPAWN_H

/* Starts a daemon of the user's own that listens at path; 0 when it does, else a negative errno. */
int hakc_spawn_daemon(const char *path);

#endif
