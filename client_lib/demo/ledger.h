/* SPDX-License-Identifier: MIT */
#ifndef HAKC_DEMO_LEDGER_H
#define HAKC_DEMO_LEDGER_H

/*
 * The reader's book: which file is where, and which worker has which files.
 *
 *                  add         out            done
 *   (no such file) --> WAITING --> OUT (at w) -----> DONE
 *                         ^   \    |                  ^
 *                         +----\---+ w is lost        |
 *                               +-------- done -------+
 *
 * A file that was out before can be done while it waits: the table that its dead
 * worker sent was taken after all. n_out of a worker is the number of files OUT at it.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client_lib/demo/channel.h"

#define HAKC_OUT_MAX 4 /* files out at one worker: one that it counts, others ready for it */

enum hakc_entry_state {
	HAKC_ENTRY_WAITING = 1,
	HAKC_ENTRY_OUT,
	HAKC_ENTRY_DONE,
};

struct hakc_entry {
	char *path; /* until it is done */
	hakmem_ref_t ref;
	uint64_t bytes;
	uint32_t n_out; /* how often it was handed out */
	uint32_t worker;
	enum hakc_entry_state state;
};

struct hakc_colleague {
	int channel; /* -1: there is none */
	unsigned n_out;
	uint64_t out[HAKC_OUT_MAX];
};

struct hakc_ledger {
	struct hakc_entry *entries; /* by number */
	size_t n_entries;
	size_t n_space;	   /* entries, and waiting, have room for */
	uint64_t *waiting; /* numbers, not yet popped; some may be done */
	size_t n_waiting;
	uint64_t n_done;
	uint64_t n_again; /* times that a file was handed out after the first */
	unsigned n_colleagues;
	struct hakc_colleague colleagues[HAKC_WORKERS_MAX];
};

void hakc_ledger_init(struct hakc_ledger *ledger);
void hakc_ledger_deinit(struct hakc_ledger *ledger);

/* A file that waits; its number in *ret_number. 0 or -ENOMEM. */
int hakc_ledger_add(struct hakc_ledger *ledger, const char *path, hakmem_ref_t ref, uint64_t bytes,
		    uint64_t *ret_number);

/* One that waits, to be handed out by the caller now. False: none does. */
bool hakc_ledger_pop(struct hakc_ledger *ledger, uint64_t *ret_number);

/* The worker that has the fewest files, and room for one more; -1: none has. */
int hakc_ledger_choose(const struct hakc_ledger *ledger);

/* What was popped, and waits, is at the worker now. */
void hakc_ledger_out(struct hakc_ledger *ledger, uint64_t number, unsigned worker);

/* It is known to be counted, or never to be. False: there is no such file, or it was before. */
bool hakc_ledger_done(struct hakc_ledger *ledger, uint64_t number);

/* A new worker; there must be room: n_colleagues < HAKC_WORKERS_MAX. */
void hakc_ledger_hire(struct hakc_ledger *ledger, int channel);

/* The worker has gone: closes its channel; what was at it waits again. */
void hakc_ledger_lose(struct hakc_ledger *ledger, unsigned worker);

#endif
