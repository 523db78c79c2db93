/* SPDX-License-Identifier: MIT */
#ifndef HAKT_TRACE_H
#define HAKT_TRACE_H

/*
 * A daemon under ptrace: runs at full speed to functions that write to the registry or to slab
 * words, and is stepped from there, one thread at a time; the others run. x86-64.
 *
 * A window is a call of one of these functions, from its entry until it returns.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* From where to where it is stepped. */
struct hakt_place {
	const char *from;  /* entry of a function */
	const char *until; /* stepping begins when `from` returns, and ends here; NULL: as above */
};

extern const struct hakt_place hakt_places[];
extern const unsigned hakt_n_places;

#define HAKT_PLACES_MAX 40u

struct hakt_target {
	unsigned place;
	uint32_t hit;  /* from 1 */
	uint32_t step; /* killed when so many have been made */
};

/* What happens at each step of a window while it is recorded; is_call: before a system call. */
typedef void hakt_on_step(unsigned place, uint32_t hit, uint32_t step, bool is_call);

struct hakt_trace {
	pid_t pid;	  /* 0: it is dead */
	bool is_counting; /* false: breakpoints are passed by */
	bool is_killed;	  /* at the target */
	bool is_hung;
	bool is_lost; /* it has ended by itself */
	uint32_t hits[HAKT_PLACES_MAX];
	const struct hakt_target *target; /* NULL: all windows are recorded */
	hakt_on_step *on_step;
	void (*on_target)(void);     /* when the target's window is entered */
	void (*on_child)(pid_t pid); /* another child, or a thread of the daemon, has ended */
};

/* May a process be traced here? */
bool hakt_trace_is_allowed(void);

/* In the child that is to be the daemon, before it is executed. */
void hakt_trace_enter(void *context);

/* The tracer takes over a child that is about to execute the daemon. */
void hakt_trace_init(struct hakt_trace *t, pid_t pid);

/* Handles what has happened, and waits a moment if nothing has; SIGCHLD is to be blocked. */
void hakt_trace_pump(struct hakt_trace *t);

/* Kills it wherever it is. */
void hakt_trace_kill(struct hakt_trace *t);

#endif
