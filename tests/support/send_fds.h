/* SPDX-License-Identifier: MIT */
#ifndef HAKT_SEND_FDS_H
#define HAKT_SEND_FDS_H

/* A message with descriptors. */

#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/types.h>

#define HAKT_FDS_MAX 253 /* the kernel's */

/* What sendmsg returns. */
static inline ssize_t hakt_send_fds(int socket_fd, const char *bytes, size_t n, const int *fds,
				    size_t n_fds)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(HAKT_FDS_MAX * sizeof(int))];
	} control;
	struct iovec part = {(char *)(uintptr_t)bytes, n};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};

	if (n_fds > 0) {
		message.msg_control = &control;
		message.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
		control.align.cmsg_level = SOL_SOCKET;
		control.align.cmsg_type = SCM_RIGHTS;
		control.align.cmsg_len = CMSG_LEN(n_fds * sizeof(int));
		memcpy(CMSG_DATA(&control.align), fds, n_fds * sizeof(int));
	}
	return sendmsg(socket_fd, &message, MSG_NOSIGNAL);
}

#endif
