/* SPDX-License-Identifier: MIT */
/* Binding, and the lock that keeps a second daemon away. */
#include "daemon/net/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 1024

static void lock_path(const struct hakd_listener *listener, char path[128])
{
	snprintf(path, 128, "%s.lock", listener->path);
}

/* The directories of a path, as mkdir -p does. */
static void make_directories(const char *path)
{
	char directory[108];

	for (const char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		snprintf(directory, sizeof(directory), "%.*s", (int)(slash - path), path);
		(void)mkdir(directory, 0755); /* what is missing shows when the socket is bound */
	}
}

/* Not if its last holder removed it between our opening and locking it. */
static bool is_file_at(int fd, const char *path)
{
	struct stat ours, there;

	return fstat(fd, &ours) == 0 && stat(path, &there) == 0 && ours.st_ino == there.st_ino &&
	       ours.st_dev == there.st_dev;
}

static int take_lock(struct hakd_listener *listener)
{
	char path[128], text[32] = "";
	ssize_t n;

	lock_path(listener, path);
	for (;;) {
		listener->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
		if (listener->lock_fd < 0) {
			n = -errno;
			fprintf(stderr, "hakmemd: cannot open %s: %s\n", path, strerror(errno));
			return (int)n;
		}
		if (flock(listener->lock_fd, LOCK_EX | LOCK_NB) != 0) {
			n = read(listener->lock_fd, text, sizeof(text) - 1);
			fprintf(stderr,
				"hakmemd: another daemon (pid %d) serves %s; stop it or choose "
				"another --socket\n",
				n > 0 ? atoi(text) : 0, listener->path);
			return -EADDRINUSE;
		}
		if (is_file_at(listener->lock_fd, path))
			break;
		close(listener->lock_fd);
	}
	n = snprintf(text, sizeof(text), "%d\n", (int)getpid());
	if (ftruncate(listener->lock_fd, 0) != 0 ||
	    pwrite(listener->lock_fd, text, (size_t)n, 0) != n)
		fprintf(stderr, "hakmemd: cannot write %s: %s\n", path, strerror(errno));
	return 0;
}

static void open_spare(struct hakd_listener *listener)
{
	listener->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

/* By who takes no lock. */
static bool is_listened_on(const struct hakd_listener *listener, const struct sockaddr_un *address)
{
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	bool is = fd >= 0 &&
		  (connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 ||
		   errno == EAGAIN);
	struct ucred maker = {0};
	socklen_t length = sizeof(maker);

	if (is) {
		(void)getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &maker, &length);
		fprintf(stderr,
			"hakmemd: another daemon serves %s, by a socket that pid %d has made; "
			"stop it or choose another --socket\n",
			listener->path, (int)maker.pid);
	}
	if (fd >= 0)
		close(fd);
	return is;
}

/* 1: another one listens, which was said. */
static int listen_at(struct hakd_listener *listener, unsigned mode)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	strcpy(address.sun_path, listener->path);
	if (is_listened_on(listener, &address))
		return 1;
	(void)unlink(listener->path);
	listener->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (listener->fd >= 0 &&
	    bind(listener->fd, (struct sockaddr *)&address, sizeof(address)) == 0 &&
	    chmod(listener->path, mode) == 0 && listen(listener->fd, BACKLOG) == 0)
		return 0;
	return -errno;
}

/* Of the right type, and listening? */
static int take_over(struct hakd_listener *listener, int fd)
{
	int type = 0, is_listening = 0;
	socklen_t length = sizeof(int);

	listener->fd = fd;
	listener->is_kept = true;
	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) != 0 ||
	    getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &is_listening, &length) != 0 ||
	    fcntl(fd, F_SETFL, O_RDWR | O_NONBLOCK) != 0)
		return -errno;
	return type == SOCK_SEQPACKET && is_listening ? 0 : -EPROTOTYPE;
}

int hakd_listener_init(struct hakd_listener *listener, const char *path, unsigned mode, int kept_fd)
{
	int r;

	*listener = (struct hakd_listener){.fd = -1, .lock_fd = -1, .spare_fd = -1};
	snprintf(listener->path, sizeof(listener->path), "%s", path);
	if (kept_fd < 0) {
		make_directories(path);
		r = take_lock(listener);
		if (r < 0) {
			if (listener->lock_fd >= 0)
				close(listener->lock_fd);
			return r;
		}
	}
	r = kept_fd >= 0 ? take_over(listener, kept_fd) : listen_at(listener, mode);
	if (r == 0) {
		open_spare(listener);
		return 0;
	}
	if (r < 0)
		fprintf(stderr, "hakmemd: cannot listen on %s: %s\n", path, strerror(-r));
	hakd_listener_deinit(listener);
	return r < 0 ? r : -EADDRINUSE;
}

int hakd_listener_accept(struct hakd_listener *listener)
{
	int fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd >= 0)
		return fd;
	if (errno != EMFILE && errno != ENFILE)
		return -errno;
	if (listener->spare_fd >= 0)
		close(listener->spare_fd);
	fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC);
	if (fd >= 0)
		close(fd);
	open_spare(listener);
	return -EMFILE;
}

void hakd_listener_deinit(struct hakd_listener *listener)
{
	char path[128];

	if (listener->fd >= 0) {
		close(listener->fd);
		if (!listener->is_kept)
			unlink(listener->path);
	}
	if (listener->lock_fd >= 0) {
		lock_path(listener, path);
		unlink(path); /* while the lock is ours */
		close(listener->lock_fd);
	}
	if (listener->spare_fd >= 0)
		close(listener->spare_fd);
}
