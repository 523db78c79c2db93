/* SPDX-License-Identifier: MIT */
/* The order in which a socket is looked for; see the header. */
#include "proto/wire/socket_path.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int copy(char path[HAK_SOCKET_PATH_MAX], const char *from, const char *rest)
{
	int n = snprintf(path, HAK_SOCKET_PATH_MAX, "%s%s", from, rest);

	return n >= 0 && n < HAK_SOCKET_PATH_MAX ? 0 : -ENAMETOOLONG;
}

int hak_socket_path(const char *given, bool prefer_user, char path[HAK_SOCKET_PATH_MAX])
{
	const char *from_environment = getenv("HAKMEM_SOCKET");
	const char *runtime = getenv("XDG_RUNTIME_DIR");

	if (given)
		return copy(path, given, "");
	if (from_environment && *from_environment)
		return copy(path, from_environment, "");
	if (runtime && *runtime) {
		int r = copy(path, runtime, "/hakmem/hakmemd.sock");

		if (prefer_user || (r == 0 && access(path, F_OK) == 0))
			return r;
	}
	return copy(path, HAK_SOCKET_SYSTEM, "");
}

void hak_shown_path(const char *socket, const char *directory, const char *pool,
		    char path[HAK_SHOWN_PATH_MAX])
{
	const char *slash = strrchr(socket, '/');
	int n = slash ? (int)(slash + 1 - socket) : 0;

	snprintf(path, HAK_SHOWN_PATH_MAX, "%.*s%s/%s.%s", n, socket, directory, socket + n, pool);
}
