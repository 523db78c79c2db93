/* SPDX-License-Identifier: MIT */
#ifndef HAKT_CRASH_TRACEE_H
#define HAKT_CRASH_TRACEE_H

/*
 * A victim under ptrace: run to a place, go on by instructions, kill. x86-64. All calls end the
 * tracer with a message if the kernel refuses what it must not refuse.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "tests/crash/victim.h"

/* Why it stopped. */
enum hakt_stop {
	HAKT_STOP_HERE,	 /* where it was to stop */
	HAKT_STOP_END,	 /* at the end of its script */
	HAKT_STOP_DEAD,	 /* it has ended; by itself, if it wasn't killed */
	HAKT_STOP_HANG,	 /* it doesn't stop */
	HAKT_STOP_OTHER, /* a walker or the daemon has ended, which they must not */
};

struct hakt_tracee {
	pid_t pid;
	pid_t tid; /* the thread that is traced */
	uint64_t pc;
	uint64_t before; /* pc of the instruction that was executed last */
	bool thread_has_ended;
	int status; /* DEAD: as of wait(2) */
};

/* 0: may we trace at all? A negative errno. */
int hakt_tracee_try(void);

/* Forks a victim and waits until its script begins. */
enum hakt_stop hakt_tracee_start(struct hakt_tracee *t, const struct hakt_scenario *scenario);

/* Executes one instruction; one with a repeat prefix wholly. */
enum hakt_stop hakt_tracee_step(struct hakt_tracee *t);

/* Runs until it is to execute the instruction at pc for the n-th time, n from 1. */
enum hakt_stop hakt_tracee_run_to(struct hakt_tracee *t, uint64_t pc, uint32_t n);

/*
 * Lets it enter the system call that it is before, for a moment that differs each time; it is to
 * be killed then, wherever it is.
 */
void hakt_tracee_dive(struct hakt_tracee *t);

/* SIGKILL, and waits until there is nothing left of it but what the daemon has. */
enum hakt_stop hakt_tracee_kill(struct hakt_tracee *t);

#endif
