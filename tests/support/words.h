/* SPDX-License-Identifier: MIT */
#ifndef HAKT_WORDS_H
#define HAKT_WORDS_H

/*
 * The registry of a pool, to be written to as its daemon would, or would have gone on. All calls
 * fail the test on error.
 */

#include <sys/types.h>

#include "proto/shm/registry.h"

struct hakt_words {
	struct hak_registry *header;
	struct hak_holder *holders;
	hak_u64 *superslabs;
	uint32_t n_superslabs;
	uint64_t bytes;
};

void hakt_words_init(struct hakt_words *words, int registry_fd);

/* The registry of a daemon that lives. */
void hakt_words_init_of(struct hakt_words *words, pid_t daemon);
void hakt_words_deinit(struct hakt_words *words);

/* The slot of the holder with that pid that is ATTACHED. */
unsigned hakt_words_holder(const struct hakt_words *words, int pid);

/* The first SuperSlab from `from` on where something is GRANTED to a holder. */
uint32_t hakt_words_granted(const struct hakt_words *words, unsigned holder, uint32_t from);

#endif
