/* SPDX-License-Identifier: MIT */
/*
 * The crew. This process never calls hakmem, so whoever it forks, at any time,
 * attaches as a client of its own. It waits for a child's end or for the time of
 * the next kill. A worker that was killed is replaced by another one with a new
 * channel; any other end that is no good end fails the count.
 *
 * Kills go on until the reporter has finished. If nothing was counted since the
 * last one the next pause is twice as long: however small the pause and however
 * large a file, it is counted some day. The reader's notes tell.
 */
#include "client_lib/demo/crew.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "client_lib/demo/reader.h"
#include "client_lib/demo/reporter.h"
#include "client_lib/demo/worker.h"

struct crew {
	const struct hakc_task *task;
	struct hakc_channels channels;
	sigset_t mask;		/* the children's */
	pid_t reader, reporter; /* 0: not started, or ended */
	pid_t workers[HAKC_WORKERS_MAX];
	double started, pause, kill_at; /* seconds */
	uint64_t n_killed;
	int error; /* of a child: 0 or a negative errno */
};

/* As fork. The child ends with its parent, however that ends. */
static pid_t begin_child(const struct crew *crew)
{
	pid_t parent = getpid();
	pid_t pid = fork();

	if (pid < 0)
		fprintf(stderr, "hakmem-demo: can't fork (%s)\n", strerror(errno));
	if (pid != 0)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent)
		_exit(1);
	sigprocmask(SIG_SETMASK, &crew->mask, NULL);
	return 0;
}

static void run_worker(struct crew *crew, int files)
{
	hakc_channel_close(&crew->channels.crew_in);
	exit(hakc_worker_run(files, crew->channels.results_in));
}

static int start_worker(struct crew *crew, unsigned i)
{
	int ends[2];
	int r = hakc_channel_init(ends);
	pid_t pid;

	if (r < 0) {
		fprintf(stderr, "hakmem-demo: can't open a channel (%s)\n", strerror(-r));
		return r;
	}
	pid = begin_child(crew);
	if (pid == 0) {
		hakc_channel_close(&ends[0]);
		run_worker(crew, ends[1]);
	}
	r = pid < 0 ? -errno : 0;
	hakc_channel_close(&ends[1]);
	if (r == 0) {
		crew->workers[i] = pid;
		r = hakc_channel_send_fd(crew->channels.crew_in, ends[0]);
	}
	hakc_channel_close(&ends[0]);
	return r == -EPIPE ? 0 : r; /* without a reader it finds its channel closed, and ends */
}

static int start(struct crew *crew)
{
	const struct hakc_task *task = crew->task;
	int r = 0;

	fflush(NULL);
	crew->reader = begin_child(crew);
	if (crew->reader == 0)
		exit(hakc_reader_run(&crew->channels, task->folders));
	crew->reporter = begin_child(crew);
	if (crew->reporter == 0)
		exit(hakc_reporter_run(&crew->channels, task->folders, task->verifies,
				       crew->started));
	/* A channel's end closes with the process that uses it, so nobody else has it. */
	hakc_channel_close(&crew->channels.crew_out);
	hakc_channel_close(&crew->channels.results_out);
	hakc_channel_close(&crew->channels.done_in);
	hakc_channel_close(&crew->channels.done_out);
	if (crew->reader < 0 || crew->reporter < 0)
		return -ECHILD;
	for (unsigned i = 0; i < task->n_workers && r == 0; i++)
		r = start_worker(crew, i);
	return r;
}

/* A child has ended otherwise than it should: says how. */
static void note_bad_end(struct crew *crew, const char *what, pid_t pid, int status)
{
	crew->error = -ECHILD;
	if (WIFSIGNALED(status))
		fprintf(stderr, "hakmem-demo: a %s (pid %d) was killed by signal %d (%s)\n", what,
			(int)pid, WTERMSIG(status), strsignal(WTERMSIG(status)));
	else
		fprintf(stderr, "hakmem-demo: a %s (pid %d) ended too early with exit code %d\n",
			what, (int)pid, WEXITSTATUS(status));
}

static int note_worker_end(struct crew *crew, unsigned i, int status)
{
	pid_t pid = crew->workers[i];

	crew->workers[i] = 0;
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) {
		crew->n_killed++;
		return start_worker(crew, i);
	}
	if (status != 0)
		note_bad_end(crew, "worker", pid, status);
	return crew->error;
}

static int note_end(struct crew *crew, pid_t pid, int status)
{
	if (pid == crew->reader) {
		crew->reader = 0;
		if (status != 0)
			note_bad_end(crew, "reader", pid, status);
		return crew->error;
	}
	if (pid == crew->reporter) {
		crew->reporter = 0;
		if (WIFSIGNALED(status))
			note_bad_end(crew, "reporter", pid, status);
		else if (status != 0)
			crew->error = -ECHILD; /* it has said why */
		return crew->error;
	}
	for (unsigned i = 0; i < crew->task->n_workers; i++)
		if (pid == crew->workers[i])
			return note_worker_end(crew, i, status);
	return 0;
}

/* 1: there are children; 0: there are none; a negative errno: the count has failed. */
static int reap(struct crew *crew)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		int r = note_end(crew, pid, status);

		if (r < 0)
			return r;
	}
	return pid == 0;
}

static bool has_progressed(const struct crew *crew)
{
	bool has = false;
	char note;

	while (hakc_channel_try_receive(crew->channels.crew_in, &note, sizeof(note)) > 0)
		has = true;
	return has;
}

static void kill_one(struct crew *crew)
{
	pid_t alive[HAKC_WORKERS_MAX];
	unsigned n = 0;

	for (unsigned i = 0; i < crew->task->n_workers; i++)
		if (crew->workers[i] > 0)
			alive[n++] = crew->workers[i];
	if (n > 0)
		kill(alive[(unsigned long)random() % n], SIGKILL);
	crew->pause = has_progressed(crew) ? crew->task->kill_every_ms / 1e3 : crew->pause * 2;
	crew->kill_at = hakc_now() + crew->pause;
}

/* Until a child has ended, or it is time to kill. */
static void wait_for_something(const struct crew *crew)
{
	struct timespec limit = {.tv_sec = 3600};
	sigset_t child;

	if (crew->task->kill_every_ms > 0 && crew->reporter > 0) {
		double left = crew->kill_at - hakc_now();

		left = left > 0 ? left : 0;
		limit.tv_sec = (time_t)left;
		limit.tv_nsec = (long)((left - (double)limit.tv_sec) * 1e9);
	}
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	sigtimedwait(&child, NULL, &limit);
}

static int watch(struct crew *crew)
{
	int r;

	crew->pause = crew->task->kill_every_ms / 1e3;
	crew->kill_at = hakc_now() + crew->pause;
	while ((r = reap(crew)) > 0) {
		wait_for_something(crew);
		if (crew->task->kill_every_ms > 0 && crew->reporter > 0 &&
		    hakc_now() >= crew->kill_at)
			kill_one(crew);
	}
	return r;
}

/* The count has failed: ends who is left. */
static void end_all(struct crew *crew)
{
	if (crew->reader > 0)
		kill(crew->reader, SIGTERM);
	if (crew->reporter > 0)
		kill(crew->reporter, SIGTERM);
	for (unsigned i = 0; i < crew->task->n_workers; i++)
		if (crew->workers[i] > 0)
			kill(crew->workers[i], SIGTERM);
	while (waitpid(-1, NULL, 0) > 0 || errno == EINTR)
		;
}

int hakc_crew_run(const struct hakc_task *task, uint64_t *ret_n_killed)
{
	static struct crew crew;
	sigset_t child;
	int r;

	crew = (struct crew){.task = task, .started = hakc_now()};
	srandom((unsigned)getpid() ^ (unsigned)(crew.started * 1e6));
	signal(SIGCHLD, SIG_DFL); /* an ignored one can't be waited for */
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	sigprocmask(SIG_BLOCK, &child, &crew.mask);
	r = hakc_channels_init(&crew.channels);
	if (r < 0)
		fprintf(stderr, "hakmem-demo: can't open channels (%s)\n", strerror(-r));
	if (r == 0)
		r = start(&crew);
	if (r == 0)
		r = watch(&crew);
	if (r < 0)
		end_all(&crew);
	hakc_channel_close(&crew.channels.crew_in);
	hakc_channel_close(&crew.channels.results_in);
	sigprocmask(SIG_SETMASK, &crew.mask, NULL);
	*ret_n_killed = crew.n_killed;
	return r;
}
