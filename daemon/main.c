/* SPDX-License-Identifier: MIT */
/*
 * Starts the daemon, or with --supervise the process that starts daemons. Without
 * --foreground a child does it, and the first process ends when the child listens, or has
 * said why it can't.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "daemon/daemon.h"
#include "daemon/supervise/supervise.h"
#include "daemon/util/crash.h"
#include "daemon/util/log.h"

#define EXIT_USAGE	  2 /* flags, configuration or descriptors that can't be used */
#define EXIT_OTHER_DAEMON 3 /* another daemon serves the socket */

static bool has_keeper;

/* In the parent: waits for the child's word and ends. In the child: where to say it. */
static int go_into_background(void)
{
	int ends[2];
	int status;
	char word;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) != 0 || (pid = fork()) < 0)
		return -errno;
	if (pid == 0) {
		close(ends[0]);
		setsid();
		return ends[1];
	}
	close(ends[1]);
	if (read(ends[0], &word, 1) == 1)
		_exit(0);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	_exit(WIFEXITED(status) && WEXITSTATUS(status) ? WEXITSTATUS(status) : 1);
}

/* Stderr stays, for messages. */
static void let_go_of_terminal(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null >= 0) {
		dup2(null, STDIN_FILENO);
		dup2(null, STDOUT_FILENO);
		close(null);
	}
}

/*
 * The exit code of a start that failed. A keeper tries again at once, and for ever, as the pool would
 * go with its giving up: what fails each time must not take a core for it.
 */
static int fail(int code)
{
	const struct timespec pause = {.tv_nsec = 500000000};

	if (has_keeper)
		nanosleep(&pause, NULL);
	return code;
}

/* The exit code. */
static int supervise(struct hakd_supervisor *supervisor, int ready)
{
	int r;

	if (ready >= 0)
		let_go_of_terminal(); /* the daemons have from us what we have */
	r = hakd_supervisor_run(supervisor, ready);
	return r == -EADDRINUSE ? EXIT_OTHER_DAEMON : r;
}

int main(int argc, char **argv)
{
	static struct hakd_daemon daemon;
	static struct hakd_supervisor supervisor;
	static struct hakd_keeper keeper;
	const struct hakd_pool *first;
	struct hakd_config config;
	struct rlimit files;
	int ready = -1;
	int r;

	has_keeper = getenv("NOTIFY_SOCKET") != NULL;
	r = hakd_config_init(&config, argc, argv);
	if (r != 0)
		return r > 0 ? 0 : fail(EXIT_USAGE);
	hakd_log_set_level((enum hakd_log_level)config.log_level);
	hakd_crash_init();
	signal(SIGPIPE, SIG_IGN);
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) { /* three descriptors a client */
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	/* In the background nobody waits for our end, to start the next. */
	hakd_keeper_init_none(&keeper);
	r = config.supervise	? hakd_supervisor_init(&supervisor, &config)
	    : config.foreground ? hakd_keeper_init(&keeper)
				: 0;
	if (r < 0)
		return fail(r == -EPROTO ? EXIT_USAGE : 1);
	if (!config.foreground) {
		ready = go_into_background();
		if (ready < 0)
			return 1;
		/* Nobody's folder is kept in use, unless a path of ours begins there. */
		if (config.socket[0] == '/' && (!config.file || config.file[0] == '/') &&
		    chdir("/") != 0)
			return 1;
	}
	if (config.supervise)
		return supervise(&supervisor, ready);
	r = hakd_daemon_init(&daemon, &config, &keeper);
	if (r < 0)
		return fail(r == -EADDRINUSE ? EXIT_OTHER_DAEMON : r == -EPROTO ? EXIT_USAGE : 1);
	first = hakd_daemon_find(&daemon, "")->pool;
	hakd_log(HAKD_LOG_INFO, "serving %s: capacity %llu MiB, limit %llu MiB", config.socket,
		 (unsigned long long)first->segment.geometry.capacity >> 20,
		 (unsigned long long)first->limit >> 20);
	if (ready >= 0) {
		let_go_of_terminal();
		if (write(ready, "r", 1) == 1)
			close(ready);
	}
	hakd_daemon_run(&daemon);
	return 0;
}
