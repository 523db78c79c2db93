/* SPDX-License-Identifier: MIT */
/*
 * The ledger: plain bookkeeping in private memory, without a call of hakmem. A
 * number is pushed on `waiting` when its file begins to wait, and popped before it
 * can be out; so it is there once at most, and there is always room.
 */
#include "client_lib/demo/ledger.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SPACE_FIRST 1024

void hakc_ledger_init(struct hakc_ledger *ledger)
{
	*ledger = (struct hakc_ledger){0};
	for (unsigned i = 0; i < HAKC_WORKERS_MAX; i++)
		ledger->colleagues[i].channel = -1;
}

void hakc_ledger_deinit(struct hakc_ledger *ledger)
{
	for (unsigned i = 0; i < HAKC_WORKERS_MAX; i++)
		hakc_channel_close(&ledger->colleagues[i].channel);
	for (size_t i = 0; i < ledger->n_entries; i++)
		free(ledger->entries[i].path);
	free(ledger->entries);
	free(ledger->waiting);
	hakc_ledger_init(ledger);
}

static int grow(struct hakc_ledger *ledger)
{
	size_t n = ledger->n_space ? ledger->n_space * 2 : SPACE_FIRST;
	struct hakc_entry *entries = realloc(ledger->entries, n * sizeof(*entries));
	uint64_t *waiting;

	if (!entries)
		return -ENOMEM;
	ledger->entries = entries;
	waiting = realloc(ledger->waiting, n * sizeof(*waiting));
	if (!waiting)
		return -ENOMEM;
	ledger->waiting = waiting;
	ledger->n_space = n;
	return 0;
}

static void wait_again(struct hakc_ledger *ledger, uint64_t number)
{
	assert(ledger->n_waiting < ledger->n_space);
	ledger->entries[number].state = HAKC_ENTRY_WAITING;
	ledger->waiting[ledger->n_waiting++] = number;
}

int hakc_ledger_add(struct hakc_ledger *ledger, const char *path, hakmem_ref_t ref, uint64_t bytes,
		    uint64_t *ret_number)
{
	char *copy;

	if (ledger->n_entries == ledger->n_space && grow(ledger) < 0)
		return -ENOMEM;
	copy = strdup(path);
	if (!copy)
		return -ENOMEM;
	*ret_number = ledger->n_entries;
	ledger->entries[ledger->n_entries++] = (struct hakc_entry){
		.path = copy, .ref = ref, .bytes = bytes};
	wait_again(ledger, *ret_number);
	return 0;
}

bool hakc_ledger_pop(struct hakc_ledger *ledger, uint64_t *ret_number)
{
	while (ledger->n_waiting > 0) {
		*ret_number = ledger->waiting[--ledger->n_waiting];
		if (ledger->entries[*ret_number].state == HAKC_ENTRY_WAITING)
			return true;
	}
	return false;
}

int hakc_ledger_choose(const struct hakc_ledger *ledger)
{
	int best = -1;

	for (int i = 0; i < HAKC_WORKERS_MAX; i++) {
		const struct hakc_colleague *c = &ledger->colleagues[i];

		if (c->channel >= 0 && c->n_out < HAKC_OUT_MAX &&
		    (best < 0 || c->n_out < ledger->colleagues[best].n_out))
			best = i;
	}
	return best;
}

void hakc_ledger_out(struct hakc_ledger *ledger, uint64_t number, unsigned worker)
{
	struct hakc_colleague *c = &ledger->colleagues[worker];
	struct hakc_entry *entry = &ledger->entries[number];

	assert(entry->state == HAKC_ENTRY_WAITING && c->n_out < HAKC_OUT_MAX);
	c->out[c->n_out++] = number;
	entry->state = HAKC_ENTRY_OUT;
	entry->worker = worker;
	if (entry->n_out++ > 0)
		ledger->n_again++;
}

static void come_back(struct hakc_colleague *c, uint64_t number)
{
	for (unsigned i = 0; i < c->n_out; i++) {
		if (c->out[i] == number) {
			c->out[i] = c->out[--c->n_out];
			return;
		}
	}
}

bool hakc_ledger_done(struct hakc_ledger *ledger, uint64_t number)
{
	struct hakc_entry *entry;

	if (number >= ledger->n_entries)
		return false;
	entry = &ledger->entries[number];
	if (entry->state == HAKC_ENTRY_DONE)
		return false;
	if (entry->state == HAKC_ENTRY_OUT)
		come_back(&ledger->colleagues[entry->worker], number);
	entry->state = HAKC_ENTRY_DONE;
	free(entry->path);
	entry->path = NULL;
	ledger->n_done++;
	return true;
}

void hakc_ledger_hire(struct hakc_ledger *ledger, int channel)
{
	unsigned i = 0;

	while (i < HAKC_WORKERS_MAX && ledger->colleagues[i].channel >= 0)
		i++;
	assert(i < HAKC_WORKERS_MAX);
	ledger->colleagues[i] = (struct hakc_colleague){.channel = channel};
	ledger->n_colleagues++;
}

void hakc_ledger_lose(struct hakc_ledger *ledger, unsigned worker)
{
	struct hakc_colleague *c = &ledger->colleagues[worker];

	hakc_channel_close(&c->channel);
	ledger->n_colleagues--;
	for (unsigned i = 0; i < c->n_out; i++)
		wait_again(ledger, c->out[i]);
	c->n_out = 0;
}
