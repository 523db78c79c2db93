/* SPDX-License-Identifier: MIT */
/*
 * One connection; replies come in the order of their requests. A reply whose
 * id is an earlier one belongs to a request that timed out or that nobody
 * waited for; it is handed to `late` and not lost.
 */
#include "client_lib/conn.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "proto/shm/registry.h"

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static uint64_t socket_ino(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode) ? st.st_ino : 0;
}

static bool is_open(const struct hakc_conn *conn)
{
	return conn->fd >= 0 && conn->ino != 0 && socket_ino(conn->fd) == conn->ino;
}

/* How: 0, or SOCK_NONBLOCK. */
static int open_socket(struct hakc_conn *conn, const char *path, unsigned timeout_ms, int how)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	/* A daemon that hangs lets its backlog fill: connect would block for ever. */
	const struct timeval limit = {.tv_sec = timeout_ms / 1000,
				      .tv_usec = (timeout_ms % 1000) * 1000};
	int r;

	*conn = (struct hakc_conn){.fd = -1, .timeout_ms = timeout_ms, .last_id = conn->last_id};
	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	strcpy(address.sun_path, path);
	conn->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | how, 0);
	if (conn->fd < 0)
		return -errno;
	conn->ino = socket_ino(conn->fd);
	setsockopt(conn->fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	do {
		r = connect(conn->fd, (struct sockaddr *)&address, sizeof(address));
	} while (r < 0 && errno == EINTR);
	if (r < 0) {
		r = errno == EAGAIN ? -ETIMEDOUT : -errno;
		hakc_conn_deinit(conn);
		return r;
	}
	return 0;
}

int hakc_conn_init(struct hakc_conn *conn, const char *path, unsigned timeout_ms)
{
	conn->last_id = 0;
	return open_socket(conn, path, timeout_ms, 0);
}

int hakc_conn_renew(struct hakc_conn *conn, const char *path)
{
	return open_socket(conn, path, conn->timeout_ms, SOCK_NONBLOCK);
}

bool hakc_conn_is_alive(const struct hakc_conn *conn)
{
	struct pollfd ready = {.fd = conn->fd};

	return is_open(conn) && (poll(&ready, 1, 0) <= 0 || !(ready.revents & (POLLHUP | POLLERR)));
}

void hakc_conn_deinit(struct hakc_conn *conn)
{
	if (is_open(conn))
		close(conn->fd);
	conn->fd = -1;
}

/* Waits until the socket is ready for events; 0 or -ETIMEDOUT. */
static int wait_for(struct hakc_conn *conn, short events, int64_t deadline)
{
	for (;;) {
		struct pollfd ready = {.fd = conn->fd, .events = events};
		int64_t left = deadline - now_ms();
		int n;

		if (left < 0)
			left = 0;
		n = poll(&ready, 1, (int)left);
		if (n > 0)
			return 0;
		if (n == 0)
			return -ETIMEDOUT;
		if (errno != EINTR)
			return -ENOTCONN;
	}
}

void hakc_conn_wait(struct hakc_conn *conn, unsigned timeout_ms)
{
	if (is_open(conn))
		(void)wait_for(conn, POLLIN, now_ms() + timeout_ms);
}

static int send_packet(struct hakc_conn *conn, const void *packet, size_t bytes, int64_t deadline)
{
	for (;;) {
		int r;

		if (send(conn->fd, packet, bytes, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)bytes)
			return 0;
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN)
			return -ENOTCONN;
		r = wait_for(conn, POLLOUT, deadline);
		if (r < 0)
			return r;
	}
}

/* Keeps as many descriptors as are wanted, closes the others. */
static void take_fds(struct msghdr *message, int *fds, unsigned *n_fds, unsigned room)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < (c->cmsg_len - CMSG_LEN(0)) / sizeof(int); i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
			if (*n_fds < room)
				fds[(*n_fds)++] = fd;
			else
				close(fd);
		}
	}
}

/* Bytes of a packet, which has room for HAK_WIRE_PACKET_MAX, or a negative errno. */
static ssize_t receive_packet(struct hakc_conn *conn, char *packet, int64_t deadline, int *fds,
			      unsigned *n_fds, unsigned room)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(8 * sizeof(int))];
	} control;
	struct iovec part = {packet, HAK_WIRE_PACKET_MAX};

	for (;;) {
		struct msghdr message = {.msg_iov = &part,
					 .msg_iovlen = 1,
					 .msg_control = &control,
					 .msg_controllen = sizeof(control)};
		int r = wait_for(conn, POLLIN, deadline);
		ssize_t n;

		if (r < 0)
			return r;
		n = recvmsg(conn->fd, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (n <= 0)
			return -ENOTCONN;
		take_fds(&message, fds, n_fds, room);
		return message.msg_flags & MSG_TRUNC ? -EPROTO : n;
	}
}

static int receive_reply(struct hakc_conn *conn, Hak__Reply **ret_reply, int64_t deadline, int *fds,
			 unsigned *n_fds, unsigned room)
{
	/* Neither on a stack, which may be small, nor in TLS: dlopen has little of that. */
	char *packet = malloc(HAK_WIRE_PACKET_MAX);
	ssize_t n = packet ? receive_packet(conn, packet, deadline, fds, n_fds, room) : -ENOMEM;

	if (n > 0 && hak_wire_unpack_reply(packet, (size_t)n, ret_reply) < 0)
		n = -EPROTO;
	free(packet);
	return n < 0 ? (int)n : 0;
}

static void close_fds(int *fds, unsigned *n_fds)
{
	while (*n_fds > 0)
		close(fds[--*n_fds]);
}

static int send_request(struct hakc_conn *conn, Hak__Request *request, int64_t deadline)
{
	char packet[8192]; /* a request is small: the largest publishes a list */
	int r;

	if (!is_open(conn)) {
		conn->fd = -1;
		return -ENOTCONN;
	}
	request->id = ++conn->last_id;
	r = hak_wire_pack_request(request, packet, sizeof(packet));
	return r < 0 ? r : send_packet(conn, packet, (size_t)r, deadline);
}

/* After anything but a time-out the connection is of no more use. */
static int settle(struct hakc_conn *conn, int r)
{
	if (r < 0 && r != -ETIMEDOUT)
		hakc_conn_deinit(conn);
	return r;
}

int hakc_conn_send(struct hakc_conn *conn, Hak__Request *request)
{
	return settle(conn, send_request(conn, request, now_ms() + conn->timeout_ms));
}

int hakc_conn_receive(struct hakc_conn *conn, unsigned timeout_ms, Hak__Reply **ret_reply)
{
	unsigned n = 0;

	if (!is_open(conn)) {
		conn->fd = -1;
		return -ENOTCONN;
	}
	return settle(conn, receive_reply(conn, ret_reply, now_ms() + timeout_ms, NULL, &n, 0));
}

int hakc_conn_call(struct hakc_conn *conn, Hak__Request *request, Hak__Reply **ret_reply, int *fds,
		   unsigned *n_fds, void (*late)(void *context, const Hak__Reply *reply),
		   void *context)
{
	int64_t deadline = now_ms() + conn->timeout_ms;
	unsigned room = fds ? *n_fds : 0;
	unsigned n = 0;
	Hak__Reply *reply = NULL;
	int r = send_request(conn, request, deadline);

	while (r == 0) {
		r = receive_reply(conn, &reply, deadline, fds, &n, room);
		if (r < 0 || reply->id == request->id)
			break;
		if (late)
			late(context, reply);
		hak__reply__free_unpacked(reply, NULL);
		close_fds(fds, &n);
	}
	if (r < 0)
		close_fds(fds, &n);
	else
		*ret_reply = reply;
	if (n_fds)
		*n_fds = n;
	return settle(conn, r);
}

/* What we are and what we speak. */
static Hak__Hello make_hello(Hak__PeerKind kind)
{
	Hak__Hello hello = HAK__HELLO__INIT;

	hello.protocol_version = HAK_PROTOCOL_VERSION;
	hello.layout_version = HAK_LAYOUT_VERSION;
	hello.layout_fingerprint = hak_layout_fingerprint();
	hello.kind = kind;
	return hello;
}

int hakc_conn_send_resume(struct hakc_conn *conn, Hak__Resume *resume)
{
	Hak__Request request = HAK__REQUEST__INIT;
	Hak__Hello hello = make_hello(HAK__PEER_KIND__PEER_CLIENT);

	hello.resume = resume;
	request.body_case = HAK__REQUEST__BODY_HELLO;
	request.hello = &hello;
	return hakc_conn_send(conn, &request);
}

int hakc_conn_hello(struct hakc_conn *conn, Hak__PeerKind kind, const char *pool,
		    Hak__Reply **ret_reply, int *fds, unsigned *n_fds)
{
	Hak__Request request = HAK__REQUEST__INIT;
	Hak__Hello hello = make_hello(kind);
	char name[16], pool_name[HAK_POOL_NAME_BYTES];
	int r;

	snprintf(name, sizeof(name), "%s", program_invocation_short_name);
	snprintf(pool_name, sizeof(pool_name), "%s", pool ? pool : "");
	hello.name = name;
	hello.pool = pool_name;
	request.body_case = HAK__REQUEST__BODY_HELLO;
	request.hello = &hello;
	r = hakc_conn_call(conn, &request, ret_reply, fds, n_fds, NULL, NULL);
	if (r < 0)
		return r;
	if ((*ret_reply)->error)
		return (int)(*ret_reply)->error;
	if ((*ret_reply)->body_case == HAK__REPLY__BODY_WELCOME)
		return 0;
	hak__reply__free_unpacked(*ret_reply, NULL);
	*ret_reply = NULL;
	hakc_conn_deinit(conn);
	return -EPROTO;
}
