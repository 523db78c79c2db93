/* SPDX-License-Identifier: MIT */
/*
 * Breakpoints are int3 in the text, which is the victim's own copy. One thread is traced, so
 * nobody else may come by one meanwhile: see victim.c.
 *
 * A stop costs about 20 us, whether by a step or by a breakpoint. An instruction with a repeat
 * prefix stops at each repetition: there, it is run to the instruction behind it.
 */
#include "tests/crash/tracee.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/support/process.h"

#define INT3 0xccu

static void give_up(const char *what)
{
	fprintf(stderr, "crash: %s: %s\n", what, strerror(errno));
	exit(2);
}

static void on_alarm(int number)
{
	(void)number; /* it only ends a wait */
}

static void set_alarm(unsigned seconds)
{
	static bool is_set;
	struct sigaction action = {.sa_handler = on_alarm};

	if (!is_set)
		sigaction(SIGALRM, &action, NULL);
	is_set = true;
	alarm(seconds);
}

/* Waits for a stop or an end of the traced thread, or the end of its process. */
static enum hakt_stop wait_stop(struct hakt_tracee *t)
{
	for (;;) {
		int status;
		pid_t pid = waitpid(-1, &status, __WALL);

		if (pid < 0 && errno == EINTR)
			return HAKT_STOP_HANG;
		if (pid < 0)
			give_up("waitpid");
		if (t->tid == 0 && pid != t->pid)
			t->tid = (pid_t)hakt_get(&hakt_world->tid);
		if (pid != t->pid && pid != t->tid) {
			fprintf(stderr, "crash: process %d, no victim, has ended (status %x)\n",
				(int)pid, (unsigned)status);
			return HAKT_STOP_OTHER;
		}
		t->status = status;
		if (WIFSTOPPED(status)) {
			t->tid = pid;
			return HAKT_STOP_HERE;
		}
		if (pid == t->pid)
			return HAKT_STOP_DEAD;
		t->thread_has_ended = true;
		return HAKT_STOP_END;
	}
}

static uint64_t get_register(const struct hakt_tracee *t, size_t at)
{
	errno = 0;
	uint64_t value = (uint64_t)ptrace(PTRACE_PEEKUSER, t->tid, at, NULL);

	if (errno)
		give_up("PTRACE_PEEKUSER");
	return value;
}

static uint64_t get_pc(const struct hakt_tracee *t)
{
	return get_register(t, offsetof(struct user_regs_struct, rip));
}

static uint64_t peek(const struct hakt_tracee *t, uint64_t at)
{
	errno = 0;
	uint64_t word = (uint64_t)ptrace(PTRACE_PEEKTEXT, t->tid, at, NULL);

	if (errno)
		give_up("PTRACE_PEEKTEXT");
	return word;
}

static void poke(const struct hakt_tracee *t, uint64_t at, uint64_t word)
{
	if (ptrace(PTRACE_POKETEXT, t->tid, at, word) != 0)
		give_up("PTRACE_POKETEXT");
}

/* Lets it go on by a step or at full speed; a signal that is no trap of ours is passed on. */
static enum hakt_stop go(struct hakt_tracee *t, int how)
{
	int number = 0;

	for (;;) {
		enum hakt_stop stop;

		if (ptrace(how, t->tid, NULL, (void *)(uintptr_t)number) != 0)
			give_up("ptrace: going on");
		stop = wait_stop(t);
		if (stop != HAKT_STOP_HERE)
			return stop;
		t->pc = get_pc(t);
		number = WSTOPSIG(t->status);
		if (number == SIGTRAP)
			return t->pc == (uintptr_t)hakt_mark_end + (how == PTRACE_CONT)
				       ? HAKT_STOP_END
				       : HAKT_STOP_HERE;
	}
}

enum hakt_stop hakt_tracee_start(struct hakt_tracee *t, const struct hakt_scenario *scenario)
{
	pid_t parent = getpid();
	enum hakt_stop stop;

	*t = (struct hakt_tracee){.pid = fork()};
	if (t->pid < 0)
		give_up("fork");
	if (t->pid == 0) {
		hakt_process_die_with(parent);
		hakt_victim_run(scenario);
	}
	set_alarm(HAKT_HANG_MS / 1000);
	stop = wait_stop(t);
	if (stop != HAKT_STOP_HERE)
		return stop;
	if (get_register(t, offsetof(struct user_regs_struct, rax)) != HAKT_MARK_BEGIN)
		return HAKT_STOP_DEAD;
	t->pc = get_pc(t);
	return HAKT_STOP_HERE;
}

/* Bytes of an instruction that repeats a string operation; 0: it is none. */
static unsigned repeat_length(uint64_t code)
{
	unsigned at = 1;
	unsigned byte = code & 0xff, operation;

	if (byte != 0xf3 && byte != 0xf2)
		return 0;
	if ((code >> 8 & 0xf0) == 0x40)
		at++;
	operation = code >> 8 * at & 0xff;
	return (operation >= 0xa4 && operation <= 0xa7) || (operation >= 0xaa && operation <= 0xaf)
		       ? at + 1
		       : 0;
}

/* Runs to a place that the thread isn't at. */
static enum hakt_stop run_to(struct hakt_tracee *t, uint64_t pc)
{
	uint64_t code = peek(t, pc);
	enum hakt_stop stop;

	poke(t, pc, (code & ~UINT64_C(0xff)) | INT3);
	stop = go(t, PTRACE_CONT);
	if ((stop != HAKT_STOP_HERE && stop != HAKT_STOP_END) || t->thread_has_ended)
		return stop;
	poke(t, pc, code);
	if (t->pc != pc + 1)
		return stop;
	t->pc = pc;
	if (ptrace(PTRACE_POKEUSER, t->tid, offsetof(struct user_regs_struct, rip), pc) != 0)
		give_up("PTRACE_POKEUSER");
	return HAKT_STOP_HERE;
}

enum hakt_stop hakt_tracee_step(struct hakt_tracee *t)
{
	enum hakt_stop stop;
	unsigned length;

	t->before = t->pc;
	stop = go(t, PTRACE_SINGLESTEP);
	if (stop != HAKT_STOP_HERE || t->pc != t->before)
		return stop;
	length = repeat_length(peek(t, t->pc));
	return length ? run_to(t, t->pc + length) : stop;
}

enum hakt_stop hakt_tracee_run_to(struct hakt_tracee *t, uint64_t pc, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		enum hakt_stop stop = HAKT_STOP_HERE;

		if (i == 0 && t->pc == pc)
			continue;
		if (t->pc == pc)
			stop = hakt_tracee_step(t);
		if (stop == HAKT_STOP_HERE && t->pc != pc)
			stop = run_to(t, pc);
		if (stop != HAKT_STOP_HERE || t->pc != pc)
			return stop;
	}
	return HAKT_STOP_HERE;
}

void hakt_tracee_dive(struct hakt_tracee *t)
{
	static unsigned n;
	const struct timespec moment = {.tv_nsec = n++ * 7 % 200 * 1000};

	if (ptrace(PTRACE_SINGLESTEP, t->tid, NULL, NULL) != 0)
		give_up("PTRACE_SINGLESTEP");
	nanosleep(&moment, NULL);
}

enum hakt_stop hakt_tracee_kill(struct hakt_tracee *t)
{
	set_alarm(HAKT_HANG_MS / 1000);
	if (kill(t->pid, SIGKILL) != 0 && errno != ESRCH)
		give_up("kill");
	for (;;) {
		enum hakt_stop stop = wait_stop(t);

		if (stop == HAKT_STOP_HERE || stop == HAKT_STOP_END)
			continue; /* a stop from before, or its thread */
		set_alarm(0);
		return stop;
	}
}

int hakt_tracee_try(void)
{
	int status, r = 0;
	pid_t pid = fork();

	if (pid == 0) {
		if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
			_exit(errno);
		raise(SIGSTOP);
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return -errno;
	if (WIFEXITED(status))
		return -WEXITSTATUS(status);
	if (ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL) != 0)
		r = -errno;
	kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) == pid && !WIFSIGNALED(status) && !WIFEXITED(status))
		;
	return r;
}
