/* SPDX-License-Identifier: MIT */
/* Only async-signal-safe calls in the handler; backtrace() is called once before, to be loaded. */
#include "daemon/util/crash.h"

#include <execinfo.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define FRAMES 64

static __thread const char *volatile doing = "starting";
static char alternate_stack[65536];

static const struct {
	int number;
	const char *name;
} fatal[] = {
	{SIGSEGV, "SIGSEGV"}, {SIGBUS, "SIGBUS"},   {SIGFPE, "SIGFPE"},
	{SIGILL, "SIGILL"},   {SIGABRT, "SIGABRT"},
};

void hakd_doing(const char *what)
{
	doing = what;
}

static void put(const char *text)
{
	ssize_t written = write(STDERR_FILENO, text, strlen(text));
	(void)written;
}

static void put_number(uint64_t value, unsigned base)
{
	char digits[24];
	char *at = &digits[sizeof(digits) - 1];

	*at = 0;
	do {
		*--at = "0123456789abcdef"[value % base];
		value /= base;
	} while (value);
	put(at);
}

static void on_fatal(int number, siginfo_t *info, void *context)
{
	void *frames[FRAMES];

	(void)context;
	put("hakmemd: fatal signal ");
	put_number((uint64_t)number, 10);
	for (size_t i = 0; i < sizeof(fatal) / sizeof(fatal[0]); i++) {
		if (fatal[i].number == number) {
			put(" (");
			put(fatal[i].name);
			put(")");
		}
	}
	if (info->si_code <= 0) {
		put(", sent by process ");
		put_number((uint64_t)info->si_pid, 10);
	} else {
		put(", address 0x");
		put_number((uintptr_t)info->si_addr, 16);
	}
	put(", while ");
	put(doing);
	put("\n");
	backtrace_symbols_fd(frames, backtrace(frames, FRAMES), STDERR_FILENO);
	raise(number); /* SA_RESETHAND: now it kills */
}

void hakd_crash_init(void)
{
	const stack_t stack = {.ss_sp = alternate_stack, .ss_size = sizeof(alternate_stack)};
	struct sigaction action = {.sa_sigaction = on_fatal,
				   .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESETHAND};
	void *frame;

	backtrace(&frame, 1);
	sigaltstack(&stack, NULL);
	sigemptyset(&action.sa_mask);
	for (size_t i = 0; i < sizeof(fatal) / sizeof(fatal[0]); i++)
		sigaction(fatal[i].number, &action, NULL);
}
