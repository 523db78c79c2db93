/* SPDX-License-Identifier: MIT */
#ifndef HAKT_MAILBOX_H
#define HAKT_MAILBOX_H

/* Messages between threads: a ring of batches behind a lock. */

#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#include "tests/stress/party.h"

#define HAKT_MAILBOX_BATCHES 32u

struct hakt_mailbox {
	pthread_mutex_t lock;
	unsigned first, n;
	unsigned lengths[HAKT_MAILBOX_BATCHES];
	struct hakt_item batches[HAKT_MAILBOX_BATCHES][HAKT_BATCH_MAX];
};

static inline void hakt_mailbox_init(struct hakt_mailbox *mailbox)
{
	pthread_mutex_init(&mailbox->lock, NULL);
	mailbox->first = mailbox->n = 0;
}

static inline void hakt_mailbox_deinit(struct hakt_mailbox *mailbox)
{
	pthread_mutex_destroy(&mailbox->lock);
}

/* False: it is full. */
static inline bool hakt_mailbox_put(struct hakt_mailbox *mailbox, const struct hakt_item *batch,
				    unsigned n)
{
	bool has_room;

	pthread_mutex_lock(&mailbox->lock);
	has_room = mailbox->n < HAKT_MAILBOX_BATCHES;
	if (has_room) {
		unsigned at = (mailbox->first + mailbox->n++) % HAKT_MAILBOX_BATCHES;

		memcpy(mailbox->batches[at], batch, n * sizeof(*batch));
		mailbox->lengths[at] = n;
	}
	pthread_mutex_unlock(&mailbox->lock);
	return has_room;
}

/* Items of the oldest batch; 0: there is none. */
static inline unsigned hakt_mailbox_get(struct hakt_mailbox *mailbox, struct hakt_item *batch)
{
	unsigned n = 0;

	pthread_mutex_lock(&mailbox->lock);
	if (mailbox->n > 0) {
		n = mailbox->lengths[mailbox->first];
		memcpy(batch, mailbox->batches[mailbox->first], n * sizeof(*batch));
		mailbox->first = (mailbox->first + 1) % HAKT_MAILBOX_BATCHES;
		mailbox->n--;
	}
	pthread_mutex_unlock(&mailbox->lock);
	return n;
}

#endif
