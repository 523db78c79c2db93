/* SPDX-License-Identifier: MIT */
/*
 * The table of scenarios. Workers attach before each and pass blocks to each other all the time;
 * A, B and C do what is written here. SuperSlabs are of 2 MiB: 60 KiB are a slot, 33 of them more
 * than a SuperSlab.
 */
#include "tests/crash/daemon/scenario.h"

#define ORDER(w, c, n)                                              \
	{                                                           \
		.who = HAKT_##w, .command = HAKT_##c, .argument = n \
	}
#define DIES(w)                                                          \
	{                                                                \
		.deed = HAKT_KILL, .who = HAKT_##w, .command = HAKT_REST \
	}
#define DIES_UNSEEN(w)                                                        \
	{                                                                     \
		.deed = HAKT_KILL_IDLE, .who = HAKT_##w, .command = HAKT_REST \
	}
#define AWAIT_ORPHANS(n)                                                \
	{                                                               \
		.deed = HAKT_AWAIT, .command = HAKT_REST, .argument = n \
	}
#define FROM_HERE                                        \
	{                                                \
		.deed = HAKT_COUNT, .command = HAKT_REST \
	}
#define NAP(ms)                                                        \
	{                                                              \
		.deed = HAKT_NAP, .command = HAKT_REST, .argument = ms \
	}
#define RESTART                                            \
	{                                                  \
		.deed = HAKT_RESTART, .command = HAKT_REST \
	}

/* A gives B a block of a slab, and a huge one. */
#define SURVIVORS                                                                   \
	ORDER(A, TINY, 3), ORDER(A, GIVE, 2), ORDER(B, TAKE, 0), ORDER(A, HUGE, 3), \
		ORDER(A, GIVE, 1), ORDER(B, TAKE, 0), FROM_HERE

/* B has a block of a second pool, which A has made. */
#define LAB ORDER(A, POOL_CREATE, 0), ORDER(B, POOL_OPEN, 0), FROM_HERE

const struct hakt_scenario hakt_scenarios[] = {
	{.name = "attach", .acts = {ORDER(A, ATTACH, 0), ORDER(B, ATTACH, 0)}},
	{.name = "grant", .acts = {ORDER(A, SMALL, 100), ORDER(B, SMALL, 40)}},
	{.name = "give-back",
	 .acts = {ORDER(A, SMALL, 100), ORDER(A, FREE_ALL, 0), ORDER(B, SMALL, 70)}},
	{.name = "run",
	 .acts = {ORDER(A, HUGE, 5), ORDER(A, RESIZE, 11), ORDER(A, RESIZE, 3),
		  ORDER(A, FREE_ALL, 0)}},
	{.name = "detach", .acts = {ORDER(A, SMALL, 40), ORDER(A, DETACH, 0)}},
	{.name = "death", .acts = {ORDER(A, SMALL, 40), ORDER(A, HUGE, 3), FROM_HERE, DIES(A)}},
	{.name = "survivors", .acts = {SURVIVORS, DIES(A), AWAIT_ORPHANS(2)}},
	{.name = "last-block",
	 .acts = {SURVIVORS, DIES(A), AWAIT_ORPHANS(2), ORDER(B, FREE_ALL, 0), AWAIT_ORPHANS(0)}},
	{.name = "heir",
	 .acts = {SURVIVORS, DIES(A), AWAIT_ORPHANS(2), NAP(200), ORDER(C, TINY, 1),
		  ORDER(B, FREE_ALL, 0), AWAIT_ORPHANS(0)}},
	{.name = "holder", .acts = {SURVIVORS, DIES(B)}},
	{.name = "tagged",
	 .acts = {ORDER(A, TINY, 3), ORDER(A, GIVE, 2), ORDER(B, TAKE, 0), FROM_HERE,
		  ORDER(B, FREE_ALL, 0), ORDER(A, FREE_ALL, 0), ORDER(A, DETACH, 0)}},
	{.name = "double", .acts = {SURVIVORS, DIES(A)}, .dies_too = HAKT_B + 1},
	{.name = "double-holder", .acts = {SURVIVORS, DIES(B)}, .dies_too = HAKT_A + 1},
	{.name = "roots",
	 .acts = {ORDER(A, TINY, 3), FROM_HERE, ORDER(A, PUBLISH, 3), ORDER(B, WITHDRAW, 0)}},
	{.name = "roots-death",
	 .acts = {ORDER(A, TINY, 3), FROM_HERE, ORDER(A, PUBLISH, 3), DIES(A), AWAIT_ORPHANS(1),
		  ORDER(B, WITHDRAW, 0)},
	 .dies_too = HAKT_B + 1},
	{.name = "pool-create", .acts = {ORDER(A, POOL_CREATE, 0)}},
	{.name = "pool-reset", .acts = {LAB, ORDER(A, POOL_RESET, 0)}},
	{.name = "pool-delete", .acts = {LAB, ORDER(A, POOL_DELETE, 0)}},
	{.name = "resume", .acts = {SURVIVORS, DIES_UNSEEN(A), RESTART, AWAIT_ORPHANS(2)}},
	{.name = "resume-orphans",
	 .acts = {SURVIVORS, DIES(A), AWAIT_ORPHANS(2), DIES_UNSEEN(B), RESTART, AWAIT_ORPHANS(0)}},
};
const unsigned hakt_n_scenarios = sizeof(hakt_scenarios) / sizeof(hakt_scenarios[0]);

bool hakt_scenario_does(const struct hakt_scenario *s, enum hakt_deed deed)
{
	for (unsigned i = 0; i < HAKT_ACTS_MAX && s->acts[i].command; i++)
		if (s->acts[i].deed == deed)
			return true;
	return false;
}

bool hakt_scenario_orders(const struct hakt_scenario *s, enum hakt_command command)
{
	for (unsigned i = 0; i < HAKT_ACTS_MAX && s->acts[i].command; i++)
		if (s->acts[i].deed == HAKT_ORDER && s->acts[i].command == command)
			return true;
	return false;
}
