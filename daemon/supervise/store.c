/* SPDX-License-Identifier: MIT */
/*
 * sd_notify(3) from its other side. A message is handled when it is read, in the order in
 * which they were sent, and every descriptor of it that isn't kept is closed then: so a
 * barrier's end hangs up when all that was sent before has been taken.
 */
#include "daemon/supervise/store.h"

#include <errno.h>
#include <limits.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/util/log.h"

#define TEXT_BYTES 4096 /* systemd reads no more either */
#define SPARE	   64u	/* for those of a message, and for who is started */
#define FDS_MAX	   253	/* the kernel's, of a message */
#define NAMES_BYTES \
	(128 * 1024 - 64) /* LISTEN_FDNAMES is one string, and exec takes no longer one */

int hakd_store_init(struct hakd_store *store)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	socklen_t length = sizeof(
		sa_family_t); /* no name: the kernel finds one, "@" and 5 digits */
	struct rlimit files = {0};
	int on = 1;

	*store = (struct hakd_store){0};
	if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur > SPARE)
		store->most = files.rlim_cur > INT_MAX ? INT_MAX : (unsigned)files.rlim_cur - SPARE;
	store->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (store->fd < 0)
		return -errno;
	if (setsockopt(store->fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) == 0 &&
	    bind(store->fd, (struct sockaddr *)&address, length) == 0) {
		length = sizeof(address);
		if (getsockname(store->fd, (struct sockaddr *)&address, &length) == 0) {
			length -= offsetof(struct sockaddr_un, sun_path);
			store->address[0] = '@';
			memcpy(store->address + 1, address.sun_path + 1, length - 1);
			return 0;
		}
	}
	hakd_store_deinit(store);
	return -EADDRNOTAVAIL;
}

void hakd_store_deinit(struct hakd_store *store)
{
	while (store->n > 0)
		close(store->kept[--store->n].fd);
	free(store->kept);
	close(store->fd);
}

bool hakd_store_has(const struct hakd_store *store, const char *prefix)
{
	for (unsigned i = 0; i < store->n; i++)
		if (strncmp(store->kept[i].name, prefix, strlen(prefix)) == 0)
			return true;
	return false;
}

/* A colon separates names. */
static bool is_name(const char *name)
{
	size_t n = strlen(name);

	for (size_t i = 0; i < n; i++)
		if (name[i] <= ' ' || name[i] > '~' || name[i] == ':')
			return false;
	return n > 0 && n < HAKD_STORE_NAME_BYTES;
}

/* False: it is to be closed. */
static bool keep(struct hakd_store *store, const char *name, int fd)
{
	unsigned bytes = (unsigned)strlen(name) + 1;

	if (store->n == store->room) {
		unsigned room = store->room ? 2 * store->room : 64;
		struct hakd_stored *more = realloc(store->kept, room * sizeof(*more));

		if (more) {
			store->kept = more;
			store->room = room;
		}
	}
	if (store->n == store->room || store->n >= store->most ||
	    store->names_bytes + bytes > NAMES_BYTES) {
		hakd_log(HAKD_LOG_WARN, "%s is not kept: there are %u already", name, store->n);
		return false;
	}
	store->kept[store->n].fd = fd;
	strcpy(store->kept[store->n++].name, name);
	store->names_bytes += bytes;
	return true;
}

static void drop(struct hakd_store *store, const char *name)
{
	for (unsigned i = store->n; i-- > 0;) {
		if (strcmp(store->kept[i].name, name) != 0)
			continue;
		close(store->kept[i].fd);
		store->names_bytes -= (unsigned)strlen(name) + 1;
		store->kept[i] = store->kept[--store->n];
	}
}

/* Does what the lines say; those of fds that are kept become -1. */
static void obey(struct hakd_store *store, char *text, int *fds, unsigned n_fds,
		 struct hakd_news *news)
{
	bool stores = false, removes = false;
	const char *name = NULL;
	char *rest;

	for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		stores |= strcmp(line, "FDSTORE=1") == 0;
		removes |= strcmp(line, "FDSTOREREMOVE=1") == 0;
		news->is_ready |= strcmp(line, "READY=1") == 0;
		news->is_ping |= strcmp(line, "WATCHDOG=1") == 0;
		if (strncmp(line, "FDNAME=", 7) == 0 && is_name(line + 7))
			name = line + 7;
	}
	if (removes && name)
		drop(store, name);
	for (unsigned i = 0; stores && !removes && i < n_fds; i++) {
		if (!keep(store, name ? name : "stored", fds[i]))
			break; /* nor is there room for the others: said once */
		fds[i] = -1;
	}
}

bool hakd_store_take(struct hakd_store *store, pid_t pid, struct hakd_news *news)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(FDS_MAX * sizeof(int)) + CMSG_SPACE(sizeof(struct ucred))];
	} control;
	char text[TEXT_BYTES + 1];
	struct iovec part = {text, TEXT_BYTES};
	struct msghdr message = {.msg_iov = &part,
				 .msg_iovlen = 1,
				 .msg_control = &control,
				 .msg_controllen = sizeof(control)};
	ssize_t n = recvmsg(store->fd, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	struct ucred sender = {0};
	int fds[FDS_MAX];
	unsigned n_fds = 0;

	*news = (struct hakd_news){0};
	if (n < 0)
		return errno == EINTR;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&message); c; c = CMSG_NXTHDR(&message, c)) {
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_CREDENTIALS)
			memcpy(&sender, CMSG_DATA(c), sizeof(sender));
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS) {
			n_fds = (unsigned)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
			memcpy(fds, CMSG_DATA(c), n_fds * sizeof(int));
		}
	}
	text[n] = 0;
	if (pid > 0 && sender.pid == pid) {
		if (message.msg_flags & MSG_CTRUNC)
			hakd_log(HAKD_LOG_WARN, "out of descriptors: not everything is kept");
		if (!(message.msg_flags & MSG_TRUNC))
			obey(store, text, fds, n_fds, news);
	}
	for (unsigned i = 0; i < n_fds; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	return true;
}
