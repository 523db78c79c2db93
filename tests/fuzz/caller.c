/* SPDX-License-Identifier: MIT */
#include "tests/fuzz/caller.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/fuzz/host.h"
#include "tests/fuzz/input.h"

struct hakt_caller hakt_callers[HAKT_CALLERS];

static int null_fd = -1; /* what is sent along */

union control {
	struct cmsghdr align;
	char bytes[CMSG_SPACE((HAK_WIRE_FDS_MAX + 1) * sizeof(int))];
};

void hakt_callers_init(void)
{
	if (null_fd < 0)
		null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	HAKT_CLAIM(null_fd >= 0);
	for (unsigned i = 0; i < HAKT_CALLERS; i++)
		hakt_callers[i] = (struct hakt_caller){.fd = -1, .lease_fd = -1};
}

void hakt_caller_hang_up(struct hakt_caller *caller)
{
	if (caller->fd >= 0)
		close(caller->fd);
	caller->fd = -1;
	caller->n_asked = 0;
}

void hakt_caller_unmap(struct hakt_caller *caller)
{
	if (caller->lease_fd >= 0)
		close(caller->lease_fd);
	caller->lease_fd = -1;
	caller->generation = 0;
}

void hakt_callers_deinit(void)
{
	for (unsigned i = 0; i < HAKT_CALLERS; i++) {
		hakt_caller_hang_up(&hakt_callers[i]);
		hakt_caller_unmap(&hakt_callers[i]);
	}
}

void hakt_caller_connect(struct hakt_caller *caller)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	hakt_caller_hang_up(caller);
	strcpy(address.sun_path, hakt_host_socket());
	caller->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	HAKT_CLAIM(caller->fd >= 0);
	HAKT_CLAIM(connect(caller->fd, (struct sockaddr *)&address, sizeof(address)) == 0);
}

/* False: it may have hung up, or not read for some time. */
static bool send_packet(const struct hakt_caller *caller, const void *bytes, size_t n, bool with_fd)
{
	union control control = {.bytes = {0}};
	struct iovec part = {(void *)(uintptr_t)bytes, n};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};

	if (with_fd) {
		message.msg_control = &control;
		message.msg_controllen = CMSG_SPACE(sizeof(int));
		control.align.cmsg_level = SOL_SOCKET;
		control.align.cmsg_type = SCM_RIGHTS;
		control.align.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&control.align), &null_fd, sizeof(int));
	}
	return caller->fd >= 0 && sendmsg(caller->fd, &message, MSG_NOSIGNAL) >= 0;
}

/* For memory, or for the end of such a wait that its client began by another connection. */
static bool may_wait(const Hak__Request *request)
{
	return request->body_case == HAK__REQUEST__BODY_REFILL ||
	       request->body_case == HAK__REQUEST__BODY_TRIM ||
	       (request->body_case == HAK__REQUEST__BODY_HELLO && request->hello->resume);
}

static void note_asked(struct hakt_caller *caller, const Hak__Request *request)
{
	caller->asked[caller->n_asked++] = (struct hakt_asked){request->id, may_wait(request)};
}

void hakt_caller_ask(struct hakt_caller *caller, Hak__Request *request, bool with_fd)
{
	static uint8_t packet[HAK_WIRE_PACKET_MAX];
	int n;

	if (caller->fd < 0 || caller->n_asked == HAKT_ASKED_MAX)
		return;
	request->id = ++caller->last_id;
	n = hak_wire_pack_request(request, packet, sizeof(packet));
	HAKT_CLAIM(n > 0);
	if (send_packet(caller, packet, (size_t)n, with_fd))
		note_asked(caller, request);
}

/* What is a request by chance has its reply too. */
void hakt_caller_send(struct hakt_caller *caller, const void *bytes, size_t n, bool with_fd)
{
	Hak__Request *request = NULL;

	if (caller->fd < 0 || caller->n_asked == HAKT_ASKED_MAX)
		return;
	if (send_packet(caller, bytes, n, with_fd) && n > 0 &&
	    hak_wire_unpack_request(bytes, n, &request) == 0)
		note_asked(caller, request);
	if (request)
		hak__request__free_unpacked(request, NULL);
}

/* The descriptors of a welcome; the third is the lease. Others than of a welcome: none. */
static unsigned take_fds(struct msghdr *message, int fds[HAK_WIRE_FDS_MAX])
{
	const struct cmsghdr *c = CMSG_FIRSTHDR(message);
	size_t n;

	HAKT_CLAIM(!(message->msg_flags & (MSG_TRUNC | MSG_CTRUNC)));
	if (!c)
		return 0;
	n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
	HAKT_CLAIM(c->cmsg_type == SCM_RIGHTS && n == HAK_WIRE_FDS_MAX);
	memcpy(fds, CMSG_DATA(c), n * sizeof(int));
	return (unsigned)n;
}

/* What it had of an earlier hello is unmapped: it goes on with the new one. */
static void note_welcome(struct hakt_caller *caller, const Hak__Welcome *welcome, const int *fds,
			 unsigned n_fds)
{
	HAKT_CLAIM(welcome->uuid.len == sizeof(caller->uuid));
	memcpy(caller->uuid, welcome->uuid.data, sizeof(caller->uuid));
	caller->pool_generation = welcome->generation;
	if (n_fds == 0)
		return; /* a tool's, or of who is back */
	HAKT_CLAIM(welcome->holder >= HAK_HOLDER_FIRST && welcome->holder < HAK_HOLDER_COUNT);
	hakt_caller_unmap(caller);
	close(fds[0]);
	close(fds[1]);
	caller->lease_fd = fds[2];
	caller->holder = welcome->holder;
	caller->generation = welcome->holder_generation;
}

static void take_reply(struct hakt_caller *caller, const uint8_t *packet, size_t n, const int *fds,
		       unsigned n_fds)
{
	Hak__Reply *reply;

	HAKT_CLAIM(hak_wire_unpack_reply(packet, n, &reply) == 0);
	HAKT_CLAIM(n_fds == 0 || reply->body_case == HAK__REPLY__BODY_WELCOME);
	HAKT_CLAIM(reply->error == 0 || reply->body_case == HAK__REPLY__BODY__NOT_SET);
	HAKT_CLAIM(caller->n_asked > 0 && reply->id == caller->asked[0].id);
	memmove(&caller->asked[0], &caller->asked[1], --caller->n_asked * sizeof(caller->asked[0]));
	if (reply->body_case == HAK__REPLY__BODY_WELCOME)
		note_welcome(caller, reply->welcome, fds, n_fds);
	hak__reply__free_unpacked(reply, NULL);
}

static void listen_to(struct hakt_caller *caller, bool is_at_rest)
{
	static uint8_t packet[HAK_WIRE_PACKET_MAX];
	bool has_hung_up = false;

	while (caller->fd >= 0 && !has_hung_up) {
		union control control = {.bytes = {0}};
		struct iovec part = {packet, sizeof(packet)};
		struct msghdr message = {.msg_iov = &part,
					 .msg_iovlen = 1,
					 .msg_control = &control,
					 .msg_controllen = sizeof(control)};
		ssize_t n = recvmsg(caller->fd, &message, MSG_CMSG_CLOEXEC);
		int fds[HAK_WIRE_FDS_MAX];

		if (n < 0 && errno == EAGAIN)
			break;
		has_hung_up = n <= 0;
		if (n > 0)
			take_reply(caller, packet, (size_t)n, fds, take_fds(&message, fds));
	}
	if (has_hung_up)
		hakt_caller_hang_up(caller);
	else if (is_at_rest && caller->n_asked > 0)
		HAKT_CLAIM(caller->asked[0].may_wait);
}

void hakt_callers_listen(bool is_at_rest)
{
	for (unsigned i = 0; i < HAKT_CALLERS; i++)
		listen_to(&hakt_callers[i], is_at_rest);
}
