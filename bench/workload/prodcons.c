/* SPDX-License-Identifier: MIT */
/*
 * One thread allocates messages of 64 bytes, writes them and sends them by a
 * ring of 1024 pointers; another reads, checks and frees them. Reports millions
 * of messages a second.
 */
#include <pthread.h>

#include "bench/support/clock.h"
#include "bench/support/message.h"
#include "bench/support/ring.h"

#define STEP 1024

static struct bench_ring ring;
static struct bench_options options;

static void *send_messages(void *argument)
{
	uint64_t n = 0;
	double end;

	(void)argument;
	bench_pin(1);
	end = bench_now() + options.seconds;
	while (bench_now() < end)
		for (int i = 0; i < STEP; i++)
			bench_ring_send(&ring, (uintptr_t)bench_message_new(n++));
	bench_ring_send(&ring, 0);
	return NULL;
}

int main(int argc, char **argv)
{
	struct bench_message *message;
	pthread_t sender;
	uint64_t n = 0;
	double start;

	bench_begin(&options, argc, argv, 0, 0, BENCH_SYMBOL);
	bench_pin(0);
	bench_ring_init(&ring, BENCH_RING_WORDS);
	start = bench_now();
	errno = pthread_create(&sender, NULL, send_messages, NULL);
	if (errno)
		bench_fail("starting a thread");
	while ((message = (struct bench_message *)(uintptr_t)bench_ring_receive(&ring))) {
		if (bench_message_read(message) != n++) {
			errno = EBADMSG;
			bench_fail("reading the next message");
		}
		bench_free(message);
	}
	bench_report("prodcons", (double)n / (bench_now() - start) / 1e6, "M-messages/s");
	pthread_join(sender, NULL);
	bench_detach();
	return 0;
}
