/* SPDX-License-Identifier: MIT */
/* What a party does. A block is checked whole when it comes in and when it is freed or moved. */
#include "tests/stress/party.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "tests/stress/contents.h"

#define NO_MEMORY_MAX 10000u

void hakt_die(const char *format, ...)
{
	char line[512];
	va_list arguments;
	int n = snprintf(line, sizeof(line), "party of pid %d: ", (int)getpid());

	va_start(arguments, format);
	n += vsnprintf(line + n, sizeof(line) - (size_t)n - 1, format, arguments);
	va_end(arguments);
	if (n > (int)sizeof(line) - 2)
		n = (int)sizeof(line) - 2;
	line[n++] = '\n';
	if (write(STDERR_FILENO, line, (size_t)n) < 0)
		_exit(2);
	_exit(1);
}

uint64_t hakt_seed(void)
{
	const char *given = getenv("HAKT_SEED");
	uint64_t seed = 0;

	if (given)
		seed = strtoull(given, NULL, 0);
	else if (getrandom(&seed, sizeof(seed), 0) != (ssize_t)sizeof(seed))
		hakt_die("no seed: %s", strerror(errno));
	printf("# HAKT_SEED=%#llx\n", (unsigned long long)seed);
	fflush(stdout);
	return seed;
}

uint64_t hakt_ops(uint64_t usual)
{
	const char *given = getenv("HAKT_OPS");

	return given ? strtoull(given, NULL, 0) : usual / HAKT_SLOWNESS;
}

static uint64_t below(struct hakt_party *party, uint64_t end)
{
	return hakt_random(&party->random) % end;
}

static uint64_t name_of(const struct hakt_item *item)
{
	uint64_t state = item->serial << 8 ^ item->maker ^ item->size << 40;

	return hakt_random(&state);
}

static void fill(const struct hakt_item *item, void *block)
{
	hakt_contents_fill(block, item->size, name_of(item));
}

/* The first `bytes` of the contents. */
static void check(const struct hakt_item *item, const void *block, size_t bytes)
{
	size_t at = hakt_contents_wrong_at(block, bytes, name_of(item));
	uint64_t found = 0;

	if (at == bytes)
		return;
	memcpy(&found, (const char *)block + at, bytes - at < 8 ? bytes - at : 8);
	hakt_die("block %llu of maker %u, %llu bytes, is wrong at %zu: %llx",
		 (unsigned long long)item->serial, item->maker, (unsigned long long)item->size, at,
		 (unsigned long long)found);
}

static void *block_of(const struct hakt_item *item)
{
	void *block = hakmem_ptr(item->ref);

	if (!block)
		hakt_die("block %llu of maker %u, ref %llx, is not there: %s",
			 (unsigned long long)item->serial, item->maker,
			 (unsigned long long)item->ref, strerror(errno));
	return block;
}

static void free_item(struct hakt_party *party, const struct hakt_item *item)
{
	void *block = block_of(item);

	check(item, block, item->size);
	memset(block, 0xdd, item->size < 64 ? item->size : 64);
	hakmem_free(block);
	party->n_ops++;
}

/* Takes one out of those held. */
static struct hakt_item take(struct hakt_party *party, uint32_t at)
{
	struct hakt_item item = party->live[at];

	party->live[at] = party->live[--party->n_live];
	return item;
}

static void hold(struct hakt_party *party, const struct hakt_item *item)
{
	if (party->n_live == HAKT_LIVE_MAX) {
		struct hakt_item old = take(party, (uint32_t)below(party, HAKT_LIVE_MAX));

		free_item(party, &old);
	}
	party->live[party->n_live++] = *item;
}

/* Mostly small; one of a thousand is larger than a SuperSlab's half. */
static size_t random_size(struct hakt_party *party)
{
	uint64_t kind = below(party, 1000);

	if (kind < 700)
		return 1 + below(party, 256);
	if (kind < 900)
		return 1 + below(party, 4096);
	if (kind < 985)
		return 1 + below(party, 32768);
	if (kind < 999)
		return 1 + below(party, 200u << 10);
	return (1u << 20) + below(party, 3u << 20);
}

/* The pool is full, or the machine: others must have the chance to free. */
static void on_no_memory(struct hakt_party *party)
{
	if (errno != ENOMEM || ++party->n_no_memory > NO_MEMORY_MAX)
		hakt_die("an allocation failed: %s", strerror(errno));
	while (party->n_live > HAKT_LIVE_MAX / 4) {
		struct hakt_item item = take(party, party->n_live - 1);

		free_item(party, &item);
	}
	hakmem_trim();
	usleep(1000);
}

static void *allocate(struct hakt_party *party, size_t size)
{
	uint64_t kind = below(party, 16);

	if (kind == 0) {
		unsigned char *block = hakmem_calloc(size, 1);

		for (size_t i = 0; block && i < size; i++)
			if (block[i])
				hakt_die("calloc of %zu is not zero at %zu", size, i);
		return block;
	}
	if (kind == 1) {
		size_t alignment = (size_t)1 << below(party, size > 65536 ? 22 : 14);
		void *block = hakmem_aligned_alloc(alignment, size);

		if ((uintptr_t)block % alignment)
			hakt_die("%p is not aligned to %zu", block, alignment);
		return block;
	}
	return hakmem_malloc(size);
}

static void make(struct hakt_party *party)
{
	struct hakt_item item = {.size = random_size(party), .maker = party->self};
	void *block = allocate(party, item.size);

	if (!block) {
		on_no_memory(party);
		return;
	}
	if (hakmem_usable_size(block) < item.size)
		hakt_die("%p has less than %llu bytes", block, (unsigned long long)item.size);
	party->n_no_memory = 0;
	item.serial = ++party->serial;
	item.ref = hakmem_ref(block);
	fill(&item, block);
	hold(party, &item);
	party->n_ops++;
}

static void resize(struct hakt_party *party, uint32_t at)
{
	struct hakt_item *item = &party->live[at];
	size_t size = random_size(party);
	size_t kept = size < item->size ? size : item->size;
	void *block = hakmem_realloc(block_of(item), size);

	if (!block) {
		on_no_memory(party); /* the old one is untouched */
		return;
	}
	check(item, block, kept);
	*item = (struct hakt_item){.ref = hakmem_ref(block),
				   .size = size,
				   .maker = party->self,
				   .serial = ++party->serial};
	fill(item, block);
	party->n_ops++;
}

/* A batch of random ones to a random other. */
static void pass(struct hakt_party *party)
{
	struct hakt_item batch[HAKT_BATCH_MAX];
	unsigned wanted = 1 + (unsigned)below(party, HAKT_BATCH_MAX);
	unsigned to = (unsigned)((party->self + 1 + below(party, party->n - 1)) % party->n);
	unsigned n = 0;

	for (unsigned i = 0; i < wanted && party->n_live > 0; i++) {
		uint32_t at = (uint32_t)below(party, party->n_live);
		const struct hakt_item *item = &party->live[at];

		if (item->hops < HAKT_HOPS_MAX && !(party->keeps_own && item->maker == party->self))
			batch[n++] = take(party, at);
	}
	for (unsigned i = 0; i < n; i++)
		batch[i].hops++;
	if (n == 0)
		return;
	if (party->send(party->context, to, batch, n)) {
		party->n_ops += n;
		return;
	}
	for (unsigned i = 0; i < n; i++)
		free_item(party, &batch[i]);
}

static unsigned receive(struct hakt_party *party, struct hakt_item *batch)
{
	unsigned n = party->receive(party->context, batch);

	for (unsigned i = 0; i < n; i++)
		check(&batch[i], block_of(&batch[i]), batch[i].size);
	party->n_ops += n;
	return n;
}

void hakt_party_step(struct hakt_party *party)
{
	struct hakt_item batch[HAKT_BATCH_MAX];
	uint64_t kind = below(party, 100);
	unsigned n;

	if (kind < 50 || party->n_live == 0) {
		make(party);
	} else if (kind < 75) {
		struct hakt_item item = take(party, (uint32_t)below(party, party->n_live));

		free_item(party, &item);
	} else if (kind < 85) {
		resize(party, (uint32_t)below(party, party->n_live));
	} else if (kind < 95) {
		pass(party);
	} else {
		while ((n = receive(party, batch)) > 0)
			for (unsigned i = 0; i < n; i++)
				if (below(party, 2))
					hold(party, &batch[i]);
				else
					free_item(party, &batch[i]);
	}
	if (below(party, 20000) == 0)
		hakmem_trim();
}

void hakt_party_serve(struct hakt_party *party)
{
	struct hakt_item batch[HAKT_BATCH_MAX];
	unsigned n;

	while ((n = receive(party, batch)) > 0)
		for (unsigned i = 0; i < n; i++)
			free_item(party, &batch[i]);
}

void hakt_party_free_all(struct hakt_party *party)
{
	while (party->n_live > 0) {
		struct hakt_item item = take(party, party->n_live - 1);

		free_item(party, &item);
	}
}
