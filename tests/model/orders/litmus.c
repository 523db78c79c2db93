/* SPDX-License-Identifier: MIT */
/*
 * Is the explorer's machine C11's? The well-known small programs: what C11 forbids must not come
 * about in any run, what it allows in some, and a race is told.
 */
#include "proto/shm/atomic.h"

#include <stdio.h>
#include <string.h>

static hak_u64 x, y;
static uint64_t r[MODEL_THREADS];
static int data;

static void begin(void)
{
	x = y = 0;
	memset(r, 0, sizeof(r));
}

/* Outcomes of two loads, of one value each: 2 * r[0] + r[1]. */
static void any_pair(void)
{
	model_reach((unsigned)(r[0] * 2 + r[1]));
}

static void anything(void)
{
}

/* Store buffering. */

static void sb_0(void)
{
	hak_store_relaxed(&x, 1);
	r[0] = hak_load_relaxed(&y);
}

static void sb_1(void)
{
	hak_store_relaxed(&y, 1);
	r[1] = hak_load_relaxed(&x);
}

static void sb_fence_0(void)
{
	hak_store_relaxed(&x, 1);
	hak_fence_seq_cst();
	r[0] = hak_load_relaxed(&y);
}

static void sb_fence_1(void)
{
	hak_store_relaxed(&y, 1);
	hak_fence_seq_cst();
	r[1] = hak_load_relaxed(&x);
}

static void sb_not_both_0(void)
{
	model_check(r[0] || r[1], "neither saw the other");
}

/* Message passing, of words and of data. */

static void mp_words_0(void)
{
	hak_store_relaxed(&y, 1);
	hak_store_relaxed(&x, 1);
}

static void mp_words_1(void)
{
	r[0] = hak_load_relaxed(&x);
	r[1] = hak_load_relaxed(&y);
}

static void mp_release(void)
{
	model_write(&data);
	hak_store_release(&x, 1);
}

static void mp_relaxed(void)
{
	model_write(&data);
	hak_store_relaxed(&x, 1);
}

static void mp_release_fence(void)
{
	model_write(&data);
	hak_fence_acq_rel();
	hak_store_relaxed(&x, 1);
}

static void mp_late_fence(void)
{
	model_write(&data);
	hak_store_relaxed(&x, 1);
	hak_fence_seq_cst();
}

static void mp_acquire(void)
{
	if (hak_load_acquire(&x))
		model_read(&data);
}

static void mp_load_relaxed(void)
{
	if (hak_load_relaxed(&x))
		model_read(&data);
}

static void mp_acquire_fence(void)
{
	r[0] = hak_load_relaxed(&x);
	hak_fence_acq_rel();
	if (r[0])
		model_read(&data);
}

static void mp_seq_cst_fence(void)
{
	r[0] = hak_load_relaxed(&x);
	hak_fence_seq_cst();
	if (r[0])
		model_read(&data);
}

/* The release goes on through a read-modify-write, not through another's store. */

static void sequence_rmw(void)
{
	hak_add_relaxed(&x, 1);
}

static void sequence_store(void)
{
	if (hak_load_relaxed(&x) == 1)
		hak_store_relaxed(&x, 2);
}

static void sequence_end(void)
{
	if (hak_load_acquire(&x) == 2) {
		r[2] = 1;
		model_read(&data);
	}
}

static void sequence_seen(void)
{
	if (r[2])
		model_reach(0);
}

/* Two writers, two readers who see them in different orders. */

static void iriw_x(void)
{
	hak_store_release(&x, 1);
}

static void iriw_y(void)
{
	hak_store_release(&y, 1);
}

static void iriw_2(void)
{
	r[0] = hak_load_acquire(&x);
	r[1] = hak_load_acquire(&y);
}

static void iriw_3(void)
{
	r[2] = hak_load_acquire(&y);
	r[3] = hak_load_acquire(&x);
}

static void iriw_fence_2(void)
{
	r[0] = hak_load_relaxed(&x);
	hak_fence_seq_cst();
	r[1] = hak_load_relaxed(&y);
}

static void iriw_fence_3(void)
{
	r[2] = hak_load_relaxed(&y);
	hak_fence_seq_cst();
	r[3] = hak_load_relaxed(&x);
}

static bool iriw_differ(void)
{
	return r[0] && !r[1] && r[2] && !r[3];
}

static void iriw_allowed(void)
{
	if (iriw_differ())
		model_reach(0);
}

static void iriw_forbidden(void)
{
	model_check(!iriw_differ(), "two orders");
}

/* Coherence, atomicity, causality, the end of a thread. */

static void add(void)
{
	hak_add_relaxed(&x, 1);
}

static void read_twice(void)
{
	r[0] = hak_load_relaxed(&x);
	r[1] = hak_load_relaxed(&x);
	model_check(r[1] >= r[0], "an older value later");
}

static void all_added(void)
{
	model_check(x == 2, "an increment is lost");
	model_reach((unsigned)r[0]);
}

static void cas_to(unsigned me)
{
	uint64_t expected = 0;

	r[me] = hak_cas_relaxed(&x, &expected, me + 1);
	model_check(r[me] || expected, "a strong CAS failed at what it expects");
}

static void cas_0(void)
{
	cas_to(0);
}

static void cas_1(void)
{
	cas_to(1);
}

static void one_cas(void)
{
	model_check(r[0] + r[1] == 1, "two CAS from one value");
	model_reach((unsigned)r[0]);
}

static void wrc_between(void)
{
	if (hak_load_acquire(&x))
		hak_store_release(&y, 1);
}

static void wrc_end(void)
{
	if (!hak_load_acquire(&y))
		return;
	r[2] = 1;
	model_check(hak_load_relaxed(&x) == 1, "what caused it isn't seen");
	model_read(&data);
}

static void join_end(void)
{
	model_join(0);
	model_check(hak_load_relaxed(&x) == 1, "what a dead thread did isn't seen");
	model_read(&data);
}

static void owner(void)
{
	if (hak_load_relaxed(&y))
		model_own(&x);
}

static void toucher(void)
{
	hak_add_relaxed(&x, 1);
	hak_store_relaxed(&y, 1);
}

static void ordered_toucher(void)
{
	hak_add_relaxed(&x, 1);
	hak_store_release(&y, 1);
}

static void ordered_owner(void)
{
	if (hak_load_acquire(&y))
		model_own(&x);
}

static const struct {
	bool holds; /* false: a violation is to be found */
	struct model_scenario program;
} programs[] = {
	{true, {"SB", begin, {sb_0, sb_1}, any_pair, 4}},
	{false, {"SB, one fence", begin, {sb_fence_0, sb_1}, sb_not_both_0, 0}},
	{true, {"SB, two fences", begin, {sb_fence_0, sb_fence_1}, sb_not_both_0, 0}},
	{true, {"MP of words", begin, {mp_words_0, mp_words_1}, any_pair, 4}},
	{true, {"MP", begin, {mp_release, mp_acquire}, anything, 0}},
	{false, {"MP, load relaxed", begin, {mp_release, mp_load_relaxed}, anything, 0}},
	{false, {"MP, store relaxed", begin, {mp_relaxed, mp_acquire}, anything, 0}},
	{true, {"MP, fences", begin, {mp_release_fence, mp_acquire_fence}, anything, 0}},
	{false, {"MP, late fence", begin, {mp_late_fence, mp_seq_cst_fence}, anything, 0}},
	{true, {"sequence", begin, {mp_release, sequence_rmw, sequence_end}, sequence_seen, 1}},
	{false, {"no sequence", begin, {mp_release, sequence_store, sequence_end}, anything, 0}},
	{true, {"IRIW", begin, {iriw_x, iriw_y, iriw_2, iriw_3}, iriw_allowed, 1}},
	{true,
	 {"IRIW, fences", begin, {iriw_x, iriw_y, iriw_fence_2, iriw_fence_3}, iriw_forbidden, 0}},
	{true, {"coherence", begin, {add, add, read_twice}, all_added, 3}},
	{true, {"CAS", begin, {cas_0, cas_1}, one_cas, 2}},
	{true, {"WRC", begin, {mp_release, wrc_between, wrc_end}, sequence_seen, 1}},
	{true, {"join", begin, {mp_relaxed, join_end}, anything, 0}},
	{true, {"own", begin, {ordered_toucher, ordered_owner}, anything, 0}},
	{false, {"own, relaxed", begin, {toucher, owner}, anything, 0}},
};

int main(void)
{
	unsigned n_wrong = 0;

	for (unsigned i = 0; i < sizeof(programs) / sizeof(programs[0]); i++)
		if (model_explore(&programs[i].program) != programs[i].holds) {
			printf("wrong: %s\n", programs[i].program.name);
			n_wrong++;
		}
	return n_wrong == 0 ? 0 : 1;
}
