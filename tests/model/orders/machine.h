/* SPDX-License-Identifier: MIT */
#ifndef MODEL_MACHINE_H
#define MODEL_MACHINE_H

/* A machine that makes single steps of threads as C11 allows; machine.c says which part of it. */

#include "tests/model/orders/explore.h"

#define MODEL_LOCATIONS 64

enum model_kind {
	MODEL_LOAD,
	MODEL_STORE,
	MODEL_CHANGE, /* a read-modify-write */
	MODEL_SWAP,   /* a compare and swap */
	MODEL_FENCE,
	MODEL_CHOICE,
	MODEL_JOIN,
	MODEL_END,
};

struct model_op {
	enum model_kind kind;
	unsigned at; /* the location of p */
	void *p;     /* a word; of the others something of their own */
	size_t size;
	enum model_order order;
	enum model_rmw rmw;
	bool is_seq_cst;
	uint64_t value;	   /* to store; CHOICE: of how many; JOIN: the thread */
	uint64_t expected; /* SWAP */
	uint64_t result;   /* what it found, or chose */
};

/* Forgets all; words hold what they do in memory. */
void machine_reset(void);

/* The location of an object, which may be an atomic word. */
unsigned machine_location_of(const void *p);

/* The location of an atomic word: its first store is what memory holds. */
unsigned machine_word_of(const void *p, size_t size);

uint64_t machine_value(const void *p, size_t size);
uint64_t machine_combine(enum model_rmw kind, uint64_t a, uint64_t b);

/* An access that isn't atomic, or counts as such. Returns what is wrong with it, or NULL. */
const char *machine_access(unsigned at, unsigned thread, bool is_write);

/*
 * A step of thread, the choice-th of what it can be; *ret_n: how many those are. Returns what is
 * wrong with it, or NULL.
 */
const char *machine_step(unsigned thread, struct model_op *op, unsigned choice, unsigned *ret_n);

#endif
