/* SPDX-License-Identifier: MIT */
#ifndef HAKC_CTL_SHOWN_H
#define HAKC_CTL_SHOWN_H

/* The files that a daemon shows beside its socket, one a pool: proto/wire/socket_path.h. */

#include "client_lib/ctl/query.h"

/*
 * Calls take with the content of each file of a directory, "stats" or "events", of the pool
 * that the query names, or of all: n bytes at most. take returns 0; or -EPROTO: it isn't what it should be.
 * How many were taken; -1: there are some, and none could be: it has been said why.
 */
int hakc_shown_each(const struct hakc_query *query, const char *directory, void *buffer, size_t n,
		    int (*take)(void *context, const char *pool, const void *bytes, size_t n),
		    void *context);

#endif
