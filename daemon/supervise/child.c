/* SPDX-License-Identifier: MIT */
/* fork, descriptors from 3 on, variables, exec. No threads: all calls may be made between. */
#include "daemon/supervise/child.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#include "daemon/util/log.h"

#define FIRST_FD 3

int hakd_child_find(char path[HAKD_CHILD_PATH_BYTES])
{
	const char *name = (const char *)getauxval(AT_EXECFN);
	char directory[HAKD_CHILD_PATH_BYTES] = "";
	ssize_t n = 0;

	if (name && name[0] != '/' && getcwd(directory, sizeof(directory)))
		n = snprintf(path, HAKD_CHILD_PATH_BYTES, "%s/%s", directory, name);
	else if (name && name[0] == '/' && strncmp(name, "/dev/fd/", 8) != 0)
		n = snprintf(path, HAKD_CHILD_PATH_BYTES, "%s", name);
	if (n > 0 && n < HAKD_CHILD_PATH_BYTES && access(path, X_OK) == 0)
		return 0;
	n = readlink("/proc/self/exe", path, HAKD_CHILD_PATH_BYTES - 1);
	if (n < 0)
		return -errno;
	path[n] = 0;
	return 0;
}

/* fds to FIRST_FD and on, open for the program to come. What is in the way of others moves. */
static int place(int *fds, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		int at = FIRST_FD + (int)i;

		for (unsigned k = i + 1; k < n; k++)
			if (fds[k] == at && (fds[k] = fcntl(at, F_DUPFD_CLOEXEC, at + 1)) < 0)
				return -errno;
		if (fds[i] == at ? fcntl(at, F_SETFD, 0) != 0 : dup2(fds[i], at) != at)
			return -errno;
		if (fds[i] != at)
			close(fds[i]);
	}
	return 0;
}

static void set_number(const char *name, uint64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRIu64, value);
	setenv(name, text, 1);
}

/* In the new process. Returns only if it fails. */
static int become(const char *path, char **arguments, const struct hakd_store *store, int socket_fd,
		  uint64_t watchdog_ms)
{
	unsigned n = store->n + 1;
	int *fds = calloc(n, sizeof(*fds)), r;
	char *names = malloc(store->names_bytes + sizeof("socket")), *end = names;

	if (!fds || !names)
		return -ENOMEM;
	fds[0] = socket_fd;
	end = stpcpy(end, "socket");
	for (unsigned i = 0; i < store->n; i++) {
		fds[i + 1] = store->kept[i].fd;
		end = stpcpy(stpcpy(end, ":"), store->kept[i].name);
	}
	r = place(fds, n);
	if (r < 0)
		return r;
	setenv("NOTIFY_SOCKET", store->address, 1);
	setenv("LISTEN_FDNAMES", names, 1);
	set_number("LISTEN_FDS", n);
	set_number("LISTEN_PID", (uint64_t)getpid());
	set_number("WATCHDOG_PID", (uint64_t)getpid());
	set_number("WATCHDOG_USEC", watchdog_ms * 1000);
	unsetenv("LISTEN_PIDFDID"); /* of who started the supervisor */
	execv(path, arguments);
	return -errno;
}

pid_t hakd_child_start(const char *path, char **arguments, const struct hakd_store *store,
		       int socket_fd, uint64_t watchdog_ms, const sigset_t *signals)
{
	pid_t pid = fork();
	int r;

	if (pid != 0)
		return pid > 0 ? pid : -errno;
	sigprocmask(SIG_SETMASK, signals, NULL);
	r = become(path, arguments, store, socket_fd, watchdog_ms);
	hakd_log(HAKD_LOG_ERROR, "cannot start %s: %s", path, strerror(-r));
	_exit(1);
}
