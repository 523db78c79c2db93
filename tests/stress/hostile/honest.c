/* SPDX-License-Identifier: MIT */
/*
 * A client that means no harm: it allocates, frees, resizes, passes blocks on and publishes. Where
 * its pool is attacked it may be told anything, and may crash, since it shares its words with
 * somebody who scribbles over them; then the driver starts another one.
 */
#include "tests/stress/hostile/hostile.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "client_lib/include/hakmem.h"
#include "tests/support/random.h"

#define BLOCKS 48u

struct honest {
	struct hostile_pool *pool;
	uint64_t seed;
	uint64_t *blocks[BLOCKS]; /* each word is their size in words; of long ones, one a page */
};

static void note(struct honest *honest, bool is_right)
{
	hak_add_relaxed(&honest->pool->calls, 1);
	if (!is_right && !honest->pool->is_attacked)
		hak_add_relaxed(&honest->pool->errors, 1);
}

static size_t pick_words(uint64_t r)
{
	if (r % 100 < 80)
		return 2 + (r >> 8) % 500;
	if (r % 100 < 97)
		return 2 + (r >> 8) % 50000;
	return 262144 + (r >> 8) % 524288; /* huge */
}

static size_t step_of(size_t n)
{
	return n > 65536 ? 512 : 1;
}

static void fill(uint64_t *block, size_t n)
{
	if (!block)
		return;
	for (size_t i = 0; i < n; i += step_of(n))
		block[i] = n;
	block[n - 1] = n;
}

static bool is_whole(const uint64_t *block, size_t most)
{
	size_t n = block[0];

	if (n < 2 || n > most)
		return false;
	for (size_t i = 0; i < n; i += step_of(n))
		if (block[i] != n)
			return false;
	return block[n - 1] == n;
}

static void drop(struct honest *honest, uint64_t **block)
{
	if (!*block)
		return;
	note(honest, is_whole(*block, hakmem_usable_size(*block) / 8));
	hakmem_free(*block);
	*block = NULL;
}

static void pass_on(struct honest *honest, uint64_t **block)
{
	hak_u64 *letter = &honest->pool->letters[hakt_random(&honest->seed) % HOSTILE_LETTERS];
	uint64_t ref = hak_load_acquire(letter), none = 0;
	void *taken;

	if (ref && hak_cas_acq_rel(letter, &ref, 0)) {
		/* Its sender may have died. */
		if (hakmem_take(ref, &taken) == 0) {
			drop(honest, block);
			*block = taken;
		}
	} else if (!ref && *block) {
		ref = hakmem_ref(*block);
		note(honest, ref != 0);
		if (ref && hak_cas_acq_rel(letter, &none, ref))
			*block = NULL;
	}
}

static void publish(struct honest *honest, uint64_t **block)
{
	char name[32];
	hakmem_ref_t ref;
	void *taken;

	snprintf(name, sizeof(name), "honest %u", (unsigned)(hakt_random(&honest->seed) % 20));
	if (*block && hakmem_root_publish(name, hakmem_ref(*block)) == 0)
		*block = NULL;
	else if (hakmem_root_withdraw(name, &ref) == 0 && hakmem_take(ref, &taken) == 0)
		hakmem_free(taken);
}

static void act(struct honest *honest)
{
	uint64_t r = hakt_random(&honest->seed);
	uint64_t **block = &honest->blocks[(r >> 32) % BLOCKS];
	size_t n = pick_words(hakt_random(&honest->seed));

	switch (r % 16) {
	case 0:
		publish(honest, block);
		break;
	case 1:
	case 2:
	case 3:
		pass_on(honest, block);
		break;
	case 4:
		hakmem_trim();
		break;
	default:
		drop(honest, block);
		*block = hakmem_malloc(n * 8);
		note(honest, *block != NULL);
		fill(*block, n);
	}
}

int hostile_work_honestly(struct hostile_table *table, struct hostile_pool *pool, uint64_t seed)
{
	const struct hakmem_options options = {.pool = pool->name, .timeout_ms = 5000};
	struct honest honest = {.pool = pool, .seed = seed};

	if (hakmem_attach(&options) != 0) {
		note(&honest, false);
		usleep(20000);
		return 0;
	}
	for (uint64_t i = 0; !hak_load_relaxed(&table->stop); i++) {
		act(&honest);
		if (i % 256 == 255)
			usleep(100);
	}
	for (unsigned i = 0; i < BLOCKS; i++)
		drop(&honest, &honest.blocks[i]);
	note(&honest, hakmem_detach() == 0);
	return 0;
}
