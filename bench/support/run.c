/* SPDX-License-Identifier: MIT */
/*
 * bench-run [--preload LIBRARY] [--timeout SECONDS] PROGRAM [ARGUMENT]...
 * Runs one program, preloading only into it, and adds a line to its output:
 *   peak_rss BYTES bytes
 * The most that the program, or one of its children, had in memory at a time.
 * Ends with the program's exit code; 124 if the time ran out.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define EXIT_TIMEOUT 124
#define EXIT_EXEC    127

static volatile sig_atomic_t child;
static volatile sig_atomic_t timed_out;

static void stop_child(int signal)
{
	if (signal == SIGALRM)
		timed_out = 1;
	kill(child, SIGKILL);
}

static void run_program(const char *preload, char **argv)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (preload && setenv("LD_PRELOAD", preload, 1) != 0)
		_exit(EXIT_EXEC);
	execvp(argv[0], argv);
	fprintf(stderr, "bench-run: %s: %s\n", argv[0], strerror(errno));
	_exit(EXIT_EXEC);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {{"preload", required_argument, NULL, 'p'},
						{"timeout", required_argument, NULL, 't'},
						{NULL, 0, NULL, 0}};
	struct sigaction stop = {.sa_handler = stop_child, .sa_flags = SA_RESTART};
	const char *preload = NULL;
	unsigned seconds = 300;
	struct rusage usage;
	int option, status;
	pid_t pid;

	while ((option = getopt_long(argc, argv, "+", options, NULL)) != -1) {
		if (option == 'p')
			preload = optarg;
		else if (option == 't')
			seconds = (unsigned)strtoul(optarg, NULL, 10);
	}
	if (optind == argc || seconds == 0) {
		fputs("usage: bench-run [--preload LIBRARY] [--timeout SECONDS] PROGRAM...\n",
		      stderr);
		return 2;
	}
	pid = fork();
	if (pid < 0)
		return 1;
	if (pid == 0)
		run_program(preload, argv + optind);
	child = pid;
	sigaction(SIGALRM, &stop, NULL);
	sigaction(SIGINT, &stop, NULL);
	sigaction(SIGTERM, &stop, NULL);
	alarm(seconds);
	if (wait4(pid, &status, 0, &usage) < 0)
		return 1;
	if (timed_out)
		return EXIT_TIMEOUT;
	if (WIFSIGNALED(status)) {
		fprintf(stderr, "bench-run: %s: killed by signal %d\n", argv[optind],
			WTERMSIG(status));
		return 128 + WTERMSIG(status);
	}
	printf("peak_rss %ld bytes\n", usage.ru_maxrss * 1024);
	return WEXITSTATUS(status);
}
