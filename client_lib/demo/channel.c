/* SPDX-License-Identifier: MIT */
/*
 * The channels: pairs of sockets that keep packets whole. Their buffers are
 * small: a sender waits until receivers have caught up, so only so many tables
 * are in memory at a time.
 */
#include "client_lib/demo/channel.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SEND_BUFFER_BYTES 8192

/* What carries a descriptor. */
union parcel {
	struct cmsghdr header;
	char bytes[CMSG_SPACE(sizeof(int))];
};

int hakc_channel_init(int ends[2])
{
	const int bytes = SEND_BUFFER_BYTES;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return -errno;
	setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
	return 0;
}

static int pair_init(int *ret_in, int *ret_out)
{
	int ends[2];
	int r = hakc_channel_init(ends);

	if (r == 0) {
		*ret_in = ends[0];
		*ret_out = ends[1];
	}
	return r;
}

int hakc_channels_init(struct hakc_channels *channels)
{
	int r;

	*channels = (struct hakc_channels){-1, -1, -1, -1, -1, -1};
	r = pair_init(&channels->crew_in, &channels->crew_out);
	if (r == 0)
		r = pair_init(&channels->results_in, &channels->results_out);
	if (r == 0)
		r = pair_init(&channels->done_in, &channels->done_out);
	return r;
}

void hakc_channel_close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* The receiver closed with packets unread: to a sender the same as closed. */
static int error_of_send(void)
{
	return errno == ECONNRESET ? -EPIPE : -errno;
}

static int send_packet(int fd, const void *packet, size_t bytes, int flags)
{
	while (send(fd, packet, bytes, MSG_NOSIGNAL | flags) < 0)
		if (errno != EINTR)
			return error_of_send();
	return 0;
}

int hakc_channel_send(int fd, const void *packet, size_t bytes)
{
	return send_packet(fd, packet, bytes, 0);
}

int hakc_channel_try_send(int fd, const void *packet, size_t bytes)
{
	return send_packet(fd, packet, bytes, MSG_DONTWAIT);
}

static int receive_packet(int fd, void *packet, size_t bytes, int flags)
{
	ssize_t n;

	do {
		n = recv(fd, packet, bytes, MSG_TRUNC | flags);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == ECONNRESET ? 0 : -errno;
	if (n == 0)
		return 0;
	return (size_t)n == bytes ? 1 : -EBADMSG;
}

int hakc_channel_receive(int fd, void *packet, size_t bytes)
{
	return receive_packet(fd, packet, bytes, 0);
}

int hakc_channel_try_receive(int fd, void *packet, size_t bytes)
{
	return receive_packet(fd, packet, bytes, MSG_DONTWAIT);
}

int hakc_channel_send_fd(int over, int fd)
{
	char byte = 0;
	struct iovec text = {.iov_base = &byte, .iov_len = 1};
	union parcel parcel = {0};
	struct msghdr message = {.msg_iov = &text,
				 .msg_iovlen = 1,
				 .msg_control = parcel.bytes,
				 .msg_controllen = sizeof(parcel.bytes)};

	parcel.header.cmsg_level = SOL_SOCKET;
	parcel.header.cmsg_type = SCM_RIGHTS;
	parcel.header.cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(&parcel.header), &fd, sizeof(fd));
	while (sendmsg(over, &message, MSG_NOSIGNAL) < 0)
		if (errno != EINTR)
			return error_of_send();
	return 0;
}

int hakc_channel_try_receive_fd(int over, int *ret_fd)
{
	char byte;
	struct iovec text = {.iov_base = &byte, .iov_len = 1};
	union parcel parcel = {0};
	struct msghdr message = {.msg_iov = &text,
				 .msg_iovlen = 1,
				 .msg_control = parcel.bytes,
				 .msg_controllen = sizeof(parcel.bytes)};
	const struct cmsghdr *header;
	ssize_t n;

	do {
		n = recvmsg(over, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == ECONNRESET ? 0 : -errno;
	if (n == 0)
		return 0;
	header = CMSG_FIRSTHDR(&message);
	if (!header || header->cmsg_type != SCM_RIGHTS || header->cmsg_len != CMSG_LEN(sizeof(int)))
		return -EBADMSG;
	memcpy(ret_fd, CMSG_DATA(header), sizeof(int));
	return 1;
}
