/* SPDX-License-Identifier: MIT */
#ifndef BENCH_MESSAGE_H
#define BENCH_MESSAGE_H

/* The messages of prodcons and two_process: 64 bytes, written whole, read whole, checked. */
#include <errno.h>
#include <stdint.h>

#include "bench/support/allocator.h"
#include "bench/support/bench.h"

#define BENCH_MESSAGE_WORDS 8

struct bench_message {
	uint64_t words[BENCH_MESSAGE_WORDS];
};

/* A new message; first comes back from bench_message_read. */
static inline struct bench_message *bench_message_new(uint64_t first)
{
	struct bench_message *message = bench_malloc(sizeof(*message));

	if (!message)
		bench_fail("allocating");
	for (uint64_t i = 0; i < BENCH_MESSAGE_WORDS; i++)
		message->words[i] = first + i;
	return message;
}

static inline uint64_t bench_message_read(const struct bench_message *message)
{
	uint64_t sum = 0;

	for (uint64_t i = 0; i < BENCH_MESSAGE_WORDS; i++)
		sum += message->words[i];
	if (sum != BENCH_MESSAGE_WORDS * message->words[0] + 28) { /* 0 + 1 + ... + 7 */
		errno = EBADMSG;
		bench_fail("reading a message");
	}
	return message->words[0];
}

#endif
