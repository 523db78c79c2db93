/* SPDX-License-Identifier: MIT */
#ifndef HAKT_MORTAL_H
#define HAKT_MORTAL_H

/*
 * Processes that hold each other's blocks, and may be killed meanwhile; what tests of
 * that have in common. All calls fail the test on error.
 */

#include <stdbool.h>
#include <stddef.h>

#include "client_lib/include/hakmem.h"
#include "proto/shm/atomic.h"
#include "tests/support/daemon.h"
#include "tests/support/process.h"

enum { HAKT_MORTAL_SIZES = 8, HAKT_MORTAL_REFS = 800 };

/* Of a class, of a class of several slots, a span that threads keep, one that they don't, a run. */
extern const size_t hakt_mortal_sizes[HAKT_MORTAL_SIZES];

extern struct hakt_daemon hakt_mortal_daemon;

/* What the processes tell each other. */
struct hakt_mortal_shared {
	hakmem_ref_t refs[HAKT_MORTAL_REFS];
	void *blocks[HAKT_MORTAL_REFS];
	hakmem_ref_t other;
	unsigned holder;
	hak_u32 n_made;
};
extern struct hakt_mortal_shared *hakt_mortal_shared;

/* Setup and teardown of a case: a daemon with these options, whose pool must be empty in the end. */
int hakt_mortal_start(const char *const *options);
int hakt_mortal_setup(void **state); /* of 256 MiB */
int hakt_mortal_stop(void **state);

/* A block of one letter, which depends on seed. */
void hakt_mortal_fill(char *block, size_t size, unsigned seed);
bool hakt_mortal_is_as_made(const char *block, size_t size, unsigned seed);

/* A child, which has said that when this returns. */
void hakt_mortal_start_child(struct hakt_process *process, int (*run)(const void *),
			     const char *says);
void hakt_mortal_kill(struct hakt_process *process);

/*
 * In a child: makes two blocks of each size; refs has the ref of one of each, filled with its
 * index, other that of one more. Says "made" and waits.
 */
int hakt_mortal_make_blocks(const void *context);

/* The same with a run of three SuperSlabs: other has its ref, holder its owner. */
int hakt_mortal_make_run(const void *context);

#endif
