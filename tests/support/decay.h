/* SPDX-License-Identifier: MIT */
#ifndef HAKT_DECAY_H
#define HAKT_DECAY_H

/*
 * Tests of what a process keeps and gives back; it is this one, and its clock is clock.h's. All
 * calls fail the test on error.
 */

#include "client_lib/thread.h"
#include "tests/support/daemon.h"
#include "tests/support/words.h"

#define HAKT_KEEP_MS   UINT64_C(8000)
#define HAKT_SLICE_MS  (HAKT_KEEP_MS / HAKC_SLICES)
#define HAKT_SLICES    12u /* until all has gone */
#define HAKT_SUPERSLAB ((size_t)2 << 20)
#define HAKT_SPAN      ((size_t)1 << 20) /* the longest that a thread keeps */
#define HAKT_RUN       (5 * HAKT_SUPERSLAB)
#define HAKT_SMALL     100000u /* small blocks, of 64 bytes */

extern struct hakt_daemon hakt_decay_daemon;
extern struct hakt_words hakt_decay_words;

/* Setup and teardown of a case: a daemon, and this process attached. */
int hakt_decay_start(void **state);
int hakt_decay_start_without_time(void **state); /* keep_ms 0: only what is asked for goes */
int hakt_decay_stop(void **state);

uint64_t hakt_decay_counter(enum hak_stat stat);
uint64_t hakt_decay_granted(void);

/* Goes on for so many slices, by one small block in each. */
void hakt_decay_go_on(unsigned n_slices);

/* The same; all that is left then is what the last small block lies in. */
void hakt_decay_expect_all_gone(unsigned n_slices);

void hakt_decay_make_and_free(size_t size, unsigned n);

/* HAKT_SMALL blocks, in three SuperSlabs and a bit. */
char **hakt_decay_make_small(void);

/*
 * Frees those that aren't NULL so that the last ones, which stay in the magazine, come from many slabs; that takes
 * its time.
 */
void hakt_decay_free_small(char **blocks);

/* Runs to its end in a thread. */
void hakt_decay_in_thread(void *(*run)(void *), void *argument);

/* For that: fills all that a thread keeps. */
void *hakt_decay_grow(void *argument);

/* A block whose slab serves hakt_decay_go_on: it looks for no other. */
void *hakt_decay_hold(void);

/* Asks the daemon for memory ahead of need, which has come then. */
void hakt_decay_ask_ahead(void);

/* Finds an empty magazine. */
void hakt_decay_fill(void);

#endif
