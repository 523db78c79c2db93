/* SPDX-License-Identifier: MIT */
#ifndef HAKT_HOLDING_H
#define HAKT_HOLDING_H

/* A client that holds a block, says its ref, and looks at it whenever it is told to. */

#include "tests/support/block.h"

static inline int hakt_holding_run(const void *context)
{
	const char *letter = context;
	char *block = hakt_block_make(*letter);

	hakt_child_say("ref %llu", (unsigned long long)hakmem_ref(block));
	for (unsigned i = 0; i < 1000; i++) {
		hakt_child_wait();
		hakt_block_expect(block, *letter);
		hakt_child_say("intact");
	}
	return 0;
}

static inline void hakt_holding_start(struct hakt_process *client, const char *letter)
{
	*client = (struct hakt_process){0};
	hakt_process_fork(client, hakt_holding_run, letter);
	hakt_process_wait_output(client, 1, "ref");
}

/* To be asked once a client. */
static inline void hakt_holding_expect_intact(struct hakt_process *client)
{
	hakt_process_tell(client);
	hakt_process_wait_output(client, 1, "intact");
}

static inline void hakt_holding_kill(struct hakt_process *client)
{
	hakt_process_kill(client);
	hakt_process_end(client);
}

#endif
