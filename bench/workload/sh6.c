/* SPDX-License-Identifier: MIT */
/*
 * sh6 ROUNDS: the pattern of sh6bench, written anew. One thread, 3000 slots. A
 * round goes through a series of sizes from 1 to 1000 bytes, each followed by
 * its halves, those below 100 bytes five times as often. When the slots are
 * full, all are freed but a stretch that is saved: those before it in the order
 * of allocation, those behind it in the reverse order. Then the slots are filled
 * again, around the saved stretch, which lives for two generations and moves on
 * through the slots. Reports seconds for all rounds, so less is better.
 */
#include "bench/support/allocator.h"
#include "bench/support/bench.h"
#include "bench/support/clock.h"

#define MAX_BYTES 1000
#define N_SLOTS	  3000
#define N_SAVED	  300

struct sh6 {
	void *slots[N_SLOTS];
	int next;	/* slot to fill */
	int saved;	/* first of the saved stretch */
	int generation; /* full so often */
};

static void free_between(struct sh6 *sh6, int first, int end)
{
	for (int i = first; i < end; i++) {
		bench_free(sh6->slots[i]);
		sh6->slots[i] = NULL;
	}
}

static void free_between_backwards(struct sh6 *sh6, int first, int end)
{
	for (int i = end; i-- > first;) {
		bench_free(sh6->slots[i]);
		sh6->slots[i] = NULL;
	}
}

static void free_group(struct sh6 *sh6)
{
	if (sh6->generation++ % 2 == 0) /* the old stretch has had its two */
		sh6->saved = (sh6->saved + N_SAVED) % N_SLOTS;
	free_between(sh6, 0, sh6->saved);
	free_between_backwards(sh6, sh6->saved + N_SAVED, N_SLOTS);
	sh6->next = 0;
}

static void allocate(struct sh6 *sh6, size_t bytes)
{
	while (sh6->next < N_SLOTS && sh6->slots[sh6->next])
		sh6->next++; /* over the saved stretch */
	if (sh6->next == N_SLOTS) {
		free_group(sh6);
		if (sh6->saved == 0)
			sh6->next = N_SAVED;
	}
	sh6->slots[sh6->next] = bench_malloc(bytes);
	if (!sh6->slots[sh6->next])
		bench_fail("allocating");
	bench_touch(sh6->slots[sh6->next++]);
}

static int times(size_t bytes)
{
	return bytes < 100 ? 250 : 50;
}

static void series(struct sh6 *sh6)
{
	for (size_t base = 1; base <= MAX_BYTES; base = base * 3 / 2 + 1)
		for (size_t bytes = base; bytes > 0; bytes /= 2)
			for (int i = times(bytes); i > 0; i--)
				allocate(sh6, bytes);
}

int main(int argc, char **argv)
{
	static struct sh6 sh6;
	struct bench_options options;
	double start;

	bench_begin(&options, argc, argv, 0, 1, BENCH_SYMBOL);
	start = bench_now();
	for (uint64_t i = 0; i < options.numbers[0]; i++)
		series(&sh6);
	free_between(&sh6, 0, N_SLOTS);
	bench_report("sh6", bench_now() - start, "s");
	bench_detach();
	return 0;
}
