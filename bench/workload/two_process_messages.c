/* SPDX-License-Identifier: MIT */
/*
 * Messages from child 0 to child 1: 64 bytes, allocated and written by one,
 * sent by a ring of 1024, read, checked and freed by the other.
 *
 * messages: as many as pass, lent: who sends must live.
 * give: the same by tickets, which the receiver takes: from then on they are its.
 * latency: one at a time, and a pause in between, so that none waits for
 * another: from before the allocation until the contents have been read. Two
 * readings of the clock are part of it.
 */
#include "bench/support/clock.h"
#include "bench/support/message.h"
#include "bench/workload/two_process.h"

#define STEP  256
#define PAUSE 200 /* turns of the waiting loop */
#define END   0	  /* no ref of any subject */

#ifdef BENCH_SHARED
static bool is_given;
#endif

/* What the ring carries, less 1. */
static uint64_t name_of(struct bench_message *message)
{
#ifdef BENCH_SHARED
	if (is_given)
		return hakmem_ref(message);
#endif
	return bench_ref(message);
}

static struct bench_message *find(uint64_t name)
{
#ifdef BENCH_SHARED
	void *taken;

	if (is_given)
		return hakmem_take(name, &taken) == 0 ? taken : NULL;
#endif
	return bench_ptr(name);
}

static void send(struct bench_page *page, uint64_t first)
{
	bench_ring_send(&page->ring, name_of(bench_message_new(first)) + 1);
}

/* false: that was the last. */
static bool receive(struct bench_page *page, uint64_t *ret_first, uint64_t *ret_time)
{
	uint64_t word = bench_ring_receive(&page->ring);
	struct bench_message *message;

	if (word == END)
		return false;
	message = find(word - 1);
	if (!message)
		bench_fail("finding a message");
	*ret_first = bench_message_read(message);
	if (ret_time)
		*ret_time = hakt_now_ns();
	bench_free(message);
	return true;
}

void bench_work_messages(struct bench_page *page, int i, const struct bench_options *options)
{
	double start = bench_now();
	uint64_t n = 0, first;

	if (i == 0) {
		while (bench_now() < start + options->seconds)
			for (int j = 0; j < STEP; j++)
				send(page, n++);
		bench_ring_send(&page->ring, END);
	} else {
		while (receive(page, &first, NULL))
			if (first != n++) {
				errno = EBADMSG;
				bench_fail("reading the next message");
			}
	}
	page->n[i] = n;
	page->seconds[i] = bench_now() - start;
}

#ifdef BENCH_SHARED
void bench_work_give(struct bench_page *page, int i, const struct bench_options *options)
{
	is_given = true;
	bench_work_messages(page, i, options);
}
#endif

void bench_work_latency(struct bench_page *page, int i, const struct bench_options *options)
{
	double end = bench_now() + options->seconds;
	uint64_t sent, received;

	if (i == 1) {
		while (receive(page, &sent, &received))
			if (page->n_latencies < BENCH_LATENCIES)
				page->latencies[page->n_latencies++] = (uint32_t)(received - sent);
		return;
	}
	while (bench_now() < end) {
		unsigned spins = 0;

		send(page, hakt_now_ns());
		while (!bench_ring_is_empty(&page->ring))
			bench_relax(&spins);
		for (int j = 0; j < PAUSE; j++)
			bench_relax(&spins);
	}
	bench_ring_send(&page->ring, END);
}
