/* SPDX-License-Identifier: MIT */
/* What the daemon says of lab, and what the keeper keeps of it. */
#include "tests/crash/daemon/lab.h"

#include <errno.h>
#include <unistd.h>

#include "proto/wire/socket_path.h"
#include "tests/support/ctl.h"
#include "tests/support/process.h"

#define END_TRIES 1000u /* of 10 ms */

/* -1: there is none. */
static long long count_clients(const struct hakt_keeper *keeper)
{
	return hakt_ctl_pool_of(keeper->daemon.socket, "lab", "clients");
}

static bool keeps(struct hakt_keeper *keeper, unsigned n)
{
	hakt_keeper_take(keeper);
	return hakt_keeper_count(keeper, "registry.") == n &&
	       hakt_keeper_count(keeper, "heap.") == n;
}

static bool has_files(const struct hakt_keeper *keeper)
{
	char path[HAK_SHOWN_PATH_MAX];

	hak_shown_path(keeper->daemon.socket, "stats", "lab", path);
	if (access(path, F_OK) == 0)
		return true;
	hak_shown_path(keeper->daemon.socket, "events", "lab", path);
	return access(path, F_OK) == 0;
}

const char *hakt_lab_fault(struct hakt_keeper *keeper, const struct hakt_scenario *s)
{
	bool is_done = hakt_stage->exit_code == 0;
	long long clients;

	if (!hakt_scenario_orders(s, HAKT_POOL_CREATE))
		return NULL;
	clients = count_clients(keeper);
	if (!keeps(keeper, clients >= 0))
		return "the keeper has another number of pools than the daemon";
	if (hakt_scenario_orders(s, HAKT_POOL_DELETE) ? is_done && clients >= 0
						      : is_done && clients < 0)
		return "what was done to lab is undone";
	if (hakt_scenario_orders(s, HAKT_POOL_RESET) && (clients < 0 || (is_done && clients > 0)))
		return "the reset left no lab, or the old one";
	if (hakt_scenario_orders(s, HAKT_POOL_OPEN) &&
	    hakt_stage->grown != (clients == 1 ? 0 : ESTALE))
		return "who had something of lab isn't told the truth";
	return NULL;
}

const char *hakt_lab_end(struct hakt_keeper *keeper, const struct hakt_scenario *s)
{
	if (!hakt_scenario_orders(s, HAKT_POOL_CREATE))
		return NULL;
	if (count_clients(keeper) >= 0) {
		hakt_ctl_wait_pool_of(keeper->daemon.socket, "lab", "clients", 0);
		hakt_keeper_run(keeper, 0,
				HAKT_LIST(HAKT_HAKMEMCTL, "--socket", keeper->daemon.socket,
					  "--pool", "lab", "check"),
				0, "0 blocks live: clean");
		hakt_keeper_run(keeper, 0,
				HAKT_LIST(HAKT_HAKMEMCTL, "--socket", keeper->daemon.socket, "pool",
					  "delete", "lab"),
				0, "is deleted");
	}
	for (unsigned i = 0; i < END_TRIES; i++) {
		if (keeps(keeper, 0) && !has_files(keeper) &&
		    hakt_keeper_count(keeper, "c.") == 0 && hakt_keeper_count(keeper, "l.") == 0)
			return NULL;
		usleep(10000);
	}
	return "something of lab, which is deleted, is left: at the keeper, or a file";
}
