/* SPDX-License-Identifier: MIT */
#ifndef HAKT_CRASH_SCENARIO_H
#define HAKT_CRASH_SCENARIO_H

/* What a daemon is made to do while it is killed: orders to clients, one after the other. */

#include "tests/crash/daemon/actor.h"

enum hakt_deed {
	HAKT_ORDER,	/* who does what; waited for */
	HAKT_KILL,	/* who; until nothing is its */
	HAKT_AWAIT,	/* until so many SuperSlabs are orphans and nothing is being collected */
	HAKT_NAP,	/* so many ms, longer at each try: what the daemon does by its timers */
	HAKT_COUNT,	/* windows count from here on, if it is there; else from the begin */
	HAKT_RESTART,	/* everything before runs without a tracer; then another daemon, traced */
	HAKT_KILL_IDLE, /* who, where no daemon is: before HAKT_RESTART */
};

struct hakt_act {
	enum hakt_deed deed;
	enum hakt_who who;
	enum hakt_command command;
	uint32_t argument;
};

#define HAKT_ACTS_MAX 16u

struct hakt_scenario {
	const char *name;
	struct hakt_act acts[HAKT_ACTS_MAX]; /* up to one without a command or a deed */
	int dies_too; /* who is killed when the window is entered, + 1; 0: nobody */
};

/* Is there such an act in it; and such an order? */
bool hakt_scenario_does(const struct hakt_scenario *s, enum hakt_deed deed);
bool hakt_scenario_orders(const struct hakt_scenario *s, enum hakt_command command);

extern const struct hakt_scenario hakt_scenarios[];
extern const unsigned hakt_n_scenarios;

#endif
