/* SPDX-License-Identifier: MIT */
/*
 * two-process WORK: the parent makes a page that all share (and a peer's pool)
 * and forks one or two children, which become clients of their own, work at the
 * same time and stay until both have finished, since a sender's blocks may be
 * in use until then. The parent reports. What is reported:
 *   msg64        M messages/s, child 0 to child 1, which are lent: by address, or a peer's offset
 *   give64       the same, given: by refs, which the receiver takes (ours only)
 *   latency      ns, the median of all messages
 *   pair         M pairs/s, the sum of both
 *   working-set  ns a pair, the mean of both
 *   alone-pair, alone-working-set  the same by one child, both in ns a pair
 */
#include "bench/workload/two_process.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/support/shared_memory.h"

#define POOL_BYTES ((size_t)64 << 20)

static const struct work {
	const char *name;
	const char *unit;
	void (*run)(struct bench_page *page, int i, const struct bench_options *options);
	uint32_t n_children;
	bool starts_itself; /* calls bench_page_start_together after its own preparation */
} works[] = {
	{"msg64", "M-messages/s", bench_work_messages, 2, false},
#ifdef BENCH_SHARED
	{"give64", "M-messages/s", bench_work_give, 2, false},
#endif
	{"latency", "ns", bench_work_latency, 2, false},
	{"pair", "M-pairs/s", bench_work_pairs, 2, false},
	{"working-set", "ns", bench_work_set, 2, true},
	{"alone-pair", "ns", bench_work_pairs, 1, false},
	{"alone-working-set", "ns", bench_work_set, 1, true},
};

static const struct work *work;

static void meet(hak_u32 *counter)
{
	unsigned spins = 0;

	/* Relaxed: nobody reads what another has written because of this; the parent waits. */
	hak_add_relaxed(counter, 1);
	while (hak_load_relaxed(counter) < work->n_children)
		bench_relax(&spins);
}

void bench_page_start_together(struct bench_page *page)
{
	meet(&page->n_ready);
}

static int run_child(struct bench_page *page, int i, const struct bench_options *options)
{
#if defined(BENCH_SHARED)
	int r = hakmem_attach(NULL);
#else
	int r = bench_peer_enter();
#endif
	if (r < 0) {
		errno = -r;
		bench_fail("entering the pool");
	}
#if defined(BENCH_SHARED)
	if (hakmem_is_at_base() != 1)
		bench_fail("mapping the pool at its own address");
#endif
	bench_pin((unsigned)i);
	if (!work->starts_itself)
		bench_page_start_together(page);
	work->run(page, i, options);
	meet(&page->n_done);
	bench_detach();
	return 0;
}

/* Waits for all; when one fails, the others would wait for it for ever. */
static int wait_for(const pid_t *children, uint32_t n)
{
	int status, failed = 0;
	pid_t pid;

	for (uint32_t left = n; left > 0; left--) {
		pid = wait(&status);
		if (pid < 0)
			return 1;
		if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
			continue;
		failed = 1;
		for (uint32_t i = 0; i < n; i++)
			if (children[i] != pid)
				kill(children[i], SIGKILL);
	}
	return failed;
}

static int compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static void report(struct bench_page *page)
{
	double n[2] = {(double)page->n[0], (double)page->n[1]};
	const double *s = page->seconds;

	if (work->run == bench_work_latency) {
		qsort(page->latencies, page->n_latencies, sizeof(page->latencies[0]), compare);
		bench_report(work->name, page->latencies[page->n_latencies / 2], work->unit);
	} else if (strcmp(work->unit, "M-messages/s") == 0) {
		bench_report(work->name, n[1] / s[1] / 1e6, work->unit);
	} else if (work->n_children == 1) {
		bench_report(work->name, s[0] * 1e9 / n[0], work->unit);
	} else if (work->run == bench_work_pairs) {
		bench_report(work->name, (n[0] / s[0] + n[1] / s[1]) / 1e6, work->unit);
	} else {
		bench_report(work->name, (s[0] / n[0] + s[1] / n[1]) / 2 * 1e9, work->unit);
	}
}

static void find_work(const char *name)
{
	for (size_t i = 0; i < sizeof(works) / sizeof(works[0]); i++)
		if (strcmp(works[i].name, name) == 0)
			work = &works[i];
	if (!work) {
		fprintf(stderr, "bench: no work %s\n", name);
		exit(2);
	}
}

int main(int argc, char **argv)
{
	struct bench_options options;
	struct bench_page *page;
	pid_t children[2], parent = getpid();
	int failed;

	bench_begin(&options, argc, argv, 1, 0, BENCH_SYMBOL);
	find_work(options.word);
	page = bench_shared_memory(sizeof(*page));
	bench_ring_init(&page->ring, BENCH_RING_WORDS);
#if !defined(BENCH_SHARED)
	errno = -bench_peer_init(POOL_BYTES);
	if (errno)
		bench_fail("making the pool");
#endif
	for (uint32_t i = 0; i < work->n_children; i++) {
		children[i] = fork();
		if (children[i] < 0)
			bench_fail("fork");
		if (children[i] == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL); /* no leftovers when we are killed */
			if (getppid() != parent)
				_exit(1);
			_exit(run_child(page, (int)i, &options));
		}
	}
	failed = wait_for(children, work->n_children);
	if (!failed)
		report(page);
#if !defined(BENCH_SHARED)
	bench_peer_deinit();
#endif
	return failed;
}
