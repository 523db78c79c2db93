/* SPDX-License-Identifier: MIT */
#ifndef HAKT_CTL_H
#define HAKT_CTL_H

/* What hakmemctl says, as JSON. */

#include <jansson.h>
#include <sys/types.h>

/* hakmemctl --json VERB, which must succeed; to be released by json_decref. */
json_t *hakt_ctl(const char *socket, const char *verb);

/* The same with any exit code that comes with an answer. */
json_t *hakt_ctl_judge(const char *socket, const char *verb, int *ret_exit_code);

/* Members of an object, which must be there and of that type. */
long long hakt_json_number(json_t *object, const char *name);
const char *hakt_json_string(json_t *object, const char *name);

/* A whole number of the status, or of its first pool. */
long long hakt_ctl_status(const char *socket, const char *name);
long long hakt_ctl_pool(const char *socket, const char *name);

/* Of the pool of that name; -1: there is none. */
long long hakt_ctl_pool_of(const char *socket, const char *pool, const char *name);

/* Waits, 12 s at most, until it is that. */
void hakt_ctl_wait_pool_of(const char *socket, const char *pool, const char *name,
			   long long number);

#define HAKT_CTL_STATE_BYTES 32
/* The state of the client with that pid; "": there is none. */
void hakt_ctl_client_state(const char *socket, pid_t pid, char state[HAKT_CTL_STATE_BYTES]);

#endif
