/* SPDX-License-Identifier: MIT */
/*
 * The channels. The sockets' buffers are small: a sender waits until receivers
 * have caught up, so only so many files and tables are in memory at a time.
 */
#include "client_lib/demo/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define SEND_BUFFER_BYTES 8192
#define PATIENCE_TRIES	  1000 /* of 10 ms */

static int socket_init(int *ret_in, int *ret_out)
{
	const int bytes = SEND_BUFFER_BYTES;
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return -errno;
	*ret_in = ends[0];
	*ret_out = ends[1];
	setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
	return 0;
}

int hakc_channels_init(struct hakc_channels *channels)
{
	int ends[2];
	int r;

	*channels = (struct hakc_channels){-1, -1, -1, -1, -1, -1};
	r = socket_init(&channels->files_in, &channels->files_out);
	if (r == 0)
		r = socket_init(&channels->results_in, &channels->results_out);
	if (r < 0)
		return r;
	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	channels->control_out = ends[0];
	channels->control_in = ends[1];
	return 0;
}

void hakc_channels_close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

int hakc_channel_send(int fd, const void *packet, size_t bytes)
{
	while (send(fd, packet, bytes, MSG_NOSIGNAL) < 0)
		if (errno != EINTR)
			return -errno;
	return 0;
}

int hakc_channel_receive(int fd, void *packet, size_t bytes)
{
	ssize_t n;

	do {
		n = recv(fd, packet, bytes, MSG_TRUNC);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	if (n == 0)
		return 0;
	return (size_t)n == bytes ? 1 : -EBADMSG;
}

void hakc_channel_wait_closed(int fd)
{
	char byte;
	ssize_t n;

	do {
		n = read(fd, &byte, 1);
	} while (n > 0 || (n < 0 && errno == EINTR));
}

void *hakc_patient_malloc(size_t bytes)
{
	const struct timespec pause = {.tv_nsec = 10000000};
	void *block = hakmem_malloc(bytes);

	for (unsigned i = 0; !block && errno == ENOMEM && i < PATIENCE_TRIES; i++) {
		nanosleep(&pause, NULL);
		block = hakmem_malloc(bytes);
	}
	return block;
}
