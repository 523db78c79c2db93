/* SPDX-License-Identifier: MIT */
/*
 * One loop over three things: signals, the daemon's messages, and a time.
 *
 * | state    | event                               | action                     | to       |
 * |----------|-------------------------------------|----------------------------|----------|
 * | PAUSING  | the pause is over                   | start                      | STARTING |
 * | STARTING | READY=1                             | our starter may go         | UP       |
 * | STARTING | 60 s                                | SIGKILL                    | ENDING   |
 * | UP       | WATCHDOG=1                          | the time begins anew       | UP       |
 * | UP       | 10 s without                        | SIGKILL                    | ENDING   |
 * | UP       | SIGHUP (STARTING: when it is UP)    | SIGHUP                     | UP       |
 * | any      | SIGUSR1                             | SIGTERM: leave the pool    | ENDING   |
 * | any      | SIGTERM, SIGINT                     | SIGINT: end it             | ENDING   |
 * | ENDING   | 10 s                                | SIGKILL                    | ENDING   |
 * | any      | the daemon's end: we are to stop,   | remove socket and lock     | over     |
 * |          | or none has been ready, or it ended |                            |          |
 * |          | with 0, and the pool with it or     |                            |          |
 * |          | (idle_exit) nobody was attached     |                            |          |
 * | any      | another end of the daemon           | none, or up to a second    | PAUSING  |
 *
 * The socket is ours and stays, so who connects while there is no daemon waits for the next
 * one. What a daemon sent before its end is taken before the next one starts. If we are
 * killed the daemon goes on, with the socket and without a keeper.
 */
#include "daemon/supervise/supervise.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "daemon/util/log.h"

#define QUICK_MS     200u  /* who lives longer is started at most five times a second */
#define PAUSE_MS     20u   /* after a quick death, then, where none gets ready, twice as long */
#define PAUSE_MS_MAX 1000u /* never longer */
#define TURN_MAX     64u   /* messages, then signals have their turn */
#define QUEUE_MAX    65536u

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void move(struct hakd_supervisor *s, enum hakd_supervise_state state, uint64_t ms)
{
	s->state = state;
	s->until = now_ms() + ms;
}

static void start(struct hakd_supervisor *s)
{
	s->is_restart = s->is_ready = false;
	s->started_at = now_ms();
	s->pid = hakd_child_start(s->path, s->arguments, &s->store, s->listener.fd, s->watchdog_ms,
				  &s->signals);
	if (s->pid > 0) {
		move(s, HAKD_STARTING, s->start_ms);
		return;
	}
	hakd_log(HAKD_LOG_ERROR, "cannot start a daemon: %s", strerror(-s->pid));
	s->pid = 0;
	move(s, HAKD_PAUSING, PAUSE_MS_MAX);
}

static void end(struct hakd_supervisor *s, int signal)
{
	if (s->pid == 0)
		return;
	kill(s->pid, signal);
	move(s, HAKD_ENDING, s->stop_ms);
}

static void on_ready(struct hakd_supervisor *s)
{
	if (s->state != HAKD_STARTING)
		return;
	move(s, HAKD_UP, s->watchdog_ms);
	s->has_been_ready = s->is_ready = true;
	if (s->ready_fd >= 0 && write(s->ready_fd, "r", 1) == 1) {
		close(s->ready_fd);
		s->ready_fd = -1;
	}
	if (s->is_reload)
		kill(s->pid, SIGHUP);
	s->is_reload = false;
}

static void take_messages(struct hakd_supervisor *s, unsigned most)
{
	struct hakd_news news;

	while (most-- > 0 && hakd_store_take(&s->store, s->pid, &news)) {
		if (news.is_ready)
			on_ready(s);
		if (news.is_ping && s->state == HAKD_UP)
			move(s, HAKD_UP, s->watchdog_ms);
	}
}

static void on_time(struct hakd_supervisor *s)
{
	if (s->state == HAKD_PAUSING) {
		start(s);
		return;
	}
	hakd_log(HAKD_LOG_ERROR, "daemon %d is killed: it %s", (int)s->pid,
		 s->state == HAKD_UP	     ? "doesn't say any more that it lives"
		 : s->state == HAKD_STARTING ? "doesn't get ready"
					     : "doesn't end");
	end(s, SIGKILL);
}

static void take_signals(struct hakd_supervisor *s)
{
	struct signalfd_siginfo info;

	while (read(s->signal_fd, &info, sizeof(info)) == sizeof(info)) {
		switch (info.ssi_signo) {
		case SIGHUP:
			s->is_reload = s->state == HAKD_STARTING;
			if (s->state == HAKD_UP)
				kill(s->pid, SIGHUP);
			break;
		case SIGUSR1:
			if (!s->is_stop && !s->is_restart)
				end(s, SIGTERM);
			s->is_restart = true;
			break;
		case SIGTERM:
		case SIGINT:
			if (!s->is_stop) /* again and again, it has no more time for that */
				end(s, SIGINT);
			s->is_stop = true;
			break;
		default: /* SIGCHLD only wakes the loop */
			break;
		}
	}
}

/* How long the next one is waited with. */
static uint64_t pause_ms(struct hakd_supervisor *s)
{
	bool is_quick = !s->is_restart && now_ms() - s->started_at < QUICK_MS;

	s->n_quick = is_quick && !s->is_ready ? s->n_quick + 1 : 0;
	if (!is_quick)
		return 0;
	return s->n_quick < 6 ? PAUSE_MS << s->n_quick : PAUSE_MS_MAX;
}

/* The daemon has ended: our exit code, or -1: there is to be another one. */
static int on_end(struct hakd_supervisor *s, const siginfo_t *info)
{
	bool is_exit = info->si_code == CLD_EXITED, goes_on;

	take_messages(s, QUEUE_MAX); /* the pid can't be another process's yet */
	waitpid(s->pid, NULL, 0);
	hakd_log(is_exit && info->si_status == 0 ? HAKD_LOG_INFO : HAKD_LOG_WARN,
		 "daemon %d has ended: %s %d", (int)s->pid, is_exit ? "exit code" : "signal",
		 info->si_status);
	s->pid = 0;
	if (s->is_stop)
		return 0;
	if (!s->has_been_ready && !s->is_restart)
		return is_exit && info->si_status > 0 ? info->si_status : 1;
	goes_on = hakd_store_has(&s->store, "registry") &&
		  (s->config->idle_exit == 0 || hakd_store_has(&s->store, "c"));
	if (is_exit && info->si_status == 0 && !s->is_restart && !goes_on)
		return 0;
	move(s, HAKD_PAUSING, pause_ms(s));
	return -1;
}

/* One turn of the loop; the exit code, or -1. */
static int turn(struct hakd_supervisor *s)
{
	struct pollfd fds[] = {{.fd = s->signal_fd, .events = POLLIN},
			       {.fd = s->store.fd, .events = POLLIN}};
	uint64_t now = now_ms();
	siginfo_t info = {0};

	poll(fds, 2, s->until > now ? (int)(s->until - now) : 0);
	take_messages(s, TURN_MAX); /* before the time: they may have waited for us */
	take_signals(s);
	if (s->pid == 0 && s->is_stop)
		return 0;
	if (s->pid > 0 && waitid(P_PID, (id_t)s->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
	    info.si_pid == s->pid)
		return on_end(s, &info);
	if (now_ms() >= s->until)
		on_time(s);
	return -1;
}

int hakd_supervisor_init(struct hakd_supervisor *s, const struct hakd_config *config)
{
	*s = (struct hakd_supervisor){.start_ms = 60000, .stop_ms = 10000, .watchdog_ms = 10000};
	s->config = config;
	s->arguments = config->argv; /* config.c has put --foreground for --supervise */
	return hakd_child_find(s->path);
}

int hakd_supervisor_run(struct hakd_supervisor *s, int ready_fd)
{
	const int numbers[] = {SIGCHLD, SIGHUP, SIGINT, SIGTERM, SIGUSR1};
	sigset_t signals;
	int r = hakd_listener_init(&s->listener, s->config->socket, s->config->socket_mode, -1);

	if (r < 0)
		return r == -EADDRINUSE ? r : 1;
	r = hakd_store_init(&s->store);
	if (r < 0) {
		hakd_log(HAKD_LOG_ERROR, "no socket for messages: %s", strerror(-r));
		hakd_listener_deinit(&s->listener);
		return 1;
	}
	sigemptyset(&signals);
	for (unsigned i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		sigaddset(&signals, numbers[i]);
	signal(SIGCHLD, SIG_DFL); /* ignored by our starter, it would hide the daemon's end */
	sigprocmask(SIG_BLOCK, &signals, &s->signals);
	s->signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
	s->ready_fd = ready_fd;
	start(s);
	while ((r = turn(s)) < 0)
		;
	hakd_listener_deinit(&s->listener);
	hakd_store_deinit(&s->store);
	close(s->signal_fd);
	return r;
}
