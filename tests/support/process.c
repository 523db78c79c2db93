/* SPDX-License-Identifier: MIT */
/*
 * Processes of a test. Their output goes to memory files, not pipes: nobody has
 * to read while they run, and a daemon that keeps stderr open keeps nobody
 * waiting. The test is a subreaper, so orphans become its children and can be
 * waited for and killed.
 */
#include "tests/support/process.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/support/run.h"

#define EXPECT_FAILED 99
#define HANG_TRIES    90000 /* of 2 ms: by then something hangs, and the test fails */

static pid_t test;

static bool kill_children(void)
{
	char path[64];
	FILE *file;
	int pid;

	snprintf(path, sizeof(path), "/proc/self/task/%d/children", (int)test);
	file = fopen(path, "re");
	if (!file)
		return false;
	while (fscanf(file, "%d", &pid) == 1)
		kill(pid, SIGKILL);
	fclose(file);
	return true;
}

/* One after the other: the children of one that has died become ours. */
static void end_all(void)
{
	if (getpid() != test) /* a forked child that calls exit */
		return;
	while (kill_children() && (waitpid(-1, NULL, 0) > 0 || errno != ECHILD))
		;
}

void hakt_process_prepare(void)
{
	static const char *const settings[] = {
		"HAKMEM_SOCKET",    "HAKMEM_POOL",   "HAKMEM_TIMEOUT_MS", "HAKMEM_LOG",
		"HAKMEM_AUTOSPAWN", "HAKMEM_DAEMON", "HAKMEM_HARDENED",	  "XDG_RUNTIME_DIR"};

	if (test)
		return;
	test = getpid();
	assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
	atexit(end_all);
	for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++)
		unsetenv(settings[i]);
	/* Who waits for the daemon on a loaded machine shall not give up. */
	setenv("HAKMEM_TIMEOUT_MS", "60000", 1);
}

void hakt_process_die_with(pid_t parent)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(126);
}

/* Without these root is held to file modes; what it executes gets only what is left. */
static bool drop_overrides(void)
{
	return geteuid() != 0 || (prctl(PR_CAPBSET_DROP, CAP_DAC_OVERRIDE) == 0 &&
				  prctl(PR_CAPBSET_DROP, CAP_DAC_READ_SEARCH) == 0);
}

/* In the child, before it becomes what it is to be. */
static void enter_child(const struct hakt_process *process, int in, pid_t parent)
{
	gid_t gid = process->gid ? process->gid : process->uid;

	if (dup2(in, STDIN_FILENO) < 0 || dup2(process->fds[1], STDOUT_FILENO) < 0 ||
	    dup2(process->fds[2], STDERR_FILENO) < 0)
		_exit(126);
	if (process->obeys_modes && !drop_overrides())
		_exit(126);
	if (process->uid && process->uid != getuid() &&
	    (setresgid(gid, gid, gid) != 0 ||
	     setresuid(process->uid, process->uid, process->uid) != 0))
		_exit(126);
	hakt_process_die_with(parent); /* a change of user would forget it */
	for (const char *const *e = process->environment; e && *e; e++)
		putenv((char *)(uintptr_t)*e);
}

/* 0 in the child. */
static pid_t start(struct hakt_process *process)
{
	pid_t parent;
	int ends[2];

	hakt_process_prepare();
	parent = getpid();
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	process->fds[0] = ends[1];
	process->fds[1] = memfd_create("stdout", MFD_CLOEXEC);
	process->fds[2] = memfd_create("stderr", MFD_CLOEXEC);
	assert_true(process->fds[1] >= 0 && process->fds[2] >= 0);
	fflush(NULL);
	process->pid = fork();
	assert_true(process->pid >= 0);
	if (process->pid == 0) {
		enter_child(process, ends[0], parent);
		return 0;
	}
	close(ends[0]);
	return process->pid;
}

void hakt_process_start(struct hakt_process *process, const char *const *arguments)
{
	/* Opened by us: another user might not get as far as to the program. */
	int program = open(arguments[0], O_PATH | O_CLOEXEC);

	assert_true(program >= 0);
	if (start(process) == 0) {
		if (process->uid)
			fexecve(program, (char *const *)(uintptr_t)arguments, environ);
		else
			execv(arguments[0], (char *const *)(uintptr_t)arguments);
		_exit(127);
	}
	close(program);
}

void hakt_process_fork(struct hakt_process *process, int (*run)(const void *context),
		       const void *context)
{
	if (start(process) == 0)
		_exit(run(context));
}

const char *hakt_process_output(struct hakt_process *process, int fd)
{
	struct stat st;
	char *text;
	ssize_t n;

	assert_int_equal(fstat(process->fds[fd], &st), 0);
	text = malloc((size_t)st.st_size + 1);
	assert_non_null(text);
	n = pread(process->fds[fd], text, (size_t)st.st_size, 0);
	assert_true(n >= 0);
	text[n] = 0;
	free(process->output[fd]);
	process->output[fd] = text;
	return text;
}

unsigned hakt_process_count_fds(pid_t pid)
{
	char path[64];
	unsigned n = 0;
	DIR *directory;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	directory = opendir(path);
	assert_non_null(directory);
	for (struct dirent *entry; (entry = readdir(directory));)
		n += entry->d_name[0] != '.';
	closedir(directory);
	return n;
}

static void pause_2ms(void)
{
	const struct timespec pause = {.tv_nsec = 2000000};

	nanosleep(&pause, NULL);
}

void hakt_process_wait_fds(pid_t pid, unsigned n)
{
	unsigned tries = 0;

	while (hakt_process_count_fds(pid) > n) {
		assert_true(tries++ < HANG_TRIES);
		pause_2ms();
	}
}

/* It is left to be waited for. */
static bool has_ended(const struct hakt_process *process)
{
	siginfo_t ended = {0};

	assert_int_equal(waitid(P_PID, (id_t)process->pid, &ended, WEXITED | WNOHANG | WNOWAIT), 0);
	return ended.si_pid != 0;
}

static void fail_with_output(struct hakt_process *process, const char *what)
{
	fail_msg("process %d %s; stdout: %s; stderr: %s", (int)process->pid, what,
		 hakt_process_output(process, 1), hakt_process_output(process, 2));
}

void hakt_process_wait_output(struct hakt_process *process, int fd, const char *text)
{
	for (unsigned i = 0; i < HANG_TRIES; i++) {
		bool was_last = has_ended(process);

		if (strstr(hakt_process_output(process, fd), text))
			return;
		if (was_last)
			break;
		pause_2ms();
	}
	print_error("expected: %s\n", text);
	fail_with_output(process, "did not say what was expected");
}

void hakt_process_tell(struct hakt_process *process)
{
	assert_int_equal(write(process->fds[0], "", 1), 1);
}

static int wait_status(pid_t pid)
{
	int status = 0;

	while (waitpid(pid, &status, 0) != pid)
		assert_int_equal(errno, EINTR);
	return status;
}

void hakt_process_wait(struct hakt_process *process)
{
	unsigned tries = 0;
	int status;

	while (!has_ended(process)) {
		if (tries++ == HANG_TRIES)
			fail_with_output(process, "does not end");
		pause_2ms();
	}
	status = wait_status(process->pid);
	process->pid = 0;
	process->exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
	process->signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

void hakt_process_kill(struct hakt_process *process)
{
	assert_true(process->pid > 0); /* 0 would be all of us */
	assert_int_equal(kill(process->pid, SIGKILL), 0);
	hakt_process_wait(process);
}

void hakt_process_check_running(const struct hakt_process *process)
{
	siginfo_t ended = {0};

	assert_int_equal(waitid(P_PID, (id_t)process->pid, &ended, WEXITED | WNOHANG | WNOWAIT), 0);
	assert_int_equal(ended.si_pid, 0);
}

void hakt_process_wait_done(struct hakt_process *process)
{
	hakt_process_wait(process);
	if (process->exit_code != 0) {
		print_error("exit code %d, signal %d\n", process->exit_code, process->signal);
		fail_with_output(process, "failed");
	}
}

void hakt_process_end(struct hakt_process *process)
{
	if (process->pid) {
		kill(process->pid, SIGKILL);
		wait_status(process->pid);
	}
	for (unsigned i = 0; i < 3; i++) {
		close(process->fds[i]);
		free(process->output[i]);
	}
	*process = (struct hakt_process){0};
}

void hakt_process_run(struct hakt_process *process, const char *const *arguments)
{
	hakt_process_start(process, arguments);
	hakt_process_wait(process);
}

void hakt_process_run_child(int (*run)(const void *context), const void *context)
{
	struct hakt_process process = {0};

	hakt_process_fork(&process, run, context);
	hakt_process_wait_done(&process);
	hakt_process_end(&process);
}

int hakt_process_wait_orphan(pid_t pid)
{
	int status = wait_status(pid);

	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

pid_t hakt_process_parent(pid_t pid)
{
	char path[64];
	FILE *file;
	int parent = 0;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	file = fopen(path, "re");
	assert_non_null(file);
	assert_int_equal(fscanf(file, "%*d (%*[^)]) %*c %d", &parent), 1);
	fclose(file);
	return parent;
}

void hakt_child_say(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vdprintf(STDOUT_FILENO, format, arguments);
	va_end(arguments);
	dprintf(STDOUT_FILENO, "\n");
}

void hakt_child_hang_up(void)
{
	HAKT_EXPECT(close_range(3, ~0u, 0) == 0);
}

void hakt_child_wait(void)
{
	char byte;

	if (read(STDIN_FILENO, &byte, 1) != 1)
		_exit(EXPECT_FAILED);
}

void hakt_child_fail(const char *file, int line, const char *claim)
{
	dprintf(STDERR_FILENO, "%s:%d: not so: %s (errno %d, %s)\n", file, line, claim, errno,
		strerror(errno));
	_exit(EXPECT_FAILED);
}
