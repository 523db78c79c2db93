/* SPDX-License-Identifier: MIT */
/* sd_notify(3) from the other side: datagrams with a descriptor, lines of NAME=VALUE. */
#include "tests/support/keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/support/ctl.h"
#include "tests/support/process.h"
#include "tests/support/run.h"

#define FIRST_FD 3

static int bind_at(const char *path, int type)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	socklen_t length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	assert_true(fd >= 0 && strlen(path) < sizeof(address.sun_path));
	strcpy(address.sun_path, path);
	if (path[0] == '@')
		address.sun_path[0] = 0;
	assert_int_equal(bind(fd, (struct sockaddr *)&address, length), 0);
	return fd;
}

void hakt_keeper_init(struct hakt_keeper *keeper, const char *const *options)
{
	hakt_daemon_prepare(&keeper->daemon);
	keeper->options = options;
	snprintf(keeper->notify, sizeof(keeper->notify), "%s%s/notify",
		 keeper->is_abstract ? "@" : "", keeper->daemon.directory);
	keeper->notify_fd = bind_at(keeper->notify, SOCK_DGRAM);
	keeper->log_fd = keeper->has_log ? memfd_create("log", MFD_CLOEXEC) : -1;
	assert_true(!keeper->has_log || keeper->log_fd >= 0);
}

void hakt_keeper_listen(struct hakt_keeper *keeper)
{
	int fd = bind_at(keeper->daemon.socket, SOCK_SEQPACKET);

	assert_int_equal(listen(fd, 64), 0);
	hakt_keeper_put(keeper, "socket", fd);
}

void hakt_keeper_put(struct hakt_keeper *keeper, const char *name, int fd)
{
	struct hakt_kept *kept = &keeper->kept[keeper->n_kept++];

	assert_true(fd >= 0 && keeper->n_kept <= HAKT_KEPT_MAX);
	snprintf(kept->name, sizeof(kept->name), "%s", name);
	kept->fd = fd;
}

void hakt_keeper_remove(struct hakt_keeper *keeper, const char *name)
{
	for (unsigned i = keeper->n_kept; i-- > 0;) {
		if (strcmp(keeper->kept[i].name, name) != 0)
			continue;
		close(keeper->kept[i].fd);
		keeper->kept[i] = keeper->kept[--keeper->n_kept];
	}
}

int hakt_keeper_find(const struct hakt_keeper *keeper, const char *name)
{
	for (unsigned i = 0; i < keeper->n_kept; i++)
		if (strcmp(keeper->kept[i].name, name) == 0)
			return keeper->kept[i].fd;
	return -1;
}

unsigned hakt_keeper_count(const struct hakt_keeper *keeper, const char *prefix)
{
	unsigned n = 0;

	for (unsigned i = 0; i < keeper->n_kept; i++)
		n += strncmp(keeper->kept[i].name, prefix, strlen(prefix)) == 0;
	return n;
}

struct message {
	bool stores, removes, is_polled, is_barrier;
	const char *name;
};

/* What has no descriptor is only counted. */
static void read_line(struct hakt_keeper *keeper, struct message *message, const char *line)
{
	const struct {
		const char *text;
		unsigned *count;
	} counted[] = {{"READY=1", &keeper->n_ready},
		       {"RELOADING=1", &keeper->n_reloading},
		       {"WATCHDOG=1", &keeper->n_pings},
		       {"STOPPING=1", &keeper->n_stopping},
		       {"BARRIER=1", &keeper->n_barriers}};

	message->stores |= strcmp(line, "FDSTORE=1") == 0;
	message->removes |= strcmp(line, "FDSTOREREMOVE=1") == 0;
	message->is_polled &= strcmp(line, "FDPOLL=0") != 0;
	message->is_barrier |= strcmp(line, "BARRIER=1") == 0;
	if (strncmp(line, "FDNAME=", 7) == 0)
		message->name = line + 7;
	if (strncmp(line, "STATUS=", 7) == 0)
		snprintf(keeper->status, sizeof(keeper->status), "%s", line + 7);
	for (unsigned i = 0; i < sizeof(counted) / sizeof(counted[0]); i++)
		*counted[i].count += strcmp(line, counted[i].text) == 0;
}

/* What the lines of a message say; fd: that came with it, or -1. */
static void obey(struct hakt_keeper *keeper, char *text, int fd)
{
	struct message message = {.is_polled = true, .name = "stored"};
	unsigned n_ready = keeper->n_ready;
	char *rest;

	for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
		read_line(keeper, &message, line);
	assert_int_equal(message.stores + message.is_barrier, fd >= 0);
	assert_false(message.stores && message.is_polled);
	if (message.stores)
		hakt_keeper_put(keeper, message.name, fd);
	else if (fd >= 0 && keeper->holds_barrier)
		keeper->barrier_fd = fd;
	else if (fd >= 0)
		close(fd); /* the barrier's */
	if (message.removes)
		hakt_keeper_remove(keeper, message.name);
	if (n_ready == 0 && keeper->n_ready > 0) /* all that came before is taken */
		assert_int_equal(keeper->n_barriers, 1);
}

void hakt_keeper_take(struct hakt_keeper *keeper)
{
	for (;;) {
		union {
			struct cmsghdr align;
			char bytes[CMSG_SPACE(sizeof(int))];
		} control;
		char text[512];
		struct iovec part = {text, sizeof(text) - 1};
		struct msghdr message = {.msg_iov = &part,
					 .msg_iovlen = 1,
					 .msg_control = &control,
					 .msg_controllen = sizeof(control)};
		ssize_t n = recvmsg(keeper->notify_fd, &message, MSG_CMSG_CLOEXEC);
		int fd = -1;

		if (n < 0) {
			assert_int_equal(errno, EAGAIN);
			return;
		}
		assert_false(message.msg_flags & (MSG_TRUNC | MSG_CTRUNC));
		text[n] = 0;
		if (CMSG_FIRSTHDR(&message))
			memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(fd));
		obey(keeper, text, fd);
	}
}

struct handing_over {
	const struct hakt_keeper *keeper;
	void (*enter)(void *context);
	void *context;
};

/* In the child that is to be the daemon. */
static void hand_over(void *context)
{
	const struct handing_over *hand = context;
	const struct hakt_keeper *keeper = hand->keeper;
	char names[HAKT_KEPT_MAX * 33] = "", text[32];
	int fds[HAKT_KEPT_MAX];

	if (keeper->has_log)
		dup2(keeper->log_fd, STDERR_FILENO);
	/* Out of the way of where they are to be, then there; without FD_CLOEXEC. */
	for (unsigned i = 0; i < keeper->n_kept; i++)
		fds[i] = fcntl(keeper->kept[i].fd, F_DUPFD_CLOEXEC, FIRST_FD + HAKT_KEPT_MAX);
	for (unsigned i = 0; i < keeper->n_kept; i++) {
		if (dup2(fds[i], FIRST_FD + (int)i) < 0)
			_exit(126);
		strcat(strcat(names, i > 0 ? ":" : ""), keeper->kept[i].name);
	}
	setenv("NOTIFY_SOCKET", keeper->notify, 1);
	if (keeper->watchdog_usec > 0) {
		snprintf(text, sizeof(text), "%u", keeper->watchdog_usec);
		setenv("WATCHDOG_USEC", text, 1);
		snprintf(text, sizeof(text), "%d", (int)getpid());
		setenv("WATCHDOG_PID", text, 1);
	}
	if (keeper->n_kept > 0) {
		snprintf(text, sizeof(text), "%d", (int)getpid());
		setenv("LISTEN_PID", text, 1);
		snprintf(text, sizeof(text), "%u", keeper->n_kept);
		setenv("LISTEN_FDS", text, 1);
		setenv("LISTEN_FDNAMES", names, 1);
	}
	if (hand->enter)
		hand->enter(hand->context);
}

void hakt_keeper_fork(struct hakt_keeper *keeper, void (*enter)(void *context), void *context)
{
	struct handing_over hand = {keeper, enter, context};

	hakt_keeper_take(keeper);
	keeper->n_barriers = keeper->n_ready = keeper->n_reloading = 0;
	keeper->n_stopping = keeper->n_pings = 0;
	hakt_daemon_fork(&keeper->daemon, keeper->options, hand_over, &hand);
}

static void pause_5ms(void)
{
	const struct timespec pause = {.tv_nsec = 5000000};

	nanosleep(&pause, NULL);
}

void hakt_keeper_wait_for(struct hakt_keeper *keeper, const unsigned *count, unsigned n)
{
	for (unsigned i = 0; i < 12000; i++) {
		hakt_keeper_take(keeper);
		if (*count >= n)
			return;
		assert_int_equal(waitpid(keeper->daemon.pid, NULL, WNOHANG), 0);
		pause_5ms();
	}
	fail_msg("hakmemd did not say so in 60 s");
}

void hakt_keeper_wait_ready(struct hakt_keeper *keeper)
{
	hakt_keeper_wait_for(keeper, &keeper->n_ready, 1);
}

void hakt_keeper_let_go(struct hakt_keeper *keeper)
{
	assert_true(keeper->holds_barrier);
	keeper->holds_barrier = false;
	close(keeper->barrier_fd);
}

char *hakt_keeper_log(const struct hakt_keeper *keeper)
{
	struct stat st;
	char *text;

	assert_int_equal(fstat(keeper->log_fd, &st), 0);
	text = calloc(1, (size_t)st.st_size + 1);
	assert_non_null(text);
	assert_int_equal(pread(keeper->log_fd, text, (size_t)st.st_size, 0), st.st_size);
	return text;
}

int hakt_keeper_wait_end(struct hakt_keeper *keeper)
{
	int status;

	for (unsigned i = 0; i < 12000; i++) {
		pid_t pid = waitpid(keeper->daemon.pid, &status, WNOHANG);

		hakt_keeper_take(keeper);
		if (pid == keeper->daemon.pid) {
			assert_true(WIFEXITED(status));
			return WEXITSTATUS(status);
		}
		pause_5ms();
	}
	fail_msg("hakmemd did not end in 60 s");
	return -1;
}

void hakt_keeper_start(struct hakt_keeper *keeper)
{
	hakt_keeper_fork(keeper, NULL, NULL);
	hakt_keeper_wait_ready(keeper);
}

void hakt_keeper_kill(struct hakt_keeper *keeper)
{
	hakt_daemon_kill(&keeper->daemon);
	hakt_keeper_take(keeper);
}

void hakt_keeper_deinit(struct hakt_keeper *keeper)
{
	hakt_daemon_wait_empty(&keeper->daemon);
	if (hakt_keeper_find(keeper, "socket") >= 0)
		assert_int_equal(unlink(keeper->daemon.socket), 0); /* ours, not the daemon's */
	hakt_daemon_stop(&keeper->daemon);
	for (unsigned i = 0; i < keeper->n_kept; i++)
		close(keeper->kept[i].fd);
	close(keeper->notify_fd);
	if (keeper->has_log)
		close(keeper->log_fd);
}

void hakt_keeper_let_in(const struct hakt_keeper *keeper)
{
	assert_int_equal(chmod(keeper->daemon.directory, 0755), 0);
	assert_int_equal(chmod(keeper->daemon.socket, 0666), 0);
}

void hakt_keeper_run(struct hakt_keeper *keeper, uid_t uid, const char *const *arguments,
		     int exit_code, const char *text)
{
	struct hakt_process tool = {.uid = uid};
	const char *output;

	hakt_process_run(&tool, arguments);
	output = hakt_process_output(&tool, exit_code == 0 ? 1 : 2);
	if (tool.exit_code != exit_code || !strstr(output, text))
		fail_msg("%s %s: %d, %s", arguments[1], arguments[2] ? arguments[2] : "",
			 tool.exit_code, output);
	hakt_process_end(&tool);
	hakt_keeper_take(keeper);
}

void hakt_keeper_expect_clean(const struct hakt_keeper *keeper)
{
	int exit_code;

	json_decref(hakt_ctl_judge(keeper->daemon.socket, "check", &exit_code));
	assert_int_equal(exit_code, 0);
}

struct hakt_keeper hakt_keeper;
const char *const hakt_keeper_options[] = {"--limit", "256M",	     "--capacity", "1G", "--keep",
					   "1",	      "--log-level", "error",	   NULL};

int hakt_keeper_setup(void **state)
{
	(void)state;
	hakt_keeper = (struct hakt_keeper){0};
	hakt_keeper_init(&hakt_keeper, hakt_keeper_options);
	hakt_keeper_start(&hakt_keeper);
	return 0;
}

int hakt_keeper_teardown(void **state)
{
	(void)state;
	hakt_keeper_deinit(&hakt_keeper);
	return 0;
}
