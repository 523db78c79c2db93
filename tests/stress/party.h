/* SPDX-License-Identifier: MIT */
#ifndef HAKT_PARTY_H
#define HAKT_PARTY_H

/*
 * A party of an exchange: a process or a thread that allocates, fills, passes
 * on, checks and frees blocks at random. How items travel is its caller's.
 * What goes wrong is said on stderr and ends the process with 1: a party runs
 * where no test's assertion may be used.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client_lib/include/hakmem.h"
#include "tests/support/random.h"
#include "tests/support/slowness.h"

#define HAKT_LIVE_MAX  256u /* items that a party holds */
#define HAKT_BATCH_MAX 16u  /* items of a message */
#define HAKT_HOPS_MAX  4u   /* times that an item is passed on */

/* A block as it travels: what is in it follows from maker, serial and size. */
struct hakt_item {
	hakmem_ref_t ref;
	uint64_t serial;
	uint64_t size;
	uint32_t maker;
	uint32_t hops;
};

struct hakt_party {
	unsigned self;
	unsigned n;	      /* parties, numbered from 0 */
	bool keeps_own;	      /* passes on only what others have made */
	uint64_t random;      /* state of the generator; the seed to begin with */
	uint64_t n_ops;	      /* blocks made, moved, freed, sent and received */
	uint64_t serial;      /* of the last block made */
	uint32_t n_no_memory; /* refusals in a row */
	uint32_t n_live;
	struct hakt_item live[HAKT_LIVE_MAX];

	/* Hands a batch to another party; false: it has no room, nothing was sent. */
	bool (*send)(void *context, unsigned to, const struct hakt_item *batch, unsigned n);
	/* Fetches a message, HAKT_BATCH_MAX items at most; 0: none is there. Never waits. */
	unsigned (*receive)(void *context, struct hakt_item *batch);
	void *context;
};

/* The environment's HAKT_SEED, or a new one; printed. */
uint64_t hakt_seed(void);

/* The environment's HAKT_OPS, or `usual` divided by HAKT_SLOWNESS. */
uint64_t hakt_ops(uint64_t usual);

/* Says what is wrong and ends the process. */
void hakt_die(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

/* One random action, and whatever has come in. */
void hakt_party_step(struct hakt_party *party);

/* Receives all that is there, checks it and frees it. */
void hakt_party_serve(struct hakt_party *party);

/* Checks and frees all that the party holds. */
void hakt_party_free_all(struct hakt_party *party);

#endif
