/* SPDX-License-Identifier: MIT */
#ifndef HAKD_NOTIFY_H
#define HAKD_NOTIFY_H

/*
 * Messages to who started the daemon: sd_notify(3), datagrams of lines
 * NAME=VALUE to the socket NOTIFY_SOCKET, some with a descriptor.
 *
 * | message                   | when                                                   |
 * |---------------------------|--------------------------------------------------------|
 * | FDSTORE=1, FDSTOREREMOVE=1| keeper.h                                               |
 * | BARRIER=1                 | all of that at the start has been sent, before READY=1 |
 * | READY=1, STATUS=          | it serves; a reload has ended                          |
 * | RELOADING=1               | a reload begins                                        |
 * | STOPPING=1                | it serves no longer                                    |
 * | WATCHDOG=1                | the loop turns; twice in WATCHDOG_USEC                 |
 *
 * At the start a keeper that is slow is waited for, 5 seconds a message; later
 * nothing waits for it: what its socket has no room for is posted again by
 * hakd_notify_flush, in the same order. If nobody has the socket any more there
 * is no keeper: said once in the log, and nothing is sent from then on.
 */

#include <stdbool.h>
#include <stdint.h>

struct hakd_letter;

struct hakd_notify {
	int fd;		      /* -1: there is no keeper */
	uint64_t watchdog_ms; /* it wants to be pinged more often than that; 0: not at all */
	struct hakd_letter *first, *last; /* posted, and not sent yet */
	unsigned n_letters;
};

/* Without a keeper. */
void hakd_notify_init_none(struct hakd_notify *notify);

/* Takes NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID out of the environment. */
void hakd_notify_init(struct hakd_notify *notify);

static inline bool hakd_notify_is_heard(const struct hakd_notify *notify)
{
	return notify->fd >= 0;
}

/*
 * Sends what was posted and a text, with fd if that is >= 0; waits. 0, also
 * without a keeper, or a negative errno.
 */
int hakd_notify_send(struct hakd_notify *notify, const char *text, int fd);

/* The same without waiting; fd may be closed afterwards. */
void hakd_notify_post(struct hakd_notify *notify, const char *text, int fd);

/* Sends what was posted as far as there is room; true: all of it. */
bool hakd_notify_flush(struct hakd_notify *notify);

/* Waits until everything that was sent has been read; 0 or -ETIMEDOUT, which is logged too. */
int hakd_notify_barrier(struct hakd_notify *notify);

/* status: a line for who looks at it. */
void hakd_notify_ready(struct hakd_notify *notify, const char *status);
void hakd_notify_reloading(struct hakd_notify *notify);
void hakd_notify_stopping(struct hakd_notify *notify);
void hakd_notify_ping(struct hakd_notify *notify);

#endif
