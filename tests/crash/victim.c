/* SPDX-License-Identifier: MIT */
/*
 * Marks are breakpoint instructions of our own, so the tracer learns of them without a look at
 * the symbols; what they are is in a register. The thread that runs the script asks to be traced
 * itself: only that one is stepped, all others have to be waiting meanwhile.
 */
#include "tests/crash/victim.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <unistd.h>

#include "tests/crash/names.h"
#include "tests/support/now.h"
#include "tests/support/process.h"

static struct hakt_victim victim;

static __attribute__((noinline)) void begin(void)
{
	hakt_set(&hakt_world->tid, (uint32_t)gettid());
	HAKT_EXPECT(ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0);
	__asm__ volatile("int3" ::"a"(HAKT_MARK_BEGIN) : "memory");
}

static __attribute__((noinline)) void end(void)
{
	__asm__ volatile(".globl hakt_mark_end\n"
			 "hakt_mark_end: int3" ::"a"(HAKT_MARK_END)
			 : "memory");
}

static void *run_thread(void *context)
{
	const struct hakt_scenario *scenario = context;

	begin();
	scenario->script(&victim);
	return NULL; /* the end of the thread is the end of the script */
}

/* What every victim does before: attaches, lends, gives, borrows, and holds what it borrowed. */
static void greet(struct hakt_victim *v)
{
	static const size_t sizes[HAKT_WALKERS] = {100, 3000};

	HAKT_EXPECT(hakmem_attach(NULL) == 0);
	for (unsigned i = 0; i < HAKT_WALKERS; i++) {
		void *block = hakmem_malloc(sizes[i]);

		HAKT_EXPECT(block);
		hakt_lend(i, 0, block, sizes[i], 0);
		hakt_take_loan(v, i, 1);
		block = hakmem_malloc(sizes[i] + 50);
		HAKT_EXPECT(block);
		hakt_give(i, 0, block, sizes[i] + 50, 0);
	}
}

void hakt_victim_run(const struct hakt_scenario *scenario)
{
	pthread_t thread;

	prctl(PR_SET_NAME, "victim");
	if (!scenario->attaches)
		greet(&victim);
	if (scenario->prepare)
		scenario->prepare(&victim);
	if (scenario->thread == HAKT_IN_THREAD) {
		HAKT_EXPECT(pthread_create(&thread, NULL, run_thread,
					   (void *)(uintptr_t)scenario) == 0);
		pthread_join(thread, NULL);
		pause();
	}
	begin();
	scenario->script(&victim);
	end();
	for (;;)
		pause();
}

void hakt_companion_run(void)
{
	prctl(PR_SET_NAME, "companion");
	HAKT_EXPECT(hakmem_attach(NULL) == 0);
	for (unsigned i = 0; i < 20; i++)
		HAKT_EXPECT(hakmem_malloc(400));
	for (unsigned i = 0; i < HAKT_WALKERS; i++)
		hakt_take_gift(i, i + 2);
	HAKT_EXPECT(hakmem_ref(hakmem_malloc(900)));
	hakt_name_add(HAKT_NAME_OF_COMPANION, hakmem_malloc(900), 900);
	hakt_name_publish(HAKT_NAME_OF_COMPANION);
	/* One that is about to be freed, and waits to be flushed. */
	hakmem_free(hakt_take_gift(0, 1));
	hakt_set(&hakt_world->accompanied, hakt_get(&hakt_world->life));
	for (;;)
		pause();
}

void hakt_wait_for(const hak_u32 *word, uint32_t one, uint32_t other)
{
	int64_t end_ms = 0;

	for (unsigned i = 0; hakt_get(word) != one && hakt_get(word) != other; i++) {
		if (i % 1024 != 1023)
			continue;
		sched_yield();
		if (!end_ms)
			end_ms = hakt_now_ms() + HAKT_HANG_MS;
		HAKT_EXPECT(hakt_now_ms() < end_ms);
	}
}

void *hakt_take_loan(struct hakt_victim *v, unsigned walker, unsigned at)
{
	struct hakt_parcel *parcel = &hakt_world->walkers[walker].to_victim[at];
	void *block;

	hakt_wait_for(&parcel->state, HAKT_GIVEN, HAKT_GIVEN);
	hakt_set(&parcel->state, HAKT_HELD);
	block = hakmem_ptr(parcel->thing.name);
	HAKT_EXPECT(block);
	HAKT_EXPECT(hakt_thing_is_whole(block, &parcel->thing));
	v->held[v->n_held++] = parcel;
	return block;
}

void hakt_return_loan(struct hakt_victim *v, unsigned held)
{
	struct hakt_parcel *parcel = v->held[held];

	parcel->thing.seed++;
	hakt_thing_fill(hakmem_ptr(parcel->thing.name), &parcel->thing);
	hakt_set(&parcel->state, HAKT_RETURNED);
}

void hakt_free_loan(struct hakt_victim *v, unsigned held)
{
	struct hakt_parcel *parcel = v->held[held];
	void *block = hakmem_ptr(parcel->thing.name);

	hakt_set(&parcel->state, HAKT_FREEING);
	hakmem_free(block);
}

void hakt_lend(unsigned walker, unsigned at, void *block, size_t size, uint32_t wish)
{
	struct hakt_parcel *parcel = &hakt_world->walkers[walker].from_victim[at];

	hakt_wait_for(&parcel->state, HAKT_EMPTY, HAKT_FREED);
	parcel->thing = hakt_thing_make(block, size, (uintptr_t)block + at);
	parcel->wish = wish;
	hakt_set(&parcel->state, HAKT_GIVEN);
}

void *hakt_take_gift(unsigned walker, unsigned at)
{
	struct hakt_parcel *parcel = &hakt_world->walkers[walker].gifts_to[at];
	void *block = NULL;

	hakt_wait_for(&parcel->state, HAKT_GIVEN, HAKT_GIVEN);
	hakt_set(&parcel->state, HAKT_HELD);
	HAKT_EXPECT(hakmem_take(parcel->thing.ref, &block) == 0);
	HAKT_EXPECT(hakt_thing_is_whole(block, &parcel->thing));
	return block;
}

void hakt_give(unsigned walker, unsigned at, void *block, size_t size, uint32_t wish)
{
	struct hakt_parcel *parcel = &hakt_world->walkers[walker].gifts_from[at];

	hakt_wait_for(&parcel->state, HAKT_EMPTY, HAKT_EMPTY);
	parcel->thing = hakt_thing_make(block, size, (uintptr_t)block + at);
	parcel->wish = wish;
	HAKT_EXPECT(hakt_thing_give(&parcel->thing));
	hakt_set(&parcel->state, HAKT_GIVEN);
}

void hakt_wait_accepted(unsigned walker, unsigned at)
{
	hakt_wait_for(&hakt_world->walkers[walker].gifts_from[at].state, HAKT_EMPTY, HAKT_EMPTY);
}

void hakt_wait_back(unsigned walker, unsigned at)
{
	struct hakt_parcel *parcel = &hakt_world->walkers[walker].from_victim[at];

	hakt_wait_for(&parcel->state, HAKT_RETURNED, HAKT_FREED);
	if (hakt_get(&parcel->state) == HAKT_RETURNED)
		HAKT_EXPECT(hakt_thing_is_whole(hakmem_ptr(parcel->thing.name), &parcel->thing));
}
