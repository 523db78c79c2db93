/* SPDX-License-Identifier: MIT */
#ifndef HAKT_CRASH_VICTIM_H
#define HAKT_CRASH_VICTIM_H

/*
 * The process that is killed. It prepares at full speed, says where the part of its script begins
 * that counts, runs it, and waits for its end. Which scripts there are: scenario.c.
 */

#include <stdbool.h>
#include <stddef.h>

#include "tests/crash/world.h"

/* Registers in which the marks say what they are. */
#define HAKT_MARK_BEGIN UINT64_C(0x68616b6265670a1a)
#define HAKT_MARK_END	UINT64_C(0x68616b656e640a1a)

#define HAKT_HANDFUL 4096u

/* What a script works on; what prepare leaves for it. */
struct hakt_victim {
	void *blocks[HAKT_HANDFUL];
	unsigned n;
	struct hakt_parcel *held[HAKT_WALKERS * HAKT_PARCELS];
	unsigned n_held;
};

enum hakt_script_thread {
	HAKT_IN_MAIN = 0,
	HAKT_IN_THREAD, /* in one of its own, whose end is killed at too */
};

struct hakt_scenario {
	const char *name;
	void (*prepare)(struct hakt_victim *v); /* NULL: nothing */
	void (*script)(struct hakt_victim *v);
	enum hakt_script_thread thread;
	bool attaches;	/* the script attaches: prepare must not */
	bool is_double; /* another client dies with it: see hakt_companion_run */
};

extern const struct hakt_scenario hakt_scenarios[];
extern const unsigned hakt_n_scenarios;

/* In the child: runs a scenario and never returns. */
void hakt_victim_run(const struct hakt_scenario *scenario) __attribute__((noreturn));

/*
 * In a child: a client that holds its own blocks and gifts of both walkers, and has published one
 * block, says so, and waits.
 */
void hakt_companion_run(void) __attribute__((noreturn));

/* The instruction that marks the end; to be told from breakpoints by its address. */
extern const char hakt_mark_end[];

/* For scripts: */

/* Waits until a word is the one or the other. */
void hakt_wait_for(const hak_u32 *word, uint32_t one, uint32_t other);

/* A block with what its parcel says in it, lent by a walker; waits for it. */
void *hakt_take_loan(struct hakt_victim *v, unsigned walker, unsigned at);

/* Gives it back, filled anew; or frees it. The loan's number is as in v->held. */
void hakt_return_loan(struct hakt_victim *v, unsigned held);
void hakt_free_loan(struct hakt_victim *v, unsigned held);

/* Lends a block of ours to a walker; with HAKT_FREE_AT_ONCE it frees it. */
void hakt_lend(unsigned walker, unsigned at, void *block, size_t size, uint32_t wish);

/* Takes a block that a walker gives. */
void *hakt_take_gift(unsigned walker, unsigned at);

/* Gives a block of ours, by a new ref. */
void hakt_give(unsigned walker, unsigned at, void *block, size_t size, uint32_t wish);

/* Waits until the walker has taken it. */
void hakt_wait_accepted(unsigned walker, unsigned at);

/* Waits until it has come back, or is freed. */
void hakt_wait_back(unsigned walker, unsigned at);

#endif
