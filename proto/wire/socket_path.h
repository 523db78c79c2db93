/* SPDX-License-Identifier: MIT */
#ifndef HAK_WIRE_SOCKET_PATH_H
#define HAK_WIRE_SOCKET_PATH_H

/* Where the daemon listens: all binaries and the library agree by this. */

#include <stdbool.h>

#define HAK_SOCKET_SYSTEM   "/run/hakmem/hakmemd.sock"
#define HAK_SOCKET_PATH_MAX 108 /* sun_path, with its NUL */

/*
 * `given` (NULL: not given), else HAKMEM_SOCKET, else
 * $XDG_RUNTIME_DIR/hakmem/hakmemd.sock if that exists or prefer_user asks for
 * it in any case, else HAK_SOCKET_SYSTEM. 0; -ENAMETOOLONG.
 */
int hak_socket_path(const char *given, bool prefer_user, char path[HAK_SOCKET_PATH_MAX]);

#define HAK_SHOWN_PATH_MAX 192

/*
 * Where what the daemon shows of a pool can be read, beside its socket: DIRECTORY/hakmemd.sock.POOL.
 * In "stats" what is counted (proto/shm/figures.h), in "events" what has happened
 * (proto/shm/events.h).
 */
void hak_shown_path(const char *socket, const char *directory, const char *pool,
		    char path[HAK_SHOWN_PATH_MAX]);

#endif
