/* SPDX-License-Identifier: MIT */
#ifndef MODEL_EXPLORE_H
#define MODEL_EXPLORE_H

/*
 * Runs a scenario, a few threads of real code, in every way that C11 allows: each order of its
 * atomic steps, and for each load each value that it may see. explore.c says how, and which part
 * of C11 it is.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MODEL_THREADS 4

enum model_order {
	MODEL_RELAXED = 0,
	MODEL_ACQUIRE = 1,
	MODEL_RELEASE = 2,
	MODEL_ACQ_REL = MODEL_ACQUIRE | MODEL_RELEASE,
};

enum model_rmw {
	MODEL_OR,
	MODEL_AND,
	MODEL_ADD,
};

struct model_scenario {
	const char *name;
	void (*begin)(void); /* makes all words what they are when the threads start */
	void (*threads[MODEL_THREADS])(void);
	void (*end)(void);  /* looks at what the words are; not after a thread has stopped */
	unsigned n_reached; /* outcomes 0 to n_reached - 1 must come about */
};

/* Steps of a thread; outside of one plain accesses to the words. For atomic.h. */
uint64_t model_load(const void *p, size_t size, enum model_order order);
void model_store(void *p, size_t size, uint64_t v, enum model_order order);
uint64_t model_rmw(void *p, size_t size, enum model_rmw kind, uint64_t v, enum model_order order);
bool model_cas(void *p, void *expected, size_t size, uint64_t v, enum model_order order);
void model_fence(bool is_seq_cst);

/* Accesses to what isn't atomic, at p: two that nothing orders are a violation. */
void model_read(const void *p);
void model_write(const void *p);

/*
 * The word at p is this thread's alone from here on, as if it were no atomic: an access by another
 * that isn't ordered before, and one that doesn't come behind what this thread does next, is a
 * violation. For words that change by munmap and the like, or by stores that expect nobody.
 */
void model_own(const void *p);

/* Any of 0 to n - 1: whether a message is sent, where a thread dies. */
unsigned model_choose(unsigned n);

/* Waits for a thread's end, or death; all that it did is visible, as the kernel sees to. */
void model_join(unsigned thread);

/* The thread ends here. */
_Noreturn void model_die(void);

/* Goes no further in this run unless it holds: for loops that wait. end() is left out. */
void model_stop_unless(bool holds);

void model_check(bool holds, const char *what);
void model_reach(unsigned outcome);
void model_name(const void *p, const char *name);

/* True: no run violates anything, and all outcomes came about. Says what it did. */
bool model_explore(const struct model_scenario *scenario);

#endif
