/* SPDX-License-Identifier: MIT */
#ifndef BENCH_REFILL_H
#define BENCH_REFILL_H

/* A client that speaks the protocol by itself: what it measures is one refill. */

#include "client_lib/conn.h"

struct bench_refill {
	struct hakc_conn conn;
	void *registry; /* mapped for reading */
	uint64_t registry_bytes;
};

/* Attaches to the daemon of HAKMEM_SOCKET, or ends the program. */
void bench_refill_init(struct bench_refill *client);

/* A SuperSlab comes and goes; ns that its coming took. */
uint64_t bench_refill(struct bench_refill *client);

#endif
