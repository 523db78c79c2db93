/* SPDX-License-Identifier: MIT */
/* It finds the library's mappings by their names, and reads them by proto/shm alone. */
#include "tests/stress/soak/dump.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client_lib/include/hakmem.h"
#include "proto/shm/segment.h"

#define SHOWN_MAX 40u
#define LG	  21u

/* Where this process has mapped a memfd's begin. */
static void *find_mapping(const char *name)
{
	char line[512];
	void *found = NULL;
	FILE *maps = fopen("/proc/self/maps", "re");

	while (maps && !found && fgets(line, sizeof(line), maps))
		if (strstr(line, name))
			found = (void *)(uintptr_t)strtoull(line, NULL, 16);
	if (maps)
		fclose(maps);
	return found;
}

static bool find_segment(struct hak_segment *s)
{
	void *registry = find_mapping("hakmem-registry"), *heap = find_mapping("hakmem-heap");
	struct hak_geometry g;

	if (!registry || !heap || hak_geometry_init(&g, SOAK_CAPACITY, LG) < 0)
		return false;
	hak_segment_init(s, &g, registry, heap);
	return true;
}

static void describe(const struct hak_segment *s, uint32_t slot, unsigned i,
		     char text[SOAK_DUMP_BYTES])
{
	uint64_t w = hak_slab_load(&s->slab_words[slot]);
	uint64_t superslab = hak_load_acquire(&s->superslabs[hak_segment_superslab_of(s, slot)]);
	uint32_t tag = w & HAK_SLAB_TAGGED ? hak_tag_load(&hak_segment_tags(s, slot)[i]) : 0;

	snprintf(text, SOAK_DUMP_BYTES,
		 "SuperSlab %" PRIu32 " (state %d, owner %u), slot %" PRIu32
		 " (state %d, owner %u, thread %" PRIu32 ", class %u, epoch %u%s), block %u: bit "
		 "%d, tag state %d, holder %u, inc %u",
		 hak_segment_superslab_of(s, slot), (int)hak_superslab_state(superslab),
		 hak_superslab_owner(superslab), slot, (int)hak_slab_state(w), hak_slab_owner(w),
		 hak_slab_thread(w), hak_slab_class(w), hak_slab_epoch(w),
		 w & HAK_SLAB_TAGGED ? ", tagged" : "", i,
		 (int)(hak_load_acquire(&hak_segment_bits(s, slot)[i / 64]) >> i % 64 & 1),
		 (int)hak_tag_state(tag), hak_tag_holder(tag), hak_tag_inc(tag));
}

void soak_dump_block(const void *block, char text[SOAK_DUMP_BYTES])
{
	struct hak_segment s;
	struct hak_location l;

	snprintf(text, SOAK_DUMP_BYTES, "unknown");
	if (!find_segment(&s))
		return;
	l = hak_segment_locate(&s, (uintptr_t)block);
	if (l.place == HAK_PLACE_BLOCK)
		describe(&s, l.slot, l.index, text);
	else
		snprintf(text, SOAK_DUMP_BYTES, "place %d, slot %" PRIu32 ", W %" PRIx64,
			 (int)l.place, l.slot, l.word);
}

static unsigned show_slab(const struct hak_segment *s, uint32_t slot, unsigned n_before)
{
	uint64_t w = hak_slab_load(&s->slab_words[slot]);
	bool is_span = hak_slab_state(w) == HAK_SLAB_SPAN;
	const struct hak_class *cls = &hak_classes[is_span ? 0 : hak_slab_class(w)];
	unsigned n = 0;
	char text[SOAK_DUMP_BYTES];

	if (!is_span && hak_slab_state(w) != HAK_SLAB_ACTIVE)
		return 0;
	for (unsigned i = 0; i < (is_span ? 1 : cls->n_blocks); i++) {
		const char *block = (char *)hak_segment_address(s, slot) + (size_t)i * cls->size;

		if (hak_load_acquire(&hak_segment_bits(s, slot)[i / 64]) >> i % 64 & 1)
			continue;
		describe(s, slot, i, text);
		if (n_before + n++ < SHOWN_MAX)
			fprintf(stderr, "soak: left: %s, first word %" PRIx64 "\n", text,
				*(const uint64_t *)(const void *)block);
	}
	return n;
}

void soak_dump_all(void)
{
	struct hak_segment s;
	unsigned n = 0;

	if (hakmem_attach(NULL) < 0 || !find_segment(&s))
		_exit(1);
	for (uint32_t i = 0; i < s.geometry.n_superslabs; i++) {
		if (hak_superslab_state(hak_load_acquire(&s.superslabs[i])) == HAK_SUPERSLAB_FREE)
			continue;
		for (uint32_t k = 0; k < s.geometry.slots_per_superslab; k++)
			n += show_slab(&s, i * s.geometry.slots_per_superslab + k, n);
	}
	fprintf(stderr, "soak: left: %u blocks\n", n);
	_exit(0);
}
