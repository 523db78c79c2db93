/* SPDX-License-Identifier: MIT */
/*
 * The shared words, and what is in a block. Of a large block only the ends are written: stale or
 * foreign memory shows there as well, and a walker has more to do than to fill megabytes.
 */
#include "tests/crash/world.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "client_lib/thread.h"

#define WHOLE 4096u /* blocks up to this are filled whole */
#define END   512u  /* of the others so much at each end */

struct hakt_world *hakt_world;

void hakt_world_init(void)
{
	void *memory = mmap(NULL, sizeof(*hakt_world), PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED) {
		perror("crash: mmap");
		exit(2);
	}
	hakt_world = memory;
}

/* What is in byte `at`: the byte of a word that both the seed and the place decide. */
static uint64_t word_at(const struct hakt_thing *thing, uint64_t at)
{
	return (thing->seed ^ thing->size << 32 ^ at) * UINT64_C(0x9e3779b97f4a7c15);
}

static void fill(unsigned char *bytes, const struct hakt_thing *thing, uint64_t from, uint64_t to)
{
	for (; from + 8 <= to; from += 8)
		*(uint64_t *)(void *)(bytes + from) = word_at(thing, from);
	for (; from < to; from++)
		bytes[from] = (unsigned char)(word_at(thing, from) >> 56);
}

static bool is_filled(const unsigned char *bytes, const struct hakt_thing *thing, uint64_t from,
		      uint64_t to)
{
	for (; from + 8 <= to; from += 8)
		if (*(const uint64_t *)(const void *)(bytes + from) != word_at(thing, from))
			return false;
	for (; from < to; from++)
		if (bytes[from] != (unsigned char)(word_at(thing, from) >> 56))
			return false;
	return true;
}

struct hakt_thing hakt_thing_make(void *block, uint64_t size, uint64_t seed)
{
	const struct hak_segment *segment = &hakc_self->heap->segment;
	const struct hak_location l = hak_segment_locate(segment, (uintptr_t)block);
	struct hakt_thing thing = {.name = hak_ref_make(l.start, hak_slab_epoch(l.word), 0),
				   .size = size,
				   .seed = seed};

	hakt_thing_fill(block, &thing);
	return thing;
}

bool hakt_thing_give(struct hakt_thing *thing)
{
	thing->ref = hakmem_ref(hakmem_ptr(thing->name));
	return thing->ref != 0;
}

void hakt_thing_fill(void *block, const struct hakt_thing *thing)
{
	if (thing->size <= WHOLE) {
		fill(block, thing, 0, thing->size);
		return;
	}
	fill(block, thing, 0, END);
	fill(block, thing, (thing->size - END) & ~UINT64_C(7), thing->size);
}

bool hakt_thing_is_whole(const void *block, const struct hakt_thing *thing)
{
	if (thing->size <= WHOLE)
		return is_filled(block, thing, 0, thing->size);
	return is_filled(block, thing, 0, END) &&
	       is_filled(block, thing, (thing->size - END) & ~UINT64_C(7), thing->size);
}
