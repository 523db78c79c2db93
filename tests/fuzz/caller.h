/* SPDX-License-Identifier: MIT */
#ifndef HAKT_FUZZ_CALLER_H
#define HAKT_FUZZ_CALLER_H

/* Those who talk to the daemon of a target: sockets, and what they have been told. */

#include <stdbool.h>
#include <stdint.h>

#include "proto/shm/registry.h"
#include "proto/wire/wire.h"

enum { HAKT_CALLERS = 6, HAKT_ASKED_MAX = 8 };

struct hakt_asked {
	uint64_t id;
	bool may_wait; /* for memory: answered some time */
};

struct hakt_caller {
	int fd;	      /* -1: no connection */
	int lease_fd; /* -1: none, so it has no mapping either */
	unsigned holder;
	uint32_t generation; /* of the holder; 0: it is no client */
	uint8_t uuid[HAK_UUID_BYTES];
	uint64_t pool_generation;
	uint64_t last_id;
	unsigned n_asked;
	struct hakt_asked asked[HAKT_ASKED_MAX];
};

extern struct hakt_caller hakt_callers[HAKT_CALLERS];

void hakt_callers_init(void);
void hakt_callers_deinit(void);

/* A new connection; the one before is closed. */
void hakt_caller_connect(struct hakt_caller *caller);
void hakt_caller_hang_up(struct hakt_caller *caller);

/* As exec or a detach does: nothing of it is mapped any more. */
void hakt_caller_unmap(struct hakt_caller *caller);

/* Sends a request with the next id, or bytes; with a descriptor, if that is wanted. */
void hakt_caller_ask(struct hakt_caller *caller, Hak__Request *request, bool with_fd);
void hakt_caller_send(struct hakt_caller *caller, const void *bytes, size_t n, bool with_fd);

/*
 * Takes what has come to all of them: replies are to what was asked, in that order, and of a
 * daemon at rest there is one to each request but those that may wait, or none and it hung up.
 */
void hakt_callers_listen(bool is_at_rest);

#endif
