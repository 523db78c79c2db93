/* SPDX-License-Identifier: MIT */
#ifndef HAKT_SOAK_AUDIT_H
#define HAKT_SOAK_AUDIT_H

/* What hakmemctl says of the soak's daemon. */

#include "tests/stress/soak/table.h"

struct soak_state {
	bool is_known;	    /* false: hakmemctl had no answer, and nothing else is set */
	uint64_t anomalies; /* of check; they have been printed */
	uint64_t nobodys;   /* blocks of leaks */
	uint64_t refused;   /* frees that were refused, peers that were cut off */
	uint64_t clients, superslabs, orphans, live_blocks; /* of status */
};

struct soak_state soak_audit_ask(const char *socket);

/* In a process of its own: asks every two seconds until it is killed, and writes what it sees. */
void soak_audit_run(struct soak_table *table, const char *socket) __attribute__((noreturn));

#endif
