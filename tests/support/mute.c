/* SPDX-License-Identifier: MIT */
/*
 * Preloaded into a daemon: while the file that HAKT_MUTE names is there, what it sends to its peers
 * is held up, and a file of that name with ".held", made once for each message, says so. What it was
 * asked is done by then. When a message may go and there is a file with ".next", that becomes the
 * one that holds up the next message.
 */
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

__attribute__((visibility("default"))) ssize_t sendmsg(int fd, const struct msghdr *message,
						       int flags);

/* Not so its keeper's socket. */
static bool is_peers(int fd)
{
	int type = 0;
	socklen_t bytes = sizeof(type);

	return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &bytes) == 0 && type != SOCK_DGRAM;
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
	const char *mute = getenv("HAKT_MUTE");
	char held[256], next[256];

	if (mute && is_peers(fd) && access(mute, F_OK) == 0) {
		snprintf(held, sizeof(held), "%s.held", mute);
		snprintf(next, sizeof(next), "%s.next", mute);
		close(open(held, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
		while (access(mute, F_OK) == 0)
			usleep(1000);
		rename(next, mute);
	}
	return syscall(SYS_sendmsg, fd, message, flags);
}
