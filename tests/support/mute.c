/* SPDX-License-Identifier: MIT */
/*
 * Preloaded into a daemon: while the file that HAKT_MUTE names is there, what it sends is held up,
 * and a file of that name with ".held" says so. What it was asked is done by then.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

__attribute__((visibility("default"))) ssize_t sendmsg(int fd, const struct msghdr *message,
						       int flags);

ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
	const char *mute = getenv("HAKT_MUTE");
	char held[256];

	while (mute && access(mute, F_OK) == 0) {
		snprintf(held, sizeof(held), "%s.held", mute);
		close(open(held, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
		usleep(1000);
	}
	return syscall(SYS_sendmsg, fd, message, flags);
}
