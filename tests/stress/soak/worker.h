/* SPDX-License-Identifier: MIT */
#ifndef HAKT_SOAK_WORKER_H
#define HAKT_SOAK_WORKER_H

/*
 * A thread of a client: what it holds in private memory, which dies with it. What is wrong is said
 * and ends the process.
 *
 * The name of a block, its first word, says all about it:
 *
 *   63            41 40     26 25      2 1    0
 *  +----------------+---------+---------+------+
 *  | number         | entry   | size    | GIVEN|   of the giver's, see table.h
 *  +----------------+---------+---------+------+
 *   63                 33 32 26 25     2 1    0
 *  +---------------------+-----+--------+------+
 *  | number              | thr | size   | HELD |   by that thread; lent too
 *  |                     |     |        | ROOT |   published by that thread
 *  +---------------------+-----+--------+------+
 *
 * Each owner writes the whole block anew under a name of its own, so two owners at
 * once spoil each other's.
 */

#include "tests/stress/soak/table.h"

#define SOAK_ITEMS_MAX 48u
#define SOAK_OUT_MAX   32u /* tickets of a thread that nobody has taken so far */
#define SOAK_SIZE_MAX  ((1u << 24) - 1)

enum soak_kind { SOAK_HELD = 1, SOAK_GIVEN_AWAY = 2, SOAK_ROOT = 3 };

struct soak_item {
	void *block;
	uint64_t name;
	bool is_made; /* by this process, and was never anybody else's: a borrower may free it */
};

struct soak_worker {
	struct soak_table *table;
	struct soak_client *client;
	struct soak_thread *thread; /* ours in the table */
	unsigned self;		    /* our number there */
	uint64_t random;
	uint64_t n_named;
	unsigned n_items;
	struct soak_item items[SOAK_ITEMS_MAX];
	unsigned n_out, n_lent;
	bool is_out[SOAK_GIVES]; /* entries of ours, not of who was here before us */
};

static inline size_t soak_name_size(uint64_t name)
{
	return name >> 2 & SOAK_SIZE_MAX;
}

/* No refs are made of blocks of these sizes, so that slabs without tags are lent from, too. */
static inline bool soak_is_lent_only(size_t size)
{
	return (size > 256 && size <= 320) || (size > (128u << 10) && size <= (192u << 10));
}

static inline enum soak_kind soak_name_kind(uint64_t name)
{
	return (enum soak_kind)(name & 3);
}

/*
 * Passing a block on to another process, and getting one from there. ThreadSanitizer sees nothing
 * of what other processes do: to it, two threads of ours use the same block one after the other
 * without a word in between.
 */
#ifdef __SANITIZE_THREAD__
extern hak_u64 soak_passing;
void AnnotateIgnoreWritesBegin(const char *file, int line); /* libtsan's */
void AnnotateIgnoreWritesEnd(const char *file, int line);
#define soak_pass() ((void)hak_or_release(&soak_passing, 1))
#define soak_get()  ((void)hak_and_acq_rel(&soak_passing, 1))
/* Around a call that writes a block before we can say that we have got it: not looked at. */
#define soak_write_begin() AnnotateIgnoreWritesBegin(__FILE__, __LINE__)
#define soak_write_end()   AnnotateIgnoreWritesEnd(__FILE__, __LINE__)
#else
#define soak_pass()	   ((void)0)
#define soak_get()	   ((void)0)
#define soak_write_begin() ((void)0)
#define soak_write_end()   ((void)0)
#endif

/* As soak_say, and ends the process. */
#define soak_fail(w, error, ...)                                       \
	do {                                                           \
		soak_say((w)->table, (w)->self, (error), __VA_ARGS__); \
		_exit(1);                                              \
	} while (0)

/* Work of one client, from the fork to its end. */
void soak_client_run(struct soak_table *table, unsigned client) __attribute__((noreturn));

/* The next random number, below end. */
uint64_t soak_below(struct soak_worker *w, uint64_t end);

void soak_count(struct soak_worker *w, enum soak_count count);

/* Writes the block under a new name of ours. */
void soak_item_rename(struct soak_worker *w, struct soak_item *item, enum soak_kind kind);

/* Says what is wrong with a block, and all about it; ends the process. */
void soak_item_fail(struct soak_worker *w, const struct soak_item *item, enum soak_error error,
		    const char *what) __attribute__((noreturn));

/* Compares the contents with the name; `what`: how it came here, for the report. */
void soak_item_check(struct soak_worker *w, const struct soak_item *item, size_t bytes,
		     const char *what);

/* A block that came with its name in it. */
struct soak_item soak_item_open(struct soak_worker *w, void *block, enum soak_kind kind,
				const char *what);

/* Keeps one, or frees it where there is no room. */
void soak_item_hold(struct soak_worker *w, const struct soak_item *item);

void soak_item_free(struct soak_worker *w, const struct soak_item *item);

/* Takes a random one out of those held; false: there is none. */
bool soak_item_pick(struct soak_worker *w, struct soak_item *ret_item);

/* Puts a word into a random place of a box; what was there is lost. Gets one: 0: none. */
void soak_box_put(struct soak_worker *w, hak_u64 *box, uint64_t word);
uint64_t soak_box_get(struct soak_worker *w, hak_u64 *box);

/* give.c. */
void soak_give(struct soak_worker *w);
void soak_receive(struct soak_worker *w);
void soak_replay(struct soak_worker *w);
/* Looks after one entry, or all; true: some are still out. is_final: waits for no time to pass. */
bool soak_give_settle(struct soak_worker *w, bool is_final);

/* loan.c. */
void soak_lend(struct soak_worker *w);
void soak_borrow(struct soak_worker *w);
bool soak_loan_settle(struct soak_worker *w, bool is_final);

/* root.c. */
void soak_publish(struct soak_worker *w);
void soak_withdraw(struct soak_worker *w);
void soak_withdraw_all(struct soak_worker *w);
void soak_lookup(struct soak_worker *w);

#endif
