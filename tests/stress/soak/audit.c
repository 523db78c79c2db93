/* SPDX-License-Identifier: MIT */
/* check, leaks and status of hakmemctl, beside clients at work and dying. */
#include "tests/support/run.h"

#include "tests/stress/soak/audit.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/ctl.h"
#include "tests/support/process.h"

#define SHOWN_MAX 20u
#define PAUSE_S	  2
#define TRIES_MAX 20u /* the daemon is killed, also while it answers */

static uint64_t number(json_t *object, const char *name)
{
	return (uint64_t)json_integer_value(json_object_get(object, name));
}

/* NULL: no answer, which is said. */
static json_t *ask(const char *socket, const char *verb)
{
	struct hakt_process ctl = {0};
	json_t *json = NULL;

	for (unsigned i = 0; !json && i < TRIES_MAX; i++) {
		if (i > 0)
			hakt_process_end(&ctl);
		hakt_process_run(&ctl,
				 HAKT_LIST(HAKT_HAKMEMCTL, "--json", "--socket", socket, verb));
		if (ctl.exit_code == 0 || ctl.exit_code == 6)
			json = json_loads(hakt_process_output(&ctl, 1), 0, NULL);
	}
	if (!json)
		fprintf(stderr, "soak: hakmemctl %s: exit code %d: %s\n", verb, ctl.exit_code,
			hakt_process_output(&ctl, 2));
	hakt_process_end(&ctl);
	return json;
}

static void show_anomalies(json_t *check)
{
	json_t *all = json_object_get(check, "anomalies");

	for (size_t i = 0; i < json_array_size(all) && i < SHOWN_MAX; i++) {
		char *text = json_dumps(json_array_get(all, i), JSON_COMPACT);

		fprintf(stderr, "soak: anomaly: %s\n", text);
		free(text);
	}
}

/* What must not have happened to anybody, also of those that died since. */
static uint64_t count_refused(json_t *stats)
{
	static const char *const names[] = {"double_frees", "invalid_frees", "foreign_frees"};
	uint64_t n = number(json_object_get(stats, "daemon"), "protocol_errors");

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		n += number(json_object_get(stats, "clients"), names[i]);
	return n;
}

struct soak_state soak_audit_ask(const char *socket)
{
	json_t *check = ask(socket, "check"), *leaks = ask(socket, "leaks");
	json_t *status = ask(socket, "status"), *stats = ask(socket, "stats"), *pool;
	struct soak_state state = {.is_known = check && leaks && status && stats};

	if (state.is_known) {
		pool = json_array_get(json_object_get(status, "pools"), 0);
		state.anomalies = number(check, "anomaly_count");
		show_anomalies(check);
		state.nobodys = number(json_object_get(leaks, "nobody"), "live_blocks");
		state.refused = count_refused(stats);
		state.clients = number(pool, "clients");
		state.superslabs = number(pool, "granted_superslabs");
		state.orphans = number(pool, "orphan_superslabs");
		state.live_blocks = number(pool, "live_blocks");
	}
	json_decref(check);
	json_decref(leaks);
	json_decref(status);
	json_decref(stats);
	return state;
}

void soak_audit_run(struct soak_table *table, const char *socket)
{
	for (;;) {
		struct soak_state state = soak_audit_ask(socket);

		if (!state.is_known)
			soak_say(table, SOAK_NOBODY, SOAK_E_REFUSED, "no answer of hakmemctl");
		if (state.refused)
			soak_say(table, SOAK_NOBODY, SOAK_E_REFUSED,
				 "%llu frees refused or peers cut off, see above, or the log",
				 (unsigned long long)state.refused);
		if (state.is_known) { /* relaxed: the driver shows and adds up */
			hak_store_relaxed(&table->seen.superslabs, state.superslabs);
			hak_store_relaxed(&table->seen.orphans, state.orphans);
			hak_store_relaxed(&table->seen.live_blocks, state.live_blocks);
			hak_add_relaxed(&table->seen.anomalies, state.anomalies);
			hak_add_relaxed(&table->seen.n_checks, 1);
		}
		sleep(PAUSE_S);
	}
}
