/* SPDX-License-Identifier: MIT */
/*
 * bench-reclaim MIB ROUNDS: how long the memory of a dead process is away, and
 * how long others wait for a refill meanwhile.
 *
 * A child fills MIB with blocks of 64 bytes to 64 KiB, refs of every eighth
 * small one made, so that most slabs are tagged and the scan has to look at
 * each block; then it is killed. The parent asks the daemon for a SuperSlab and
 * gives it back, over and over, before that and until all of the child's is
 * free again.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/support/bench.h"
#include "bench/support/clock.h"
#include "bench/support/refill.h"
#include "client_lib/include/hakmem.h"
#include "proto/shm/registry.h"

#define SAMPLES (1u << 20)
#define CALM	2000 /* refills that are measured before each death */

static const size_t sizes[] = {64, 64, 64, 256, 1000, 64, 4096, 65536};

struct samples {
	uint32_t n;
	uint32_t ns[SAMPLES];
};

static struct samples calm, during;
static uint64_t back_ns[1000]; /* a round */

static struct {
	struct bench_refill refill;
	const hak_u64 *superslabs;
	uint32_t n_superslabs;
} client;

static void fill(uint64_t bytes)
{
	char ready = 'r';

	for (uint64_t n = 0, i = 0; n < bytes; i++) {
		size_t size = sizes[i % 8];
		char *block = hakmem_malloc(size);

		if (!block)
			bench_fail("filling");
		*block = 1;
		if (size == 64 && !hakmem_ref(block))
			bench_fail("making a ref");
		n += size;
	}
	if (write(STDOUT_FILENO, &ready, 1) != 1)
		bench_fail("telling");
	pause();
}

/* A child that has filled its heap; its pid. */
static pid_t start_child(const char *self, const char *mib)
{
	int ends[2];
	char ready;
	pid_t pid;

	if (pipe(ends) != 0 || (pid = fork()) < 0)
		bench_fail("starting a child");
	if (pid == 0) {
		dup2(ends[1], STDOUT_FILENO);
		close(ends[0]);
		close(ends[1]);
		execl(self, self, mib, (char *)NULL);
		bench_fail("exec");
	}
	close(ends[1]);
	if (read(ends[0], &ready, 1) != 1)
		bench_fail("a child that fills its heap");
	close(ends[0]);
	return pid;
}

static void attach(void)
{
	struct hak_geometry geometry;

	bench_refill_init(&client.refill);
	if (hak_registry_validate(client.refill.registry, client.refill.registry_bytes, &geometry) <
	    0)
		bench_fail("reading the registry");
	client.superslabs = (void *)((char *)client.refill.registry + HAK_REGISTRY_SUPERSLABS_AT);
	client.n_superslabs = geometry.n_superslabs;
}

/* A SuperSlab comes and goes; what its coming took is noted. */
static void sample(struct samples *samples)
{
	uint64_t ns = bench_refill(&client.refill);

	if (samples->n < SAMPLES)
		samples->ns[samples->n++] = (uint32_t)ns;
}

/* Is more granted, or on its way back, than what we have just given back ourselves? */
static bool is_away(void)
{
	unsigned n = 0;

	for (uint32_t i = 0; i < client.n_superslabs; i++) /* relaxed: only looked at */
		n += hak_superslab_state(hak_load_relaxed(&client.superslabs[i])) !=
		     HAK_SUPERSLAB_FREE;
	return n > 1;
}

static int compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static void report(const char *what, struct samples *samples, unsigned percent)
{
	char text[64];

	qsort(samples->ns, samples->n, sizeof(samples->ns[0]), compare);
	snprintf(text, sizeof(text), "%s-p%u", what, percent);
	bench_report(text, samples->ns[(uint64_t)(samples->n - 1) * percent / 100] / 1e3, "us");
}

static int compare_long(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
	uint64_t mib = argc > 1 ? strtoull(argv[1], NULL, 10) : 0;
	unsigned rounds = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 0;

	if (mib == 0 || argc > 3 || (argc == 3 && (rounds == 0 || rounds > 1000))) {
		fprintf(stderr, "usage: %s MIB ROUNDS\n", argv[0]);
		return 2;
	}
	bench_expect("hakmem_malloc");
	if (argc == 2)
		fill(mib << 20);
	attach();
	for (unsigned i = 0; i < rounds; i++) {
		pid_t child = start_child(argv[0], argv[1]);
		uint64_t killed;

		for (unsigned k = 0; k < CALM; k++)
			sample(&calm);
		killed = hakt_now_ns();
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
		while (is_away())
			sample(&during);
		back_ns[i] = hakt_now_ns() - killed;
	}
	report("refill-calm", &calm, 50);
	report("refill-calm", &calm, 99);
	report("refill-during-a-scan", &during, 50);
	report("refill-during-a-scan", &during, 99);
	report("refill-during-a-scan", &during, 100);
	qsort(back_ns, rounds, sizeof(back_ns[0]), compare_long);
	bench_report("reclaimed-after-median", (double)back_ns[rounds / 2] / 1e6, "ms");
	bench_report("reclaimed-after-most", (double)back_ns[rounds - 1] / 1e6, "ms");
	return 0;
}
