/* SPDX-License-Identifier: MIT */
/*
 * HAKMEM_AUTOSPAWN: runs hakmemd --supervise, which puts itself into the background and
 * whose first process ends when the socket listens. Two processes may do this
 * at once: one of the supervisors refuses to start, and both find the other.
 */
#include "client_lib/spawn.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define EXIT_OTHER_DAEMON 3 /* of hakmemd: another one serves the socket */

extern char **environ;

/* bin/hakmemd beside lib/ or lib/ARCHITECTURE, where the object is that we are linked into. */
static void find_daemon(char *path, size_t bytes)
{
	static const char *const places[] = {"hakmemd", "../bin/hakmemd", "../../bin/hakmemd"};
	const char *given = getenv("HAKMEM_DAEMON");
	char self[4096];
	Dl_info info;

	if (given && *given) {
		snprintf(path, bytes, "%s", given);
		return;
	}
	ssize_t n = -1;

	if (dladdr((void *)&hakc_spawn_daemon, &info) && strchr(info.dli_fname, '/')) {
		snprintf(self, sizeof(self), "%s", info.dli_fname);
		n = (ssize_t)strlen(self);
	} else {
		n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	}
	for (unsigned i = 0; n > 0 && i < sizeof(places) / sizeof(places[0]); i++) {
		self[n] = 0;
		char *slash = strrchr(self, '/');

		if (!slash)
			break;
		snprintf(path, bytes, "%.*s/%s", (int)(slash - self), self, places[i]);
		if (access(path, X_OK) == 0)
			return;
	}
	snprintf(path, bytes, "hakmemd");
}

/*
 * The daemon outlives the program: it keeps none of its descriptors open, and
 * its stderr only if HAKMEM_LOG asks for messages.
 */
static int cut_ties(posix_spawn_file_actions_t *actions)
{
	const char *level = getenv("HAKMEM_LOG");
	int r = posix_spawn_file_actions_addopen(actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);

	if (r == 0)
		r = posix_spawn_file_actions_addopen(actions, STDOUT_FILENO, "/dev/null", O_WRONLY,
						     0);
	if (r == 0 && !(level && *level))
		r = posix_spawn_file_actions_addopen(actions, STDERR_FILENO, "/dev/null", O_WRONLY,
						     0);
	if (r == 0)
		r = posix_spawn_file_actions_addclosefrom_np(actions, STDERR_FILENO + 1);
	return r;
}

static int start(const char *daemon, char **arguments, pid_t *ret_pid)
{
	posix_spawn_file_actions_t actions;
	int r = posix_spawn_file_actions_init(&actions);

	if (r != 0)
		return r;
	r = cut_ties(&actions);
	if (r == 0)
		r = posix_spawnp(ret_pid, daemon, &actions, NULL, arguments, environ);
	posix_spawn_file_actions_destroy(&actions);
	return r;
}

int hakc_spawn_daemon(const char *path)
{
	char daemon[8192];
	char supervise[] = "--supervise", socket_option[] = "--socket",
	     idle_option[] = "--idle-exit", idle[] = "60";
	char socket[128];
	char *arguments[] = {daemon, supervise, socket_option, socket, idle_option, idle, NULL};
	int status = 0;
	pid_t pid;
	int r;

	find_daemon(daemon, sizeof(daemon));
	snprintf(socket, sizeof(socket), "%s", path);
	r = start(daemon, arguments, &pid);
	if (r != 0)
		return -r;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return 1; /* the program reaps its children itself: connecting will tell */
	if (!WIFEXITED(status))
		return -ECONNREFUSED;
	return WEXITSTATUS(status) == 0			  ? 0
	       : WEXITSTATUS(status) == EXIT_OTHER_DAEMON ? 1
							  : -ECONNREFUSED;
}
