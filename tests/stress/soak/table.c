/* SPDX-License-Identifier: MIT */
/* The book, its counts, and what the driver does in it for the dead. */
#include "tests/stress/soak/table.h"

#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

static const char *const error_texts[SOAK_ERRORS] = {
	[SOAK_E_CORRUPT] = "corrupt",	[SOAK_E_TWICE] = "taken twice",
	[SOAK_E_STALE] = "lost ticket", [SOAK_E_REFUSED] = "refused",
	[SOAK_E_HANG] = "hang",
};

struct soak_table *soak_table_new(uint64_t seed, unsigned n_clients)
{
	struct soak_table *table = mmap(NULL, sizeof(*table), PROT_READ | PROT_WRITE,
					MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (table == MAP_FAILED)
		return NULL;
	table->seed = seed;
	table->n_clients = n_clients;
	for (unsigned i = 0; i < n_clients * SOAK_THREADS_MAX; i++)
		for (unsigned k = 0; k < SOAK_GIVES; k++) /* relaxed: nobody else is there */
			hak_store_relaxed(&table->threads[i].gives[k].word, SOAK_FREE_ENTRY);
	return table;
}

bool soak_table_begin_end(struct soak_table *table, unsigned client)
{
	hak_store_release(&table->clients[client].is_ending, 1);
	hak_fence_seq_cst(); /* either we see the pin, or who pins sees this; see loan.c */
	for (unsigned i = 0; i < table->n_clients * SOAK_THREADS_MAX; i++) {
		if (soak_client_of(i) == client ||
		    hak_load_acquire(&table->threads[i].pin) != client + 1)
			continue;
		hak_store_release(&table->clients[client].is_ending, 0);
		return false;
	}
	return true;
}

/* A borrower has died. */
static void end_borrowing(struct soak_table *table, unsigned client)
{
	for (unsigned i = 0; i < table->n_clients * SOAK_THREADS_MAX; i++)
		for (unsigned k = 0; k < SOAK_LOANS; k++) {
			hak_u64 *word = &table->threads[i].loans[k].word;
			uint64_t w = hak_load_acquire(word);
			uint64_t state = w & 0xff;

			if ((state == SOAK_BORROWED || state == SOAK_FREEING) &&
			    soak_client_of(w >> 8 & 0xffff) == client)
				hak_store_release(word,
						  (w & ~UINT64_C(0xff)) |
							  (state == SOAK_BORROWED ? SOAK_RETURNED
										  : SOAK_UNKNOWN));
		}
}

/* Frees of lent blocks that went with a thread of a client. */
static void tell_lenders(struct soak_table *table, unsigned client, uint64_t unflushed)
{
	for (unsigned i = 0; i < table->n_clients; i++)
		if (i != client && unflushed >> i & 1) /* relaxed: who reads it asked us before */
			hak_add_relaxed(&table->clients[i].n_unknown, 1);
}

void soak_table_bury(struct soak_table *table, unsigned client)
{
	struct soak_client *c = &table->clients[client];

	for (unsigned i = client * SOAK_THREADS_MAX; i < (client + 1) * SOAK_THREADS_MAX; i++) {
		struct soak_thread *t = &table->threads[i];
		uint64_t intent = hak_load_acquire(&t->intent);

		if (intent) { /* in the list first: it must be seen at one of the two places */
			uint64_t n = hak_load_relaxed(&table->n_dead_intents);

			hak_store_release(&table->dead_intents[n % SOAK_INTENTS], intent);
			hak_store_release(&table->n_dead_intents, n + 1);
			hak_store_release(&t->intent, 0);
		}
		hak_store_release(&t->pin, 0);
		tell_lenders(table, client, hak_load_acquire(&t->unflushed));
		hak_store_release(&t->unflushed, 0);
		for (unsigned k = 0; k < SOAK_LOANS; k++) {
			uint64_t number = hak_load_acquire(&t->loans[k].word) >> 24;

			hak_store_release(&t->loans[k].word, (number + 1) << 24 | SOAK_IDLE);
		}
	}
	end_borrowing(table, client);
	hak_store_release(&c->n_unknown, 0);
	hak_store_release(&c->order, SOAK_GO_ON);
	hak_store_release(&c->is_ending, 0);
}

bool soak_table_is_wanted(const struct soak_table *table, uint64_t ref, bool *ret_by_the_dead)
{
	*ret_by_the_dead = false;
	for (unsigned i = 0; i < table->n_clients * SOAK_THREADS_MAX; i++)
		if (hak_load_acquire(&table->threads[i].intent) == ref)
			return true;
	for (unsigned i = 0; i < SOAK_INTENTS; i++)
		if (hak_load_acquire(&table->dead_intents[i]) == ref)
			*ret_by_the_dead = true;
	return *ret_by_the_dead;
}

uint64_t soak_table_count(const struct soak_table *table, enum soak_count count)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < table->n_clients * SOAK_THREADS_MAX; i++) /* relaxed: shown */
		sum += hak_load_relaxed(&table->threads[i].counts[count]);
	return sum;
}

uint64_t soak_table_errors(const struct soak_table *table)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < SOAK_ERRORS; i++)
		sum += hak_load_acquire(&table->errors[i]);
	return sum;
}

void soak_say(struct soak_table *table, unsigned thread, enum soak_error error, const char *format,
	      ...)
{
	char line[768];
	va_list arguments;
	int n = snprintf(line, sizeof(line), "soak: %s: seed %llu: ", error_texts[error],
			 (unsigned long long)table->seed);

	if (thread != SOAK_NOBODY)
		n += snprintf(line + n, sizeof(line) - (size_t)n,
			      "client %u, thread %u, pid %d: ", soak_client_of(thread),
			      thread % SOAK_THREADS_MAX, (int)getpid());
	va_start(arguments, format);
	n += vsnprintf(line + n, sizeof(line) - (size_t)n - 1, format, arguments);
	va_end(arguments);
	if (n > (int)sizeof(line) - 2)
		n = (int)sizeof(line) - 2;
	line[n++] = '\n';
	if (write(STDERR_FILENO, line, (size_t)n) < 0)
		_exit(2);
	hak_add_relaxed(&table->errors[error], 1); /* relaxed: who sees it goes on to its end */
}
