/* SPDX-License-Identifier: MIT */
#ifndef HAKT_CTL_H
#define HAKT_CTL_H

/* What hakmemctl says, as JSON. */

#include <jansson.h>

/* hakmemctl --json VERB, which must succeed; to be released by json_decref. */
json_t *hakt_ctl(const char *socket, const char *verb);

/* The same with any exit code that comes with an answer. */
json_t *hakt_ctl_judge(const char *socket, const char *verb, int *ret_exit_code);

/* A whole number of the status, or of its only pool. */
long long hakt_ctl_status(const char *socket, const char *name);
long long hakt_ctl_pool(const char *socket, const char *name);

#endif
