/* SPDX-License-Identifier: MIT */
/* sd_notify(3) by hand, and a queue for when its reader is behind. */
#include "daemon/util/notify.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "daemon/util/log.h"

#define TEXT_BYTES  256
#define WAIT_S	    5
#define LETTERS_MAX 16384u /* a store and its removal for each of two descriptors a client */

struct hakd_letter {
	struct hakd_letter *next;
	int fd; /* -1: none goes with it */
	char text[];
};

void hakd_notify_init_none(struct hakd_notify *notify)
{
	*notify = (struct hakd_notify){.fd = -1};
}

/* A socket that sends to NOTIFY_SOCKET; -1: there is no such. */
static int connect_socket(void)
{
	const struct timeval limit = {.tv_sec = WAIT_S};
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	socklen_t length;
	int fd;

	if (!path || (path[0] != '/' && path[0] != '@') || strlen(path) >= sizeof(address.sun_path))
		return -1;
	strcpy(address.sun_path, path);
	length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
	if (path[0] == '@') /* abstract */
		address.sun_path[0] = 0;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&address, length) == 0) {
		setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
		return fd;
	}
	hakd_log(HAKD_LOG_WARN, "nothing is kept, cannot reach NOTIFY_SOCKET=%s: %s", path,
		 strerror(errno));
	if (fd >= 0)
		close(fd);
	return -1;
}

/* 0: no pings are wanted, or of another process. */
static uint64_t watchdog_ms(void)
{
	const char *pid = getenv("WATCHDOG_PID"), *usec = getenv("WATCHDOG_USEC");

	if (!usec || (pid && strtol(pid, NULL, 10) != getpid()))
		return 0;
	return strtoull(usec, NULL, 10) / 1000;
}

void hakd_notify_init(struct hakd_notify *notify)
{
	hakd_notify_init_none(notify);
	notify->fd = connect_socket();
	notify->watchdog_ms = watchdog_ms();
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
}

static void drop_first(struct hakd_notify *notify)
{
	struct hakd_letter *letter = notify->first;

	notify->first = letter->next;
	notify->n_letters--;
	if (letter->fd >= 0)
		close(letter->fd);
	free(letter);
}

/* Nobody will read any more. */
static void lose(struct hakd_notify *notify, int error)
{
	hakd_log(HAKD_LOG_ERROR,
		 "the keeper has gone (%s): if this daemon dies, no other one goes on with its "
		 "pools",
		 strerror(error));
	close(notify->fd);
	notify->fd = -1;
	while (notify->first)
		drop_first(notify);
}

/* 0, or a negative errno; the keeper is lost if that says so. */
static int send_message(struct hakd_notify *notify, const char *text, int fd, int flags)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = {.bytes = {0}};
	struct iovec part = {(char *)(uintptr_t)text, strlen(text)};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
	int error;

	if (fd >= 0) {
		message.msg_control = &control;
		message.msg_controllen = sizeof(control);
		control.align.cmsg_level = SOL_SOCKET;
		control.align.cmsg_type = SCM_RIGHTS;
		control.align.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&control.align), &fd, sizeof(int));
	}
	while (sendmsg(notify->fd, &message, MSG_NOSIGNAL | flags) < 0) {
		error = errno;
		if (error == EINTR)
			continue;
		if (error == ECONNREFUSED || error == ENOTCONN || error == ECONNRESET)
			lose(notify, error);
		return -error;
	}
	return 0;
}

/* No room there, or too many descriptors are on their way: later there may be. */
static bool is_for_later(int r)
{
	return r == -EAGAIN || r == -ENOBUFS || r == -ETOOMANYREFS;
}

/* Sends what was posted; false: some of it is for later. */
static bool drain(struct hakd_notify *notify, int flags)
{
	while (notify->first) {
		struct hakd_letter *letter = notify->first;

		if (is_for_later(send_message(notify, letter->text, letter->fd, flags)))
			return false;
		if (notify->fd >= 0) /* else all are gone */
			drop_first(notify);
	}
	return true;
}

int hakd_notify_send(struct hakd_notify *notify, const char *text, int fd)
{
	if (!drain(notify, 0))
		return -EAGAIN;
	return notify->fd < 0 ? 0 : send_message(notify, text, fd, 0);
}

bool hakd_notify_flush(struct hakd_notify *notify)
{
	return drain(notify, MSG_DONTWAIT);
}

/* False: it can't be. */
static bool queue(struct hakd_notify *notify, const char *text, int fd)
{
	struct hakd_letter *letter;
	size_t n = strlen(text) + 1;

	if (notify->n_letters == LETTERS_MAX)
		return false;
	letter = calloc(1, sizeof(*letter) + n);
	if (!letter)
		return false;
	letter->fd = fd >= 0 ? fcntl(fd, F_DUPFD_CLOEXEC, 0) : -1;
	if (fd >= 0 && letter->fd < 0) {
		free(letter);
		return false;
	}
	memcpy(letter->text, text, n);
	if (notify->first)
		notify->last->next = letter;
	else
		notify->first = letter;
	notify->last = letter;
	notify->n_letters++;
	return true;
}

void hakd_notify_post(struct hakd_notify *notify, const char *text, int fd)
{
	int r = -EAGAIN;

	if (notify->fd < 0)
		return;
	if (hakd_notify_flush(notify) && notify->fd >= 0)
		r = send_message(notify, text, fd, MSG_DONTWAIT);
	if (r == 0 || notify->fd < 0 || (is_for_later(r) && queue(notify, text, fd)))
		return;
	hakd_log(HAKD_LOG_WARN, "the keeper doesn't hear of this: %s (%s)", text, strerror(-r));
}

int hakd_notify_barrier(struct hakd_notify *notify)
{
	int ends[2];
	struct pollfd end;
	int r;

	if (notify->fd < 0)
		return 0;
	if (pipe2(ends, O_CLOEXEC) != 0)
		return -errno;
	r = hakd_notify_send(notify, "BARRIER=1", ends[1]);
	close(ends[1]);
	end = (struct pollfd){.fd = ends[0]};
	while (r == 0 && (r = poll(&end, 1, WAIT_S * 1000)) < 0 && errno == EINTR)
		r = 0; /* hangs up when the keeper has closed its copy */
	close(ends[0]);
	if (r > 0)
		return 0;
	hakd_log(HAKD_LOG_WARN, "the keeper has not taken everything in %d s", WAIT_S);
	return -ETIMEDOUT;
}

void hakd_notify_ready(struct hakd_notify *notify, const char *status)
{
	char text[TEXT_BYTES];

	snprintf(text, sizeof(text), "READY=1\nSTATUS=%s\n", status);
	hakd_notify_post(notify, text, -1);
}

void hakd_notify_reloading(struct hakd_notify *notify)
{
	char text[TEXT_BYTES];
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	snprintf(text, sizeof(text), "RELOADING=1\nMONOTONIC_USEC=%" PRIu64 "\n",
		 (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000);
	hakd_notify_post(notify, text, -1);
}

void hakd_notify_stopping(struct hakd_notify *notify)
{
	hakd_notify_post(notify, "STOPPING=1\nSTATUS=stopping\n", -1);
}

void hakd_notify_ping(struct hakd_notify *notify)
{
	if (notify->fd >= 0) /* the next one will do if there is no room for this */
		(void)send_message(notify, "WATCHDOG=1\n", -1, MSG_DONTWAIT);
}
