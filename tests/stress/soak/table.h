/* SPDX-License-Identifier: MIT */
#ifndef HAKT_SOAK_TABLE_H
#define HAKT_SOAK_TABLE_H

/*
 * The soak's own shared memory: mailboxes, and the book of who gave, lent and
 * took what. It is no memory of the pool and outlives every client, so what a killed one
 * had begun can be accounted for. The driver makes it and writes it when a client has
 * died; all else is written as said below.
 *
 * A ticket. The giver has an entry (struct soak_give) whose number is in the name that the
 * block contains, and puts the ref into one or two boxes. Whoever gets it out of a box
 * writes down that he is about to take it (intent), takes, finds the entry by the contents, and
 * claims it. Two claims: the ticket was good twice. The giver looks after its
 * entries, so none is left for ever:
 *
 * | entry                     | the giver takes its own ticket | what happened              |
 * |---------------------------|--------------------------------|----------------------------|
 * | claimed                   | -                              | taken                      |
 * | not claimed for some time | gets it                        | revoked: nobody wanted it, |
 * |                           |                                | or died with it before     |
 * | likewise                  | ESTALE; an intent has it       | taken just now             |
 * | likewise                  | ESTALE; an intent of the dead  | the taker died behind it   |
 * | likewise                  | ESTALE; neither                | an error: a lost block     |
 *
 * A loan. Its entry (struct soak_loan) says who may free the block:
 *
 *   IDLE -> LENT -> BORROWED -> RETURNED -> IDLE        the lender
 *             |         +-----> FREEING -> FREED -> IDLE    the borrower
 *             +------------------------------> IDLE     the lender, after some time
 *   by the driver when the borrower has died: BORROWED -> RETURNED, FREEING -> UNKNOWN;
 *   when the lender has died: IDLE, and the number goes on, so the borrower's next step fails.
 *
 * A free of a lent block waits in the borrower's buffer, and is not made if that dies
 * (docs/recovery.md). Where there is a ref of before, the lender takes it some time later: then
 * it has the block again or knows that it is free. Where there is none, it has the block for as
 * long as it lives. So nobody can say that such a client has freed everything, and it ends before
 * that is asked.
 *
 * Who frees by a pointer must know that the lender lives until the call returns: the block may
 * be another's afterwards, and free can't see it. So the borrower pins the lender, whom the
 * driver then doesn't kill.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client_lib/include/hakmem.h"
#include "proto/shm/atomic.h"

#define SOAK_CLIENTS_MAX 32u
#define SOAK_THREADS_MAX 3u   /* of a client */
#define SOAK_GIVES	 256u /* entries of a thread */
#define SOAK_LOANS	 64u
#define SOAK_BOX	 128u /* words of the mailbox; each holds one ref */
#define SOAK_HISTORY	 1024u
#define SOAK_INTENTS	 8192u /* the last ones of the dead */
#define SOAK_NOBODY	 0xffffu

enum soak_count {
	SOAK_GIVEN,
	SOAK_TAKEN,    /* from others and from threads of the same process */
	SOAK_STALE,    /* ESTALE of a ref from a box */
	SOAK_REVOKED,  /* by the giver, after some time */
	SOAK_LOST,     /* with the taker, who died behind its take */
	SOAK_LATE,     /* claims of an entry whose giver has died long ago */
	SOAK_REPLAYED, /* tries with tickets that had been taken; all ESTALE */
	SOAK_LENT_OUT,
	SOAK_LENT_FREED, /* by the borrower */
	SOAK_UNFREED,	 /* of these, that the lender has got back: the free was not made */
	SOAK_PUBLISHED,
	SOAK_WITHDRAWN,
	SOAK_STEPS,
	SOAK_NO_MEMORY,
	SOAK_COUNTS
};

enum soak_error {
	SOAK_E_CORRUPT, /* contents, addresses, sizes */
	SOAK_E_TWICE,	/* a ticket was good twice */
	SOAK_E_STALE,	/* ESTALE, though the giver lives and nobody took it */
	SOAK_E_REFUSED, /* a call failed that must not */
	SOAK_E_HANG,
	SOAK_ERRORS
};

/* What all clients are doing: `phase` counts on, its remainder by SOAK_PHASES says what. */
enum soak_phase {
	SOAK_WORK,
	SOAK_SETTLE, /* everything comes back to its owner, who frees it */
	SOAK_TRIM,
	SOAK_TRIM_AGAIN, /* others have freed meanwhile */
	SOAK_PHASES
};

/* How a client is to end, unless it is killed. */
enum soak_order { SOAK_GO_ON, SOAK_DETACH, SOAK_EXIT };

/* Low 16 bits of an entry's word; above them a number that goes on. */
enum soak_give_state { SOAK_OUT = 0, SOAK_FREE_ENTRY = SOAK_NOBODY }; /* else: taker + 1 */

struct soak_give {
	hak_u64 word;
	hak_u64 ref;
	hak_u64 since; /* ns */
};

enum soak_loan_state {
	SOAK_IDLE,
	SOAK_LENT,
	SOAK_BORROWED,
	SOAK_RETURNED,
	SOAK_FREEING,
	SOAK_FREED,
	SOAK_UNKNOWN,
};

/* word: state 8, borrower's thread 16, number above. */
struct soak_loan {
	hak_u64 word;
	hak_u64 block;
	hak_u64 name;
	hak_u64 ref;	  /* 0: none was made */
	hak_u64 may_free; /* the borrower, too: the lender made it */
	hak_u64 since;
};

struct soak_thread {
	hak_u64 intent;	   /* the ref that it is about to take */
	hak_u64 pin;	   /* client + 1 that must not be killed just now */
	hak_u64 done;	   /* the last phase that it finished */
	hak_u64 unflushed; /* a bit a client, of which it has freed a lent block without a ref */
	hak_u64 counts[SOAK_COUNTS];
	struct soak_give gives[SOAK_GIVES];
	struct soak_loan loans[SOAK_LOANS];
};

struct soak_client {
	hak_u64 is_ending; /* before it is killed or told to end */
	hak_u64 order;
	hak_u64 n_unknown; /* blocks of its own may have been freed, or not */
	hak_u64 life;	   /* how often it was started */
};

/* What the auditor has seen last, for the progress line. */
struct soak_seen {
	hak_u64 n_checks;
	hak_u64 superslabs;
	hak_u64 orphans;
	hak_u64 live_blocks;
	hak_u64 anomalies; /* all that were found */
};

struct soak_table {
	uint64_t seed;
	unsigned n_clients;
	hak_u64 phase;
	hak_u64 errors[SOAK_ERRORS];
	struct soak_seen seen;
	hak_u64 box[SOAK_BOX];	    /* refs */
	hak_u64 loan_box[SOAK_BOX]; /* numbers of loans, see loan.c */
	hak_u64 history[SOAK_HISTORY];
	hak_u64 n_dead_intents;
	hak_u64 dead_intents[SOAK_INTENTS];
	struct soak_client clients[SOAK_CLIENTS_MAX];
	struct soak_thread threads[SOAK_CLIENTS_MAX * SOAK_THREADS_MAX];
};

struct soak_table *soak_table_new(uint64_t seed, unsigned n_clients);

/* Threads of a client: every fourth has two, every fourth three. */
static inline unsigned soak_n_threads(unsigned client)
{
	return client % 4 == 1 ? 2 : client % 4 == 3 ? SOAK_THREADS_MAX : 1;
}

static inline unsigned soak_client_of(unsigned thread)
{
	return thread / SOAK_THREADS_MAX;
}

/*
 * The driver: may the client end now? From then on nobody pins it. False: it is pinned, nothing
 * has changed.
 */
bool soak_table_begin_end(struct soak_table *table, unsigned client);

/* The driver, when it has ended: what it had begun; then it may be started anew. */
void soak_table_bury(struct soak_table *table, unsigned client);

/* Does anybody living or dead have the intent to take it? */
bool soak_table_is_wanted(const struct soak_table *table, uint64_t ref, bool *ret_by_the_dead);

uint64_t soak_table_count(const struct soak_table *table, enum soak_count count);
uint64_t soak_table_errors(const struct soak_table *table);

/* Says what is wrong, with the seed, and counts it; `thread` SOAK_NOBODY: the driver. */
void soak_say(struct soak_table *table, unsigned thread, enum soak_error error, const char *format,
	      ...) __attribute__((format(printf, 4, 5)));

#endif
