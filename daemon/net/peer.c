/* SPDX-License-Identifier: MIT */
/* Packets in and out of a connection. */
#include "daemon/net/peer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/net/dispatch.h"
#include "daemon/net/events.h"
#include "daemon/net/pace.h"
#include "daemon/reclaim/liveness.h"
#include "daemon/util/log.h"

void hakd_peer_set_realm(struct hakd_peer *peer, struct hakd_realm *realm)
{
	if (realm)
		hakd_realm_get(realm);
	if (peer->realm)
		hakd_realm_put(peer->realm);
	peer->realm = realm;
}

static void on_closed(uv_handle_t *handle)
{
	struct hakd_peer *peer = handle->data;

	hakd_peer_set_realm(peer, NULL);
	close(peer->fd);
	free(peer);
}

void hakd_peer_close(struct hakd_peer *peer, const char *reason)
{
	if (uv_is_closing((uv_handle_t *)&peer->poll))
		return;
	hakd_log(HAKD_LOG_DEBUG, "peer pid %d: %s", (int)peer->pid, reason);
	hakd_pace_end(peer);
	if (peer->client) {
		if (!peer->client->is_leaving) {
			peer->daemon->counters.disconnects++;
			hakd_event(peer->client->realm, HAK_EVENT_HUNG_UP, peer->client, 0, 0);
			hakd_liveness_doubt(peer->client);
		}
		peer->client->peer = NULL;
		peer->client = NULL;
	}
	uv_close((uv_handle_t *)&peer->poll, on_closed);
}

static void break_off(struct hakd_peer *peer, const char *reason)
{
	peer->daemon->counters.protocol_errors++;
	hakd_log(HAKD_LOG_WARN, "peer pid %d cut off: %s", (int)peer->pid, reason);
	hakd_peer_close(peer, reason);
}

static void on_packet(uv_poll_t *handle, int status, int events)
{
	static char packet[HAK_WIRE_PACKET_MAX]; /* the loop's thread only */
	struct hakd_peer *peer = handle->data;
	Hak__Request *request;
	ssize_t n;

	(void)events;
	if (status < 0) {
		hakd_peer_close(peer, "poll failed");
		return;
	}
	if (!hakd_pace_may_ask(peer))
		return;
	/* Descriptors that a peer sends are dropped by the kernel: no room for them is given. */
	n = recv(peer->fd, packet, sizeof(packet), MSG_DONTWAIT | MSG_TRUNC);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		hakd_peer_close(peer, "hung up");
		return;
	}
	/* Its death is known by now, and was not when it asked. */
	if (peer->client && peer->client->is_leaving && !peer->client->has_detached) {
		hakd_peer_close(peer, "asked, and died");
		return;
	}
	if ((size_t)n > sizeof(packet) ||
	    hak_wire_unpack_request(packet, (size_t)n, &request) < 0) {
		break_off(peer, "a packet that is no request");
		return;
	}
	if (!hakd_dispatch(peer, request))
		break_off(peer, "a request that it may not make now");
	hak__request__free_unpacked(request, NULL);
}

static void resume(struct hakd_peer *peer)
{
	peer->is_busy = false;
	uv_poll_start(&peer->poll, UV_READABLE | UV_DISCONNECT, on_packet);
}

void hakd_peer_pause(struct hakd_peer *peer)
{
	uv_poll_stop(&peer->poll);
}

void hakd_peer_go_on(struct hakd_peer *peer)
{
	resume(peer);
}

void hakd_peer_busy(struct hakd_peer *peer)
{
	peer->is_busy = true;
	uv_poll_stop(&peer->poll);
}

void hakd_peer_reply(struct hakd_peer *peer, Hak__Reply *reply, const int *fds, unsigned n_fds)
{
	static char packet[HAK_WIRE_PACKET_MAX]; /* the loop's thread only */
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(HAK_WIRE_FDS_MAX * sizeof(int))];
	} control;
	struct iovec part = {packet, 0};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
	int n = hak_wire_pack_reply(reply, packet, sizeof(packet));

	if (uv_is_closing((uv_handle_t *)&peer->poll))
		return;
	if (peer->is_replaced) {
		hakd_peer_close(peer, "its client has another connection");
		return;
	}
	if (n < 0) {
		hakd_peer_close(peer, "a reply too long for a packet");
		return;
	}
	part.iov_len = (size_t)n;
	if (n_fds > 0) {
		memset(&control, 0, sizeof(control));
		message.msg_control = &control;
		message.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
		control.align.cmsg_level = SOL_SOCKET;
		control.align.cmsg_type = SCM_RIGHTS;
		control.align.cmsg_len = CMSG_LEN(n_fds * sizeof(int));
		memcpy(CMSG_DATA(&control.align), fds, n_fds * sizeof(int));
	}
	/* One request at a time: its buffer is empty unless the peer does not read at all. */
	if (sendmsg(peer->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		hakd_peer_close(peer, "does not take its reply");
	else
		resume(peer);
}

void hakd_peer_refuse(struct hakd_peer *peer, uint64_t id, unsigned error, const char *reason)
{
	Hak__Reply reply = HAK__REPLY__INIT;

	reply.id = id;
	reply.error = error;
	reply.reason = (char *)(uintptr_t)reason;
	hakd_peer_reply(peer, &reply, NULL, 0);
}

void hakd_peer_accept(struct hakd_daemon *daemon)
{
	struct ucred credentials;
	socklen_t length = sizeof(credentials);
	int fd = hakd_listener_accept(&daemon->listener);
	struct hakd_peer *peer;

	if (fd == -EMFILE)
		hakd_log(HAKD_LOG_ERROR, "out of descriptors: a connection was refused; raise "
					 "the limit of open files");
	if (fd < 0)
		return;
	peer = calloc(1, sizeof(*peer));
	if (!peer || getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &length) != 0) {
		free(peer);
		close(fd);
		return;
	}
	*peer = (struct hakd_peer){.daemon = daemon,
				   .fd = fd,
				   .pid = credentials.pid,
				   .uid = credentials.uid,
				   .gid = credentials.gid};
	daemon->counters.connections++;
	uv_poll_init(&daemon->loop, &peer->poll, fd);
	peer->poll.data = peer;
	hakd_pace_begin(peer);
	resume(peer);
}
